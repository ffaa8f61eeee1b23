"""Which host ports a container asks for and which it may get: plans without I/O.

A `Wish` is one binding, parsed. `PortTable` knows what scow's own containers hold; whether another program of the host
holds a port is found by binding it (reserve.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from itertools import chain

from scow.errors import InvalidArgument
from scow.model.ports import Port, PortBinding, PublishedPort

PROTOCOLS = ("tcp", "udp", "sctp")
_ANY4, _ANY6 = "0.0.0.0", "::"


@dataclass(frozen=True, slots=True)
class Wish:
    """Publish `port` at every address of `addresses` on one and the same host port out of first..last (0: any)."""

    port: Port
    addresses: tuple[str, ...]
    first: int
    last: int

    @property
    def fixed(self) -> bool:
        return self.first == self.last != 0


def parse_port_range(text: str) -> tuple[int, int]:
    """ "8080" or "8000-8010" as (first, last); "" and "0" are (0, 0): any. InvalidArgument as Docker words it."""
    first, dash, last = text.partition("-")
    numbers = [_port_number(part) for part in ((first, last) if dash else (first or "0",))]
    if any(number is None for number in numbers):
        raise InvalidArgument(f'invalid port specification: "{text}"')
    low, high = numbers[0] or 0, numbers[-1] or 0
    if low > high or (dash and low == 0):
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return low, high


def _port_number(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    value = int(text)
    return value if value <= 65535 else None


def parse_host_address(text: str) -> str:
    """An address in its canonical form ("[::1]" is "::1", an IPv4-mapped one is IPv4); InvalidArgument otherwise.

    Docker takes what it cannot parse for every address: a misspelt 127.0.0.1 would be open to the world.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ip_address(bare)
    except ValueError:
        raise InvalidArgument(f'invalid host address to publish a port at: "{text}"') from None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if address.scope_id is not None:
            raise InvalidArgument(f'invalid host address to publish a port at: "{text}" has a zone')
    return str(address)


def plan(bindings: Iterable[PortBinding], *, ipv6: bool, default_address: str = "") -> list[Wish]:
    """The wishes in the order in which ports are given out: fixed ones first, then by container port, high to low.

    A binding without an address is wanted at `default_address`, or at every address: IPv4 and, where the host has it, IPv6.
    """
    wishes = []
    for binding in bindings:
        port = binding.port
        if port.protocol not in PROTOCOLS or not 1 <= port.number <= 65535:
            raise InvalidArgument(f"invalid container port: {port}")
        first, last = parse_port_range(binding.host_port)
        wanted = binding.host_ip or default_address
        if wanted:
            addresses: tuple[str, ...] = (parse_host_address(wanted),)
        else:
            # no IPv6 relay for sctp: the standard library cannot relay it, and the kernel translates no v6 to v4
            addresses = (_ANY4, _ANY6) if ipv6 and port.protocol != "sctp" else (_ANY4,)
        if port.protocol == "sctp" and ":" in addresses[0]:
            raise InvalidArgument(f"cannot publish {port} at {wanted}: sctp is published at IPv4 addresses only")
        wishes.append(Wish(port, addresses, first, last))
    wishes = list(dict.fromkeys(wishes))
    return sorted(wishes, key=lambda wish: (not wish.fixed, -wish.first, -wish.port.number, wish.port.protocol))


def bind_for(address: str, port: int) -> str:
    """Docker's sentence for a host port that another container holds."""
    return f"Bind for {address}:{port} failed: port is already allocated"


ALL_TAKEN = "all ports are allocated"


class PortTable:
    """The host ports of our own containers, and where the search for a random one goes on."""

    def __init__(self, first: int = 32768, last: int = 60999) -> None:
        self._range = (first, last) if 0 < first <= last <= 65535 else (32768, 60999)
        self._next: dict[str, int] = {}
        self._holders: dict[tuple[str, str, int], str] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def holder(self, protocol: str, address: str, port: int) -> str | None:
        """The container that holds exactly this address and port."""
        return self._holders.get((protocol, address, port))

    def candidates(self, wish: Wish) -> Iterator[int]:
        """The host ports to try for a wish, best first. Random ones go round, so that none is given again at once."""
        if wish.first:
            yield from range(wish.first, wish.last + 1)
            return
        low, high = self._range
        start = self._next.get(wish.port.protocol, low)
        for port in chain(range(start, high + 1), range(low, start)):
            self._next[wish.port.protocol] = port + 1 if port < high else low
            yield port

    def free(self, wish: Wish, port: int) -> str:
        """ "" when no own container holds `port` at any of the wish's addresses, otherwise the first such address."""
        for address in wish.addresses:
            if (wish.port.protocol, address, port) in self._holders:
                return address
        return ""

    def hold(self, container_id: str, published: Sequence[PublishedPort]) -> None:
        for one in published:
            self._holders[(one.port.protocol, one.host_ip, one.host_port)] = container_id

    def release(self, container_id: str, published: Sequence[PublishedPort]) -> None:
        """Free again what this container holds; what another holds meanwhile stays."""
        for one in published:
            key = (one.port.protocol, one.host_ip, one.host_port)
            if self._holders.get(key) == container_id:
                del self._holders[key]


def in_order(published: Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
    """As Docker lists them: per container port the IPv4 addresses first, then IPv6, higher host ports first."""
    return tuple(sorted(published, key=lambda one: (one.port, ":" in one.host_ip, -one.host_port, one.host_ip)))
