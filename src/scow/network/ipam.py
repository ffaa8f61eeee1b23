"""Which addresses a network has and who holds them: a plan without I/O. IPv4; addresses are ipaddress values."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from scow.errors import Conflict, InvalidArgument, ResourceExhausted

# Tried in order for the default bridge; the first that overlaps nothing on the host is taken and then kept.
CANDIDATES: tuple[str, ...] = (
    *(f"172.{second}.0.1/16" for second in (29, 30, 31, 28, 27, 26, 25, 24)),
    *(f"10.{second}.0.1/16" for second in (88, 99, 143, 211)),
    *(f"192.168.{third}.1/20" for third in (208, 224, 160)),
)


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


def mac_for(address: IPv4Address) -> str:
    """The hardware address Docker gives to an address: an address that is used again keeps its entry in every ARP table."""
    return "02:42:" + address.packed.hex(":")


class AddressPool:
    """The host addresses of one network. The lowest free one is given; what is held is given to nobody."""

    def __init__(self, network: IPv4Network, reserved: Iterable[IPv4Address] = ()) -> None:
        self.network = network
        self._first = int(network.network_address) + 1
        self._last = int(network.broadcast_address) - 1
        self._reserved = frozenset(int(address) for address in reserved)
        self._held: set[int] = set()
        self._hint = self._first

    def __len__(self) -> int:
        """How many addresses are held."""
        return len(self._held)

    @property
    def held(self) -> list[IPv4Address]:
        return [IPv4Address(value) for value in sorted(self._held)]

    def take(self) -> IPv4Address:
        """The lowest free address, now held. ResourceExhausted when there is none."""
        for value in range(self._hint, self._last + 1):
            if value not in self._held and value not in self._reserved:
                self._held.add(value)
                self._hint = value + 1
                return IPv4Address(value)
        self._hint = self._last + 1
        raise ResourceExhausted(f"no available IPv4 addresses on the address pool {self.network}")

    def hold(self, address: IPv4Address) -> None:
        """A wanted address, now held. InvalidArgument when it is not a host of the network, Conflict when it is held."""
        value = int(address)
        if not self._first <= value <= self._last:
            raise InvalidArgument(f"address {address} is not a host address of {self.network}")
        if value in self._held or value in self._reserved:
            raise Conflict("Address already in use")
        self._held.add(value)

    def release(self, address: IPv4Address) -> None:
        """Free again; no error when it was not held."""
        value = int(address)
        self._held.discard(value)
        if self._first <= value < self._hint:
            self._hint = value
