"""Which ranges are free, which addresses a network has and who holds them: plans without I/O."""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)

from scow.errors import Forbidden, InvalidArgument, ResourceExhausted

Address = IPv4Address | IPv6Address
Range = IPv4Network | IPv6Network

# Tried in order for the default bridge; the first that overlaps nothing on the host is taken and then kept.
CANDIDATES: tuple[str, ...] = (
    *(f"172.{second}.0.1/16" for second in (29, 30, 31, 28, 27, 26, 25, 24)),
    *(f"10.{second}.0.1/16" for second in (88, 99, 143, 211)),
    *(f"192.168.{third}.1/20" for third in (208, 224, 160)),
)
# Docker's default-address-pools: (base, prefix length of each network).
DEFAULT_POOLS: tuple[tuple[str, int], ...] = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
_TRIES = 1 << 16


class AddressInUse(Forbidden):
    """An address that another container holds. Docker answers 403."""


class Overlap(Forbidden):
    """A range that is taken. Docker answers 403."""


class NoRange(ResourceExhausted):
    """All default ranges are taken. Docker answers 500."""


def parse_bip(text: str) -> IPv4Interface:
    """A bridge's own address with its network ("172.29.0.1/16"); InvalidArgument says what is wrong."""
    try:
        interface = IPv4Interface(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid bridge address {text!r}: {error}") from None
    network = interface.network
    if "/" not in text or network.prefixlen > 30:
        raise InvalidArgument(f"invalid bridge address {text!r}: it needs a prefix length of at most 30")
    if interface.ip in (network.network_address, network.broadcast_address):
        raise InvalidArgument(f"invalid bridge address {text!r}: not an address of a host in {network}")
    return interface


def choose_range(used: Iterable[IPv4Network], candidates: Sequence[str] = CANDIDATES) -> IPv4Interface:
    """The first candidate that overlaps none of the networks in use; ResourceExhausted when all do."""
    taken = list(used)
    for candidate in candidates:
        interface = IPv4Interface(candidate)
        if not any(interface.network.overlaps(network) for network in taken):
            return interface
    raise ResourceExhausted("no free address range for the bridge: choose one with --bip")


def overlaps(one: Range, other: Range) -> bool:
    return one.version == other.version and one.overlaps(other)


def free_range(pools: Sequence[tuple[str, int]], used: Iterable[Range], *, ipv6: bool) -> Range:
    """The first range of the pools of that family that overlaps none in use; NoRange in Docker's words."""
    taken = [network for network in used if network.version == (6 if ipv6 else 4)]
    for base, length in pools:
        whole = ip_network(base)
        if (whole.version == 6) is not ipv6:
            continue
        candidates: Iterable[Range] = whole.subnets(new_prefix=max(length, whole.prefixlen))
        for number, candidate in enumerate(candidates):
            if number >= _TRIES:
                break
            if not any(overlaps(candidate, network) for network in taken):
                return candidate
    family = "IPv6" if ipv6 else "IPv4"
    raise NoRange(
        f"could not find an available, non-overlapping {family} address pool among the defaults to assign to the network"
    )


def unique_local_pool(seed: bytes) -> tuple[str, int]:
    """A /48 of fd00::/8 (RFC 4193) made of 5 bytes, to be cut into /64 networks."""
    return str(IPv6Network((b"\xfd" + seed[:5] + bytes(10), 48))), 64


def mac_for(address: IPv4Address) -> str:
    """The hardware address Docker gives to an address: an address that is used again keeps its entry in every ARP table."""
    return "02:42:" + address.packed.hex(":")


class AddressPool:
    """The host addresses of one network. The lowest free one is given; what is held is given to nobody.

    ip_range: where `take` looks; a wanted address may be anywhere in the network.
    """

    def __init__(self, network: Range, reserved: Iterable[Address] = (), ip_range: Range | None = None) -> None:
        self.network = network
        self._all = (int(network.network_address) + 1, int(network.broadcast_address) - (network.version == 4))
        within = ip_range or network
        self._first = max(self._all[0], int(within.network_address))
        self._last = min(self._all[1], int(within.broadcast_address))
        self._reserved = frozenset(int(address) for address in reserved)
        self._held: set[int] = set()
        self._hint = self._first

    def __len__(self) -> int:
        """How many addresses are held."""
        return len(self._held)

    def _address(self, value: int) -> Address:
        return IPv4Address(value) if self.network.version == 4 else IPv6Address(value)

    @property
    def held(self) -> list[Address]:
        return [self._address(value) for value in sorted(self._held)]

    @property
    def size(self) -> int:
        return self._last - self._first + 1

    def take(self) -> Address:
        """The lowest free address, now held. ResourceExhausted when there is none."""
        for value in range(self._hint, self._last + 1):
            if value not in self._held and value not in self._reserved:
                self._held.add(value)
                self._hint = value + 1
                return self._address(value)
        self._hint = self._last + 1
        raise ResourceExhausted(f"no available IPv{self.network.version} addresses on the address pool {self.network}")

    def hold(self, address: Address) -> None:
        """A wanted address, now held. InvalidArgument when it is not a host of the network, AddressInUse when it is held."""
        value = int(address)
        if address.version != self.network.version or not self._all[0] <= value <= self._all[1]:
            raise InvalidArgument(f"address {address} is not a host address of {self.network}")
        if value in self._held or value in self._reserved:
            raise AddressInUse("Address already in use")
        self._held.add(value)

    def release(self, address: Address) -> None:
        """Free again; no error when it was not held."""
        value = int(address)
        self._held.discard(value)
        if self._first <= value < self._hint:
            self._hint = value
