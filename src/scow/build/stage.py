"""One stage of a build: its base, then instruction after instruction."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from scow.build import configure, history
from scow.build.cache import Step
from scow.build.configure import Settings
from scow.build.frontend import parser
from scow.build.frontend.commands import Add, Arg, Command, Copy, Healthcheck, Run, Workdir
from scow.build.graph import Planned
from scow.build.ops import add, copy, run, workdir
from scow.build.ops.mounts import Others, lent
from scow.build.output import Voice
from scow.build.scope import Scope
from scow.build.state import State
from scow.build.work import Work
from scow.errors import InvalidArgument
from scow.images.archive.writer import Emit


class StageBuild:
    """Solves one stage. `others` gives the state of what --from names: an earlier stage once it is done, else an image."""

    def __init__(self, work: Work, planned: Planned, scope: Scope, voice: Voice, others: Others) -> None:
        self._work = work
        self._planned = planned
        self._scope = scope
        self._voice = voice
        self._others = others

    async def solve(self, base: Callable[[], Awaitable[State]]) -> State:
        """The stage's last state. What it says ends with the id of its image."""
        number, voice = self._planned.first, self._voice
        voice.step(number, self._planned.stage.start.text)
        state = await base()
        state = await self._triggers(state)
        voice.now("" if state.base is None and not state.stepped else state.image_id)
        for command in self._planned.commands:
            number += 1
            voice.step(number, command.text)
            state = await self._step(command, state)
            voice.now(state.image_id)
        if state.base is None and not state.stepped:
            raise InvalidArgument("No image was generated. Is your Dockerfile empty?")
        voice.built(state.image_id)
        return state

    async def _triggers(self, state: State) -> State:
        """ONBUILD of the base, which counts once."""
        triggers = state.config.on_build
        if not triggers:
            return state
        self._voice.say(f"# Executing {len(triggers)} build trigger")
        self._voice.say("s" if len(triggers) > 1 else "")
        self._voice.say("\n")
        settings = replace(state.settings, config=replace(state.config, on_build=()))
        state = replace(state, settings=settings)
        for trigger in triggers:
            state = await self._step(parser.command(trigger), state)
        return state

    async def _step(self, command: Command, state: State) -> State:
        expanded = self._scope.expanded(command, state.config)
        if isinstance(expanded, Run):
            return await self._run(expanded, state)
        if isinstance(expanded, Copy | Add):
            return await self._copy(expanded, state)
        if isinstance(expanded, Arg):
            self._scope.declare(expanded)
        before = state.config.healthcheck
        if isinstance(expanded, Healthcheck) and before is not None and before.test and before.test[0] != "NONE":
            self._voice.say(f"Note: overriding previous HEALTHCHECK: [{' '.join(before.test)}]\n")
        settings = configure.apply(state.settings, expanded, self._work.check_signal)
        created_by = history.of(expanded, settings.config)
        if isinstance(expanded, Workdir):
            write = await self._work.run(workdir.missing, self._work, state, settings.config.working_dir)
            if write is not None:
                key = self._work.key("workdir", state.top, settings.config.working_dir)
                return await self._layer(key, state, created_by, settings, write)
        return self._set(state, settings, created_by)

    def _set(self, state: State, settings: Settings, created_by: str) -> State:
        """A step that makes no layer: only its time may come from the cache."""
        key = self._work.key("set", state.identity, created_by, repr(settings))
        found = self._work.find(key, state, created_by)
        if found is not None:
            self._voice.cached()
        step = found or self._work.remember(key, state, created_by, None)
        return state.step(created_by, step.stamp, None, settings, cached=found is not None)

    async def _run(self, command: Run, state: State) -> State:
        prepared = await run.prepare(self._work, command, state, self._scope, self._others)
        return await self._once(
            prepared.key,
            state,
            prepared.created_by,
            state.settings,
            lambda: run.run(self._work, prepared, state, self._voice.say),
            lends=all(mount.kind != "bind" for mount in command.mounts),
        )

    async def _copy(self, command: Copy | Add, state: State) -> State:
        work = self._work
        if isinstance(command, Add):
            copied = await add.gather(work, state, command)
        else:
            tree = await lent(work, command.origin, self._others) if command.origin is not None else None
            copied = await work.run(copy.gather, work, state, command, tree)
        state = state.after(copied.newest)
        key = work.key("copy", state.top, copied.digest)
        return await self._layer(
            key, state, copy.created_by(state, command, copied), state.settings, copied.files.write
        )

    async def _layer(
        self, key: str, state: State, created_by: str, settings: Settings, write: Callable[[int, bool, Emit], None]
    ) -> State:
        """A step whose layer `write` writes, given its time and whether that was asked for."""
        timed = partial(write, self._work.stamp(state), self._work.request.stamp is not None)
        return await self._once(
            key, state, created_by, settings, lambda: self._work.layer(key, state, created_by, timed)
        )

    async def _once(
        self,
        key: str,
        state: State,
        created_by: str,
        settings: Settings,
        make: Callable[[], Coroutine[Any, Any, Step]],
        *,
        lends: bool = True,
    ) -> State:
        step, cached = await self._work.once(key, state, created_by, make, lends=lends)
        if cached:
            self._voice.cached()
        return state.step(created_by, step.stamp, step.layer, settings, cached=cached)
