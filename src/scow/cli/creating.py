"""What `run` and `create` share: the create request, pulling a missing image, the id file."""

from __future__ import annotations

import posix

from scow.cli.command import Exit
from scow.cli.container_request import body
from scow.cli.output import warn
from scow.client.api import ApiError
from scow.errors import Conflict, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-./:_")


def _nothing() -> None:
    """What to do while the daemon works, when there is nothing."""


def build(session: Session, flags: Flags, args: list[str], console: tuple[int, int]) -> dict[str, Any]:
    """The request's body. Raises Exit(125) with the sentence and the hint at --help when options are wrong."""
    pull = flags.text("pull")
    if pull not in ("always", "missing", "never"):
        raise failure(session, f'invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"')
    try:
        return body(session, flags, args[0], args[1:], console)
    except ValueError as error:
        raise failure(session, str(error)) from None


def failure(session: Session, sentence: str, code: int = 125) -> Exit:
    """An error of `run` or `create`, worded as Docker's."""
    return Exit(code, f"{session.program}: {sentence}\n\nRun '{session.path} --help' for more information")


def create(session: Session, flags: Flags, request: dict[str, Any], meanwhile: Callable[[], None] = _nothing) -> str:
    """Creates the container, pulls its image when that is missing, and gives its id.

    `meanwhile` is called once while the daemon works. Raises ApiError and the client's other errors.
    """
    image = request["Image"]
    if not _PLAIN.issuperset(image) or not image:
        _check_reference(image)
    cidfile = _open_id_file(flags.text("cidfile"))
    done = False
    try:
        params = [(key, flags.text(key)) for key in ("name", "platform") if flags.changed(key)]
        if flags.text("pull") == "always":
            _pull(session, flags, image)
        exchange = session.client.send("POST", "/containers/create", params, request)
        meanwhile()
        try:
            answer = exchange.answer().json()
        except ApiError as error:
            if error.status != 404 or flags.text("pull") != "missing" or not error.message.startswith("No such image"):
                raise
            _pull_missing(session, flags, image)
            answer = session.client.post("/containers/create", params, request)
        for warning in answer.get("Warnings") or ():
            warn(f"WARNING: {warning}")
        identity = str(answer["Id"])
        if cidfile is not None:
            posix.write(cidfile, identity.encode())
        done = True
        return identity
    finally:
        if cidfile is not None:
            posix.close(cidfile)
            if not done:
                posix.unlink(flags.text("cidfile"))


def _check_reference(image: str) -> None:
    from scow.oci.reference import Reference

    if len(image) == 64 and all(c in "0123456789abcdef" for c in image):
        return
    try:
        Reference.parse(image)
    except InvalidArgument as error:
        if image[:7] != "sha256:":
            raise InvalidArgument(error.message) from None


def _open_id_file(path: str) -> int | None:
    if not path:
        return None
    try:
        return posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise Conflict(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from None
    except OSError as error:
        reason = f"open {path}: {(error.strerror or '').lower()}"
        raise InvalidArgument(f"failed to create the container ID file: {reason}") from None


def _pull_missing(session: Session, flags: Flags, image: str) -> None:
    from scow.oci.reference import Reference

    if not flags.on("quiet"):
        warn(f"Unable to find image '{Reference.parse(image).with_default_tag().familiar}' locally")
    _pull(session, flags, image)


def _pull(session: Session, flags: Flags, image: str) -> None:
    from scow.cli.pulling import pull

    pull(session, image, flags.text("platform"), out=None if flags.on("quiet") else 2)
