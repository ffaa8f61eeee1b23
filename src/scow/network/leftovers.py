"""Tables and rules of daemons that are gone and do not come back: their bridges are gone, and no process holds their guard.

A daemon that was killed has left its bridge, and containers that live behind it: what guards them stays.
"""

import contextlib
import re
import socket
from collections.abc import Iterable

from scow.linux import nfguard, nftables
from scow.network.ruleset import table_name

_GUARD = "_guard"
_OURS = re.compile(r"scow(_[A-Za-z0-9_]+)?")
_NAMELESS = re.compile(r"scow_x[0-9a-f]{16}")  # what it is called after cannot be read from it


def guard_name(owner: str) -> str:
    return table_name(owner) + _GUARD


def alive(owner: str) -> bool:
    """Whether a daemon with this default bridge is, or may be: its bridge exists, or a process holds its guard."""
    return _exists(owner) or nfguard.owners().get(guard_name(owner), 0) != 0


def sweep(own: str) -> list[str]:
    """Delete the tables of others that nobody is behind, except `own` and its guard. Returns their names. Blocks."""
    owners = nfguard.owners()
    gone = []
    for name in owners:
        table = name.removesuffix(_GUARD)
        if table == own or not _OURS.fullmatch(table) or owners.get(table + _GUARD, 0):
            continue
        with contextlib.suppress(nftables.RulesetError):  # nobody can look: it stays
            if not _anything_behind(table, [one for one in (table, table + _GUARD) if one in owners]):
                gone.append(name)
    for name in gone:
        with contextlib.suppress(OSError):  # somebody else was faster
            nfguard.remove(name)
    return gone


def _anything_behind(table: str, present: Iterable[str]) -> bool:
    """Whether there is one of the bridges that its tables speak of, or that it is called after."""
    if not _NAMELESS.fullmatch(table):
        if _exists(table.removeprefix("scow_") if table != "scow" else "scow0"):
            return True
    elif table + _GUARD not in present:
        return True  # a kernel without guards: nothing tells whether its daemon lives
    return any(_exists(name) for one in present for name in _bridges(one))


def _bridges(table: str) -> list[str]:
    entries = nftables.listing(["set", "inet", table, "bridges"])
    return [name for entry in entries for name in entry.get("set", {}).get("elem", ())]


def _exists(link: str) -> bool:
    try:
        return bool(socket.if_nametoindex(link))
    except (OSError, ValueError):
        return False
