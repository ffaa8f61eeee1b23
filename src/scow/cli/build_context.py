"""The context of a build as an archive: a directory's files, without what .dockerignore leaves out, as root's."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from scow.build.frontend.ignore import IgnoreRules

_BLOCK = 512
_PIECE = 1 << 20
_OCTAL_SIZE = 0o77777777777
_TYPES = {stat.S_IFREG: b"0", stat.S_IFLNK: b"2", stat.S_IFDIR: b"5", stat.S_IFIFO: b"6"}


class Archive:
    """Give it to `upload` as the source: each call is the next piece, b"" the end. `size` counts what was given."""

    def __init__(self, root: str | None, rules: IgnoreRules | None, extra: dict[str, bytes]) -> None:
        """`extra` are files by name that take the place of the directory's own; without a root they are all."""
        self._pieces = self._gathered(self._written(root, rules, extra))
        self.size = 0

    def __call__(self) -> bytes:
        piece = next(self._pieces, b"")
        self.size += len(piece)
        return piece

    def _gathered(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Small parts put together."""
        waiting: list[bytes] = []
        size = 0
        for part in parts:
            waiting.append(part)
            size += len(part)
            if size >= _PIECE:
                yield b"".join(waiting)
                waiting, size = [], 0
        if waiting:
            yield b"".join(waiting)

    def _written(self, root: str | None, rules: IgnoreRules | None, extra: dict[str, bytes]) -> Iterator[bytes]:
        for name, data in extra.items():
            yield _header(os.fsencode(name), b"0", 0o644, len(data), 0) + data + bytes(-len(data) % _BLOCK)
        if root is not None:
            for path, _ in walk(root, "", rules, frozenset(extra)):
                yield from _entry(root, path)
        yield bytes(2 * _BLOCK)


def walk(
    root: str, directory: str, rules: IgnoreRules | None, skip: frozenset[str]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Paths relative to the root, parents first, in the order of their names."""
    with os.scandir(f"{root}/{directory}" if directory else root) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{directory}/{entry.name}" if directory else entry.name
        if path in skip:
            continue
        is_directory = entry.is_dir(follow_symlinks=False)
        if rules is not None and rules.excluded(path):
            if is_directory and rules.may_hold(path):
                yield from walk(root, path, rules, skip)
            continue
        yield path, entry
        if is_directory:
            yield from walk(root, path, rules, skip)


def _entry(root: str, path: str) -> Iterator[bytes]:
    full = f"{root}/{path}"
    there = os.lstat(full)
    flag = _TYPES.get(stat.S_IFMT(there.st_mode))
    if flag is None:
        return  # sockets and devices are no part of a context
    name, mode, mtime = os.fsencode(path), stat.S_IMODE(there.st_mode), int(there.st_mtime)
    if flag == b"5":
        yield _header(name + b"/", flag, mode, 0, mtime)
    elif flag != b"0":
        yield _header(name, flag, mode, 0, mtime, os.fsencode(os.readlink(full)) if flag == b"2" else b"")
    else:
        with open(full, "rb", buffering=0) as stream:
            size = left = os.fstat(stream.fileno()).st_size
            yield _header(name, flag, mode, size, mtime)
            while left:
                piece = stream.read(min(left, _PIECE))
                if not piece:
                    raise OSError(0, "the file became shorter while it was sent", full)
                left -= len(piece)
                yield piece
        yield bytes(-size % _BLOCK)


def _header(name: bytes, flag: bytes, mode: int, size: int, mtime: int, target: bytes = b"") -> bytes:
    records = {}
    if len(name) > 100 or not name.isascii():
        records[b"path"] = name
    if len(target) > 100 or not target.isascii():
        records[b"linkpath"] = target
    if size > _OCTAL_SIZE:
        records[b"size"] = b"%d" % size
    if not 0 <= mtime <= _OCTAL_SIZE:
        records[b"mtime"], mtime = b"%d" % mtime, 0
    before = b""
    if records:
        data = b"".join(_record(key, value) for key, value in records.items())
        before = _block(b"PaxHeaders/", b"x", 0o644, len(data), 0, b"") + data + bytes(-len(data) % _BLOCK)
    return before + _block(name, flag, mode, min(size, _OCTAL_SIZE), mtime, target)


def _block(name: bytes, flag: bytes, mode: int, size: int, mtime: int, target: bytes) -> bytes:
    raw = b"".join(
        (
            name[:100].ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0%011o\0%011o\0        " % (mode, 0, 0, size, mtime),
            flag,
            target[:100].ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(247),
        )
    )
    return raw[:148] + b"%06o\0 " % sum(raw) + raw[156:]


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return b"%d" % length + body
