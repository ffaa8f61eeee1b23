"""Work in a thread outlives nobody: who started it goes on only when it has ended, cancelled or not."""

import asyncio
import threading

import pytest

from scow.images.pipe import settled


def test_the_result_and_the_error_are_passed_on() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await settled(loop.run_in_executor(None, lambda: 1 // 0))
        return await settled(loop.run_in_executor(None, lambda: 3))

    assert asyncio.run(main()) == 3


def test_who_is_cancelled_waits_for_the_thread_and_gives_up_its_result() -> None:
    begun, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def work() -> str:
        begun.set()
        go_on.wait()
        seen.append("ended")
        return "made"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(settled(loop.run_in_executor(None, work), lambda made: seen.append(made)))
        await asyncio.to_thread(begun.wait)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        seen.append("told")

    asyncio.run(main())
    assert seen == ["ended", "made", "told"]
