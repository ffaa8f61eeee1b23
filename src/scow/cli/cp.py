"""`scow cp`: files between a container and this machine."""

from __future__ import annotations

from scow.cli import cp_paths
from scow.cli.command import Command, Exit
from scow.cli.cp_paths import Place
from scow.cli.output import warn, write_all
from scow.cli.terminal import is_terminal
from scow.client.api import ApiError
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_DIRECTORY, _LINK = 1 << 31, 1 << 27  # Go's os.FileMode
_NO_DEVICE = ((1 << 26, "a device"), (1 << 19 | 1 << 24 | 1 << 25, "an irregular file"))
_OPTIONS: tuple[Option, ...] = (
    ("archive", "a", "bool", "", "Archive mode (copy all uid/gid information)"),
    ("follow-link", "L", "bool", "", "Always follow symbol link in SRC_PATH"),
    ("quiet", "q", "bool", "", "Suppress progress output during copy. Progress output is automatically suppressed if no "
     "terminal is attached"),
)  # fmt: skip


class _Counted:
    """Pieces on their way, counted."""

    def __init__(self) -> None:
        self.size = 0

    def over(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.size += len(piece)
            yield piece


def _copy(session: Session, flags: Flags, args: list[str]) -> int:
    for what, argument in zip(("source", "destination"), args, strict=True):
        if not argument:
            raise Exit(1, f"{what} can not be empty")
    (source, source_path), (target, target_path) = map(cp_paths.split_argument, args)
    if source and target:
        raise Exit(1, "copying between containers is not supported")
    if not source and not target:
        raise Exit(1, "must specify at least one container source")
    counted = _Counted()
    if source:
        to = _take(session, source, source_path, target_path, flags.on("follow-link"), counted)
    else:
        to = _put(session, target, target_path, source_path, flags, counted)
    if to and not flags.on("quiet") and is_terminal(2):
        from scow.cli.units import human_size

        warn(f"Successfully copied {human_size(counted.size)} to {to}")
    return 0


def _stat(session: Session, container: str, path: str) -> dict[str, Any]:
    """What is at a container's path. Raises ApiError."""
    response = session.client.call("HEAD", f"/containers/{quote(container)}/archive", [("path", path)])
    response.read()
    return _decode(response.head.headers.get("x-docker-container-path-stat", ""))


def _decode(header: str) -> dict[str, Any]:
    import binascii

    from scow.client import jsontext

    value = jsontext.decode(binascii.a2b_base64(header))
    return value if isinstance(value, dict) else {}


def _link_target(found: dict[str, Any], path: str) -> str:
    target = str(found.get("linkTarget") or "")
    return target if target.startswith("/") else cp_paths.clean_path(f"{cp_paths.split_last(path)[0]}/{target}")


def _take(session: Session, container: str, path: str, to: str, follow: bool, counted: _Counted) -> str:
    """From a container; the place to tell, "" when it went to stdout."""
    from scow.cli import cp_files

    destination = None if to == "-" else cp_files.destination_place(to)
    rebase = ""
    if follow:
        try:
            found = _stat(session, container, path)
        except ApiError:
            found = {}  # the copy will say it
        if int(found.get("mode", 0)) & _LINK:
            path, rebase = cp_paths.rebased(path, _link_target(found, path))
    response = session.client.call("GET", f"/containers/{quote(container)}/archive", [("path", path)])
    found = _decode(response.head.headers.get("x-docker-container-path-stat", ""))
    if destination is None:
        for piece in response.pieces():
            write_all(1, piece)
        return ""
    source = Place(path, True, bool(int(found.get("mode", 0)) & _DIRECTORY))
    directory, name = cp_paths.settle(source, destination)
    old = cp_paths.split_last(path)[1]
    name = name or rebase
    rename: Any = cp_paths.renamer(old, name) if name else None
    cp_files.extract(counted.over(response.pieces()), directory, rename)
    return cp_paths.clean_path(destination.path)


def _put(session: Session, container: str, path: str, source: str, flags: Flags, counted: _Counted) -> str:
    """Into a container."""
    from scow.cli import cp_files
    from scow.client.upload import from_descriptor, upload_written

    destination = _destination(session, container, path)
    params = [("noOverwriteDirNonDir", "true")]
    if flags.on("archive"):
        params.append(("copyUIDGID", "true"))
    if source == "-":
        if not destination.is_directory:
            raise Exit(1, f'destination "{container}:{path}" must be a directory')
        directory = destination.path
        read = from_descriptor(0)

        def write(send: Any) -> None:
            while piece := read():
                send(piece)
    else:
        place = cp_files.source_place(source, flags.on("follow-link"))
        directory, name = cp_paths.settle(place, destination)
        name = name or place.rebase or cp_paths.split_last(place.path)[1]

        def write(send: Any) -> None:
            def emit(piece: bytes) -> None:
                counted.size += len(piece)
                send(piece)

            cp_files.write(place, name, emit)

    url = f"/containers/{quote(container)}/archive"
    upload_written(session.client, "PUT", url, [("path", directory), *params], write).read()
    return "" if source == "-" else f"{container}:{path}"


def _destination(session: Session, container: str, path: str) -> Place:
    """Whatever fails here, the copy may succeed all the same, or says what is wrong."""
    place = Place(path)
    try:
        found = _stat(session, container, path)
        if int(found.get("mode", 0)) & _LINK:
            place.path = _link_target(found, path)
            found = _stat(session, container, place.path)
    except ApiError:
        return place
    mode = int(found.get("mode", 0))
    for bits, what in _NO_DEVICE:
        if mode & bits:
            raise Exit(1, f'destination "{container}:{path}" must be a directory or a regular file: got {what}')
    place.exists, place.is_directory = True, bool(mode & _DIRECTORY)
    return place


COMMAND = Command(
    _copy,
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t{path} [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem\n\n"
    "Use '-' as the source to read a tar archive from stdin\n"
    "and extract it to a directory destination in a container.\n"
    "Use '-' as the destination to stream a tar archive of a\n"
    "container source to stdout.",
    "container cp, cp",
    _OPTIONS,
    2,
    2,
)
