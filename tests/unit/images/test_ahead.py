"""A source that runs ahead."""

import threading
from contextlib import closing

import pytest

from scow.errors import Cancelled
from scow.images.ahead import Ahead


def source(*items: bytes | Exception):  # type: ignore[no-untyped-def]
    left = list(items)

    def read() -> bytes:
        item = left.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    return read


def test_order_and_end() -> None:
    pieces = [bytes([number]) for number in range(1, 50)]
    with closing(Ahead(source(*pieces, b""))) as ahead:
        assert [ahead() for _ in pieces] == pieces
        assert ahead() == ahead() == b""


def test_errors_come_in_their_turn() -> None:
    with closing(Ahead(source(b"a", Cancelled("gone")))) as ahead:
        assert ahead() == b"a"
        for _ in range(2):
            with pytest.raises(Cancelled, match="gone"):
                ahead()


def test_close_ends_the_thread_wherever_it_is() -> None:
    before = threading.active_count()
    for taken in (0, 1, 3, 20):
        with closing(Ahead(lambda: b"x" * 10)) as ahead:
            for _ in range(taken):
                ahead()
        assert threading.active_count() == before
