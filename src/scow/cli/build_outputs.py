"""`build -o`: what is wanted, and the archives of the answer into files, directories or stdout."""

from __future__ import annotations

import os

from scow.cli.command import Exit
from scow.client import jsontext
from scow.errors import DataLoss

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from scow.client.api import Response

_HEAD = 8
_ARCHIVE, _PROGRESS = 1, 2
_LARGEST_FRAME = 64 << 20
_IMAGES = ("image", "registry", "moby")
STDOUT = "-"


class Wanted:
    """One output: `kind` and `attributes` for the daemon, `place` for what comes: a path, STDOUT, or "" for nothing.
    `directory`: the archive is unpacked at the place.
    """

    __slots__ = ("attributes", "directory", "kind", "place")

    def __init__(self, kind: str, attributes: dict[str, str], place: str = "", directory: bool = False) -> None:
        self.kind = kind
        self.attributes = attributes
        self.place = place
        self.directory = directory

    def wire(self) -> dict[str, object]:
        return {"Type": self.kind, "Attrs": self.attributes}


def parse(words: list[str], push: bool, load: bool, terminal: bool) -> list[Wanted]:
    """The outputs of -o, --push and --load, with buildx's words for what is wrong. `terminal`: stdout is one."""
    wanted = [_one(word, terminal) for word in words]
    if push and load:
        raise Exit(1, "push and load may not be set together at the moment")
    for on, name, kinds in ((push, "push", _IMAGES), (load, "load", ("image", "moby"))):
        if not on:
            continue
        other = next((one.kind for one in wanted if one.kind not in kinds), "")
        if other:
            raise Exit(1, f"{name} and {_quoted(other)} output can't be used together")
        if not wanted:
            return [Wanted("registry" if push else "image", {})]
        if push:
            for one in wanted:
                one.attributes["push"] = "true"
    if sum(one.place == STDOUT for one in wanted) > 1:
        raise Exit(1, "only one output can be written to stdout")
    return wanted


def parameter(wanted: list[Wanted]) -> list[tuple[str, str]]:
    """For POST /build."""
    if not wanted:
        return []
    return [("outputs", jsontext.encode([one.wire() for one in wanted]).decode())]


def progress_descriptor(wanted: list[Wanted]) -> int:
    """Where the progress goes: beside an archive on stdout, stderr."""
    return 2 if any(one.place == STDOUT for one in wanted) else 1


def _one(word: str, terminal: bool) -> Wanted:
    fields = _fields(word)
    if len(fields) == 1 and not word.startswith("type="):
        kind, attributes = ("tar" if word == STDOUT else "local"), {"dest": word}
    else:
        attributes = {}
        for field in fields:
            name, equals, value = field.partition("=")
            if not equals:
                raise Exit(1, f"invalid value {field}")
            attributes[name.strip().lower()] = value
        kind = attributes.pop("type", "")
        if not kind:
            raise Exit(1, "type is required for output")
    place = attributes.pop("dest", "")
    if kind == "local" or kind in ("oci", "docker") and attributes.get("tar", "") in ("false", "0"):
        attributes.pop("tar", "")
        return Wanted(kind, attributes, _directory(kind, place), True)
    if kind == "docker" and not place:
        return Wanted("image", attributes)  # into the engine
    if kind in ("oci", "docker", "tar"):
        return Wanted(kind, attributes, _file(kind, place, terminal))
    if place:
        attributes["dest"] = place  # the daemon says what it does not know
    return Wanted(kind, attributes)


def _fields(word: str) -> list[str]:
    """Separated by commas; those in double quotes may have commas in them."""
    fields, field, quoted = [], "", False
    for character in word:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            fields.append(field)
            field = ""
        else:
            field += character
    if quoted:
        raise Exit(1, f"invalid value {word}: a quote is not closed")
    return [*fields, field]


def _directory(kind: str, place: str) -> str:
    if not place:
        raise Exit(1, f"dest is required for {kind} exporter")
    if os.path.lexists(place) and not os.path.isdir(place):
        raise Exit(1, f"destination directory {place} is a file")
    return place


def _file(kind: str, place: str, terminal: bool) -> str:
    if place in ("", STDOUT):
        if terminal:
            raise Exit(1, f"dest file is required for {kind} exporter. refusing to write to console")
        return STDOUT
    if os.path.isdir(place):
        raise Exit(1, f"destination file {place} is a directory")
    if os.path.exists(place) and not os.path.isfile(place):
        raise Exit(1, f"destination file {place} is no file")
    if not os.path.isdir(os.path.dirname(place) or "."):
        raise Exit(1, f"the directory of destination file {place} does not exist")
    return place


def _quoted(text: str) -> str:
    from scow.cli.flags import go_quote

    return go_quote(text)


# ------------------------------------------------------------ what comes


class Received:
    """A framed answer (see server/docker/framed.py): `values` are its progress, and archives are put where they belong on the
    way. `skipped` are paths that no directory gets.
    """

    def __init__(self, response: Response, wanted: list[Wanted]) -> None:
        self._frames = _frames(response.pieces())
        self._wanted = wanted
        self._text = b""
        self.skipped: list[str] = []

    def values(self) -> Iterator[Any]:
        """DataLoss when an archive is not whole and the daemon has not said why."""
        for stream, number, payload in self._frames:
            if stream == _PROGRESS:
                self._text += payload
            else:
                broken = None
                try:
                    self._take(number, payload)
                except _Broken as error:
                    broken = error
                yield from self._lines()
                if broken is not None:
                    raise DataLoss("the archive of the build is not whole")
            yield from self._lines()

    def _lines(self) -> Iterator[Any]:
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            if line.strip():
                try:
                    yield jsontext.decode(line)
                except ValueError as error:
                    raise DataLoss(f"bad JSON in the stream: {error}") from error

    def _take(self, number: int, first: bytes) -> None:
        if number >= len(self._wanted) or not self._wanted[number].place:
            raise DataLoss(f"an archive came for output {number}, which wants none")
        wanted, pieces = self._wanted[number], self._pieces(number, first)
        if wanted.directory:
            from scow.cli.cp_files import unpack

            self.skipped += unpack(pieces, wanted.place)
            for _ in pieces:
                pass
            return
        from scow.cli.output_file import write

        write(pieces, "" if wanted.place == STDOUT else wanted.place, 0o666)

    def _pieces(self, number: int, first: bytes) -> Iterator[bytes]:
        """The archive that begins with a piece; what the daemon says meanwhile is kept."""
        if not first:
            return
        yield first
        for stream, other, payload in self._frames:
            if stream == _PROGRESS:
                self._text += payload
            elif other != number:
                raise DataLoss("the archives of two outputs are mixed up")
            elif not payload:
                return
            else:
                yield payload
        raise _Broken


class _Broken(Exception):
    """The answer has ended in the middle of an archive."""


def _frames(pieces: Iterator[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(stream, number of the output, payload). DataLoss for what is no frame."""
    data = bytearray()
    for piece in pieces:
        data += piece
        at = 0
        while len(data) - at >= _HEAD:
            stream, size = data[at], int.from_bytes(data[at + 4 : at + _HEAD], "big")
            if stream not in (_ARCHIVE, _PROGRESS) or size > _LARGEST_FRAME:
                raise DataLoss("the answer of the build has no frames")
            if len(data) - at - _HEAD < size:
                break
            yield stream, data[at + 1], bytes(data[at + _HEAD : at + _HEAD + size])
            at += _HEAD + size
        del data[:at]
    if data:
        raise DataLoss("unexpected EOF")
