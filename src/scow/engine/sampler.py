"""One sampler for all containers: while somebody looks, it reads every watched container once a second, in one go, in a
thread. A container that is frozen, or whose monitor does not answer, costs what any other costs: only kernel files are
read.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from scow.background import idle, spawn
from scow.errors import ScowError
from scow.model import stats
from scow.model.stats import Machine, Sample

PERIOD = 1.0
_FRESH = 0.4  # a sample this old (s) and not older than two periods is good enough to compare with


@dataclass(frozen=True, slots=True)
class Subject:
    """What is read: `figures` gives (version, raw figures of the control group), pid is the init's, 0 when the host's
    network is used.
    """

    figures: Callable[[], tuple[int, dict[str, object]]]
    pid: int


Find = Callable[[str], "Subject | None | bool"]
"""Where a container is now: its subject, None while it does not run, False when it is gone."""


class Sampler:
    """Lifecycle: `watch` any number of times; reading goes on as long as somebody iterates."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._watchers: dict[str, set[asyncio.Queue[Sample | None | bool]]] = {}
        self._last: dict[str, Sample] = {}
        self._task: asyncio.Task[None] | None = None

    async def now(self, container_id: str) -> Sample | None:
        """One sample, at once. None when it does not run."""
        subject = self._find(container_id)
        if not isinstance(subject, Subject):
            return None
        return (await asyncio.to_thread(read, [(container_id, subject)])).get(container_id)

    async def before(self, container_id: str) -> Sample | None:
        """A sample of some time ago to compare with: one that is there, or one that is made now, a period before."""
        last = self._last.get(container_id)
        age = (time.time_ns() - last.read) / 1e9 if last else 0.0
        if last is not None and _FRESH <= age <= 2 * PERIOD:
            return last
        made = await self.now(container_id)
        await asyncio.sleep(PERIOD)
        return made

    async def watch(self, container_id: str) -> AsyncGenerator[Sample | None, None]:
        """A sample a period, the first at once; None while it does not run. Ends when the container is gone."""
        queue: asyncio.Queue[Sample | None | bool] = asyncio.Queue(2)
        self._watchers.setdefault(container_id, set()).add(queue)
        try:
            yield await self.now(container_id)
            if self._task is None or self._task.done():
                self._task = spawn(self._run(), "stats")
            while True:
                item = await queue.get()
                if isinstance(item, bool):
                    return
                yield item
        finally:
            left = self._watchers[container_id]
            left.discard(queue)
            if not left:
                del self._watchers[container_id]
                self._last.pop(container_id, None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + PERIOD
        while self._watchers:
            await idle(asyncio.sleep(max(0.0, due - loop.time())))
            due = max(due + PERIOD, loop.time())
            found = {id_: self._find(id_) for id_ in self._watchers}
            running = [(id_, subject) for id_, subject in found.items() if isinstance(subject, Subject)]
            samples = await asyncio.to_thread(read, running)
            self._last.update((id_, made) for id_, made in samples.items() if id_ in self._watchers)
            for id_, subject in found.items():
                for queue in self._watchers.get(id_, ()):
                    if queue.full():  # a slow reader gets the newest
                        queue.get_nowait()
                    queue.put_nowait(False if subject is False else samples.get(id_))


def read(subjects: Sequence[tuple[str, Subject]]) -> dict[str, Sample]:
    """Blocking, for a thread. What has ended meanwhile is left out."""
    machine = read_machine()
    result = {}
    for id_, subject in subjects:
        try:
            version, raw = subject.figures()
            networks = stats.interfaces(_text(f"/proc/{subject.pid}/net/dev")) if subject.pid else None
        except (OSError, ScowError):
            continue
        result[id_] = stats.sample(raw, version, machine, networks)
    return result


def read_machine() -> Machine:
    """What is true of the whole machine."""
    return Machine(
        read=time.time_ns(),
        system=stats.processor_time(_text("/proc/stat")),
        online=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )


def _text(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode("ascii", "replace")
