"""Contexts that come before the build that uses them."""

import asyncio
from collections.abc import AsyncIterator

from scow import background
from scow.build.request import BuildRequest
from scow.engine.context import Engine


async def propose(engine: Engine, request: BuildRequest, uid: int, name: str, manifest: bytes) -> tuple[str, list[int]]:
    """(the id of the context, the numbers of the files that are still needed)."""
    return await engine.builder.propose(request, uid, name, manifest)


async def complete(engine: Engine, id_: str, uid: int, contents: AsyncIterator[bytes]) -> str:
    """The id from now on. After an error the context is gone."""
    return await engine.builder.complete(id_, uid, contents)


async def whole(engine: Engine, uid: int | None, archive: AsyncIterator[bytes]) -> str:
    """The id of a context that comes as an archive."""
    context = await engine.builder.receive(archive)
    try:
        return engine.builder.uploads.add(context, uid)
    except BaseException:
        await background.complete(asyncio.to_thread(context.close), "build-context")
        raise
