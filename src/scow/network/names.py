"""The contract between networks and what answers for names on them (the resolver at 127.0.0.11 of every container)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NameRecord:
    """What one container is called on one network, and where it is there.

    name: the container's. short_id: 12 hex digits. hostname "" when it is the short id. ipv4, ipv6: "" for none.
    """

    name: str
    short_id: str
    hostname: str = ""
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that leads here, the best one (which a PTR gives) first."""
        return tuple(dict.fromkeys(one for one in (self.name, *self.aliases, self.short_id, self.hostname) if one))


@dataclass(frozen=True, slots=True)
class NameClient:
    """A container that asks. networks: ids of the user-defined networks it is on, in the order in which they are
    searched. forward: whether it has a way out: on internal networks alone nothing is asked outside (CVE-2024-29018).
    resolvers: whom to ask for other names; () for the host's own, asked from the host when they are at its loopback.
    bare: names of one label are asked outside, too; not so when the container's resolv.conf has ndots above 0
    (`resolver.asks_bare_names`), for then the client goes on with its search list. links: by network id, what this container
    alone calls others there: alias -> name.
    """

    container_id: str
    networks: tuple[str, ...]
    network_names: tuple[str, ...] = ()
    forward: bool = True
    resolvers: tuple[str, ...] = ()
    bare: bool = True
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class NameService(Protocol):
    """Lifecycle: start() once, then the others in any order, close() (which leaves names answered).

    Records of a network are known to its clients only. A later call about the same container replaces what was said
    before. A `netns` is an open fd of the client's network namespace, the caller's: duplicate what must be kept, and let
    go of all of it in `leave`, for a descriptor keeps the namespace alive. No call fails because names cannot be served:
    that is logged, and the container runs without.
    """

    async def start(
        self, tables: Mapping[str, Mapping[str, NameRecord]], clients: Mapping[str, tuple[NameClient, int]]
    ) -> None:
        """The daemon begins: network id -> container id -> record, and every client that lives with its netns. What an
        earlier daemon published and is not in here is forgotten.
        """

    async def publish(self, network_id: str, records: Mapping[str, NameRecord]) -> None:
        """These containers (by id) are on the network under these names from now on."""

    async def withdraw(self, network_id: str, container_ids: Iterable[str]) -> None:
        """These containers are no longer on the network."""

    async def serve(self, client: NameClient, netns: int) -> None:
        """Answer at 127.0.0.11 port 53, udp and tcp, in that namespace. Called before the container's first process runs, and
        again when its networks change.
        """

    async def leave(self, container_id: str) -> None:
        """The container has ended; no error when it was never served."""

    async def close(self) -> None: ...

    async def stop(self) -> None:
        """As close, when there is nobody to answer any more: nothing of it goes on."""
