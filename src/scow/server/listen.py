"""Listening: unix sockets and TCP addresses, and closing them in good order."""

import asyncio
import errno
import logging
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scow.errors import Conflict, Forbidden, InvalidArgument, Unsupported
from scow.server.http.connection import Connection, Handler

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("scow.server")
_BACKLOG = 1024
_LONGEST_ADDRESS = 107  # bytes of a unix socket's address, without its NUL


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for TCP. `ca` verifies client certificates: only that authority is trusted, never the system's."""

    certificate: str
    key: str
    ca: str = ""
    verify: bool = False


@dataclass(slots=True)
class Listeners:
    """What `serve` opened. `addresses` are the hosts as given."""

    addresses: tuple[str, ...]
    servers: list[asyncio.AbstractServer] = field(default_factory=list)
    sockets: list[tuple[str, int]] = field(default_factory=list)
    connections: set[Connection] = field(default_factory=set)

    async def close(self, timeout: float = 5.0) -> None:
        """Stop accepting, let requests in progress end for up to `timeout` seconds, then drop every connection."""
        for server in self.servers:
            server.close()
        for path, inode in self.sockets:
            with suppress(OSError):
                if os.lstat(path).st_ino == inode:
                    os.unlink(path)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        for connection in tuple(self.connections):
            connection.close_idle()
        while self.connections and loop.time() < end:
            await asyncio.sleep(0.05)
            for connection in tuple(self.connections):
                connection.close_idle()
        for connection in tuple(self.connections):
            connection.abort()


async def serve(handler: Handler, hosts: Sequence[str], *, group: str = "", tls: TlsFiles | None = None) -> Listeners:
    """Listen on every one of `hosts` (unix:///path or tcp://address:port) and run `handler` for each request.

    All or nothing: when one cannot be opened, those before it are closed again and the error names the host.
    """
    listeners = Listeners(tuple(hosts))
    try:
        for host in hosts:
            await _open(handler, host, listeners, group, tls)
    except BaseException:
        await listeners.close(0)
        raise
    return listeners


async def _open(handler: Handler, host: str, listeners: Listeners, group: str, tls: TlsFiles | None) -> None:
    loop = asyncio.get_running_loop()
    scheme, colon, rest = host.partition("://")

    def protocol() -> Connection:
        return Connection(handler, listeners.connections)

    if colon and scheme == "unix":
        sock = bind_unix(rest, group)
        listeners.sockets.append((rest, os.lstat(rest).st_ino))
        listeners.servers.append(await loop.create_unix_server(protocol, sock=sock, backlog=_BACKLOG))
    elif colon and scheme == "tcp":
        context = None if tls is None else tls_context(tls)
        address, port = _tcp_address(host, rest, context is not None)
        if context is None:
            _log.warning(
                "%s is neither encrypted nor authenticated: every user of this machine is root through it", host
            )
        try:
            server = await loop.create_server(protocol, address, port, ssl=context, backlog=_BACKLOG)
        except OSError as error:
            raise Conflict(f"cannot listen on {host}: {os.strerror(error.errno or 0)}") from error
        listeners.servers.append(server)
    else:
        raise Unsupported(f"cannot listen on {host!r}: only unix:// and tcp:// addresses are supported")


def _tcp_address(host: str, rest: str, encrypted: bool) -> tuple[str, int]:
    address, colon, port = rest.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidArgument(f"invalid listen address {host!r}: want tcp://ADDRESS:PORT")
    address = address.strip("[]") or "127.0.0.1"
    if not encrypted and address not in ("127.0.0.1", "::1", "localhost"):
        raise InvalidArgument(
            f"refusing to listen on {host} without TLS: use 127.0.0.1, or give certificates (--tlsverify)"
        )
    return address, int(port)


def tls_context(files: TlsFiles) -> "ssl.SSLContext":
    """TLS 1.2 or later. With `verify`, clients must show a certificate of `files.ca` (CVE-2018-12608)."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # trusts no authority until told
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.verify:
            if not files.ca:
                raise InvalidArgument("tlsverify needs a CA certificate (--tlscacert)")
            context.load_verify_locations(cafile=files.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"cannot load the TLS certificates: {error}") from error
    return context


# ---------------------------------------------------------------- unix sockets


def bind_unix(path: str, group: str = "") -> socket.socket:
    """A listening socket at `path`, mode 0660, owned by root and `group` (a name or a number; "" keeps root's).

    Owner and mode are right before it listens, and until then nobody can connect, whatever the umask (CVE-2014-3499).
    Conflict when a daemon answers at `path`, or when something that is not a socket lies there; a socket that nobody
    listens on is replaced.
    """
    if not path.startswith("/"):
        raise InvalidArgument(f"invalid socket path {path!r}: it must be absolute")
    gid = _group_id(group) if group else -1
    directory, name = os.path.split(path)
    _check_free(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        os.fchmod(sock.fileno(), 0o600)  # what bind makes is never wider
        short = len(os.fsencode(path)) <= _LONGEST_ADDRESS
        sock.bind(path if short else f"/proc/self/fd/{parent}/{name}")
        if gid >= 0:
            os.chown(name, -1, gid, dir_fd=parent, follow_symlinks=False)
        os.chmod(name, 0o660, dir_fd=parent)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        kind = Forbidden if error.errno in (errno.EACCES, errno.EPERM) else Conflict
        raise kind(f"cannot make the socket {path}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(parent)
    return sock


def _group_id(group: str) -> int:
    if group.isascii() and group.isdigit():
        return int(group)
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidArgument(f"group {group!r} for the socket does not exist") from None


def _check_free(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise Conflict(f"cannot look at {path}: {os.strerror(error.errno or 0)}") from error
    if not stat.S_ISSOCK(mode):
        raise Conflict(f"cannot make the socket {path}: something that is not a socket lies there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            raise Conflict(f"cannot tell whether {path} is in use: {os.strerror(error.errno or 0)}") from error
    raise Conflict(f"a daemon already answers on {path}")
