"""The daemon's nftables table: the rule set as text (pure), and its keeper.

Publishing a port is one element in a map, whatever its number: the rules never change. A packet to a host address is
looked up by (address, protocol, port), then by (protocol, port), and goes where the map says. What goes to the bridge
without having been published is dropped, from wherever it comes; containers of the bridge reach each other.
"""

import errno
import hashlib
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from scow.errors import Unavailable
from scow.linux import nftables
from scow.model.ports import PublishedPort

_ANY = "0.0.0.0"
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_EVERYWHERE, _BOUND = "publish", "publish_at"


@dataclass(frozen=True, slots=True)
class Publications:
    """What leads to one container address."""

    address: str
    ports: tuple[PublishedPort, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the rules, apart from publications, depend on."""

    table: str
    bridge: str
    subnet: IPv4Network
    localhost: bool = field(default=True)


def table_name(bridge: str) -> str:
    """`scow` for the default bridge; the tables of daemons with other bridges carry the bridge's name."""
    if bridge == "scow0":
        return "scow"
    if bridge.replace("_", "").isalnum():
        return f"scow_{bridge}"
    return "scow_x" + hashlib.sha256(bridge.encode()).hexdigest()[:16]  # a name that nft's grammar takes unquoted


def elements(publications: Iterable[Publications]) -> dict[str, dict[bytes, bytes]]:
    """The map entries of IPv4 publications, in the kernel's form. IPv6 ones are the relay's."""
    result: dict[str, dict[bytes, bytes]] = {_EVERYWHERE: {}, _BOUND: {}}
    for one in publications:
        for port in one.ports:
            if ":" in port.host_ip:
                continue
            key = struct.pack("!B3xH2x", _PROTOCOLS[port.port.protocol], port.host_port)
            data = socket.inet_aton(one.address) + struct.pack("!H2x", port.port.number)
            if port.host_ip == _ANY:
                result[_EVERYWHERE][key] = data
            else:
                result[_BOUND][socket.inet_aton(port.host_ip) + key] = data
    return result


def _element_texts(publications: Iterable[Publications]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {_EVERYWHERE: [], _BOUND: []}
    for one in publications:
        for port in one.ports:
            if ":" in port.host_ip:
                continue
            entry = f"{port.port.protocol} . {port.host_port} : {one.address} . {port.port.number}"
            if port.host_ip == _ANY:
                texts[_EVERYWHERE].append(entry)
            else:
                texts[_BOUND].append(f"{port.host_ip} . {entry}")
    return texts


def ruleset(shape: Shape, publications: Iterable[Publications]) -> str:
    """The whole table as one nft transaction that replaces what was there."""
    bridge, subnet, table = f'"{shape.bridge}"', shape.subnet, shape.table
    texts = _element_texts(publications)
    entries = {name: f"elements = {{ {', '.join(sorted(found))} }}" if found else "" for name, found in texts.items()}
    return f"""table ip {table} {{
}}
delete table ip {table}
table ip {table} {{
    map {_EVERYWHERE} {{
        type inet_proto . inet_service : ipv4_addr . inet_service
        {entries[_EVERYWHERE]}
    }}
    map {_BOUND} {{
        type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
        {entries[_BOUND]}
    }}
    # Loopback addresses never come over a wire. route_localnet on the bridge would let them in (CVE-2020-8558), and a
    # port published at 127.0.0.1 must not be had from outside by sending there.
    chain loopback_stays {{
        type filter hook prerouting priority raw; policy accept;
        iifname {bridge} ip daddr 127.0.0.0/8 drop
        iifname {bridge} ip saddr 127.0.0.0/8 drop
        iifname != "lo" ip daddr 127.0.0.0/8 drop
    }}
    chain published {{
        dnat ip to ip daddr . meta l4proto . th dport map @{_BOUND}
        dnat ip to meta l4proto . th dport map @{_EVERYWHERE}
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        meta l4proto {{ tcp, udp, sctp }} fib daddr type local jump published
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        meta l4proto {{ tcp, udp, sctp }} fib daddr type local jump published
    }}
    # The way out; the host's own 127.0.0.1 towards a container; and hairpins: a container that reaches itself or a
    # neighbour by the host's address must see its answers come back through the host.
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname != {bridge} ip saddr {subnet} masquerade
        oifname {bridge} ip saddr 127.0.0.0/8 masquerade
        oifname {bridge} ip saddr {subnet} ct status dnat masquerade
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        oifname {bridge} jump inward
    }}
    chain inward {{
        ct state established,related accept
        ct status dnat accept
        iifname {bridge} accept
        drop
    }}
}}
"""


class Firewall:
    """Keeps the kernel's table equal to what is published. Every method blocks; one thread at a time uses it."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._published: dict[str, Publications] = {}
        self._nftables: nftables.Nftables | None = None

    def load(self, published: Mapping[str, Publications]) -> None:
        """Replace the table in one transaction. Unavailable when nftables cannot be had on this machine."""
        self._published = dict(published)
        self._reload()

    def _reload(self) -> None:
        try:
            nftables.load(ruleset(self._shape, self._published.values()))
            if self._nftables is None:
                self._nftables = nftables.Nftables(self._shape.table)
        except (nftables.RulesetError, OSError) as error:
            raise Unavailable(f"cannot load the nftables table {self._shape.table}: {error}") from error

    def publish(self, container_id: str, publications: Publications) -> None:
        """One transaction. If the table is not as it should be (somebody flushed it), it is rebuilt as a whole."""
        self._published[container_id] = publications
        try:
            self._change(publications, add=True)
        except Unavailable:
            del self._published[container_id]
            raise

    def withdraw(self, container_id: str) -> None:
        """One transaction; no error when nothing was published."""
        publications = self._published.pop(container_id, None)
        if publications is not None:
            self._change(publications, add=False)

    def _change(self, publications: Publications, *, add: bool) -> None:
        if self._nftables is None:
            return self._reload()
        entries = elements([publications])
        try:
            if add:
                self._nftables.add(entries)
            else:
                self._nftables.delete(entries)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EEXIST, errno.EBUSY):
                raise Unavailable(f"cannot change the nftables table {self._shape.table}: {error}") from error
            self._reload()

    def destroy(self) -> None:
        """Remove the table: every published port closes, and the bridge is no longer guarded."""
        nftables.load(f"table ip {self._shape.table} {{\n}}\ndelete table ip {self._shape.table}\n")
        self._published.clear()

    def close(self) -> None:
        """The table stays: traffic of live containers goes on."""
        if self._nftables is not None:
            self._nftables.close()
            self._nftables = None
