"""Volume names become directories: Docker's grammar, Docker's sentences (recorded from dockerd 26.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.volumes.local import check_name

INVALID = (
    'create {0}: "{0}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
    "allowed. If you intended to pass a host directory, use absolute path"
)


@pytest.mark.parametrize("name", ["ab", "A1", "a.b-c_d", "0" * 64, "x" * 255])
def test_valid(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["x/y", ".xy", "..", "-ab", "_ab", "a b", "a\n", "a\0b", "ü1", "../../etc", "a/", "/abs", "x" * 256]
)
def test_invalid(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_name(name)
    assert caught.value.message == INVALID.format(name[:255])


def test_too_short() -> None:
    with pytest.raises(InvalidArgument, match="volume name is too short, names should be at least two"):
        check_name("x")


@given(st.text(max_size=40))
def test_what_is_valid_is_one_plain_component(name: str) -> None:
    try:
        check_name(name)
    except InvalidArgument:
        return
    assert name.isascii() and "/" not in name and not name.startswith(".") and len(name) >= 2
