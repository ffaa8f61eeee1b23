"""Links, addresses, routes and neighbours by rtnetlink: messages are built here, sent by netlink.Netlink."""

import socket
import struct
from dataclasses import dataclass

from scow.linux.netlink import (
    ACK,
    CREATE,
    EXCL,
    REPLACE,
    Message,
    Netlink,
    attribute,
    attributes,
    nested,
    number,
    text,
)

UP = 1
_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWNEIGH, _DELNEIGH = 28, 29
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ADDRESS_ATTRIBUTE, _NAME, _MTU, _MASTER, _LINKINFO, _NET_NS_FD, _AF_SPEC = 1, 3, 4, 10, 18, 28, 26
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_PORT_MODE = 4
_VETH_PEER = 1
_NO_DAD = 0x02
_MACVLAN_MODE = 1
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_MAIN_TABLE = 254


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface. kind: bridge, veth, … or "". master: index of the bridge it is a port of, 0 for none."""

    index: int
    name: str
    kind: str
    mtu: int
    up: bool
    master: int
    mac_address: str


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the main table: destination as (address, prefix length); the default route is ("0.0.0.0" or "::", 0)."""

    destination: str
    prefix_length: int
    index: int
    priority: int
    mtu: int
    gateway: str = ""


def mac_bytes(mac_address: str) -> bytes:
    return bytes.fromhex(mac_address.replace(":", ""))


def _link(index: int, *parts: bytes, flags: int = 0, change: int = 0) -> bytes:
    return _LINK.pack(0, 0, index, flags, change) + b"".join(parts)


def new_bridge(name: str, mtu: int, mac_address: str) -> Message:
    """A bridge with an address of its own: it must not change when ports come and go, containers remember it."""
    info = nested(_LINKINFO, text(_INFO_KIND, "bridge"))
    parts = (text(_NAME, name), number(_MTU, mtu), attribute(_ADDRESS_ATTRIBUTE, mac_bytes(mac_address)), info)
    return _NEWLINK, CREATE | EXCL | ACK, _link(0, *parts)


def new_veth(name: str, bridge: int, mtu: int, peer_name: str, peer_mac: str, peer_namespace: int) -> Message:
    """A pair: `name` is a port of the bridge here, the peer appears at once in the namespace of the given fd."""
    peer = attribute(
        _VETH_PEER,
        _link(
            0,
            text(_NAME, peer_name),
            number(_MTU, mtu),
            attribute(_ADDRESS_ATTRIBUTE, mac_bytes(peer_mac)),
            number(_NET_NS_FD, peer_namespace),
        ),
    )
    info = nested(_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, peer))
    return _NEWLINK, CREATE | EXCL | ACK, _link(0, text(_NAME, name), number(_MTU, mtu), number(_MASTER, bridge), info)


def new_macvlan(parent: int, mtu: int, name: str, mac_address: str, namespace: int, mode: str = "bridge") -> Message:
    """An interface of its own hardware address on a physical one, made in the namespace of the given fd."""
    data = nested(_INFO_DATA, number(_MACVLAN_MODE, MACVLAN_MODES[mode]))
    info = nested(_LINKINFO, text(_INFO_KIND, "macvlan"), data)
    parts = (
        text(_NAME, name),
        number(_MTU, mtu),
        number(5, parent),
        attribute(_ADDRESS_ATTRIBUTE, mac_bytes(mac_address)),
        number(_NET_NS_FD, namespace),
    )
    return _NEWLINK, CREATE | EXCL | ACK, _link(0, *parts, info)


def new_dummy(name: str, mtu: int) -> Message:
    """An interface that leads nowhere: the parent of a macvlan network that has none."""
    info = nested(_LINKINFO, text(_INFO_KIND, "dummy"))
    return _NEWLINK, CREATE | EXCL | ACK, _link(0, text(_NAME, name), number(_MTU, mtu), info)


def set_up(name: str) -> Message:
    return _NEWLINK, ACK, _link(0, text(_NAME, name), flags=UP, change=UP)


def set_mtu(index: int, mtu: int) -> Message:
    return _NEWLINK, ACK, _link(index, number(_MTU, mtu))


def set_master(index: int, bridge: int) -> Message:
    return _NEWLINK, ACK, _link(index, number(_MASTER, bridge))


def no_ipv6_address(name: str) -> Message:
    """The link gets no IPv6 link-local address of its own when it comes up (address generation mode none)."""
    inet6 = nested(socket.AF_INET6, attribute(8, b"\x01"))
    return _NEWLINK, ACK, _link(0, text(_NAME, name), nested(_AF_SPEC, inet6))


