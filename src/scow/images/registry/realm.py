"""May credentials go to the token server that a registry names? (CVE-2020-15157, CVE-2026-33540)

A registry decides where its clients ask for tokens, so a hostile or hijacked one could collect passwords anywhere or
make the daemon knock at machines that only it can reach. Therefore: HTTPS, unless the registry itself is plain HTTP on
the same host; the registry's own host or a host under the same registrable domain; no address literals of private or
link-local networks unless they are the registry's own.
"""

from urllib.parse import urlsplit

from scow.errors import Forbidden
from scow.images.registry.endpoint import Endpoint, host_of, literal_address

_KNOWN_PAIRS = frozenset({("registry-1.docker.io", "auth.docker.io")})
_PORTS = frozenset({None, 80, 443})


class UntrustedRealm(Forbidden):
    """The registry names a token server that scow does not ask."""


def check(realm: str, endpoint: Endpoint, *, with_credentials: bool) -> str:
    """The realm URL when it may be asked; UntrustedRealm says why not. Nothing is sent before this returns."""
    refused = f"registry {endpoint.authority} names the token server {realm[:200]!r}"
    try:
        parts = urlsplit(realm)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise UntrustedRealm(f"{refused}, which is no URL") from None
    own = host_of(endpoint.authority)
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or parts.fragment:
        raise UntrustedRealm(f"{refused}, which is no plain https URL")
    if parts.scheme == "http" and not (endpoint.scheme == "http" and host == own):
        raise UntrustedRealm(f"{refused}, which is not https")
    if host == own:
        return realm
    address = literal_address(host)
    if address is not None and not address.is_global:
        raise UntrustedRealm(f"{refused}, which is not a public address")
    if host == "localhost" or host.endswith(".localhost"):
        raise UntrustedRealm(f"{refused}, which is this machine")
    if port not in _PORTS:
        raise UntrustedRealm(f"{refused}, which has an unusual port")
    related = (own, host) in _KNOWN_PAIRS or (address is None and registrable(host) == registrable(own))
    if with_credentials and not related:
        raise UntrustedRealm(f"{refused}; credentials go only to the registry's own domain")
    return realm


def registrable(host: str) -> str:
    """An approximation of the registrable domain, on the strict side: two labels, three below short ones (co.uk)."""
    labels = host.rstrip(".").split(".")
    if len(labels) < 2 or literal_address(host) is not None:
        return host
    keep = 3 if len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-keep:])
