"""Update: other limits or another restart policy for a container that exists, running or not."""

from dataclasses import dataclass, replace

from scow.engine.containers import happenings
from scow.engine.context import Engine
from scow.engine.ports import Task
from scow.engine.spec import resources
from scow.errors import Conflict, ScowError
from scow.model.container import HostConfig, Resources, RestartPolicy


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """What is to change; a field that has its default stays as it is. pids_limit -1 takes the limit away."""

    resources: Resources = Resources()
    restart_policy: RestartPolicy | None = None


async def update(engine: Engine, name: str, request: UpdateRequest) -> None:
    """The change is durable when this returns, and in force when the container runs. On an error nothing is changed.

    InvalidArgument for values that can never be, Conflict for those that do not go with the container's own.
    """
    entry = engine.containers.find(name)
    _check_alone(request.resources)
    if request.restart_policy is not None:
        from scow.engine.containers import validate

        validate.check_policy(request.restart_policy, auto_remove=False)
    async with entry.lock:
        container = entry.container
        if entry.removing or container.status.state in ("removing", "dead"):
            raise Conflict(_sentence(container.id, 'Container is marked for removal and cannot be "update".'))
        try:
            merged = _merge(container.host, request)
        except ScowError as error:
            raise type(error)(_sentence(container.id, error.message)) from error
        changed = replace(
            container.host, resources=merged, restart_policy=request.restart_policy or container.host.restart_policy
        )
        before = container.host.resources
        if entry.task is not None and merged != before:
            try:
                await entry.task.limit(_changes(before, merged))
            except ScowError as error:
                await _put_back(entry.task, before, merged)
                raise type(error)(_sentence(container.id, error.message)) from error
        try:
            await engine.containers.store.set_record(replace(entry.container, host=changed))
        except ScowError:
            if entry.task is not None and merged != before:
                await _put_back(entry.task, before, merged)
            raise
        entry.container = replace(entry.container, host=changed)
    engine.export(entry.container)
    happenings.publish(engine, entry.container, "update")


def _check_alone(limits: Resources) -> None:
    """What can be said of the new values without the old ones, which may give the memory that belongs to a swap."""
    alone = limits if limits.memory else replace(limits, memory_swap=0)
    resources.check(HostConfig(resources=replace(alone, pids_limit=None)))


def _sentence(container_id: str, reason: str) -> str:
    return f"Cannot update container {container_id}: {reason}"


async def _put_back(task: Task, before: Resources, merged: Resources) -> None:
    """Some of the limits may be in force already: as far as possible they are the old ones again."""
    try:
        await task.limit(_changes(merged, before))
    except ScowError:
        pass


def _merge(host: HostConfig, request: UpdateRequest) -> Resources:
    """The old limits with what changes, by Docker's rules of what goes together."""
    old, new = host.resources, request.resources
    if new.nano_cpus:
        for word, value in (("CPU Period", old.cpu_period), ("CPU Quota", old.cpu_quota)):
            if value > 0:
                raise Conflict(f"Conflicting options: Nano CPUs cannot be updated as {word} has already been set")
    if old.nano_cpus:
        for word, value in (("CPU Period", new.cpu_period), ("CPU Quota", new.cpu_quota)):
            if value:
                raise Conflict(f"Conflicting options: {word} cannot be updated as NanoCPUs has already been set")
    if new.memory and not new.memory_swap and new.memory > old.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    policy = request.restart_policy
    if policy is not None and policy.name != "no" and host.auto_remove:
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    default = Resources()
    changes = {name: getattr(new, name) for name in Resources.__slots__ if getattr(new, name) != getattr(default, name)}
    if new.pids_limit is not None:
        changes["pids_limit"] = max(new.pids_limit, 0)
    merged = replace(old, **changes)
    resources.check(HostConfig(resources=merged))
    return merged


def _changes(before: Resources, after: Resources) -> dict[str, object]:
    """The runtime specification's words for the sections that differ."""
    old, new = resources.runtime_resources(before), resources.runtime_resources(after)
    if "pids" in old and "pids" not in new:
        new["pids"] = {"limit": -1}
    if "cpu" in old or "cpu" in new:
        cpu = new.setdefault("cpu", {})
        if "quota" in old.get("cpu", {}) and "quota" not in cpu:
            cpu["quota"] = -1
    return {name: section for name, section in new.items() if section != old.get(name)}
