"""Docker's context store: ~/.docker/contexts/meta/<sha256 of the name>/meta.json and its TLS files."""

from __future__ import annotations

import hashlib
import posix

from scow.client import jsontext
from scow.client.config import read_file
from scow.client.endpoint import DEFAULT_HOST, TLS, Endpoint
from scow.errors import NotFound


def endpoint_of(name: str, directory: str) -> Endpoint:
    """The endpoint of a stored context. Raises NotFound when there is no such context."""
    key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    try:
        meta = jsontext.decode(read_file(f"{directory}/contexts/meta/{key}/meta.json"))
        docker = meta["Endpoints"]["docker"]
        host = docker.get("Host") or DEFAULT_HOST
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise NotFound(
            f'Failed to initialize: unable to resolve docker endpoint: context "{name}": context not found: '
            f"open {directory}/contexts/meta/{key}/meta.json: no such file or directory"
        ) from None
    files = f"{directory}/contexts/tls/{key}/docker"
    present = {entry: f"{files}/{entry}" for entry in ("ca.pem", "cert.pem", "key.pem") if _exists(f"{files}/{entry}")}
    if not present or host.startswith("unix://"):
        return Endpoint(host)
    verify = not docker.get("SkipTLSVerify", False)
    return Endpoint(
        host, TLS(present.get("ca.pem", ""), present.get("cert.pem", ""), present.get("key.pem", ""), verify)
    )


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True
