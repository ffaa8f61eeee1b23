"""Several layers as one: what they change together, as an archive over what lies below them."""

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack

from scow.images.archive.writer import Emit, TarWriter
from scow.images.differ import check_depth
from scow.images.merged import DIRECTORY, View, is_opaque, is_whiteout


def write_union(layers: Sequence[str], lowers: Sequence[str], emit: Emit) -> None:
    """`layers` and `lowers` are directories, top first. Removals are written only of what `lowers` have. Runs in a thread."""
    writer = TarWriter(emit)
    with ExitStack() as opened, View.open(lowers) as below:
        fds = []
        for layer in layers:
            fds.append(os.open(layer, DIRECTORY))
            opened.callback(os.close, fds[-1])
        _walk(writer, fds, below, b"", 0)
    writer.end()


def _walk(writer: TarWriter, fds: Sequence[int], below: View, prefix: bytes, depth: int) -> None:
    check_depth(depth, prefix)
    for name in sorted({os.fsencode(name) for fd in fds for name in os.listdir(fd)}):
        for number, fd in enumerate(fds):
            try:
                there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if is_whiteout(there):
                if below.find(name) is not None:
                    writer.whiteout(prefix, name)
            elif stat.S_ISDIR(there.st_mode):
                _directory(writer, fds[number:], below, prefix, name, depth)
            else:
                writer.file(fd, name, prefix + name, there)
            break


def _directory(writer: TarWriter, fds: Sequence[int], below: View, prefix: bytes, name: bytes, depth: int) -> None:
    """A directory that the first of the layers has, and perhaps those under it."""
    with ExitStack() as opened:
        inner: list[int] = []
        hides = False
        for fd in fds:
            try:
                there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(there.st_mode):
                hides = True  # removed or replaced, and made again above
                break
            inner.append(os.open(name, DIRECTORY, dir_fd=fd))
            opened.callback(os.close, inner[-1])
            if is_opaque(inner[-1]):
                hides = True
                break
        under = opened.enter_context(below.enter(name))
        path = prefix + name + b"/"
        writer.directory(path, inner[0], os.fstat(inner[0]))
        if hides and under.top is not None:
            writer.opaque(path)
        if hides:
            under = opened.enter_context(View(()))
        _walk(writer, inner, under, path, depth + 1)
