"""Port 53 of 127.0.0.11 led to the ports where the helper listens, by two pairs of rules inside a container's namespace.

The helper cannot take port 53 itself: a container that serves DNS at 0.0.0.0:53 would find it taken. The rules rewrite the
port in packets to and from 127.0.0.11 and keep no state, so that no connection tracking starts in the namespace.
"""

import contextlib
import errno
import socket
import struct

from scow.linux.netlink import ACK, CREATE, EXCL, NETFILTER, Message, Netlink, attribute, nested, text

_SUBSYSTEM = 10
_BEGIN, _END = 0x10, 0x11
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = ((_SUBSYSTEM << 8) | number for number in (0, 2, 3, 6))
_TABLE = "scow_names"
_CHAIN = "output"
_LOCAL_OUT, _RAW = 3, -300
_NETWORK, _TRANSPORT = 1, 2
_L4PROTO = 16
_REGISTER = 1
_SOURCE, _DESTINATION = 12, 16  # of the addresses in the IPv4 header
_SOURCE_PORT, _DESTINATION_PORT = 0, 2
_PROTOCOLS = {"udp": (socket.IPPROTO_UDP, 6), "tcp": (socket.IPPROTO_TCP, 16)}  # and where the checksum is
_PORT = 53


def _big(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value & 0xFFFFFFFF))


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *parts))


def _load(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _big(1, _REGISTER), _big(2, base), _big(3, offset), _big(4, length))


def _equals(value: bytes) -> bytes:
    return _expression("cmp", _big(1, _REGISTER), _big(2, 0), nested(3, attribute(1, value)))


def _rule(address: bytes, protocol: str, at: int, port_at: int, found: int, wanted: int) -> Message:
    """Packets whose address and port at these places are this address and `found` get the port `wanted`."""
    number, checksum = _PROTOCOLS[protocol]
    expressions = nested(
        4,
        _load(_NETWORK, at, 4),
        _equals(address),
        _expression("meta", _big(1, _REGISTER), _big(2, _L4PROTO)),
        _equals(bytes((number,))),
        _load(_TRANSPORT, port_at, 2),
        _equals(struct.pack("!H", found)),
        _expression("immediate", _big(1, _REGISTER), nested(2, attribute(1, struct.pack("!H", wanted)))),
        _expression(
            "payload",
            _big(5, _REGISTER),
            _big(2, _TRANSPORT),
            _big(3, port_at),
            _big(4, 2),
            _big(6, 1),
            _big(7, checksum),
            _big(8, 0),
        ),
    )
    return _NEW_RULE, CREATE | 0x800 | ACK, _family() + text(1, _TABLE) + text(2, _CHAIN) + expressions


def _family(resource: int = 0, family: int = socket.AF_INET) -> bytes:
    return struct.pack("!BBH", family, 0, resource)


def transaction(address: str, ports: dict[str, int], *, replace: bool = False) -> list[Message]:
    """The table. ports: "udp", "tcp" -> where the helper listens at `address`. replace: an old table goes; that costs
    the caller ten milliseconds (the kernel waits for packets under way), so it is done only when there is one.
    """
    packed = socket.inet_aton(address)
    named = _family() + text(1, _TABLE)
    hook = nested(4, _big(1, _LOCAL_OUT), _big(2, _RAW))
    messages: list[Message] = [(_BEGIN, 0, _family(_SUBSYSTEM, 0))]
    if replace:
        messages += [(_NEW_TABLE, CREATE | ACK, named), (_DELETE_TABLE, ACK, named)]
    messages += [
        (_NEW_TABLE, CREATE | EXCL | ACK, named),
        (_NEW_CHAIN, CREATE | ACK, _family() + text(1, _TABLE) + text(3, _CHAIN) + hook + text(7, "filter")),
    ]
    for protocol, port in ports.items():
        messages.append(_rule(packed, protocol, _DESTINATION, _DESTINATION_PORT, _PORT, port))
        messages.append(_rule(packed, protocol, _SOURCE, _SOURCE_PORT, port, _PORT))
    messages.append((_END, 0, _family(_SUBSYSTEM, 0)))
    return messages


def install(address: str, ports: dict[str, int]) -> bool:
    """In the namespace of the caller; some tenths of a millisecond. False when the kernel has no nftables."""
    try:
        with contextlib.closing(Netlink(NETFILTER)) as netlink:
            try:
                netlink.send(transaction(address, ports))
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
                netlink.send(transaction(address, ports, replace=True))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EINVAL, errno.ENOENT):
            return False
        raise
    return True
