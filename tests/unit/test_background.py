"""Tasks in the background, and what becomes of them at the end."""

import asyncio

from scow.background import TaskSet


def test_draining_waits_for_work_and_not_for_those_who_wait() -> None:
    async def scenario() -> None:
        tasks, done = TaskSet(), []

        async def waits(then: str) -> None:
            await tasks.idle(asyncio.sleep(3600))
            done.append(then)

        async def works() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            done.append("work")
            await tasks.idle(asyncio.sleep(3600))  # now it has nothing to finish either
            done.append("never")

        waiting, working = tasks.spawn(waits("never"), "waits"), tasks.spawn(works(), "works")
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.drain(3600), 10)
        assert done == ["work"] and waiting.cancelled() and working.cancelled()

    asyncio.run(scenario())


def test_idle_gives_the_result() -> None:
    async def scenario() -> None:
        tasks = TaskSet()

        async def answer() -> int:
            return 42

        assert await tasks.spawn(tasks.idle(answer()), "asks") == 42
        await tasks.drain(1)

    asyncio.run(scenario())
