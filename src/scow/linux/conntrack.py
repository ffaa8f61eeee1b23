"""Forgetting connections that the kernel tracks: an entry decides where packets go for as long as they keep coming.

A client that goes on sending datagrams would be led to a container that is gone, whatever the rules say now.
"""

import contextlib
import socket
import struct

from scow.linux.netlink import ACK, NETFILTER, Netlink, attribute, attributes, nested

_SUBSYSTEM = 1
_GET, _DELETE = (_SUBSYSTEM << 8) | 1, (_SUBSYSTEM << 8) | 2
_ORIGINAL, _REPLY, _FILTER, _ZONE = 1, 2, 25, 18
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_SOURCE_ADDRESS, _NUMBER, _DESTINATION_PORT = 1, 1, 3
_BY_SOURCE_ADDRESS, _BY_NUMBER, _BY_DESTINATION_PORT = 1 << 0, 1 << 3, 1 << 5
_GENERIC = struct.pack("!BBH", socket.AF_INET, 0, 0)


def forget_udp_to_port(port: int) -> int:
    """Entries of datagrams that were sent to this port, of whatever address; returns how many there were."""
    wanted = nested(
        _ORIGINAL,
        nested(
            _TUPLE_PROTOCOL,
            attribute(_NUMBER, bytes([socket.IPPROTO_UDP])),
            attribute(_DESTINATION_PORT, struct.pack("!H", port)),
        ),
    )
    return _forget(wanted + _filter(_BY_NUMBER | _BY_DESTINATION_PORT, 0))


def forget_udp_answered_by(address: str) -> int:
    """Entries of datagrams that a container's address answers; returns how many there were."""
    wanted = nested(
        _REPLY,
        nested(_TUPLE_IP, attribute(_SOURCE_ADDRESS, socket.inet_aton(address))),
        nested(_TUPLE_PROTOCOL, attribute(_NUMBER, bytes([socket.IPPROTO_UDP]))),
    )
    return _forget(wanted + _filter(0, _BY_SOURCE_ADDRESS | _BY_NUMBER))


def _filter(original: int, reply: int) -> bytes:
    return nested(_FILTER, attribute(1, struct.pack("=I", original)), attribute(2, struct.pack("=I", reply)))


def _forget(wanted: bytes) -> int:
    with contextlib.closing(Netlink(NETFILTER)) as netlink:
        found = [attributes(body[4:]) for _, body in netlink.dump(_GET, _GENERIC + wanted)]
        for entry in found:
            zone = attribute(_ZONE, entry[_ZONE]) if _ZONE in entry else b""
            payload = _GENERIC + nested(_ORIGINAL, entry[_ORIGINAL]) + zone
            with contextlib.suppress(FileNotFoundError):  # it went by itself
                netlink.send([(_DELETE, ACK, payload)])
    return len(found)
