"""WWW-Authenticate headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.images.registry.challenge import Challenge, parse


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'Basic realm="a \\"b\\"", Bearer realm=c , service = d',
            [Challenge("basic", {"realm": 'a "b"'}), Challenge("bearer", {"realm": "c", "service": "d"})],
        ),
        ("Negotiate", [Challenge("negotiate")]),
        ("", []),
        ("=x", []),
        ('Bearer realm="open', [Challenge("bearer", {"realm": "open"})]),
    ],
)
def test_reads(header: str, expected: list[Challenge]) -> None:
    assert list(parse([header])) == expected


def test_the_first_of_a_repeated_parameter_counts() -> None:
    (challenge,) = parse(['Bearer realm="https://a",realm="https://b"'])
    assert challenge.parameters == {"realm": "https://a"}


def test_is_bounded() -> None:
    assert parse(["x" * 9000]) == ()
    assert len(parse(["Basic, " * 500])) <= 16


@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_text(headers: list[str]) -> None:
    for challenge in parse(headers):
        assert challenge.scheme == challenge.scheme.lower() and challenge.scheme
