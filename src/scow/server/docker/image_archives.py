"""Routes that send and take archives of images."""

from collections.abc import AsyncIterator, Callable, Sequence

from scow.engine.images import load as loading
from scow.engine.images import save as saving
from scow.model.transfer import Sentence
from scow.server.docker.call import COMMON, Call
from scow.server.docker.platforms import platform_of
from scow.server.docker.progress import Step, answer

_TAR = COMMON + b"Content-Type: application/x-tar\r\n"


async def save(call: Call) -> None:
    """GET /images/get"""
    await _save(call, call.texts("names"))


async def save_one(call: Call) -> None:
    """GET /images/{name}/get"""
    await _save(call, [call.name])


async def _save(call: Call, names: Sequence[str]) -> None:
    pieces = saving.save(call.engine, names, platform_of(call))
    try:
        first = await anext(pieces)  # what cannot be saved fails here, with a status
        second = await anext(pieces)
        third = await anext(pieces)
        stream = call.stream(_TAR)
        await stream.write(first + second + third)
        async for piece in pieces:
            await stream.write(piece)
        await stream.end()
    finally:
        await pieces.aclose()


async def load(call: Call) -> None:
    """POST /images/load. As in Docker the answer is 200 and an error is its last line."""
    quiet = call.flag("quiet", True)
    platform = platform_of(call)

    async def work(tell: Callable[[Step], None]) -> None:
        for text in await loading.load(call.engine, _body(call), platform, _nothing if quiet else tell):
            tell(Sentence(text))

    await answer(call, work, "load", errors_in_stream=True)


def _nothing(step: object) -> None:
    """A quiet client wants no progress."""


async def _body(call: Call) -> AsyncIterator[bytes]:
    while chunk := await call.request.next_chunk():
        yield chunk
