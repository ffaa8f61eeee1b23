"""Answers that tell progress line by line (pull, bootstrap): JSON objects, each ended by CR LF.

The head goes out with the first line: what fails before has its own status; what fails later is the last line.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from scow.api.image import (
    BuiltId,
    BuiltLine,
    BuiltMetadata,
    ErrorDetail,
    ErrorLine,
    MetadataAux,
    MetadataLine,
    Progress,
    ProgressDetail,
    Pushed,
    PushedLine,
    SentenceLine,
)
from scow.api.values import UNSET
from scow.background import spawn
from scow.build.request import StepFailed
from scow.engine.ports import PullProgress, PushedTag
from scow.errors import ScowError
from scow.model.transfer import Built, BuiltImage, Sentence, Vertex, VertexLog, VertexStatus
from scow.model.verdict import Verdict
from scow.server.docker.build_trace import trace
from scow.server.docker.call import Call, encode
from scow.server.docker.convert.verdict import verdict_line

Step = PullProgress | PushedTag | Sentence | Built | BuiltImage | Verdict | Vertex | VertexLog | VertexStatus
Work = Callable[[Callable[[Step], None]], Awaitable[object]]
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Writable(Protocol):
    """An answer that is written piece by piece; see http.request.Stream."""

    async def write(self, data: bytes) -> None: ...

    async def end(self) -> None: ...


class _Lines:
    """Lines to be written. Of one bar's steps only the newest is kept, so that a slow client costs no memory."""

    def __init__(self) -> None:
        self._waiting: dict[object, Step] = {}
        self._number = 0
        self.ready = asyncio.Event()

    def add(self, step: Step) -> None:
        self._number += 1
        measured = isinstance(step, PullProgress) and (step.total or step.current)
        key: object = (step.id, step.status) if isinstance(step, PullProgress) and measured else self._number
        self._waiting[key] = step
        self.ready.set()

    def take(self) -> bytes:
        waiting, self._waiting = self._waiting, {}
        self.ready.clear()
        return b"".join(line(step) for step in waiting.values())


async def answer(
    call: Call,
    work: Work,
    name: str,
    *,
    errors_in_stream: bool = False,
    open_stream: Callable[[], "Writable"] | None = None,
) -> None:
    """Run `work` with a progress callback and stream what it tells. The client's leaving cancels it.

    With `errors_in_stream` an error is a line of the answer also when it is the first one. `open_stream` begins an answer of
    another kind than lines alone; it may be called several times.
    """
    begin: Callable[[], Writable] = open_stream or call.stream
    call.request.cancel_when_left()
    lines = _Lines()
    loop = asyncio.get_running_loop()

    def tell(step: Step) -> None:
        loop.call_soon_threadsafe(lines.add, step)

    async def run() -> ScowError | None:
        try:
            await work(tell)
        except ScowError as error:  # an answer to the client, not a defect of the task
            return error
        return None

    task = spawn(run(), name)
    task.add_done_callback(lambda _: loop.call_soon(lines.ready.set))
    stream: Writable | None = None
    try:
        while not task.done():
            await lines.ready.wait()
            text = lines.take()
            if text:
                stream = stream or begin()
                await stream.write(text)
        await asyncio.sleep(0)  # what was told from threads just before the end
        text = lines.take()
        if text:
            stream = stream or begin()
            await stream.write(text)
        if errors_in_stream:
            stream = stream or begin()
        await _finish(begin, task.result(), stream)
    finally:
        task.cancel()


async def _finish(begin: Callable[[], Writable], error: ScowError | None, stream: Writable | None) -> None:
    if error is not None:
        if stream is None:
            raise error
        code = error.exit_code if isinstance(error, StepFailed) else UNSET
        last = ErrorLine(ErrorDetail(code, error.message), error.message)
        await stream.write(encode(last) + b"\r\n")
    await (stream or begin()).end()


def line(step: Step) -> bytes:
    """One step, as Docker writes it."""
    if isinstance(step, Sentence):
        return encode(SentenceLine(step.text)) + b"\r\n"
    if isinstance(step, Vertex | VertexLog | VertexStatus):
        return encode(trace(step)) + b"\r\n"
    if isinstance(step, Built):
        return encode(BuiltLine(BuiltId(step.image_id))) + b"\r\n"
    if isinstance(step, BuiltImage):
        found = BuiltMetadata(step.image_id, step.manifest, ",".join(step.names) or UNSET)
        return encode(MetadataLine(MetadataAux(found))) + b"\r\n"
    if isinstance(step, Verdict):
        return encode(verdict_line(step)) + b"\r\n"
    if isinstance(step, PushedTag):
        return encode(PushedLine(ProgressDetail(), Pushed(step.tag, step.digest, step.size))) + b"\r\n"
    wire = Progress(step.status)
    if step.id:
        wire.id = step.id
        if not step.status.startswith("Pulling from"):
            wire.progressDetail = ProgressDetail()
    if step.current or step.total:
        wire.progressDetail = ProgressDetail(step.current or UNSET, step.total or UNSET)
        wire.progress = bar(step.current, step.total)
    return encode(wire) + b"\r\n"


def bar(current: int, total: int) -> str:
    """`[====>    ]  1.2MB/3.4MB` with fifty places."""
    if total <= 0:
        return f"{human_size(current):>8}"
    done = min(current * 50 // total, 50)
    numbers = f"{human_size(current):>8}"
    if current <= total:
        numbers += f"/{human_size(total)}"
    return f"[{'=' * done}>{' ' * (50 - done)}] {numbers}"


def human_size(size: float) -> str:
    """Four significant digits and a decimal unit."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.4g}{_UNITS[unit]}"
