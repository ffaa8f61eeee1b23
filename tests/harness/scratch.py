"""Scratch folders of one test process. What a run leaves that was killed is removed by the next run that makes one."""

import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

from scow.errors import ScowError
from scow.linux import cgroup
from tests.harness import wipe

HOMES = Path("/var/tmp/scowt")
BRIDGE, NETNS = "bridge", "netns"
"""Files of a folder that name the bridge and the network namespace of what its owner sets up: a dead one's are removed."""
_numbers = itertools.count()
_held: dict[int, int] = {}  # our pid -> the lock of our home; a forked child has a home of its own


def make(name: str) -> Path:
    """A new empty folder, below one that this process holds by an flock for its life. The caller removes it."""
    while os.getpid() not in _held:
        sweep()
        home().mkdir(parents=True, exist_ok=True)
        lock = os.open(home(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            _held[os.getpid()] = lock
        else:  # another run has swept it before it was locked
            os.close(lock)
    folder = home() / f"{name}-{next(_numbers)}"
    folder.mkdir(parents=True)
    return folder


def home() -> Path:
    return HOMES / f"p{os.getpid()}"


def remove(folder: Path) -> None:
    """Remove a folder, and the home when that was its last."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        home().rmdir()
        os.close(_held.pop(os.getpid()))


def sweep() -> None:
    """Remove the homes of processes that have ended, with all that runs in them."""
    for dead in HOMES.glob("p[0-9]*"):
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(dead, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                _bury(dead)
            finally:
                os.close(lock)


def _bury(dead: Path) -> None:
    for group in (f"/scowtest{dead.name[1:]}", f"/scowtest-sv/{dead.name}"):
        with contextlib.suppress(OSError, ScowError):
            cgroup.open(group).remove()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if f"{dead}/".encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                os.kill(int(entry), signal.SIGKILL)
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        if (point := line.split()[4]).startswith(f"{dead}/"):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
    for note in dead.glob(f"*/{BRIDGE}"):
        wipe.network(note.read_text())
    for note in dead.glob(f"*/{NETNS}"):
        subprocess.run(["ip", "netns", "del", note.read_text()], stderr=subprocess.DEVNULL)
    shutil.rmtree(dead, ignore_errors=True)
