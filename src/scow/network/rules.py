"""Every change of the host's packet filter, in one thread, in the order in which it was asked for."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from scow.errors import Unavailable
from scow.network import bridge, foreign
from scow.network.bridge import Record
from scow.network.firewall import Firewall
from scow.network.ruleset import Publications, Shape, Wall, table_name

T = TypeVar("T")
_log = logging.getLogger("scow.network")


class Rules:
    """Lifecycle: load() once, then the others, close() (the table stays).

    `unguarded`: why there is no rule set; then nothing is published and nothing forwarded. `record` is called before the
    host is changed.
    """

    def __init__(self, owner: str, record: Record) -> None:
        self._owner = owner
        self._record = record
        self._firewall = Firewall(Shape(table_name(owner), ()))
        self._thread = ThreadPoolExecutor(1, "firewall")
        self.unguarded = ""

    async def load(self, walls: tuple[Wall, ...], publications: Mapping[str, Publications]) -> None:
        """Load the rules, then open the ways that they guard.

        A machine without nftables: containers reach each other and the host, and nothing else; safe as long as nothing is
        forwarded, and Unavailable when the host forwards.
        """
        self._firewall = Firewall(Shape(table_name(self._owner), walls))
        try:
            await self._run(self._firewall.load, publications)
        except Unavailable as error:
            if bridge.forwards():
                raise
            _log.warning("containers have no way out and publish no ports: %s", error.message)
            self.unguarded = error.message
            return
        await self._run(self._open_ways, walls)
        await self.let_by()

    async def reshape(self, walls: tuple[Wall, ...]) -> None:
        """Other networks."""
        if self.unguarded:
            return
        await self._run(self._firewall.reshape, walls)
        await self._run(self._open_ways, walls)

    async def publish(self, container_id: str, publications: Publications) -> None:
        await self._run(self._firewall.publish, container_id, publications)

    async def withdraw(self, container_id: str) -> None:
        await self._run(self._firewall.withdraw, container_id)

    async def let_by(self) -> None:
        """Other firewalls' chains let our traffic by."""
        try:
            for chain in await self._run(foreign.let_by, self._owner):
                await self._run(self._record, "rule", chain, "", foreign.comment(self._owner))
        except Unavailable as error:
            _log.warning("another firewall may drop the traffic of containers: %s", error.message)

    async def destroy(self) -> None:
        """Take everything down."""
        if not self.unguarded:
            await self._run(self._firewall.destroy)
            await self._run(foreign.undo, self._owner)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown, wait=True)
        self._firewall.close()

    def _open_ways(self, walls: tuple[Wall, ...]) -> None:
        bridge.open_ways([wall.bridge for wall in walls], any(wall.subnet6 for wall in walls), self._record)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
