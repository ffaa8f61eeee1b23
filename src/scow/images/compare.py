"""Are two unpacked layers the same? Names, kinds, owners, modes, times, links, extended attributes and content."""

import os
import stat

_CHUNK = 1 << 20


def difference(left: str, right: str) -> str:
    """The first thing in which two directory trees differ, in words with its path; "" when they are the same."""
    inodes: dict[tuple[int, int], tuple[int, int]] = {}
    with os.scandir(left), os.scandir(right):
        pass  # both must be there
    return _directory(left.encode(), right.encode(), b"", inodes)


def _directory(left: bytes, right: bytes, name: bytes, inodes: dict[tuple[int, int], tuple[int, int]]) -> str:
    found = _attributes(left, right, name, inodes)
    if found:
        return found
    here, there = sorted(os.listdir(left)), sorted(os.listdir(right))
    if here != there:
        odd = next(iter(sorted(set(here) ^ set(there))))
        return f"{_show(name + b'/' + odd)} is {'too much' if odd in here else 'missing'}"
    for child in here:
        path = name + b"/" + child
        one, other = left + b"/" + child, right + b"/" + child
        if stat.S_ISDIR(os.lstat(one).st_mode) and stat.S_ISDIR(os.lstat(other).st_mode):
            found = _directory(one, other, path, inodes)
        else:
            found = _attributes(one, other, path, inodes) or _content(one, other, path)
        if found:
            return found
    return ""


def _attributes(left: bytes, right: bytes, name: bytes, inodes: dict[tuple[int, int], tuple[int, int]]) -> str:
    one, other = os.lstat(left), os.lstat(right)
    for what, mine, its in (
        ("mode", one.st_mode, other.st_mode),
        ("owner", (one.st_uid, one.st_gid), (other.st_uid, other.st_gid)),
        ("device", one.st_rdev, other.st_rdev),
        ("time", one.st_mtime_ns, other.st_mtime_ns),
    ):
        # An archive need not say the time of a directory, and a whiteout has none.
        untimed = stat.S_ISDIR(one.st_mode) or (stat.S_ISCHR(one.st_mode) and one.st_rdev == 0)
        if mine != its and not (what == "time" and untimed):
            return f"{_show(name)} has another {what}"
    if not stat.S_ISDIR(one.st_mode):
        if one.st_size != other.st_size:
            return f"{_show(name)} has another size"
        inode, twin = (one.st_dev, one.st_ino), (other.st_dev, other.st_ino)
        if one.st_nlink != other.st_nlink or inodes.setdefault(inode, twin) != twin:
            return f"{_show(name)} has other hard links"
    if _xattrs(left) != _xattrs(right):
        return f"{_show(name)} has other extended attributes"
    return ""


def _content(left: bytes, right: bytes, name: bytes) -> str:
    mode = os.lstat(left).st_mode
    if stat.S_ISLNK(mode):
        return "" if os.readlink(left) == os.readlink(right) else f"{_show(name)} leads elsewhere"
    if not stat.S_ISREG(mode):
        return ""
    with open(left, "rb", buffering=0) as one, open(right, "rb", buffering=0) as other:
        while True:
            mine, its = one.read(_CHUNK), other.read(_CHUNK)
            if mine != its:
                return f"{_show(name)} has other content"
            if not mine:
                return ""


def _xattrs(path: bytes) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def _show(name: bytes) -> str:
    return os.fsdecode(name)[:200] or "/"
