"""Every change of the host's packet filter, in one thread, in the order in which it was asked for."""

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from scow.errors import Unavailable
from scow.linux import nfguard, nftables
from scow.network import bridge, foreign, leftovers
from scow.network.bridge import Record
from scow.network.firewall import Firewall
from scow.network.ruleset import MARK, Publications, Shape, Wall, Way, table_name

T = TypeVar("T")
_log = logging.getLogger("scow.network")
_ATTEMPTS, _PAUSE = 10, 0.02


class Rules:
    """Lifecycle: load() once, then the others, close() (the table stays).

    `unguarded`: why there is no rule set; then nothing is published and nothing forwarded. `record` is called before the
    host is changed.
    """

    def __init__(self, owner: str, record: Record) -> None:
        self._owner = owner
        self._record = record
        self._firewall = Firewall(Shape(table_name(owner), ()))
        self._guard: nfguard.GuardTable | None = None
        self._guarded: set[str] = set()
        self._thread = ThreadPoolExecutor(1, "firewall")
        self.unguarded = ""

    async def load(
        self, walls: tuple[Wall, ...], publications: Mapping[str, Publications], ways: frozenset[Way] = frozenset()
    ) -> None:
        """Load the rules, then open the ways that they guard.

        A machine without nftables: containers reach each other and the host, and nothing else; safe as long as nothing is
        forwarded, and Unavailable when the host forwards.
        """
        self._firewall = Firewall(Shape(table_name(self._owner), walls, links=ways))
        swept = await self._run(leftovers.sweep, self.table)
        if swept:
            _log.info("removed the nftables tables of daemons that are gone: %s", ", ".join(swept))
        await self._run(self._keep_apart, walls)
        await self._run(self._raise_guard, walls)
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
        await self._run(self._keep_apart, walls)
        await self._run(self._guard_as, {wall.bridge for wall in walls} | self._guarded)
        await self._run(self._firewall.reshape, walls)
        await self._run(self._guard_as, {wall.bridge for wall in walls})
        await self._run(self._open_ways, walls)

    @property
    def table(self) -> str:
        return self._firewall.shape.table

    @property
    def port(self) -> int:
        return self._firewall.port

    async def heal(self) -> bool:
        """Rebuild what a stranger has removed; True when there was something."""
        return not self.unguarded and await self._run(self._firewall.heal)

    def _raise_guard(self, walls: tuple[Wall, ...]) -> None:
        """A daemon that was killed a moment ago may own the table still."""
        names = [wall.bridge for wall in walls]
        for attempt in range(_ATTEMPTS):
            try:
                self._guard = nfguard.GuardTable(leftovers.guard_name(self._owner), MARK, names)
                self._guarded = set(names)
                return
            except OSError as error:
                if error.errno == errno.EPERM:
                    time.sleep(_PAUSE * (attempt + 1))
                    continue
                _log.info("this kernel has no nftables tables with an owner (Linux 6.9 has): %s", error)
                return
        _log.warning("the guard table %s belongs to another process", leftovers.guard_name(self._owner))

    def _guard_as(self, bridges: set[str]) -> None:
        """The guard is up before the rules of a network, and down behind them."""
        if self._guard is None:
            return
        try:
            self._guard.add(bridges - self._guarded)
            self._guard.delete(self._guarded - bridges)
            self._guarded = set(bridges)
        except OSError as error:
            _log.error("cannot change the guard table: %s", error)

    async def publish(self, container_id: str, publications: Publications) -> None:
        await self._run(self._firewall.publish, container_id, publications)

    async def link(self, ways: frozenset[Way]) -> None:
        """All ways between neighbours whose bridge keeps them apart."""
        await self._run(self._firewall.link, ways)

    async def withdraw(self, container_id: str) -> None:
        await self._run(self._firewall.withdraw, container_id)

    async def let_by(self) -> None:
        """Other firewalls' chains let our traffic by."""
        try:
            for chain in await self._run(foreign.let_by, self._owner):
                await self._run(self._record, "rule", chain, "", foreign.comment(self._owner))
        except Unavailable as error:
            _log.warning("another firewall may drop the traffic of containers: %s", error.message)

    async def destroy(self) -> bool:
        """Take everything down: nobody is behind the bridges. False when rules in other firewalls stay."""
        return await self._run(self._destroy)

    def _destroy(self) -> bool:
        """What cannot be taken down is told: the next start takes it over."""
        undone = False
        for work in (self._firewall.destroy, partial(foreign.undo, self._owner)):
            try:
                work()
                undone = True  # at last: those in other firewalls
            except nftables.RulesetError as error:
                undone = False
                if not self.unguarded:
                    _log.warning("the packet filter keeps rules of %s: %s", self._owner, error)
        try:
            if self._guard is not None:
                self._guard.destroy()
            else:
                nfguard.remove(leftovers.guard_name(self._owner))
        except OSError as error:
            if not self.unguarded:
                _log.warning("the guard table %s stays: %s", leftovers.guard_name(self._owner), error)
        return undone

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown, wait=True)
        self._firewall.close()
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def _keep_apart(self, walls: tuple[Wall, ...]) -> None:
        """Before a bridge is there whose containers must not reach each other: without that they would."""
        if not all(wall.icc for wall in walls):
            bridge.filter_neighbours(any(wall.subnet6 for wall in walls), self._record)

    def _open_ways(self, walls: tuple[Wall, ...]) -> None:
        bridge.open_ways([wall.bridge for wall in walls], any(wall.subnet6 for wall in walls), self._record)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
