"""POST /scow/build/verify: build an image once more and say whether it is the same."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from scow.engine.builds import build as building
from scow.errors import InvalidArgument
from scow.server.docker.build import body, read
from scow.server.docker.call import Call
from scow.server.docker.progress import Step, answer


async def verify(call: Call) -> None:
    """The parameters and the body of POST /build, and `image`. The last line has the verdict."""
    request = read(call)
    if not call.text("image"):
        raise InvalidArgument("an image is needed that is to be verified (image)")
    for name, given in (
        ("t", request.names),
        ("outputs", request.outputs),
        ("cachefrom", request.cache_from + request.cache_pulled),
    ):
        if given:
            raise InvalidArgument(f"a build that verifies an image has no {name}")
    request = replace(request, verify=call.text("image"), use_cache=False)

    async def work(tell: Callable[[Step], None]) -> None:
        left = await building.build(call.engine, request, body(call), tell, _nowhere, call.request.peer_uid)
        assert left.verdict is not None
        tell(left.verdict)

    await answer(call, work, "verify")


async def _nowhere(number: int, pieces: AsyncIterator[bytes]) -> None:
    """Nothing is kept."""
