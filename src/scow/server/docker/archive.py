"""Routes of cp: /containers/{id}/archive."""

import asyncio
import base64
import stat
from collections.abc import AsyncIterator

from scow.engine.containers import archive
from scow.engine.containers.archive import PathStat
from scow.errors import InvalidArgument, Timeout
from scow.server.docker.call import COMMON, Call, encode
from scow.server.docker.convert.times import rfc3339

_STALLED = 60.0  # seconds in which a client must take something: a container that does not run is kept from starting
# Go's os.FileMode: the type and the special bits have places of their own
_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


async def head(call: Call) -> None:
    """HEAD: what is at the path, in a header."""
    found = await archive.stat_path(call.engine, call.name, _path(call))
    call.request.send(200, b"", COMMON + _header(found))


async def get(call: Call) -> None:
    """GET: it, and all below it, as an archive."""
    found, pieces = await archive.read_path(call.engine, call.name, _path(call))
    try:
        piece: bytes | None = await anext(pieces)  # what fails here still has a status
        stream = call.stream(COMMON + b"Content-Type: application/x-tar\r\n" + _header(found))
        while piece is not None:
            async with asyncio.timeout(_STALLED):
                await stream.write(piece)
            piece = await anext(pieces, None)
        await stream.end()
    except TimeoutError:
        raise Timeout(f"a client has taken nothing of {call.name} for {_STALLED:.0f} seconds") from None
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


async def put(call: Call) -> None:
    """PUT: the archive in the body into a directory."""
    await archive.extract(
        call.engine,
        call.name,
        _path(call),
        _body(call),
        keep_kinds=call.flag("noOverwriteDirNonDir"),
        own=call.flag("copyUIDGID"),
    )
    call.empty(200)


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise InvalidArgument("bad parameter: pathcannot be empty")
    if "\0" in path:
        raise InvalidArgument("invalid path: it holds a zero byte")
    return path


async def _body(call: Call) -> AsyncIterator[bytes]:
    while chunk := await call.request.next_chunk():
        yield chunk


def _header(found: PathStat) -> bytes:
    shown = {
        "name": found.name,
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": rfc3339(found.mtime),
        "linkTarget": found.target,
    }
    text = encode({key: _printable(value) if isinstance(value, str) else value for key, value in shown.items()})
    return b"X-Docker-Container-Path-Stat: " + base64.b64encode(text) + b"\r\n"


def _printable(text: str) -> str:
    """JSON has no bytes: what is not UTF-8 is shown as Go does."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def go_mode(mode: int) -> int:
    """Go's os.FileMode of a st_mode."""
    result = _TYPES.get(stat.S_IFMT(mode), 0) | mode & 0o777
    for bit, there in _BITS:
        if mode & bit:
            result |= there
    return result
