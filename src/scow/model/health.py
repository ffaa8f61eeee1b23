"""Health of a container: what a check is, what its results make of it. Nothing here knows the time or runs anything.

Times are Unix nanoseconds, durations nanoseconds. The rules are those of dockerd 26.
"""

from dataclasses import dataclass, replace

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
ACTIONS = frozenset({"", "none", "kill", "restart", "stop"})
"""What can be done to a container that becomes unhealthy; "" is none."""

_KEPT = 5
_OUTPUT = 4096
_SECOND = 10**9
_INTERVAL = 30 * _SECOND
_TIMEOUT = 30 * _SECOND
_START_INTERVAL = 5 * _SECOND
_RETRIES = 3
_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A health check as image or user gave it. `test` is Docker's list: ("NONE",), ("CMD", …) or ("CMD-SHELL", …).

    0 stands for the default: interval and timeout 30 s, start interval 5 s, no start period, 3 retries.
    """

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class HealthResult:
    """One run of the check. exit_code is -1 when it could not be run or took too long."""

    start: int
    end: int
    exit_code: int
    output: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """status: starting, healthy, unhealthy. failing_streak: failures in a row that count. log: the last five results."""

    status: str = STARTING
    failing_streak: int = 0
    log: tuple[HealthResult, ...] = ()


def command(check: HealthCheck | None, shell: tuple[str, ...]) -> tuple[str, ...] | None:
    """The words to execute; None when there is nothing to check. `shell` is the image's, () for the usual one."""
    if check is None or not check.test:
        return None
    kind, rest = check.test[0], check.test[1:]
    if kind == "CMD":
        return rest
    if kind == "CMD-SHELL":
        return (*(shell or _SHELL), *rest)
    return None


def merge(given: HealthCheck | None, image: HealthCheck | None) -> HealthCheck | None:
    """The user's check over the image's, field by field."""
    if given is None or image is None:
        return given or image
    return HealthCheck(
        test=given.test or image.test,
        interval=given.interval or image.interval,
        timeout=given.timeout or image.timeout,
        start_period=given.start_period or image.start_period,
        start_interval=given.start_interval or image.start_interval,
        retries=given.retries or image.retries,
    )


def started(previous: Health | None) -> Health:
    """The container has been started: nothing is known, the old results are still shown."""
    return Health(log=previous.log if previous else ())


def stopped(health: Health | None) -> Health | None:
    """Nobody checks any more (it ended, or it is paused): then Docker calls it unhealthy."""
    return None if health is None else replace(health, status=UNHEALTHY)


def judged(health: Health, check: HealthCheck, result: HealthResult, started_at: int) -> Health:
    """What a result makes of it. Failures of a container that was never healthy count only after the start period."""
    log = (*health.log[-(_KEPT - 1) :], result)
    if result.exit_code == 0:
        return Health(HEALTHY, 0, log)
    if health.status == STARTING and result.start - started_at < check.start_period:
        return replace(health, log=log)
    streak = health.failing_streak + 1
    status = UNHEALTHY if streak >= (check.retries or _RETRIES) else health.status
    return Health(status, streak, log)


def pause(health: Health, check: HealthCheck, started_at: int, now: int) -> int:
    """How long to wait, from the end of one run (or the start of the container) to the next."""
    if health.status == STARTING and now - started_at < check.start_period:
        return check.start_interval or _START_INTERVAL
    return check.interval or _INTERVAL


def timeout(check: HealthCheck) -> int:
    """How long one run may take."""
    return check.timeout or _TIMEOUT


def clip(output: bytes) -> str:
    """A run's output as it is kept: 4096 bytes, and three dots for what was more."""
    text = output[:_OUTPUT].decode("utf-8", "replace")
    return text + "..." if len(output) > _OUTPUT else text


OUTPUT_LIMIT = _OUTPUT + 1
"""So many bytes of a run's output are worth keeping until `clip`."""


def late(check: HealthCheck, output: str) -> str:
    """The output of a run that took too long."""
    text = f"Health check exceeded timeout ({duration(timeout(check))})"
    return f"{text}: {output}" if output else text


def duration(ns: int) -> str:
    """A duration as Go writes it: 1m30s, 1.5s, 200ms."""
    if ns < _SECOND:
        for unit, size in (("ms", 10**6), ("µs", 10**3)):
            if ns >= size:
                return f"{_decimal(ns, size)}{unit}"
        return f"{ns}ns" if ns else "0s"
    minutes, rest = divmod(ns, 60 * _SECOND)
    seconds = f"{_decimal(rest, _SECOND)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value: int, size: int) -> str:
    whole, fraction = divmod(value, size)
    digits = str(fraction).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
