"""`scow logs`: a container's output so far, and on."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.output import write_all
from scow.client.frames import Demultiplexer
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option
    from scow.client.api import Response

_WHEN = "a timestamp (2013-01-02T13:23:37Z) or relative (42m)"
_OPTIONS: tuple[Option, ...] = (
    ("details", "", "bool", "", "Show the extra attributes that were given to the log driver"),
    ("follow", "f", "bool", "", "Follow log output"),
    ("since", "", "string", "", f"Show logs since {_WHEN}"),
    ("tail", "n", "string", "all", "Number of lines to show from the end of the logs"),
    ("timestamps", "t", "bool", "", "Show timestamps"),
    ("until", "", "string", "", f"Show logs before {_WHEN}"),
)


def _logs(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("stdout", "1"), ("stderr", "1")]
    for name in ("since", "until"):
        if flags.text(name):
            from scow.cli.timestamps import for_api

            try:
                params.append((name, for_api(flags.text(name))))
            except ValueError as error:
                raise Exit(1, f'invalid value for "{name}": {error}') from None
    params += [(name, "1") for name in ("timestamps", "follow", "details") if flags.on(name)]
    params.append(("tail", flags.text("tail")))
    params.append(("merged", "1"))  # scow's daemon then sends frames of many lines; Docker's does not know the word
    response = session.client.call("GET", f"/containers/{quote(args[0])}/logs", params)
    if _is_raw(session, response, args[0]):
        for data in response.pieces():
            write_all(1, data)
        return 0
    frames = Demultiplexer()
    for data in response.pieces():
        for fd, piece in frames.feed(data):
            write_all(fd, piece)
    return 0


def _is_raw(session: Session, response: Response, name: str) -> bool:
    """Whether the container has a terminal, so that its log has no frames."""
    kind = response.head.headers.get("content-type", "")
    if session.client.at_least("1.42") and kind.startswith("application/vnd.docker."):
        return kind == "application/vnd.docker.raw-stream"
    return bool(session.client.get(f"/containers/{quote(name)}/json")["Config"]["Tty"])


COMMAND = Command(_logs, "[OPTIONS] CONTAINER", "Fetch the logs of a container", "container logs, logs", _OPTIONS, 1, 1)
