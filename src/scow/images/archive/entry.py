"""One member of an archive."""

FILE = "file"
DIRECTORY = "directory"
SYMLINK = "symlink"
HARDLINK = "hardlink"
CHARACTER = "character"
BLOCK = "block"
FIFO = "fifo"


class Entry:
    """One member. `name` is cleaned: relative, without empty, "." and ".." components; b"" is the archive's root.

    `target` is a symlink's text as it stands, or a hardlink's cleaned name. `stored` is the number of content bytes in
    the archive, `size` the file's size; they differ only for sparse files, whose `extents` are (offset, length) pairs.
    `mtime` is in Unix nanoseconds. A plain class with slots: tens of thousands are made in a second.
    """

    __slots__ = (
        "name",
        "kind",
        "mode",
        "uid",
        "gid",
        "size",
        "stored",
        "mtime",
        "target",
        "major",
        "minor",
        "xattrs",
        "extents",
    )

    def __init__(self, name: bytes, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.mode = 0o644
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.stored = 0
        self.mtime = 0
        self.target = b""
        self.major = 0
        self.minor = 0
        self.xattrs: dict[str, bytes] | None = None
        self.extents: list[tuple[int, int]] | None = None

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, {self.kind}, {self.mode:o}, size={self.size})"
