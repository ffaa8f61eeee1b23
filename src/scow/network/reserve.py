"""Host ports are held by bound sockets: nobody else can take them, and a port in use is found before anything changes."""

import errno
import os
import socket

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_BACKLOG = 512


def reserve(protocol: str, address: str, port: int, *, served: bool = False) -> socket.socket | None:
    """Hold a host port. OSError when it cannot be had; None when the kernel has no sockets of that protocol (sctp).

    IPv4: bound and refusing connections, for the packets go to the container by NAT before they reach it. IPv6 tcp, and
    what is `served`: listening, for the relay serves it.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        holder = socket.socket(family, _KINDS[protocol] | socket.SOCK_CLOEXEC, _PROTOCOLS[protocol])
    except OSError as error:
        if protocol == "sctp" and error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise
    try:
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            _hold_tcp(holder, address, port, listening=served or family == socket.AF_INET6)
        else:
            holder.bind((address, port))
    except OSError:
        holder.close()
        raise
    return holder


def _hold_tcp(holder: socket.socket, address: str, port: int, *, listening: bool) -> None:
    """Bind over connections in TIME_WAIT (SO_REUSEADDR), yet exclusively: only `listen` proves that nobody else is bound
    with the same option, and a socket that has listened admits no second one. A reservation then stops listening.
    """
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((address, port))
    holder.listen(_BACKLOG if listening else 0)
    if listening:
        holder.setblocking(False)
        return
    holder.shutdown(socket.SHUT_RD)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def sentence(protocol: str, address: str, port: int, error: OSError) -> str:
    """Docker's words for a port that could not be bound."""
    version = "6" if ":" in address else "4"
    where = f"[{address}]:{port}" if version == "6" else f"{address}:{port}"
    reason = os.strerror(error.errno or errno.EADDRINUSE).lower()
    return f"Error starting userland proxy: listen {protocol}{version} {where}: bind: {reason}"


def host_has_ipv6() -> bool:
    """Whether a program of the host can listen at ::1."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def ephemeral_range() -> tuple[int, int]:
    """The host's range of ports for nobody in particular, out of which Docker, too, takes random ones."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first, last = file.read().split()
            return int(first), int(last)
    except (OSError, ValueError):
        return 32768, 60999
