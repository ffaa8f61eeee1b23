"""Copy-up: a new volume starts with what the image has at its place.

The image's layers are read through an overlay mount that is never attached anywhere, so that whiteouts and links are
the kernel's business. The copy is made beside the volume's data and put in place by renames: while it is not complete
the volume is empty, and what a crash interrupts is finished or removed at the next start.

    <volume>/_data   what containers see      <volume>/_copying   being copied      <volume>/_copied   complete
"""

import errno
import os
import shutil
from collections.abc import Sequence

from scow.errors import Internal
from scow.linux import libc, paths
from scow.linux.copytree import copy_tree

_READ_ONLY = 0x1  # MOUNT_ATTR_RDONLY
_MS_READ_ONLY = 0x1
_DETACH = 0x2  # MNT_DETACH
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class CopyUpFailed(Internal):
    """The image's data could not be copied into a volume."""


def fill(volume: str, lowers: Sequence[str], target: str) -> None:
    """Copy `target` of the image into the volume directory `volume` when its _data is empty."""
    if os.listdir(f"{volume}/_data"):
        return
    root = _open_image(lowers, f"{volume}/_image")
    try:
        try:
            source = paths.open_in_root(root, target, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:  # the image has nothing there, or a file
            return
        try:
            shutil.rmtree(f"{volume}/_copying", ignore_errors=True)
            os.mkdir(f"{volume}/_copying", 0o700)
            destination = os.open(f"{volume}/_copying", _DIRECTORY)
            try:
                copy_tree(source, destination)
                libc.sync_filesystem(destination)
            finally:
                os.close(destination)
        finally:
            os.close(source)
    except OSError as error:
        shutil.rmtree(f"{volume}/_copying", ignore_errors=True)
        raise CopyUpFailed(f"cannot copy {target} of the image into {volume}: {error.strerror}") from error
    finally:
        os.close(root)
    os.rename(f"{volume}/_copying", f"{volume}/_copied")
    _put_in_place(volume)


def finish_interrupted(volume: str) -> None:
    """At start: put a complete copy in place, remove an incomplete one."""
    shutil.rmtree(f"{volume}/_copying", ignore_errors=True)
    if os.path.isdir(f"{volume}/_image"):
        if os.path.ismount(f"{volume}/_image"):
            libc.umount2(f"{volume}/_image", _DETACH)
        os.rmdir(f"{volume}/_image")
    if os.path.isdir(f"{volume}/_copied"):
        _put_in_place(volume)


def _put_in_place(volume: str) -> None:
    try:
        os.rmdir(f"{volume}/_data")
    except FileNotFoundError:
        pass
    except OSError:  # somebody wrote into it meanwhile: their data count
        shutil.rmtree(f"{volume}/_copied", ignore_errors=True)
        return
    os.rename(f"{volume}/_copied", f"{volume}/_data")


def _open_image(lowers: Sequence[str], scratch: str) -> int:
    """An fd of the merged, read-only root of the layers (top first), attached nowhere."""
    if len(lowers) == 1:
        return paths.open_root(lowers[0])
    try:
        context = libc.fsopen("overlay")
        try:
            for lower in lowers:
                libc.fsconfig_string(context, "lowerdir+", lower)
            libc.fsconfig_create(context)
            return libc.fsmount(context, _READ_ONLY)
        finally:
            os.close(context)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise CopyUpFailed(f"cannot read the image's layers: {error.strerror}") from error
    return _open_old(lowers, scratch)


def _open_old(lowers: Sequence[str], scratch: str) -> int:
    """Before Linux 6.8: one page of text, in which fds keep the layers' names short; attached for a moment."""
    fds = [os.open(lower, _DIRECTORY) for lower in lowers]
    try:
        os.makedirs(scratch, 0o700, exist_ok=True)
        words = "lowerdir=" + ":".join(f"/proc/self/fd/{fd}" for fd in fds)
        libc.mount("overlay", scratch, "overlay", _MS_READ_ONLY, words.encode())
        try:
            return paths.open_root(scratch)
        finally:
            libc.umount2(scratch, _DETACH)
            os.rmdir(scratch)
    except OSError as error:
        raise CopyUpFailed(f"cannot read the image's layers: {error.strerror}") from error
    finally:
        for fd in fds:
            os.close(fd)
