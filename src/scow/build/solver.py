"""The whole of a build: the stages that the target needs, at the same time where they do not need each other."""

import asyncio
from dataclasses import replace

from scow.background import spawn
from scow.build import start
from scow.build.frontend.commands import Dockerfile
from scow.build.graph import Plan, Planned, plan, stage_index
from scow.build.output import Outputs, red
from scow.build.request import Tell
from scow.build.scope import Arguments, Scope, outer
from scow.build.stage import StageBuild
from scow.build.state import State
from scow.build.traces import Traces
from scow.build.work import Work
from scow.errors import InvalidArgument, ScowError
from scow.model.transfer import Sentence
from scow.oci.platform import host_platform


class Build:
    """One build of a parsed Dockerfile. Use: prepare (its errors have a status), then run once."""

    def __init__(self, work: Work, dockerfile: Dockerfile) -> None:
        request = work.request
        self._work = work
        self._dockerfile = dockerfile
        self._arguments = Arguments(request.arguments, request.platform or host_platform())
        self._outer = outer(self._arguments, dockerfile.arguments, dockerfile.escape)
        labels = sorted(request.labels.items())
        self.plan: Plan = plan(dockerfile, request.target, self._outer, labels, work.named.names)
        self._stages: dict[int, asyncio.Task[State]] = {}
        known = {word for stage in dockerfile.stages for word in (stage.name, str(stage.index))}
        if request.anew - known:
            raise InvalidArgument(f"no stage is called {min(request.anew - known)} (nocachefilter)")

    async def run(self, tell: Tell) -> State:
        """The state of the target. What fails is raised; nothing but cached steps is left of it then."""
        outputs: Outputs
        if self._work.request.trace:
            outputs = Traces(tell, self.plan)
        else:
            outputs = Outputs(tell, list(self.plan.stages), self.plan.steps)
        for warning in self._dockerfile.warnings:
            tell(Sentence(red(f"{warning}\n")))
        for number, argument in enumerate(() if self._work.request.trace else self._dockerfile.arguments, 1):
            tell(Sentence(f"Step {number}/{self.plan.steps} : {argument.text}"))
            tell(Sentence("\n"))
        await self._work.find_lenders(tell)
        for index in self.plan.stages:
            self._stages[index] = spawn(self._stage(index, outputs), f"stage-{index}", awaited=True)
        try:
            await asyncio.wait(self._stages.values(), return_when=asyncio.FIRST_EXCEPTION)
            failed = [
                task for task in self._stages.values() if task.done() and not task.cancelled() and task.exception()
            ]
            if failed:
                raise failed[0].exception() or AssertionError
        finally:
            for task in self._stages.values():
                task.cancel()
            await asyncio.gather(*self._stages.values(), return_exceptions=True)
        state = self._stages[self.plan.target].result()
        unused = self._arguments.unused()
        if unused:
            tell(Sentence(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed\n"))
        return state

    async def _stage(self, index: int, outputs: Outputs) -> State:
        planned = self.plan.stages[index]
        voice = outputs.voice(index)
        scope = Scope(self._arguments, self._outer.values, self._dockerfile.escape)

        async def others(name: str) -> State:
            given = self._work.named.image(name)
            if given is not None:
                return await start.image(self._work, given, "", voice)
            found = stage_index(self._dockerfile.stages[:index], name)
            if found is not None:
                return await self._solved(found)
            if name.isascii() and name.isdigit():
                why = "refers to current build stage" if name == str(index) else "index out of bounds"
                raise InvalidArgument(f"invalid from flag value {name}: {why}")
            try:
                return await start.image(self._work, name, "", voice)
            except ScowError as error:
                raise InvalidArgument(f"invalid from flag value {name}: {error.message}") from error

        async def base() -> State:
            if planned.start is not None:
                return await self._solved(planned.start)
            named = self._work.named
            tree = await named.tree(planned.image)
            if tree is not None:
                return await start.files(self._work, tree, planned.platform)
            image = named.image(planned.image) or planned.image
            return await start.image(self._work, image, planned.platform, voice)

        try:
            return await StageBuild(self._work_of(planned), planned, scope, voice, others).solve(base)
        except ScowError:
            if not any(task.done() and not task.cancelled() and task.exception() for task in self._stages.values()):
                voice.failed()
            raise

    def _work_of(self, planned: Planned) -> Work:
        """The build's work, without the cache for a stage that was named."""
        request, stage = self._work.request, planned.stage
        if not {stage.name, str(stage.index)} & request.anew:
            return self._work
        return replace(self._work, request=replace(request, use_cache=False))

    async def _solved(self, index: int) -> State:
        if index not in self._stages:
            raise InvalidArgument(f"stage {index} is named by a trigger of a base image, and is not built")
        return await asyncio.shield(self._stages[index])
