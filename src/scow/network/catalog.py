"""The networks of a daemon: their records, and the segments of those that containers can be on."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence

from scow.background import TaskSet, complete
from scow.errors import Conflict, Forbidden, NotFound, ScowError, Unavailable
from scow.metadata.leases import NetworkStore
from scow.model.network import Network, NetworkRequest
from scow.network import bridge, choice, records, request, segment
from scow.network.bridge import Record
from scow.network.ruleset import Wall
from scow.network.segment import Segment

_log = logging.getLogger("scow.network")


class Catalog:
    """Records are on disk before anything is made for them, and until all of it is gone: what a crash cuts off is made or is
    there again at the next start.

    `reshape` is told the walls of the bridges after a network came or went. Lifecycle: open_networks() once.
    """

    def __init__(
        self,
        store: NetworkStore,
        owner: str,
        tasks: TaskSet,
        pools: Sequence[tuple[str, int]],
        seed: bytes,
        reshape: Callable[[tuple[Wall, ...]], Awaitable[None]],
        record: Record,
    ) -> None:
        self._store = store
        self._owner = owner
        self._tasks = tasks
        self._pools = pools
        self._seed = seed
        self._reshape = reshape
        self._record = record
        self._networks = records.load(store)
        self._segments: dict[str, Segment] = {}
        self._stranded: dict[str, set[str]] = {}
        self._broken: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    # ------------------------------------------------------------ looking

    def networks(self) -> Sequence[Network]:
        return sorted(self._networks.values(), key=lambda one: (not one.predefined, one.created_at, one.name))

    def by_name(self, name: str) -> Network:
        """By name, then id, then unambiguous id prefix."""
        return choice.find(self._networks.values(), name)

    def by_id(self) -> dict[str, Network]:
        return dict(self._networks)

    def segments(self) -> list[Segment]:
        return list(self._segments.values())

    def segment_of(self, network_id: str) -> Segment | None:
        return self._segments.get(network_id)

    def members(self, network_id: str) -> set[str]:
        """Ids of the containers that are on it; live ones also when the network could not be made at this start."""
        opened = self._segments.get(network_id)
        return opened.members if opened is not None else self._stranded.setdefault(network_id, set())

    def segment(self, name: str) -> Segment:
        """Where containers are plugged in. Forbidden for a template, Unavailable when the network could not be made."""
        network = self.by_name(name)
        if network.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")
        found = self._segments.get(network.id)
        if found is None:
            raise Unavailable(self._broken.get(network.id, f"network {network.name} is being removed"))
        return found

    def walls(self) -> tuple[Wall, ...]:
        """Of every bridge that containers are on."""
        opened = [one.network for one in self._segments.values()]
        stranded = [self._networks[network_id] for network_id, members in self._stranded.items() if members]
        return tuple(
            records.wall(one)
            for one in (*opened, *stranded)
            if one.driver == "bridge" and (one.id in self._segments or bridge.is_bridge(one.bridge))
        )

    # ------------------------------------------------------------ start

    async def save_predefined(self) -> None:
        known = {network.id: network for network in self._store.load()}
        for network in self._networks.values():
            if network.predefined and known.get(network.id) != network:
                await self._store.save(network)

    def refuse(self, network: Network, why: str) -> None:
        """Containers cannot be on it."""
        self._broken[network.id] = why

    def put(self, network: Network, opened: Segment | None) -> None:
        """The record of a predefined network as things are now."""
        self._networks[network.id] = network
        if opened is not None:
            self._segments[network.id] = opened

    async def open_networks(self) -> None:
        """Make the interfaces of every network that there is. One that cannot be had is told, and does not stop the rest."""
        for network in self.networks():
            if network.predefined or network.config_only:
                continue
            try:
                place = await asyncio.to_thread(segment.ensure, network, self._owner, self._record)
            except (OSError, ScowError) as error:
                why = error.message if isinstance(error, ScowError) else str(error)
                self._broken[network.id] = f"network {network.name} cannot be used: {why}"
                _log.error("%s", self._broken[network.id])
                continue
            self._segments[network.id] = segment.open_segment(network, place, self._tasks)

    # ------------------------------------------------------------ changes

    async def create(self, wish: NetworkRequest) -> Network:
        """Durable and usable when it returns; on an error nothing is left."""
        async with self._one_at_a_time:
            existing = next((one for one in self._networks.values() if one.name == wish.name), None)
            if existing is not None and not existing.predefined:
                raise Conflict(f"network with name {wish.name} already exists")
            around = await asyncio.to_thread(self._surroundings)
            network = request.build(wish, os.urandom(32).hex(), time.time_ns(), around)
            await self._store.save(network)
            try:
                if not network.config_only:
                    await self._open(network)
            except BaseException as error:
                await complete(self._undo(network), f"undo network {network.name}")
                if isinstance(error, OSError):
                    raise Unavailable(f"cannot make network {network.name}: {error}") from error
                raise
            self._networks[network.id] = network
            return network

    async def _open(self, network: Network) -> None:
        place = await asyncio.to_thread(segment.ensure, network, self._owner, self._record)
        self._segments[network.id] = segment.open_segment(network, place, self._tasks)
        if network.driver == "bridge":
            await self._reshape(self.walls())

    async def _undo(self, network: Network) -> None:
        if self._segments.pop(network.id, None) is not None and network.driver == "bridge":
            await self._reshape(self.walls())
        await self._remove_interface(network)
        await self._store.delete(network.id)

    async def remove(self, network: Network) -> None:
        """Forbidden while a container is on it."""
        async with self._one_at_a_time:
            if network.id not in self._networks:
                raise NotFound(f"network {network.name} not found")
            if network.predefined:
                raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
            users = [one for one in self._networks.values() if network.config_only and one.config_from == network.name]
            if users:
                raise Forbidden(f"configuration network {network.name!r} is in use")
            opened = self._segments.get(network.id)
            if self.members(network.id):
                raise Forbidden(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints"
                )
            self._segments.pop(network.id, None)
            self._stranded.pop(network.id, None)
            del self._networks[network.id]
            await complete(self._take_down(network, opened), f"remove network {network.name}")

    async def _take_down(self, network: Network, opened: Segment | None) -> None:
        try:
            if opened is not None:
                opened.pool.close()
            await self._remove_interface(network)
            if network.driver == "bridge" and not network.config_only:
                await self._reshape(self.walls())
            await self._store.delete(network.id)
        except BaseException as error:
            self._networks[network.id] = network
            self._broken[network.id] = f"network {network.name} could not be removed: {error}"
            raise

    async def _remove_interface(self, network: Network) -> None:
        """If it is of our making."""
        name = segment.interface(network)
        change = next((one for one in self._store.changes() if (one.what, one.object) == ("link", name)), None)
        if change is not None:
            await asyncio.to_thread(bridge.delete, name)
            await self._store.forget_change(change)

    def _surroundings(self) -> request.Surroundings:
        return request.Surroundings(
            tuple(self._networks.values()), segment.used_ranges(), self._pools, self._seed, segment.way_mtu()
        )
