"""Detach keys in a stream of typing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.monitor.detach import DetachKeys

KEYS = b"\x10\x11"


@pytest.mark.parametrize(
    ("typed", "passed", "left"),
    [
        ([b"hello"], b"hello", False),
        ([b"a\x10\x11b"], b"a", True),
        ([b"a\x10", b"\x11b"], b"a", True),
        ([b"a\x10", b"b"], b"a\x10b", False),
        ([b"\x10", b"\x10", b"\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_sequences(typed: list[bytes], passed: bytes, left: bool) -> None:
    keys = DetachKeys(KEYS)
    out, done = b"", False
    for data in typed:
        more, done = keys.feed(data)
        out += more
        if done:
            break
    assert (out, done) == (passed, left)


def test_no_keys_never_detach() -> None:
    assert DetachKeys(b"").feed(b"\x10\x11") == (b"\x10\x11", False)


@given(st.binary(min_size=1, max_size=4), st.lists(st.binary(max_size=5), max_size=12))
def test_against_the_obvious_way(keys: bytes, typed: list[bytes]) -> None:
    detach = DetachKeys(keys)
    out, left = b"", False
    for data in typed:
        more, left = detach.feed(data)
        out += more
        if left:
            break
    everything = b"".join(typed)
    found = everything.find(keys)
    if found >= 0:
        assert left and out == everything[:found]
    else:
        assert not left and out + detach.flush() == everything
