"""Mounts by file descriptor: new filesystems and copies of trees are made detached and attached once, at an fd.

Options are mount(8) words, as runtime-spec mounts carry them.
"""

import errno
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scow.errors import InvalidArgument, Unsupported
from scow.linux import borrowed, libc

_SET = {
    "ro": libc.MOUNT_ATTR_RDONLY,
    "nosuid": libc.MOUNT_ATTR_NOSUID,
    "nodev": libc.MOUNT_ATTR_NODEV,
    "noexec": libc.MOUNT_ATTR_NOEXEC,
    "noatime": libc.MOUNT_ATTR_NOATIME,
    "strictatime": libc.MOUNT_ATTR_STRICTATIME,
    "nodiratime": libc.MOUNT_ATTR_NODIRATIME,
    "nosymfollow": libc.MOUNT_ATTR_NOSYMFOLLOW,
}
_CLEAR = {
    "rw": libc.MOUNT_ATTR_RDONLY,
    "suid": libc.MOUNT_ATTR_NOSUID,
    "dev": libc.MOUNT_ATTR_NODEV,
    "exec": libc.MOUNT_ATTR_NOEXEC,
    "atime": libc.MOUNT_ATTR_NOATIME,
    "diratime": libc.MOUNT_ATTR_NODIRATIME,
    "symfollow": libc.MOUNT_ATTR_NOSYMFOLLOW,
}
_PROPAGATION = {
    "private": libc.MS_PRIVATE,
    "shared": libc.MS_SHARED,
    "slave": libc.MS_SLAVE,
    "unbindable": libc.MS_UNBINDABLE,
}
FOREIGN = re.compile(r"/proc/([0-9]+)/root(/.+)")
"""Paths in other processes' roots, which are mostly in other mount namespaces."""
_IGNORED = frozenset(("defaults", "async", "nofail", "relatime", "norelatime", "silent", "loud", "mand", "nomand"))


@dataclass(frozen=True, slots=True)
class Options:
    """Mount words, sorted out. bind: 0 no, 1 bind, 2 rbind. `r…` attributes hold for everything below as well.

    data is what the filesystem itself gets: (key, value), value None for a flag.
    """

    bind: int = 0
    set: int = 0
    clear: int = 0
    recursive_set: int = 0
    recursive_clear: int = 0
    propagation: int = 0
    propagation_recursive: bool = False
    data: tuple[tuple[str, str | None], ...] = ()

    @property
    def attributes(self) -> int:
        """The attributes of a new mount."""
        return (self.set | self.recursive_set) & ~(self.clear & ~self.set)


def parse(words: Iterable[str]) -> Options:
    """The meaning of mount words; later words win. A read-only rbind is read-only all the way down, unless "rrw" is given."""
    bind = set_bits = clear_bits = rset = rclear = propagation = 0
    recursive = False
    data: list[tuple[str, str | None]] = []
    for word in words:
        bare = word[1:] if word[:1] == "r" else ""
        if word in ("bind", "rbind"):
            bind = 2 if word == "rbind" else max(bind, 1)
        elif word in _IGNORED:
            continue
        elif word in _SET:
            set_bits |= _SET[word]
            clear_bits &= ~_SET[word]
        elif word in _CLEAR:
            clear_bits |= _CLEAR[word]
            set_bits &= ~_CLEAR[word]
        elif word in _PROPAGATION or bare in _PROPAGATION:
            propagation = _PROPAGATION[bare if bare in _PROPAGATION else word]
            recursive = bare in _PROPAGATION
        elif bare in _SET:
            rset |= _SET[bare]
        elif bare in _CLEAR:
            rclear |= _CLEAR[bare]
        else:
            key, equals, value = word.partition("=")
            data.append((key, value if equals else None))
    if bind == 2 and set_bits & libc.MOUNT_ATTR_RDONLY and not rclear & libc.MOUNT_ATTR_RDONLY:
        rset |= libc.MOUNT_ATTR_RDONLY
    return Options(bind, set_bits, clear_bits, rset, rclear & ~rset, propagation, recursive, tuple(data))


def new(kind: str, data: Sequence[tuple[str, str | None]] = (), attributes: int = 0, source: str = "") -> int:
    """A detached mount of a new filesystem instance. OSError names the option that was refused."""
    context = libc.fsopen(kind)
    try:
        if source:
            libc.fsconfig_string(context, "source", source)
        for key, value in data:
            try:
                if value is None:
                    libc.fsconfig_flag(context, key)
                else:
                    libc.fsconfig_string(context, key, value)
            except OSError as error:
                shown = key if value is None else f"{key}={value}"
                raise libc.failure(error.errno or errno.EINVAL, f"{kind} option {shown}") from None
        libc.fsconfig_create(context)
        return libc.fsmount(context, attributes)
    finally:
        os.close(context)


def copy(path: str | bytes, *, recursive: bool = False, dirfd: int = libc.AT_FDCWD) -> int:
    """A detached copy of the tree at `path` (or at `dirfd` itself when path is empty)."""
    flags = libc.OPEN_TREE_CLONE | (libc.AT_RECURSIVE if recursive else 0)
    if not path:
        flags |= libc.AT_EMPTY_PATH
    return libc.open_tree(dirfd, path, flags)