def hairpin(name: str) -> Message:
    """A bridge port may send a frame back to where it came from. With br_netfilter loaded (Docker loads it) a packet that
    is led back to its own container does not pass through the host's routing but is turned round in the bridge.
    """
    port = nested(_INFO_SLAVE_DATA, attribute(_PORT_MODE, b"\x01"))
    return _NEWLINK, ACK, _link(0, text(_NAME, name), nested(_LINKINFO, text(_INFO_SLAVE_KIND, "bridge"), port))


def delete_link(index: int) -> Message:
    return _DELLINK, ACK, _link(index)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _address_payload(index: int, address: str, prefix_length: int) -> bytes:
    packed = _packed(address)
    if len(packed) == 16:  # usable at once: nobody else can have it, so there is no duplicate to wait for
        return (
            _ADDRESS.pack(socket.AF_INET6, prefix_length, _NO_DAD, 0, index)
            + attribute(2, packed)
            + attribute(1, packed)
        )
    mask = (0xFFFFFFFF << (32 - prefix_length)) & 0xFFFFFFFF
    broadcast = struct.pack("!I", struct.unpack("!I", packed)[0] | ~mask & 0xFFFFFFFF)
    return (
        _ADDRESS.pack(socket.AF_INET, prefix_length, 0, 0, index)
        + attribute(2, packed)
        + attribute(1, packed)
        + attribute(4, broadcast)
    )


def add_address(index: int, address: str, prefix_length: int) -> Message:
    return _NEWADDR, CREATE | REPLACE | ACK, _address_payload(index, address, prefix_length)


def delete_address(index: int, address: str, prefix_length: int) -> Message:
    return _DELADDR, ACK, _address_payload(index, address, prefix_length)


def _default_route(index: int, gateway: str) -> bytes:
    static, universe, unicast = 4, 0, 1
    family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
    payload = _ROUTE.pack(family, 0, 0, 0, _MAIN_TABLE, static, universe, unicast, 0)
    return payload + attribute(5, _packed(gateway)) + number(4, index)


def add_default_route(index: int, gateway: str) -> Message:
    """By a gateway of either family."""
    return _NEWROUTE, CREATE | EXCL | ACK, _default_route(index, gateway)


def delete_default_route(index: int, gateway: str) -> Message:
    return _DELROUTE, ACK, _default_route(index, gateway)


def links(netlink: Netlink) -> list[Link]:
    return [_parse_link(body) for kind, body in netlink.dump(_GETLINK, _link(0)) if kind == _NEWLINK]


def link(netlink: Netlink, name: str) -> Link:
    """The link of that name; OSError ENODEV when there is none."""
    return _parse_link(netlink.ask(_GETLINK, _link(0, text(_NAME, name))))


def _parse_link(body: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body[16:])
    info = attributes(found.get(_LINKINFO, b""))
    return Link(
        index=index,
        name=found.get(_NAME, b"").rstrip(b"\0").decode("utf-8", "replace"),
        kind=info.get(_INFO_KIND, b"").rstrip(b"\0").decode("utf-8", "replace"),
        mtu=_unsigned(found.get(_MTU)),
        up=bool(flags & UP),
        master=_unsigned(found.get(_MASTER)),
        mac_address=found.get(_ADDRESS_ATTRIBUTE, b"").hex(":"),
    )


def addresses(netlink: Netlink, index: int, family: int = socket.AF_INET) -> list[tuple[str, int]]:
    """(address, prefix length) of a link, the primary one first."""
    result = []
    for _, body in netlink.dump(_GETADDR, _ADDRESS.pack(family, 0, 0, 0, 0)):
        _, prefix_length, _, _, owner = _ADDRESS.unpack_from(body)
        found = attributes(body[8:])
        local = found.get(2) or found.get(1)
        if owner == index and local is not None:
            result.append((socket.inet_ntop(family, local), prefix_length))
    return result


def routes(netlink: Netlink, family: int = socket.AF_INET) -> list[Route]:
    """The routes of the main table."""
    result = []
    for _, body in netlink.dump(_GETROUTE, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        _, prefix_length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
        if table != _MAIN_TABLE or kind != 1:
            continue
        found = attributes(body[12:])
        result.append(
            Route(
                destination=socket.inet_ntop(family, found.get(1, bytes(4 if family == socket.AF_INET else 16))),
                prefix_length=prefix_length,
                index=_unsigned(found.get(4)),
                priority=_unsigned(found.get(6)),
                mtu=_unsigned(attributes(found.get(8, b"")).get(2)),
                gateway=socket.inet_ntop(family, found[5]) if 5 in found else "",
            )
        )
    return result


def _unsigned(data: bytes | None) -> int:
    return struct.unpack("=I", data[:4])[0] if data is not None and len(data) >= 4 else 0
