"""Which things of the build cache go: floors, ceilings, filters."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.engine.builds.cache import CacheItem, PruneRequest, select
from scow.engine.context import Engine
from scow.errors import InvalidArgument

NOBODY = cast(Engine, None)  # the clock is asked for `until` alone


def item(number: int, size: int, *, shared: bool = False, in_use: bool = False, kind: str = "regular") -> CacheItem:
    return CacheItem(f"id{number}", kind, f"step {number}", size, 0, number, 1, in_use, shared, f"key{number}")


ITEMS = [item(1, 100), item(2, 200), item(3, 50, shared=True), item(4, 400, in_use=True), item(5, 300)]


def gone(request: PruneRequest, available: int = 0) -> list[str]:
    return [one.id for one in select(NOBODY, ITEMS, request, available)]


@pytest.mark.parametrize(
    ("request_", "available", "ids"),
    [
        (PruneRequest(), 0, ["id1", "id2", "id5"]),
        (PruneRequest(everything=True), 0, ["id1", "id2", "id3", "id5"]),
        (PruneRequest(reserved=1000), 0, []),
        (PruneRequest(reserved=900), 0, ["id1"]),
        (PruneRequest(reserved=899), 0, ["id1", "id2"]),
        (PruneRequest(most=950), 0, ["id1"]),
        (PruneRequest(most=100, reserved=800), 0, ["id1", "id2"]),
        (PruneRequest(most=2000), 0, []),
        (PruneRequest(free=500), 500, []),
        (PruneRequest(free=500), 350, ["id1", "id2"]),
        (PruneRequest(free=500, reserved=900), 0, ["id1"]),
        (PruneRequest(free=5000, most=900), 0, ["id1", "id2", "id5"]),
        (PruneRequest(filters={"id": ["id2"]}), 0, ["id2"]),
        (PruneRequest(filters={"type": ["exec.cachemount"]}), 0, []),
        (PruneRequest(everything=True, filters={"shared": ["true"]}), 0, ["id3"]),
        (PruneRequest(everything=True, filters={"private": ["true"]}), 0, ["id1", "id2", "id5"]),
        (PruneRequest(filters={"description": ["step 5"]}), 0, ["id5"]),
    ],
)
def test_what_goes(request_: PruneRequest, available: int, ids: list[str]) -> None:
    assert gone(request_, available) == ids


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(InvalidArgument, match="colour"):
        gone(PruneRequest(filters={"colour": ["red"]}))


sizes = st.integers(0, 2000)


@given(st.lists(st.integers(0, 500), max_size=8), sizes, sizes, sizes, sizes)
def test_floors_hold(each: list[int], reserved: int, most: int, free: int, available: int) -> None:
    present = [item(number, size) for number, size in enumerate(each)]
    removed = select(NOBODY, present, PruneRequest(True, reserved, most, free), available)
    left = sum(each) - sum(one.size for one in removed)
    if reserved or most or free:
        # the last one that went was over the line before it went
        assert not removed or left + removed[-1].size > reserved
        assert not most or left <= max(most, reserved)
        assert not free or left <= reserved or available + sum(each) - left >= free or left == 0
    else:
        assert left == 0
    assert removed == present[: len(removed)]  # those used longest ago
