"""Which stages a target needs, and the numbers of the steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from scow.build.frontend.commands import Command, Copy, Dockerfile, Label, Run, Stage
from scow.build.scope import Scope
from scow.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Planned:
    """A stage to be solved: `first` is the number of its FROM; `image` its base with the arguments replaced.

    `start`: the index of the stage that it goes on from, None for an image.
    """

    stage: Stage
    commands: tuple[Command, ...]
    first: int
    image: str
    platform: str
    start: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages by index, in the file's order; `target` is the index of the last one. `steps` counts all."""

    stages: dict[int, Planned]
    target: int
    steps: int


def find_target(dockerfile: Dockerfile, target: str) -> int:
    """By name (case does not count) or index; "" is the last one."""
    if not target:
        return len(dockerfile.stages) - 1
    found = stage_index(dockerfile.stages, target)
    if found is None:
        raise InvalidArgument(f'target stage "{target}" could not be found')
    return found


def stage_index(stages: Sequence[Stage], name: str) -> int | None:
    """The last stage of that name, or the one with that index."""
    lower = name.lower()
    for stage in reversed(stages):
        if stage.name and stage.name == lower:
            return stage.index
    if name.isascii() and name.isdigit() and len(name) < 10 and int(name) < len(stages):
        return int(name)
    return None


def plan(
    dockerfile: Dockerfile,
    target: str,
    scope: Scope,
    labels: Sequence[tuple[str, str]],
    contexts: frozenset[str] = frozenset(),
) -> Plan:
    """Everything that the target needs, and nothing else. `scope` is the one before the first FROM; `labels` are put on the
    target. `contexts`: names that stand for something else than a stage.
    """
    last = find_target(dockerfile, target)
    stages = dockerfile.stages[: last + 1]
    _check_names(stages)
    bases = {stage.index: _base(stage, stages, scope, contexts) for stage in stages}
    needed: set[int] = set()
    waiting = [last]
    while waiting:
        index = waiting.pop()
        if index in needed:
            continue
        needed.add(index)
        start = bases[index][2]
        waiting.extend(_dependencies(stages[index], stages, start, contexts))
    extra = tuple(Label(0, f"LABEL {name}={value}", ((name, value),)) for name, value in labels)
    number = len(dockerfile.arguments) + 1
    planned: dict[int, Planned] = {}
    for index in sorted(needed):
        commands = stages[index].commands + (extra if index == last else ())
        image, platform, start = bases[index]
        planned[index] = Planned(stages[index], commands, number, image, platform, start)
        number += 1 + len(commands)
    return Plan(planned, last, number - 1)


def _check_names(stages: Sequence[Stage]) -> None:
    seen: set[str] = set()
    for stage in stages:
        if stage.name and stage.name in seen:
            raise InvalidArgument(f"{stage.name} stage name already used")
        seen.add(stage.name)


def _base(stage: Stage, stages: Sequence[Stage], scope: Scope, contexts: frozenset[str]) -> tuple[str, str, int | None]:
    expanded = scope.expanded(stage.start, None)
    if not expanded.image:
        raise InvalidArgument(f"base name ({stage.start.image}) should not be blank")
    start = next((one.index for one in reversed(stages[: stage.index]) if one.name == expanded.image.lower()), None)
    if expanded.image.lower() in contexts:
        start = None
    return expanded.image, expanded.platform or "", start


def _dependencies(stage: Stage, stages: Sequence[Stage], start: int | None, contexts: frozenset[str]) -> list[int]:
    before = stages[: stage.index]
    names = [command.origin for command in stage.commands if isinstance(command, Copy) and command.origin]
    names += [mount.origin for command in stage.commands if isinstance(command, Run) for mount in command.mounts]
    names = [name for name in names if name and name.lower() not in contexts]
    found = [index for name in names if (index := stage_index(before, name)) is not None]
    return found if start is None else [*found, start]
