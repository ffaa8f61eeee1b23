"""Contexts of a build are given back, whatever comes of it."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scow.build.export import Left
from scow.build.nodes import Nodes
from scow.build.request import BuildRequest
from scow.build.uploads import Uploads
from scow.engine.builds.build import build


class Tree(Nodes):
    def __init__(self, saving: threading.Event, go_on: threading.Event, closed: list["Tree"]) -> None:
        super().__init__()
        self._saving, self._go_on, self._closed = saving, go_on, closed

    def save(self) -> None:
        self._saving.set()
        assert self._go_on.wait(30)
        raise OSError(28, "no room")

    def close(self) -> None:
        self._closed.append(self)


def test_a_client_that_leaves_at_the_end_keeps_no_context_open() -> None:
    saving, go_on, closed = threading.Event(), threading.Event(), cast("list[Tree]", [])

    async def done(*_: object) -> Left:
        return Left("")

    async def main() -> None:
        uploads, trees = Uploads(), [Tree(saving, go_on, closed) for _ in range(3)]
        ids = [uploads.add(tree, 7) for tree in trees]
        engine: Any = SimpleNamespace(builder=SimpleNamespace(uploads=uploads, build=done))
        request = BuildRequest(context=ids[0], sent={"a": ids[1], "b": ids[2]}, contexts={"a": "", "b": ""})
        task = asyncio.create_task(build(engine, request, cast(Any, None), lambda _: None, cast(Any, None), 7))
        assert await asyncio.to_thread(saving.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set(closed) == set(trees) and len(closed) == 3

    asyncio.run(main())
