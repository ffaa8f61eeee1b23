"""What results make of a container's health, by the rules that dockerd 26 has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.model import health
from scow.model.health import HEALTHY, STARTING, UNHEALTHY, Health, HealthCheck, HealthResult

SECOND = 10**9
CHECK = HealthCheck(("CMD", "true"), start_period=10 * SECOND)


def result(code: int, start: int = 0) -> HealthResult:
    return HealthResult(start, start + 1, code)


def after(check: HealthCheck, *results: HealthResult) -> Health:
    known = Health()
    for item in results:
        known = health.judged(known, check, item, started_at=0)
    return known


def test_three_failures_in_a_row_make_it_unhealthy_and_one_success_healthy() -> None:
    late = 20 * SECOND
    assert after(CHECK, result(1, late), result(1, late)).status == STARTING
    assert after(CHECK, *[result(1, late)] * 3).status == UNHEALTHY
    assert after(CHECK, *[result(1, late)] * 3, result(0, late)) == Health(
        HEALTHY, 0, (*[result(1, late)] * 3, result(0, late))
    )


def test_failures_in_the_start_period_count_only_for_one_that_was_healthy() -> None:
    assert after(CHECK, *[result(1, SECOND)] * 9).failing_streak == 0
    assert after(CHECK, result(0, SECOND), *[result(1, SECOND)] * 3).status == UNHEALTHY


def test_a_paused_or_ended_container_is_unhealthy_and_a_started_one_keeps_its_log() -> None:
    known = after(CHECK, result(0))
    assert health.stopped(known) == Health(UNHEALTHY, 0, known.log)
    assert health.started(health.stopped(known)) == Health(STARTING, 0, known.log)
    assert health.stopped(None) is None


def test_the_start_interval_holds_as_long_as_it_is_starting() -> None:
    check = HealthCheck(("CMD", "x"), interval=7, start_interval=3, start_period=100)
    assert health.pause(Health(), check, started_at=0, now=50) == 3
    assert health.pause(Health(), check, started_at=0, now=100) == 7
    assert health.pause(Health(HEALTHY), check, started_at=0, now=50) == 7
    assert health.pause(Health(), HealthCheck(start_period=100), started_at=0, now=1) == 5 * SECOND
    assert health.pause(Health(), HealthCheck(), started_at=0, now=1) == 30 * SECOND


def test_commands() -> None:
    assert health.command(HealthCheck(("CMD", "a", "b")), ()) == ("a", "b")
    assert health.command(HealthCheck(("CMD-SHELL", "a b")), ()) == ("/bin/sh", "-c", "a b")
    assert health.command(HealthCheck(("CMD-SHELL", "a b")), ("bash", "-ec")) == ("bash", "-ec", "a b")
    for nothing in (None, HealthCheck(), HealthCheck(("NONE",))):
        assert health.command(nothing, ()) is None


def test_the_users_check_is_merged_with_the_images_field_by_field() -> None:
    image = HealthCheck(("CMD", "image"), interval=1, retries=2)
    assert health.merge(HealthCheck(interval=5), image) == HealthCheck(("CMD", "image"), interval=5, retries=2)
    assert health.merge(HealthCheck(("NONE",)), image).test == ("NONE",)  # type: ignore[union-attr]
    assert health.merge(None, image) is image


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"), (1, "1ns"), (1_500, "1.5µs"), (200_000_000, "200ms"), (SECOND, "1s"), (1_500_000_000, "1.5s"),
        (90 * SECOND, "1m30s"), (60 * SECOND, "1m0s"), (3600 * SECOND, "1h0m0s"),
    ],
)  # fmt: skip
def test_durations_are_written_as_go_writes_them(ns: int, text: str) -> None:
    assert health.duration(ns) == text


def test_output_is_cut() -> None:
    assert health.clip(b"x" * 4096) == "x" * 4096
    assert health.clip(b"x" * 4097) == "x" * 4096 + "..."
    assert health.clip(b"\xff") == "\ufffd"
    assert health.late(HealthCheck(timeout=SECOND), "") == "Health check exceeded timeout (1s)"
    assert health.late(HealthCheck(timeout=SECOND), "hi") == "Health check exceeded timeout (1s): hi"


@given(st.lists(st.tuples(st.sampled_from([0, 1, -1, 137]), st.integers(0, 30 * SECOND))), st.integers(0, 5))
def test_invariants(codes: list[tuple[int, int]], retries: int) -> None:
    check = HealthCheck(("CMD", "x"), start_period=10 * SECOND, retries=retries)
    known = Health()
    for code, start in codes:
        known = health.judged(known, check, result(code, start), 0)
        assert len(known.log) <= 5 and known.log[-1].exit_code == code
        assert (known.status == UNHEALTHY) == (known.failing_streak >= (retries or 3))
        assert code or known == Health(HEALTHY, 0, known.log)
