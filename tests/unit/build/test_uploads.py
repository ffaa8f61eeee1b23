"""Contexts that wait for their builds."""

import asyncio
import threading

import pytest

from scow.build import uploads
from scow.build.nodes import Nodes
from scow.errors import NotFound


def test_what_nobody_takes_is_closed_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_PATIENCE", 0.0)
    closed: asyncio.Queue[threading.Thread] = asyncio.Queue()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        class Tree(Nodes):
            def close(self) -> None:
                loop.call_soon_threadsafe(closed.put_nowait, threading.current_thread())

        waiting = uploads.Uploads()
        id_ = waiting.add(Tree(), 7)
        assert await closed.get() is not threading.current_thread()
        with pytest.raises(NotFound):
            waiting.take(id_, 7)

    asyncio.run(main())


def test_a_context_is_its_users_alone_and_taken_once() -> None:
    async def main() -> None:
        waiting, tree = uploads.Uploads(), Nodes()
        id_ = waiting.add(tree, 7)
        for other in (8, None):
            with pytest.raises(NotFound):
                waiting.take(id_, other)
        assert waiting.take(id_, 7) is tree
        with pytest.raises(NotFound):
            waiting.take(id_, 7)

    asyncio.run(main())
