"""Pulling an image: used by `pull` and by `run` for a missing image."""

from __future__ import annotations

from scow.cli.output import write_all
from scow.cli.progress import Progress
from scow.client import credentials
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.client.api import Response


def pull(session: Session, image: str, platform: str, out: int | None, every_tag: bool = False) -> Reference:
    """Pulls and shows the progress on descriptor `out` (None: not at all). Raises ProgressError for an error in the stream."""
    reference = Reference.parse(image) if every_tag else Reference.parse(image).with_default_tag()
    server = credentials.server_key(reference.domain)
    tag = str(reference.digest) if reference.digest is not None else reference.tag or ""
    params = [("fromImage", reference.familiar_name), ("tag", tag)]
    if platform:
        params.append(("platform", platform))
    headers = credentials.header(credentials.load(session.config, server), server)
    show(session.client.call("POST", "/images/create", params, None, headers), out)
    return reference


def show(response: Response, out: int | None) -> None:
    """Writes a progress stream. Raises ProgressError for an error in it."""
    width = 0
    if out is not None:
        from scow.cli.terminal import is_terminal, size

        width = (size(out)[1] or 80) if is_terminal(out) else 0
    progress = Progress(width)
    for message in response.values():
        text = progress.feed(message)
        if out is not None and text:
            write_all(out, text.encode("utf-8", "replace"))
