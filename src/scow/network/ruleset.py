"""The daemon's nftables table as text. Pure.

Publishing a port is one element in a map, whatever its number: the rules change only when a network comes or goes. A packet
to a host address is looked up by (address, protocol, port), then by (protocol, port), and goes where the map says. What
goes to one of our bridges without having been published is dropped, from wherever it comes; containers of one network
reach each other.

What may pass is marked, and one rule in other firewalls' chains lets marked packets by (foreign.py); the guard
(guard.py) drops what is not marked, also while this table is gone.
"""

import hashlib
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scow.model.ports import PublishedPort

ANY4, ANY6 = "0.0.0.0", "::"
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
EVERYWHERE, BOUND, EVERYWHERE6, BOUND6 = "publish", "publish_at", "publish6", "publish6_at"
MARK = 0x08000000  # one bit of a packet's mark, set on its way through the forward hook and read there


@dataclass(frozen=True, slots=True)
class Publications:
    """What leads to one container; address6 "" when it has none (then the relay serves IPv6)."""

    address: str
    ports: tuple[PublishedPort, ...]
    address6: str = ""


@dataclass(frozen=True, slots=True)
class Wall:
    """What the rules must know of one bridge network."""

    bridge: str
    subnet: str
    subnet6: str = ""
    icc: bool = True
    masquerade: bool = True
    internal: bool = False


Way = tuple[str, str, str, int]
"""From an address to another one, by protocol and port."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the rules, apart from publications, depend on. ipv6: the table is of family inet, otherwise of family ip. links:
    ways between neighbours that are open although their bridge keeps them apart.
    """

    table: str
    walls: tuple[Wall, ...]
    ipv6: bool = True
    links: frozenset[Way] = frozenset()

    @property
    def family(self) -> str:
        return "inet" if self.ipv6 else "ip"


def table_name(owner: str) -> str:
    """`scow` for the default bridge; the tables of daemons with other bridges carry the bridge's name."""
    if owner == "scow0":
        return "scow"
    if owner.replace("_", "").isalnum():
        return f"scow_{owner}"
    return "scow_x" + hashlib.sha256(owner.encode()).hexdigest()[:16]  # a name that nft's grammar takes unquoted


def elements(publications: Iterable[Publications], *, ipv6: bool = True) -> dict[str, dict[bytes, bytes]]:
    """The map entries of publications, in the kernel's form."""
    result: dict[str, dict[bytes, bytes]] = {EVERYWHERE: {}, BOUND: {}}
    if ipv6:
        result |= {EVERYWHERE6: {}, BOUND6: {}}
    for one in publications:
        for port in one.ports:
            where = _where(port, one, ipv6)
            if where is None:
                continue
            name, address = where
            key = struct.pack("!B3xH2x", PROTOCOLS[port.port.protocol], port.host_port)
            if name in (BOUND, BOUND6):
                key = _packed(port.host_ip) + key
            result[name][key] = _packed(address) + struct.pack("!H2x", port.port.number)
    return result


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _where(port: PublishedPort, one: Publications, ipv6: bool) -> tuple[str, str] | None:
    """(map, address it leads to); None for what the relay serves alone."""
    if ":" not in port.host_ip:
        return (EVERYWHERE if port.host_ip == ANY4 else BOUND), one.address
    if not one.address6 or not ipv6 or port.host_ip == "::1":
        return None
    return (EVERYWHERE6 if port.host_ip == ANY6 else BOUND6), one.address6


def _element_texts(publications: Iterable[Publications], ipv6: bool) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {EVERYWHERE: [], BOUND: [], EVERYWHERE6: [], BOUND6: []}
    for one in publications:
        for port in one.ports:
            where = _where(port, one, ipv6)
            if where is None:
                continue
            name, address = where
            key = f"{port.host_ip} . " if name in (BOUND, BOUND6) else ""
            texts[name].append(f"{key}{port.port.protocol} . {port.host_port} : {address} . {port.port.number}")
    return texts


def ruleset(shape: Shape, publications: Iterable[Publications]) -> str:
    """The whole table as one nft transaction that replaces what was there."""
    head = f"table {shape.family} {shape.table}"
    return f"""{head} {{
}}
delete {head}
{head} {{
{_maps(publications, shape.ipv6)}
{_interface_sets(shape.walls)}
{_link_set(shape.links)}
{_loopback_chain(shape.ipv6)}
{_published_chains(shape.ipv6)}
{_postrouting_chain(shape.walls)}
{_forward_chains()}
}}
"""


def rule_count(text: str) -> int:
    """How many rules a text of `ruleset` has."""
    chains = [part.partition("\n    }")[0] for part in text.split("\n    chain ")[1:]]
    lines = [line.strip() for chain in chains for line in chain.split("\n")[1:]]
    return sum(bool(line) and not line.startswith(("type ", "#")) for line in lines)


