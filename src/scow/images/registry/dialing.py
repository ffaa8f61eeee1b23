"""Network failures in the words of Docker's messages."""

import errno
import socket
import ssl
from typing import TYPE_CHECKING

from scow.images.registry.endpoint import literal_address

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

_RESOLVER = "/etc/resolv.conf"
_ERRNO = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.EPIPE: "broken pipe",
}


def describe(error: BaseException, authority: str) -> tuple[str, bool]:
    """(what happened, whether it may go away) for an exception of aiohttp or of a socket."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: {_reason(error.certificate_error)}", False
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        host = authority.rpartition(":")[0] or authority
        return f"dial tcp: lookup {host.strip('[]')}{_nameserver()}: no such host", False
    if isinstance(error, aiohttp.ClientSSLError):
        return _tls_text(error), False
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"dial tcp {_dialed(error)}: connect: {_text_of(error.os_error)}", False
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"dial tcp {authority}: i/o timeout", False
    if isinstance(error, (TimeoutError, aiohttp.ServerTimeoutError)):
        return "net/http: request canceled (Client.Timeout exceeded while awaiting headers)", True
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF", True
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
        cause = error.__cause__ if isinstance(error, aiohttp.ClientPayloadError) else error
        return (_text_of(cause) if isinstance(cause, OSError) and cause.errno else "unexpected EOF"), True
    if isinstance(error, OSError):
        return _text_of(error), True
    if isinstance(error, aiohttp.ClientResponseError):
        return f"malformed HTTP response: {error.message[:120]}", False
    return f"{type(error).__name__}: {str(error)[:120]}", False


def resolver() -> "AbstractResolver":
    """Look-ups of names that never lead to link-local addresses: there are the metadata services of clouds, and a name
    in a redirect or a realm is the registry's choice.
    """
    import aiohttp
    from aiohttp.abc import ResolveResult

    class Careful(aiohttp.ThreadedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            allowed = [each for each in found if not _is_link_local(each["host"])]
            if found and not allowed:
                raise OSError(errno.EACCES, "link-local address refused")
            return allowed

    return Careful()


def _is_link_local(host: str) -> bool:
    address = literal_address(host.partition("%")[0])
    return address is not None and address.is_link_local


def _tls_text(error: BaseException) -> str:
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text or "record layer failure" in text:
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {_reason(error)}"


def _reason(error: BaseException) -> str:
    inner = error if isinstance(error, ssl.SSLError) else getattr(error, "os_error", error)
    message = getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or str(inner)
    if "self" in message and "signed" in message or "unable to get local issuer" in message:
        return "x509: certificate signed by unknown authority"
    if "expired" in message:
        return "x509: certificate has expired or is not yet valid"
    return str(message)[:160]


def _dialed(error: BaseException) -> str:
    host = str(getattr(error, "host", ""))
    port = getattr(error, "port", "")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _text_of(error: OSError) -> str:
    number = error.errno or 0
    return _ERRNO.get(number, (error.strerror or str(error)).lower()[:120])


def _nameserver() -> str:
    """` on ADDRESS:53`, the resolver that was asked, as far as the machine's configuration tells."""
    try:
        with open(_RESOLVER, encoding="ascii", errors="replace") as stream:
            for line in stream.read(65536).splitlines():
                words = line.split()
                if len(words) == 2 and words[0] == "nameserver":
                    return f" on {words[1]}:53"
    except OSError:
        pass
    return ""
