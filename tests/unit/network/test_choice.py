"""Which network a name means."""

import pytest

from scow.errors import Conflict, NotFound
from scow.model.network import Network
from scow.network.choice import find

FIRST, SECOND = Network("a" * 64, "first", "bridge"), Network("ab" * 32, "second", "bridge")
CALLED_LIKE_AN_ID = Network("c" * 64, FIRST.id, "bridge")


def test_a_name_comes_before_an_id() -> None:
    networks = [FIRST, SECOND, CALLED_LIKE_AN_ID]
    assert find(networks, FIRST.id) is CALLED_LIKE_AN_ID
    assert find(networks[:2], FIRST.id) is FIRST
    assert find(networks, "second") is SECOND


def test_a_prefix_must_mean_one() -> None:
    assert find([FIRST, SECOND], "aba") is SECOND
    with pytest.raises(Conflict, match="network a is ambiguous \\(2 matches"):
        find([FIRST, SECOND], "a")
    for name in ("", "d", "firs"):
        with pytest.raises(NotFound):
            find([FIRST, SECOND], name)