def _maps(publications: Iterable[Publications], ipv6: bool) -> str:
    texts = _element_texts(publications, ipv6)
    kinds = {EVERYWHERE: "ipv4_addr", BOUND: "ipv4_addr"}
    if ipv6:
        kinds |= {EVERYWHERE6: "ipv6_addr", BOUND6: "ipv6_addr"}
    parts = []
    for name, kind in kinds.items():
        key = f"{kind} . inet_proto . inet_service" if name in (BOUND, BOUND6) else "inet_proto . inet_service"
        entries = f"elements = {{ {', '.join(sorted(texts[name]))} }}" if texts[name] else ""
        parts.append(f"""    map {name} {{
        type {key} : {kind} . inet_service
        {entries}
    }}""")
    return "\n".join(parts)


def _set(name: str, kind: str, entries: Sequence[str]) -> str:
    filled = f"elements = {{ {', '.join(entries)} }}" if entries else ""
    return f"""    set {name} {{
        type {kind}
        {filled}
    }}"""


def _interface_sets(walls: Sequence[Wall]) -> str:
    """bridges: ours. neighbours: pairs of in and out between which containers talk. closed: of internal networks."""
    names = [f'"{wall.bridge}"' for wall in walls]
    pairs = [f'"{wall.bridge}" . "{wall.bridge}"' for wall in walls if wall.icc]
    closed = [f'"{wall.bridge}"' for wall in walls if wall.internal]
    return "\n".join(
        (
            _set("bridges", "ifname", names),
            _set("neighbours", "ifname . ifname", pairs),
            _set("closed", "ifname", closed),
        )
    )


def _link_set(links: Iterable[Way]) -> str:
    entries = [f"{source} . {target} . {protocol} . {port}" for source, target, protocol, port in sorted(links)]
    return _set("links", "ipv4_addr . ipv4_addr . inet_proto . inet_service", entries)


def _loopback_chain(ipv6: bool) -> str:
    six = '\n        iifname != "lo" ip6 daddr ::1 drop' if ipv6 else ""
    return f"""    # Loopback addresses never come over a wire. route_localnet on a bridge would let them in (CVE-2020-8558); a
    # port published at 127.0.0.1 must not be had from outside by sending there.
    chain loopback_stays {{
        type filter hook prerouting priority raw; policy accept;
        iifname != "lo" ip daddr 127.0.0.0/8 drop
        iifname @bridges ip saddr 127.0.0.0/8 drop{six}
    }}"""


def _published_chains(ipv6: bool) -> str:
    six = f"""
        ip6 daddr != ::1 dnat ip6 to ip6 daddr . meta l4proto . th dport map @{BOUND6}
        ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @{EVERYWHERE6}"""
    return f"""    chain published {{
        dnat ip to ip daddr . meta l4proto . th dport map @{BOUND}
        dnat ip to meta l4proto . th dport map @{EVERYWHERE}{six if ipv6 else ""}
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        meta l4proto {{ tcp, udp, sctp }} fib daddr type local jump published
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        meta l4proto {{ tcp, udp, sctp }} fib daddr type local jump published
    }}"""


def _postrouting_chain(walls: Sequence[Wall]) -> str:
    """The way out; the host's own 127.0.0.1 towards a container; and hairpins: a container that reaches itself or a neighbour
    by the host's address must see its answers come back through the host. Between two networks the source stays.
    """
    lines = []
    for wall in walls:
        for family, subnet in (("ip", wall.subnet), ("ip6", wall.subnet6)):
            if not subnet:
                continue
            lines.append(f'oifname "{wall.bridge}" {family} saddr {subnet} ct status dnat masquerade')
            if wall.masquerade and not wall.internal:
                lines.append(f"oifname != @bridges {family} saddr {subnet} masquerade")
    body = "\n        ".join(lines)
    return f"""    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname @bridges ip saddr 127.0.0.0/8 masquerade
        {body}
    }}"""


def _forward_chains() -> str:
    mark = f"meta mark set meta mark | {MARK:#x}"
    return f"""    # Before iptables' chains, so that these find the mark.
    chain forward {{
        type filter hook forward priority filter - 1; policy accept;
        oifname @bridges jump inward
        iifname @closed drop
        iifname @bridges {mark}
    }}
    chain inward {{
        ct state established,related {mark} accept
        iifname . oifname @neighbours {mark} accept
        ip saddr . ip daddr . meta l4proto . th dport @links {mark} accept
        iifname @closed drop
        oifname @closed drop
        ct status dnat {mark} accept
        drop
    }}"""
