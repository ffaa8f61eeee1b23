"""The life of a container as one table: which event leads from which state to which.

Functions here are pure: a status and an event in, a new status out. An event that the table lacks is a `Conflict`.
"""

from dataclasses import replace

from scow.errors import Conflict
from scow.model.container import Container, Status

TRANSITIONS: dict[tuple[str, str], str] = {
    ("created", "start"): "running",
    ("created", "fail"): "created",
    ("created", "remove"): "removing",
    ("running", "exit"): "exited",
    ("running", "pause"): "paused",
    ("running", "restart"): "restarting",
    ("paused", "unpause"): "running",
    ("paused", "exit"): "exited",
    ("paused", "restart"): "restarting",
    ("restarting", "start"): "running",
    ("restarting", "fail"): "exited",
    ("restarting", "exit"): "exited",
    ("restarting", "remove"): "removing",
    ("exited", "start"): "running",
    ("exited", "fail"): "exited",
    ("exited", "remove"): "removing",
    ("dead", "remove"): "removing",
    ("removing", "remove"): "removing",
    ("removing", "break"): "dead",
}

RUNNING = frozenset({"running", "paused"})
"""States in which the container has processes."""


def advance(status: Status, event: str) -> str:
    """The state after `event`, or Conflict."""
    state = TRANSITIONS.get((status.state, event))
    if state is None:
        raise Conflict(f"cannot {event} a container that is {status.state}")
    return state


def started(status: Status, *, pid: int, at: int) -> Status:
    """Its first process runs with the host's `pid` since `at` (Unix ns)."""
    return replace(
        status,
        state=advance(status, "start"),
        pid=pid,
        started_at=at,
        finished_at=status.finished_at,
        exit_code=0,
        error="",
        oom_killed=False,
        stopped_by_user=False,
    )


def exited(status: Status, *, code: int, at: int, oom_killed: bool, restarting: bool) -> Status:
    """It ended; `restarting` when its restart policy will start it again."""
    return replace(
        status,
        state=advance(status, "restart" if restarting else "exit"),
        pid=0,
        exit_code=code,
        finished_at=at,
        oom_killed=oom_killed,
        endpoints=(),
        published=(),
        sandbox_id="",
    )


def failed(status: Status, *, code: int, error: str) -> Status:
    """A start did not succeed; the container is as startable as before."""
    return replace(
        status,
        state=advance(status, "fail"),
        pid=0,
        exit_code=code,
        error=error,
        endpoints=(),
        published=(),
        sandbox_id="",
    )


def should_restart(container: Container, code: int) -> bool:
    """Does the restart policy want it to run again after it ended with `code`?"""
    status, policy = container.status, container.host.restart_policy
    if status.stopped_by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    if policy.name == "on-failure":
        limit = policy.maximum_retry_count
        return code != 0 and (limit == 0 or status.restart_count < limit)
    return False
