"""Numbered slots, so that test runs at the same time on one machine never share a bridge, a folder or an address range.

A slot is held by an flock for the life of the process. Whoever takes a slot removes what a dead owner left in it.
"""

import fcntl
import os
import subprocess
from pathlib import Path
from typing import IO

LOCKS = Path("/run/lock/scowt")
BASES = Path("/var/tmp/scowt")
FIRST, COUNT = 210, 40  # 10.210.0.0/24 to 10.249.0.0/24


class Slot:
    """One held slot: `base` is its folder, `bridge` and `bip` are for a daemon; `env` marks its processes."""

    def __init__(self, number: int, lock: IO[str]) -> None:
        self.number = number
        self._lock = lock
        self.base = BASES / str(number)
        self.bridge = f"scowt{number}"
        self.bip = f"10.{FIRST + number}.0.1/24"
        self.env = {"SCOW_TEST_SLOT": str(number)}

    def release(self) -> None:
        self._lock.close()


def take() -> Slot:
    LOCKS.mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        lock = open(LOCKS / f"{number}.lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        os.set_inheritable(lock.fileno(), False)
        slot = Slot(number, lock)
        if not _taken_by_others(slot):
            return slot
        slot.release()
    raise RuntimeError(f"all {COUNT} test slots are in use ({LOCKS})")


def _taken_by_others(slot: Slot) -> bool:
    """The host has a route to the slot's range by a link that is not the slot's."""
    network = slot.bip.rpartition(".")[0] + ".0/24"
    routes = subprocess.run(["ip", "-o", "route", "show", network], capture_output=True, text=True).stdout
    return any(f"dev {slot.bridge} " not in f"{line} " for line in routes.splitlines())
