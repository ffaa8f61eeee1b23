"""Resource limits and the OOM score of a process."""

import errno
import os
from typing import Any

from scow.errors import InvalidArgument
from scow.linux import cgroup_files, libc
from scow.runtime.failure import INIT, Failed
from scow.runtime.job import Job

_NUMBERS = {
    name: number
    for number, name in enumerate(
        "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime".split()
    )
}
_UNLIMITED = 2**64 - 1


def set_oom_score(job: Job) -> None:
    """Write oom_score_adj through the host's procfs, before any container file system is in reach.

    Lowering it needs CAP_SYS_RESOURCE: refused, it is an error when the user asked for it, else it stays as it is.
    """
    value = job.process.get("oomScoreAdj")
    if value is None:
        return
    job.trying(f"setting oom_score_adj to {value}")
    fd = libc.open_at(libc.AT_FDCWD, "/proc/self/oom_score_adj", os.O_RDWR)
    try:
        if os.read(fd, 16).strip() != str(value).encode():
            os.write(fd, str(value).encode())
    except PermissionError:
        if "oom_score_adj" in job.explicit():
            raise
    finally:
        os.close(fd)


def set_limits(job: Job) -> None:
    """The rlimits of the process. What is not granted is an error when asked for by name, else lowered to what is."""
    explicit = job.explicit()
    for item in job.process.get("rlimits") or ():
        name = str(item.get("type", "")).lower().removeprefix("rlimit_")
        number = _NUMBERS.get(name)
        if number is None:
            raise InvalidArgument(f"invalid rlimit type {item.get('type')!r}")
        soft, hard = _value(item, "soft"), _value(item, "hard")
        if soft > hard:
            raise InvalidArgument(f"rlimit {name}: soft limit {item['soft']} is above the hard limit {item['hard']}")
        try:
            libc.set_limit(number, soft, hard)
        except OSError as error:
            if name in explicit or error.errno != errno.EPERM:
                text = f"error setting rlimits for ready process: error setting rlimit type {number}"
                raise Failed(INIT, error.errno or 0, text) from None
            _, most = libc.get_limit(number)
            libc.set_limit(number, min(soft, most), min(hard, most))


def lowered(item: dict[str, Any], asked_for: frozenset[str], allowed: bool) -> dict[str, Any]:
    """An rlimit of a spec as it can be granted; `allowed`: whether limits may be raised. For a runtime that knows no
    defaults: one that was asked for by name stays as it is, and so does one that is not known.
    """
    name = str(item.get("type", "")).lower().removeprefix("rlimit_")
    number = _NUMBERS.get(name)
    if number is None or name in asked_for or (allowed and name != "nofile"):
        return item
    if allowed:  # above this even the privileged are refused
        most = int(cgroup_files.read("/proc/sys/fs", "nr_open") or _UNLIMITED)
    else:
        _, most = libc.get_limit(number)
    return {**item, "soft": min(_value(item, "soft"), most), "hard": min(_value(item, "hard"), most)}


def _value(item: dict[str, int], key: str) -> int:
    value = item.get(key, 0)
    return _UNLIMITED if value == -1 or value >= _UNLIMITED else value
