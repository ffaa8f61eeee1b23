"""Whom the process runs as: user, groups, home, capabilities; and its standard streams made usable for that user."""

import os
import stat

from scow.linux import capabilities, libc, users
from scow.linux.capabilities import CapabilitySets
from scow.runtime.failure import INIT
from scow.runtime.job import Job

_NULL = os.makedev(1, 3)


def resolve(job: Job) -> users.Identity:
    """The identity of process.user: by `username` (Docker's user string) when given, else by its numbers.

    Names are looked up in the container's own files through the root fd.
    """
    user = job.process.get("user") or {}
    job.trying("looking up the user")
    additional = user.get("additionalGids") or ()
    name = user.get("username")
    if name:
        return users.resolve(job.root, str(name), additional=additional)
    return users.by_number(job.root, int(user.get("uid") or 0), int(user.get("gid") or 0), additional)


def give_streams(job: Job, uid: int) -> None:
    """Let the user own its pipes and terminal, so that /dev/stdout can be opened again. Files and /dev/null keep theirs."""
    for fd in {job.terminal} if job.stdio is None else set(job.stdio):
        status = os.fstat(fd)
        kind = stat.S_IFMT(status.st_mode)
        if status.st_uid == uid or kind not in (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR) or status.st_rdev == _NULL:
            continue
        try:
            os.fchown(fd, uid, -1)
        except OSError:  # a socket, a read-only mount, an id without a mapping: a convenience is lost, no more
            continue


def sets_of(job: Job) -> CapabilitySets:
    return capabilities.from_spec(job.process.get("capabilities"))


def become(job: Job, identity: users.Identity, sets: CapabilitySets, keep: int) -> None:
    """Drop to the user and to the capabilities of the spec; `keep` stays effective for the filter's installation."""
    job.trying("setting the user and capabilities", INIT)
    capabilities.drop_bounding(sets.bounding)
    if identity.uid:
        libc.prctl(libc.PR_SET_KEEPCAPS, 1)
    libc.become(identity.uid, identity.gid, identity.groups)
    if identity.uid:
        libc.prctl(libc.PR_SET_KEEPCAPS, 0)
    capabilities.apply(sets, extra_effective=keep)
    # Changing ids resets both: the process stays hidden from ptrace, and dies with the monitor until it executes.
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    libc.prctl(libc.PR_SET_PDEATHSIG, 9)
