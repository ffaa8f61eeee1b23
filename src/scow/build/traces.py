"""What a build says to a client that shows its steps side by side: each step when it begins and ends, and its output at once."""

import hashlib
import secrets
import time
from collections.abc import Callable

from scow.build.frontend.commands import Add, Command, Copy, Run, Workdir
from scow.build.graph import Plan, Planned
from scow.build.output import Outputs, Voice
from scow.build.request import Tell, Told
from scow.model.transfer import PullProgress, Sentence, Vertex, VertexLog, VertexStatus

_SHOWN = (Add, Copy, Run, Workdir)
_NOTE = " ---> "
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"


class Traces(Outputs):
    """As Outputs, with a voice for each stage that tells vertices."""

    def __init__(self, tell: Tell, plan: Plan, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(tell, list(plan.stages), plan.steps)
        self._told = tell
        self._clock = clock
        nonce = secrets.token_hex(8)
        self._voices = {
            index: _Tracing(self, index, plan, nonce, clock, tell) for index, planned in plan.stages.items()
        }
        for voice in self._voices.values():
            voice.announce()

    def voice(self, stage: int) -> Voice:
        return self._voices[stage]

    def tell(self, stage: int, told: Told) -> None:
        self._told(told)


class _Tracing(Voice):
    """One stage's. Steps without a layer of their own are not shown, as in BuildKit."""

    def __init__(
        self, outputs: Outputs, stage: int, plan: Plan, nonce: str, clock: Callable[[], int], tell: Tell
    ) -> None:
        super().__init__(outputs, stage, plan.steps)
        planned = plan.stages[stage]
        names = _names(planned, len(plan.stages) > 1)
        self._vertices = {
            number: Vertex(f"sha256:{hashlib.sha256(f'{nonce} {number}'.encode()).hexdigest()}", name)
            for number, name in names.items()
        }
        self._emit = tell
        self._clock = clock
        self._now: Vertex | None = None
        self._cached = False

    def announce(self) -> None:
        for vertex in self._vertices.values():
            self._emit(vertex)

    def step(self, number: int, text: str) -> None:
        self._end()
        planned = self._vertices.get(number)
        if planned is not None:
            self._now = Vertex(planned.digest, planned.name, started=self._clock())
            self._emit(self._now)

    def cached(self) -> None:
        self._cached = True

    def now(self, image_id: str) -> None:
        self._end()

    def built(self, image_id: str) -> None:
        self._end()
        super().built(image_id)

    def failed(self) -> None:
        self._end(error="failed")

    def say(self, text: str) -> None:
        if self._now is not None and text and not text.removeprefix(_PLAIN).startswith(_NOTE):
            stream = 2 if text.startswith(_RED) else 1
            plain = text.replace(_RED, "").replace(_PLAIN, "")
            self._emit(VertexLog(self._now.digest, stream, plain, self._clock()))

    def tell(self, told: Told) -> None:
        if isinstance(told, PullProgress) and self._now is not None:
            self._emit(VertexStatus(self._now.digest, told.id, told.status, told.current, told.total, self._clock()))
        elif isinstance(told, Sentence):
            self.say(told.text)
        else:
            super().tell(told)

    def _end(self, error: str = "") -> None:
        vertex, self._now = self._now, None
        if vertex is not None:
            ended = Vertex(vertex.digest, vertex.name, vertex.started, self._clock(), self._cached, error)
            self._emit(ended)
        self._cached = False


def _names(planned: Planned, several: bool) -> dict[int, str]:
    """The shown steps by number, as BuildKit calls them: `[stage 2/3] RUN make`."""
    stage = planned.stage
    shown: list[tuple[int, Command]] = [(planned.first, stage.start)]
    shown += [
        (planned.first + 1 + at, command) for at, command in enumerate(planned.commands) if isinstance(command, _SHOWN)
    ]
    label = f"{stage.name or f'stage-{stage.index}'} " if several else ""
    width = len(str(len(shown)))
    return {
        number: f"[{label}{at:>{width}}/{len(shown)}] {command.text}" for at, (number, command) in enumerate(shown, 1)
    }
