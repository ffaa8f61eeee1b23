"""Pulling an image: used by `pull` and by `run` for a missing image."""

from __future__ import annotations

from scow.cli.command import Exit
from scow.cli.output import write_all
from scow.cli.progress import Progress, ProgressError
from scow.client import credentials
from scow.errors import InvalidArgument
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.client.api import Response


def parse(image: str) -> Reference:
    """A reference that can be pulled, tag filled in. Raises Exit(1) with Docker's sentence."""
    try:
        return Reference.parse(image).with_default_tag()
    except InvalidArgument as error:
        raise Exit(1, error.message) from None


def pull(session: Session, image: str, platform: str, out: int | None, every: bool = False) -> Reference:
    """Pulls and shows the progress on descriptor `out` (None: not at all). Raises Exit(1) for errors in the stream."""
    reference = parse(image)
    server = credentials.server_key(reference.domain)
    params = [("fromImage", reference.familiar_name)]
    if not every:
        params.append(("tag", str(reference.digest) if reference.digest is not None else reference.tag or ""))
    if platform:
        params.append(("platform", platform))
    headers = credentials.header(credentials.load(session.config, server), server)
    show(session.client.call("POST", "/images/create", params, None, headers), out)
    return reference


def show(response: Response, out: int | None) -> None:
    """Writes a progress stream. Raises Exit(1) for an error in it."""
    width = 0
    if out is not None:
        from scow.cli.terminal import is_terminal, size

        width = (size(out)[1] or 80) if is_terminal(out) else 0
    progress = Progress(width)
    try:
        for message in response.values():
            text = progress.feed(message)
            if out is not None and text:
                write_all(out, text.encode("utf-8", "replace"))
    except ProgressError as error:
        raise Exit(1, str(error)) from None
