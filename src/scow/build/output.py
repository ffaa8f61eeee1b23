"""What a build says, in the order of the Dockerfile although its stages run at the same time."""

from collections.abc import Sequence

from scow.build.request import Tell, Told
from scow.model.transfer import Built, Sentence


def red(text: str) -> str:
    """As the classic builder marks what is written to standard error."""
    return f"\x1b[91m{text}\x1b[0m"


class Outputs:
    """One voice for each stage. The first that is not done speaks at once, the others are written down until it is their
    turn.
    """

    def __init__(self, tell: Tell, stages: Sequence[int], steps: int) -> None:
        self._tell = tell
        self._steps = steps
        self._order = list(stages)
        self._waiting: dict[int, list[Told]] = {index: [] for index in stages}
        self._done: set[int] = set()

    def voice(self, stage: int) -> "Voice":
        return Voice(self, stage, self._steps)

    def tell(self, stage: int, told: Told) -> None:
        if self._order and self._order[0] == stage:
            self._tell(told)
        else:
            self._waiting[stage].append(told)

    def done(self, stage: int) -> None:
        """It says nothing more."""
        self._done.add(stage)
        while self._order and self._order[0] in self._done:
            del self._order[0]
            if self._order:
                self._speak(self._order[0])

    def fail(self, stage: int) -> None:
        """The stage has failed, and the build with it: what it has said is told now, nothing of the others."""
        if stage in self._order:
            self._speak(stage)
        self._order = []

    def _speak(self, stage: int) -> None:
        for told in self._waiting[stage]:
            self._tell(told)
        self._waiting[stage] = []


class Voice:
    """What one stage says."""

    def __init__(self, outputs: Outputs, stage: int, steps: int) -> None:
        self._outputs = outputs
        self._stage = stage
        self._steps = steps

    def tell(self, told: Told) -> None:
        self._outputs.tell(self._stage, told)

    def say(self, text: str) -> None:
        self.tell(Sentence(text))

    def step(self, number: int, text: str) -> None:
        self.say(f"Step {number}/{self._steps} : {text}")
        self.say("\n")

    def cached(self) -> None:
        self.say(" ---> Using cache\n")

    def now(self, image_id: str) -> None:
        """The stage is at this image; "" for nothing yet."""
        self.say(f" ---> {image_id.removeprefix('sha256:')[:12]}\n")

    def built(self, image_id: str) -> None:
        self.tell(Built(image_id))
        self._outputs.done(self._stage)

    def failed(self) -> None:
        self._outputs.fail(self._stage)