def copy_source(source: str, *, recursive: bool = False) -> int:
    """As `copy`, also from another process's mount namespace, which a path /proc/PID/root/… means: such a mount can be
    copied only from within.
    """
    found = FOREIGN.fullmatch(source)
    if found is None:
        return copy(source, recursive=recursive)
    namespace = libc.open_at(libc.AT_FDCWD, f"/proc/{found[1]}/ns/mnt", os.O_RDONLY)

    def make() -> int:
        libc.setns(namespace, libc.CLONE_NEWNS)
        root = libc.open_at(libc.AT_FDCWD, "/", libc.O_PATH | os.O_DIRECTORY)
        # of what lies there nothing is trusted: no link is followed
        resolve = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_SYMLINKS
        place = libc.openat2(root, found[2], libc.O_PATH, 0, resolve)
        made = copy("", recursive=recursive, dirfd=place)
        os.close(place)
        os.close(root)
        return made

    try:
        return borrowed.made_by_child(make)
    finally:
        os.close(namespace)


def adjust(fd: int, options: Options) -> None:
    """Give a detached copy the attributes and propagation of `options`; what they do not name stays as it is."""
    deep = options.bind == 2
    if options.recursive_set or options.recursive_clear:
        _setattr(fd, options.recursive_set, options.recursive_clear, 0, True)
    if options.set or options.clear:
        _setattr(fd, options.set, options.clear & ~options.recursive_set, 0, False)
    if options.propagation:
        _setattr(fd, 0, 0, options.propagation, options.propagation_recursive)
    else:
        _setattr(fd, 0, 0, libc.MS_PRIVATE, deep)


def _setattr(fd: int, set_bits: int, clear: int, propagation: int, recursive: bool) -> None:
    if set_bits & (libc.MOUNT_ATTR_NOATIME | libc.MOUNT_ATTR_STRICTATIME) or clear & libc.MOUNT_ATTR_NOATIME:
        clear = clear & ~libc.MOUNT_ATTR_NOATIME | libc.MOUNT_ATTR_ATIME  # one of three values, not a bit
    libc.mount_setattr(fd, set=set_bits, clear=clear, propagation=propagation, recursive=recursive)


def split_paths(text: str) -> list[str]:
    """The parts of a lowerdir= value: separated by colons, a backslash protects the next character."""
    if "\\" not in text:
        return text.split(":")
    parts, current, escaped = [], "", False
    for character in text:
        if escaped or character not in "\\:":
            current, escaped = current + character, False
        elif character == "\\":
            escaped = True
        else:
            parts.append(current)
            current = ""
    return [*parts, current]


def overlay(options: Sequence[str], target: str) -> tuple[int, bool]:
    """An overlay mount from its words (lowerdir=a:b, upperdir=, workdir=, …): (fd, whether it is attached already).

    Kernels since 6.8 take the layers one by one and give a detached mount. Older ones take one page of text, so that
    many layers are named through their fds; there the mount is made at the trusted path `target`, where it stays.
    """
    data: list[tuple[str, str | None]] = []
    lower: list[str] = []
    parsed = parse(options)
    for key, value in parsed.data:
        if key == "lowerdir":
            lower = split_paths(value or "")
        else:
            data.append((key, value))
    if not all(lower) or not lower:
        raise InvalidArgument("overlay without a lower directory")
    try:
        layers: list[tuple[str, str | None]] = [("lowerdir+", layer) for layer in lower]
        return new("overlay", [*layers, *data], parsed.attributes, "overlay"), False
    except OSError as error:
        if error.errno != errno.EINVAL:  # old kernels refuse the word, some of them only when the mount is made
            raise
    return _old_overlay(lower, data, parsed, target), True


def idmapped_overlay(options: Sequence[str], userns: int) -> int:
    """A detached overlay mount whose layers below show the ids that the user namespace `userns` (an fd) maps theirs to.

    The upper directory has the mapped ids themselves. Unsupported where the kernel or the layers' file system cannot do it.
    """
    parsed = parse(options)
    lowers = [path for key, value in parsed.data if key == "lowerdir" for path in split_paths(value or "")]
    fds: list[int] = []
    try:
        for lower in lowers:
            fds.append(copy(lower))
            libc.mount_setattr(fds[-1], set=libc.MOUNT_ATTR_IDMAP, userns=userns)
        layers: list[tuple[str, str | None]] = [("lowerdir+", f"/proc/self/fd/{fd}") for fd in fds]
        rest = [(key, value) for key, value in parsed.data if key != "lowerdir"]
        return new("overlay", [*layers, *rest], parsed.attributes, "overlay")
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            raise Unsupported(
                "the kernel cannot make an overlay of idmapped layers here (Linux 6.15, and a file system for the layers "
                "that knows idmapped mounts, are needed)"
            ) from error
        raise
    finally:
        for fd in fds:
            os.close(fd)


def _old_overlay(lower: list[str], data: list[tuple[str, str | None]], parsed: Options, target: str) -> int:
    """mount(2) with the layers named by their fds, relative to /proc/self/fd: 127 of them fit a page."""
    before = libc.open_at(libc.AT_FDCWD, ".", libc.O_PATH)
    fds = [libc.open_at(libc.AT_FDCWD, layer, libc.O_PATH | os.O_DIRECTORY) for layer in lower]
    try:
        words = [f"lowerdir={':'.join(map(str, fds))}"]
        for key, value in data:
            escaped = (value or "").replace("\\", "\\\\").replace(",", "\\,")
            words.append(key if value is None else f"{key}={escaped}")
        libc.fchdir(libc_fd := libc.open_at(libc.AT_FDCWD, "/proc/self/fd", libc.O_PATH | os.O_DIRECTORY))
        os.close(libc_fd)
        flags = parsed.attributes & 0x0F  # the four attributes that MS_ flags number alike
        libc.mount("overlay", target, "overlay", flags, ",".join(words).encode("utf-8", "surrogateescape"))
    finally:
        libc.fchdir(before)
        for fd in [before, *fds]:
            os.close(fd)
    return libc.open_at(libc.AT_FDCWD, target, libc.O_PATH | os.O_DIRECTORY)
