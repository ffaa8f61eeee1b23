"""Somebody else flushed, reloaded or changed the host's packet filter: what is ours is put right at once.

The kernel tells every change. While nothing is told nothing is done; where it cannot tell, we look twice a second.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from scow.background import TaskSet
from scow.errors import ScowError
from scow.linux import nfmessage, nfwatch
from scow.linux.nfwatch import Change, ChangeWatch
from scow.network import foreign
from scow.network.rules import Rules

_log = logging.getLogger("scow.network")
_LULL = 0.02  # a reload is several transactions: we look when they are over, or after _LONGEST
_LONGEST = 0.2
_LOOK = 0.5
_LOSSES = frozenset(
    (
        nfmessage.DELETE_TABLE,
        nfmessage.DELETE_CHAIN,
        nfmessage.DELETE_RULE,
        nfmessage.DELETE_SET,
        nfmessage.DELETE_ELEMENT,
    )
)
_CHAINS = frozenset((nfmessage.NEW_CHAIN, nfmessage.DELETE_TABLE, nfmessage.DELETE_CHAIN))
_FOREIGN = ("filter", foreign.FIREWALLD)


class RuleWatch:
    """Lifecycle: start() after the rules are loaded, close()."""

    def __init__(self, rules: Rules, owner: str, tasks: TaskSet) -> None:
        self._rules = rules
        self._mark = foreign.comment(owner).encode()
        self._tasks = tasks
        self._watch: ChangeWatch | None = None
        self._ours = self._theirs = False
        self._touched = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        try:
            self._watch = ChangeWatch()
            asyncio.get_running_loop().add_reader(self._watch.fileno(), self._read)
        except OSError as error:
            _log.warning(
                "the kernel does not tell changes of nftables (%s): the rules are looked at twice a second", error
            )
        self._worker = self._tasks.spawn(self._work(), "rule watch")

    def close(self) -> None:
        """Nothing is rebuilt any more."""
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None
        if self._watch is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._watch.fileno())
            self._watch.close()
            self._watch = None

    def _read(self) -> None:
        assert self._watch is not None
        try:
            self._sort(self._watch.changes())
        except nfwatch.Overrun:
            self._ours = self._theirs = True
        if self._ours or self._theirs:
            self._touched.set()

    def _sort(self, changes: Iterable[Change]) -> None:
        table, port = self._rules.table, self._rules.port
        for change in changes:
            if change.table == table:
                self._ours |= change.kind in _LOSSES and change.port != port
            elif change.table in _FOREIGN:
                self._theirs |= change.kind in _CHAINS
                self._theirs |= change.kind == nfmessage.DELETE_RULE and self._mark in change.note

    async def _work(self) -> None:
        while True:
            if self._watch is None:
                await asyncio.sleep(_LOOK)
                self._ours = True
            else:
                await self._touched.wait()
                await self._calm()
            ours, theirs, self._ours, self._theirs = self._ours, self._theirs, False, False
            try:
                if ours and await self._rules.heal():
                    _log.warning("the table %s was changed by somebody else and has been rebuilt", self._rules.table)
                if theirs:
                    await self._rules.let_by()
            except (ScowError, OSError) as error:
                _log.error("the packet filter cannot be put right: %s", error)
                await asyncio.sleep(_LOOK)
                self._ours |= ours
                self._theirs |= theirs
                self._touched.set()

    async def _calm(self) -> None:
        """Wait until it is quiet, but not for long."""
        end = asyncio.get_running_loop().time() + _LONGEST
        while self._touched.is_set() and asyncio.get_running_loop().time() < end:
            self._touched.clear()
            await asyncio.sleep(_LULL)
        self._touched.clear()
