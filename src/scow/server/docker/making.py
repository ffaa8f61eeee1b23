"""Routes that make images from containers and archives, and archives from containers."""

from collections.abc import AsyncIterator, Callable

from scow.api.config import Config
from scow.api.create import Id
from scow.engine.containers import commit as committing
from scow.engine.containers import export as exporting
from scow.engine.images import importing
from scow.errors import InvalidArgument
from scow.model.transfer import PullProgress
from scow.oci.platform import Platform
from scow.oci.reference import Reference
from scow.server.docker.call import COMMON, Call
from scow.server.docker.convert.create import to_config
from scow.server.docker.progress import Step, answer

_OCTETS = COMMON + b"Content-Type: application/octet-stream\r\n"


async def commit(call: Call) -> None:
    """POST /commit"""
    wire = await call.optional_json(Config)
    image = await committing.commit(
        call.engine,
        committing.CommitRequest(
            container=call.text("container"),
            name=new_name(call.text("repo"), call.text("tag")),
            author=call.text("author"),
            comment=call.text("comment"),
            changes=tuple(call.texts("changes")),
            config=None if wire is None or wire == Config() else to_config(wire),
            pause=call.flag("pause") if call.text("pause") else True,
        ),
    )
    call.send(Id(image.id), 201)


async def export(call: Call) -> None:
    """GET /containers/{id}/export"""
    pieces = exporting.export(call.engine, call.name)
    try:
        first = await anext(pieces)  # what fails here still has a status
        stream = call.stream(_OCTETS)
        await stream.write(first)
        async for piece in pieces:
            await stream.write(piece)
        await stream.end()
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


async def import_image(call: Call) -> None:
    """POST /images/create?fromSrc: the archive is the body (`-`), or what a URL leads to."""
    source = call.text("fromSrc")
    text = call.text("platform")
    platform = Platform.parse(text) if text else None
    if platform is not None and platform.os != "linux":
        raise InvalidArgument("operating system is not supported")
    request = importing.ImportRequest(
        source=source,
        name=new_name(call.text("repo"), call.text("tag")),
        message=call.text("message"),
        changes=tuple(call.texts("changes")),
        platform=platform,
    )
    new = importing.prepare(call.engine, request)

    async def work(tell: Callable[[Step], None]) -> None:
        archive = _body(call) if source == "-" else call.engine.images.fetch(source, tell)
        image = await importing.import_archive(call.engine, new, archive)
        tell(PullProgress(image.id))

    await answer(call, work, "import")


async def _body(call: Call) -> AsyncIterator[bytes]:
    while chunk := await call.request.next_chunk():
        yield chunk


def new_name(repo: str, tag: str) -> Reference | None:
    """`repo` and `tag` of a new image, None for an image without a name; a digest names no new image."""
    if not repo:
        return None
    reference = Reference.parse(repo)
    if reference.digest is not None:
        raise InvalidArgument("cannot import digest reference")
    return reference.with_tag(tag) if tag else reference.with_default_tag()
