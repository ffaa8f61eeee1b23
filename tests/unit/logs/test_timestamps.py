"""RFC 3339 with nanoseconds, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.logs.timestamps import format_fixed, format_trimmed, parse

NOW = 1795492516_601614638


@pytest.mark.parametrize(
    ("ns", "trimmed", "fixed"),
    [
        (NOW, "2026-11-24T03:55:16.601614638Z", "2026-11-24T03:55:16.601614638Z"),
        (NOW // 10**5 * 10**5, "2026-11-24T03:55:16.6016Z", "2026-11-24T03:55:16.601600000Z"),
        (NOW // 10**9 * 10**9, "2026-11-24T03:55:16Z", "2026-11-24T03:55:16.000000000Z"),
        (0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"),
    ],
)
def test_forms(ns: int, trimmed: str, fixed: str) -> None:
    assert (format_trimmed(ns), format_fixed(ns)) == (trimmed, fixed)
    assert parse(trimmed) == parse(fixed) == ns


def test_zones() -> None:
    assert parse("2026-11-24T05:55:16.601614638+02:00") == NOW
    assert parse("2026-11-23T22:25:16.601614638-05:30") == NOW
    assert parse("2026-11-24t03:55:16.6016146389z") == NOW


@given(st.integers(0, 253402300799 * 10**9))
def test_round_trip(ns: int) -> None:
    assert parse(format_trimmed(ns)) == parse(format_fixed(ns)) == ns


@given(
    st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*)?(Z|[+-]\d\d:\d\d)?", fullmatch=True)
)
def test_other_text_is_refused(text: str) -> None:
    try:
        parse(text)
    except ValueError:
        pass
