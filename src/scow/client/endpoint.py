"""Where the daemon listens: parsing of host strings, and opening a socket to one."""

from __future__ import annotations

import _socket

from scow.errors import InvalidArgument, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_HOST = "unix:///run/scow.sock"


class TLS:
    """What `--tls*` or a context say: files, and whether the server's certificate must be right."""

    __slots__ = ("ca", "cert", "key", "verify")

    def __init__(self, ca: str, cert: str, key: str, verify: bool) -> None:
        self.ca = ca
        self.cert = cert
        self.key = key
        self.verify = verify


class Endpoint:
    """A parsed host: `unix:///path` or `tcp://host:port[/base]`."""

    __slots__ = ("address", "base", "host", "port", "tls")

    def __init__(self, host: str, tls: TLS | None = None) -> None:
        """Raises InvalidArgument for a scheme that scow does not speak."""
        self.host = host
        self.tls = tls
        self.base = ""
        self.port = 0
        scheme, found, rest = host.partition("://")
        if not found:
            raise InvalidArgument(f"unable to parse docker host `{host}`")
        if scheme == "unix":
            self.address = rest
        elif scheme in ("tcp", "http", "https"):
            authority, slash, base = rest.partition("/")
            self.base = (slash + base).rstrip("/")
            self.address, self.port = _authority(host, authority, 2376 if tls else 2375)
        else:
            raise InvalidArgument(f"scow does not support {scheme}:// hosts yet: {host}")

    def unreachable(self, error: OSError) -> Unavailable:
        """The sentence that clients look for, or the permission error that Docker shows."""
        if isinstance(error, PermissionError):
            return Unavailable(
                f"permission denied while trying to connect to the Docker daemon socket at {self.host}: "
                f"connect: {(error.strerror or '').lower()}"
            )
        return Unavailable(f"Cannot connect to the Docker daemon at {self.host}. Is the docker daemon running?")

    def connect(self) -> Any:
        """A connected blocking socket. Raises Unavailable."""
        try:
            if not self.port:
                sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
                sock.connect(self.address)
                return sock
            sock = _tcp(self.address, self.port)
        except OSError as error:
            raise self.unreachable(error) from error
        return _with_tls(sock, self.address, self.tls) if self.tls else sock


def _authority(host: str, text: str, default_port: int) -> tuple[str, int]:
    name, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = text, str(default_port)
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise InvalidArgument(f"bad port in the host {host}")
    return name or "127.0.0.1", int(port)


def _tcp(name: str, port: int) -> Any:
    last = OSError(f"no address for {name}")
    for family, kind, proto, _, address in _socket.getaddrinfo(name, port, 0, _socket.SOCK_STREAM):
        sock = _socket.socket(family, kind, proto)
        try:
            sock.connect(address)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            last = error
    raise last


def _with_tls(sock: Any, name: str, tls: TLS) -> Any:
    import socket  # the wrapper class that ssl wants; expensive, but TLS is no local matter
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if tls.verify:
            context.load_verify_locations(tls.ca)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.cert and tls.key:
            context.load_cert_chain(tls.cert, tls.key)
        return context.wrap_socket(socket.socket(fileno=sock.detach()), server_hostname=name)
    except OSError as error:
        raise Unavailable(f"error during connect: TLS with {name}: {error}") from error
