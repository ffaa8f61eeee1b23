"""Descriptors that only a process elsewhere can make: made by a child that shares this process's table of them."""

import errno
import os
from collections.abc import Callable

from scow.linux import libc


def made_by_child(make: Callable[[], int]) -> int:
    """The descriptor that `make` gives, called in a child that is forked now. The caller has one thread.

    The child may enter namespaces and roots: nothing of it but what it has opened stays. OSError as raised there.
    """
    told, tell = os.pipe2(os.O_CLOEXEC)
    pid, pidfd = libc.clone(libc.CLONE_FILES)
    if not pid:
        try:
            os.write(tell, b"%d" % make())
        except OSError as error:
            os.write(tell, b"-%d" % (error.errno or errno.EIO))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(pidfd)
    os.close(tell)
    number = int(os.read(told, 16) or -errno.EIO)
    os.close(told)
    if number < 0:
        raise libc.failure(-number, "a child's descriptor")
    return number
