"""In what the files of two archives differ."""

import hashlib
import os
from collections.abc import Iterable, Iterator

from scow.images.archive import entry as kinds
from scow.images.archive.entry import Entry
from scow.images.archive.reader import TarReader
from scow.model.verdict import Deviation, FileDeviation

Facts = dict[str, str]
"""What there is to know of a file, as texts by the words of model.verdict."""


def facts(reader: TarReader) -> dict[bytes, Facts]:
    """All files of an archive by name; of several with one name the last. Reads all contents."""
    return {entry.name: _facts(entry, reader) for entry in reader}


def _facts(entry: Entry, reader: TarReader) -> Facts:
    found = {
        "kind": entry.kind,
        "mode": f"{entry.mode:04o}",
        "owner": f"{entry.uid}:{entry.gid}",
        "mtime": _moment(entry.mtime),
        "target": os.fsdecode(entry.target),
        "attributes": " ".join(f"{key}={value.hex()}" for key, value in sorted((entry.xattrs or {}).items())),
    }
    if entry.kind == kinds.FILE:
        whole = hashlib.sha256(repr(entry.extents).encode() if entry.extents is not None else b"")
        for piece in reader.content():
            whole.update(piece)
        found["content"] = f"sha256:{whole.hexdigest()} ({entry.size} bytes)"
    elif entry.kind in (kinds.CHARACTER, kinds.BLOCK):
        found["device"] = f"{entry.major}:{entry.minor}"
    return found


def _moment(nanoseconds: int) -> str:
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{fraction:09d}".rstrip("0").rstrip(".")


def deviations(expected: dict[bytes, Facts], built: dict[bytes, Facts]) -> Iterator[FileDeviation]:
    """By path. A file of another kind differs in that alone."""
    for name in sorted(expected.keys() | built.keys()):
        found = tuple(_differing(expected.get(name), built.get(name)))
        if found:
            yield FileDeviation("/" + os.fsdecode(name), found)


def _differing(expected: Facts | None, built: Facts | None) -> Iterable[Deviation]:
    if expected is None or built is None:
        return [Deviation("extra" if expected is None else "missing")]
    if expected["kind"] != built["kind"]:
        return [Deviation("kind", expected["kind"], built["kind"])]
    names = dict.fromkeys((*expected, *built))
    pairs = ((name, expected.get(name, ""), built.get(name, "")) for name in names)
    return [Deviation(name, one, other) for name, one, other in pairs if one != other]
