"""Which names lead where, on each network. In memory; changed by publish and withdraw."""

import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """One container on one network. names: lower case, the one that a PTR gives first. Addresses packed, b"" for none."""

    names: tuple[bytes, ...]
    ipv4: bytes = b""
    ipv6: bytes = b""

    @property
    def addresses(self) -> tuple[bytes, ...]:
        return tuple(one for one in (self.ipv4, self.ipv6) if one)


def entry(names: Iterable[str], ipv4: str = "", ipv6: str = "") -> Entry:
    """From texts. OSError for what is no address."""
    return Entry(
        tuple(dict.fromkeys(name.encode("utf-8", "surrogatepass").lower() for name in names)),
        socket.inet_pton(socket.AF_INET, ipv4) if ipv4 else b"",
        socket.inet_pton(socket.AF_INET6, ipv6) if ipv6 else b"",
    )


class _Zone:
    """One network."""

    def __init__(self) -> None:
        self.members: dict[str, Entry] = {}
        self.by_name: dict[bytes, dict[str, Entry]] = {}
        self.by_address: dict[bytes, Entry] = {}

    def put(self, container_id: str, one: Entry) -> None:
        self.drop(container_id)
        self.members[container_id] = one
        for name in one.names:
            self.by_name.setdefault(name, {})[container_id] = one
        for address in one.addresses:
            self.by_address[address] = one

    def drop(self, container_id: str) -> None:
        one = self.members.pop(container_id, None)
        if one is None:
            return
        for name in one.names:
            holders = self.by_name[name]
            del holders[container_id]
            if not holders:
                del self.by_name[name]
        for address in one.addresses:
            if self.by_address.get(address) is one:
                del self.by_address[address]


class Zones:
    """All networks, by id."""

    def __init__(self) -> None:
        self._zones: dict[str, _Zone] = {}

    def publish(self, network_id: str, entries: Mapping[str, Entry]) -> None:
        """By container id; what was said about these containers before is replaced."""
        zone = self._zones.setdefault(network_id, _Zone())
        for container_id, one in entries.items():
            zone.put(container_id, one)

    def withdraw(self, network_id: str, container_ids: Iterable[str]) -> None:
        zone = self._zones.get(network_id)
        if zone is None:
            return
        for container_id in container_ids:
            zone.drop(container_id)
        if not zone.members:
            del self._zones[network_id]

    def named(self, network_id: str, name: bytes) -> list[Entry]:
        """Everybody of that name (in lower case) on the network."""
        zone = self._zones.get(network_id)
        return [] if zone is None else list(zone.by_name.get(name, {}).values())

    def at(self, network_id: str, address: bytes) -> Entry | None:
        zone = self._zones.get(network_id)
        return None if zone is None else zone.by_address.get(address)

    def __len__(self) -> int:
        return sum(len(zone.members) for zone in self._zones.values())
