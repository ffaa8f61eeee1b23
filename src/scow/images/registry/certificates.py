"""TLS settings of a registry: the system's authorities, and what an administrator put into certs.d/<host:port>/."""

import os
import ssl

from scow.errors import InvalidArgument
from scow.images.registry.endpoint import Endpoint, RegistrySettings


def outward() -> ssl.SSLContext:
    """What a server's certificate is verified with.

    Python 3.13 asks for all of RFC 5280 by default; authorities made by hand often have no key usage, and Docker takes them.
    """
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def context_for(endpoint: Endpoint, settings: RegistrySettings) -> ssl.SSLContext:
    """*.crt are authorities, *.cert with *.key client certificates, as in /etc/docker/certs.d."""
    context = outward()
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for root in settings.certificates:
        directory = f"{root}/{endpoint.authority}"
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            path = f"{directory}/{name}"
            try:
                if name.endswith(".crt"):
                    context.load_verify_locations(cafile=path)
                elif name.endswith(".cert"):
                    key = name.removesuffix(".cert") + ".key"
                    if key not in names:
                        raise InvalidArgument(
                            f"missing key {key} for client certificate {name}. CA certificates must use the extension "
                            ".crt"
                        )
                    context.load_cert_chain(path, f"{directory}/{key}")
                elif name.endswith(".key") and name.removesuffix(".key") + ".cert" not in names:
                    raise InvalidArgument(f"missing client certificate {name.removesuffix('.key')}.cert for key {name}")
            except OSError as error:  # ssl.SSLError is one
                raise InvalidArgument(f"cannot use the certificate {path}: {error}") from error
    return context
