"""Whether a test leaves file descriptors of this process open.

Only new ones count: what an earlier test dropped without closing it may go at any moment, and a number alone says
neither which one is new nor that one went and another came.
"""

import gc
import os
import time

PATIENCE = 5


def opened() -> dict[str, str]:
    """Descriptors of this process and what each refers to. Garbage of earlier tests is closed first."""
    gc.collect()
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # the directory that was read
            continue
    return found


def assert_no_new(before: dict[str, str]) -> None:
    """Wait until nothing is open that was not in `before`; threads and closed connections may still be ending."""
    deadline = time.monotonic() + PATIENCE
    while new := dict(opened().items() - before.items()):
        assert time.monotonic() < deadline, f"left open: {new}"
        time.sleep(0.02)
