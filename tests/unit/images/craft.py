"""Archives with any header bytes in any order, written independently of the code under test."""

from collections.abc import Callable, Iterable

BLOCK = 512
END = bytes(2 * BLOCK)


def header(
    name: bytes,
    flag: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 1_600_000_000,
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    """One 512-byte header; `size` as bytes is put in raw."""

    def octal(value: int, width: int) -> bytes:
        return f"{value:0{width - 1}o}\0".encode()

    raw = bytearray(BLOCK)
    raw[0 : len(name[:100])] = name[:100]
    raw[100:108] = octal(mode, 8)
    raw[108:116] = octal(uid, 8)
    raw[116:124] = octal(gid, 8)
    raw[124:136] = size.ljust(12, b"\0") if isinstance(size, bytes) else octal(size, 12)
    raw[136:148] = octal(mtime, 12)
    raw[156:157] = flag
    raw[157 : 157 + len(target[:100])] = target[:100]
    raw[257:265] = magic
    raw[329:337] = octal(device[0], 8)
    raw[337:345] = octal(device[1], 8)
    raw[345 : 345 + len(prefix)] = prefix
    raw[148:156] = b" " * 8
    total = sum(raw) if checksum is None else checksum
    raw[148:156] = f"{total:06o}\0 ".encode()
    return bytes(raw)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def file(name: bytes, data: bytes = b"", flag: bytes = b"0", **fields: object) -> bytes:
    return header(name, flag, size=len(data), **fields) + padded(data)  # type: ignore[arg-type]


def directory(name: bytes, **fields: object) -> bytes:
    return header(name, b"5", **{"mode": 0o755, **fields})  # type: ignore[arg-type]


def symlink(name: bytes, target: bytes) -> bytes:
    return header(name, b"2", target=target, mode=0o777)


def hardlink(name: bytes, target: bytes) -> bytes:
    return header(name, b"1", target=target)


def pax(records: dict[str, bytes], flag: bytes = b"x") -> bytes:
    data = b""
    for key, value in records.items():
        body = b" " + key.encode() + b"=" + value + b"\n"
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length += 1
        data += str(length).encode() + body
    return file(b"PaxHeaders/x", data, flag)


def gnu_long(name: bytes, flag: bytes = b"L") -> bytes:
    return file(b"././@LongLink", name + b"\0", flag, magic=b"ustar  \0")


def archive(*members: bytes) -> bytes:
    return b"".join(members) + END


def source(data: bytes, chunk: int = 1 << 20) -> Callable[[], bytes]:
    """What the reader pulls from: `data` in chunks."""
    pieces: Iterable[bytes] = (data[start : start + chunk] for start in range(0, len(data), chunk))
    iterator = iter(pieces)
    return lambda: next(iterator, b"")
