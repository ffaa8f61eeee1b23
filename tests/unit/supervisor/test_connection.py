"""Requests and replies over one connection; the test is the other side."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scow.errors import NotFound, ScowError, StartFailure, Unavailable
from scow.monitor import wire
from scow.supervisor.connection import Connection, Lost, encode
from tests.harness import descriptors

Body = Callable[[Connection, socket.socket, list[Any]], Awaitable[None]]


def with_connection(body: Body) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        heard: list[Any] = []
        connection = Connection(ours, on_event=heard.append, on_lost=lambda: heard.append("lost"))
        async with asyncio.timeout(10):
            await body(connection, theirs, heard)
        connection.close()
        theirs.close()

    before = descriptors.opened()
    asyncio.run(main())
    descriptors.assert_no_new(before)


async def asked(theirs: socket.socket) -> tuple[wire.Message, list[int]]:
    while True:
        try:
            return wire.receive(theirs)
        except BlockingIOError:
            await asyncio.sleep(0)


def test_replies_find_their_requests_in_any_order() -> None:
    async def body(connection: Connection, theirs: socket.socket, heard: list[Any]) -> None:
        requests = [asyncio.create_task(connection.request({"op": str(i)})) for i in range(3)]
        messages = [(await asked(theirs))[0] for _ in range(3)]
        wire.send(theirs, {"event": "something"})
        for message in reversed(messages):
            wire.send(theirs, {"id": message["id"], "result": {"op": message["op"]}})
        assert await asyncio.gather(*requests) == [{"op": "0"}, {"op": "1"}, {"op": "2"}]
        assert heard == [{"event": "something"}]

    with_connection(body)


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        ({"error": {"code": "start_failure", "message": "why"}}, StartFailure, "why"),
        ({"error": {"code": "not_found", "message": "gone"}}, NotFound, "gone"),
        ({"error": 3}, Unavailable, "nonsense"),
        ({}, Unavailable, "nonsense"),
    ],
)
def test_refusals_are_errors_of_their_kind(reply: dict[str, Any], kind: type[ScowError], text: str) -> None:
    async def body(connection: Connection, theirs: socket.socket, heard: list[Any]) -> None:
        request = asyncio.create_task(connection.request({"op": "x"}))
        message, _ = await asked(theirs)
        wire.send(theirs, {"id": message["id"], **reply})
        with pytest.raises(kind, match=text):
            await request

    with_connection(body)


def test_the_end_is_told_to_all_who_wait_and_once() -> None:
    async def body(connection: Connection, theirs: socket.socket, heard: list[Any]) -> None:
        requests = [asyncio.create_task(connection.request({"op": "x"})) for _ in range(2)]
        await asked(theirs)
        wire.send(theirs, {"event": "last"})
        theirs.close()
        for request in requests:
            with pytest.raises(Lost):
                await request
        with pytest.raises(Lost):
            await connection.request({"op": "x"})
        assert heard == [{"event": "last"}, "lost"] and connection.closed

    with_connection(body)


def test_a_peer_that_does_not_read_is_waited_for() -> None:
    async def body(connection: Connection, theirs: socket.socket, heard: list[Any]) -> None:
        requests = [asyncio.create_task(connection.request({"text": "x" * 50_000})) for _ in range(40)]
        await asyncio.sleep(0.01)
        assert not any(request.done() for request in requests)
        for _ in range(40):
            message, _ = await asked(theirs)
            wire.send(theirs, {"id": message["id"], "result": {}})
        assert await asyncio.gather(*requests) == [{}] * 40

    with_connection(body)


def test_cancelled_requests_and_strange_replies_are_ignored() -> None:
    async def body(connection: Connection, theirs: socket.socket, heard: list[Any]) -> None:
        request = asyncio.create_task(connection.request({"op": "x"}))
        message, _ = await asked(theirs)
        request.cancel()
        await asyncio.sleep(0)
        wire.send(theirs, {"id": message["id"], "result": {}})
        wire.send(theirs, {"id": 999, "result": {}})
        theirs.send(b"garbage")
        again = asyncio.create_task(connection.request({"op": "y"}))
        message, _ = await asked(theirs)
        wire.send(theirs, {"id": message["id"], "result": {"fine": True}})
        assert await again == {"fine": True}

    with_connection(body)


def test_packets_of_descriptors() -> None:
    async def body(connection: Connection, theirs: socket.socket, heard: list[Any]) -> None:
        null = os.open("/dev/null", os.O_RDONLY)
        request = asyncio.create_task(connection.request({"fds": 5}, [[null] * 3, [null] * 2]))
        first, fds = await asked(theirs)
        _, more = await asked(theirs)
        assert (first["fds"], len(fds), len(more)) == (5, 3, 2)
        wire.close_all([*fds, *more, null])
        wire.send(theirs, {"id": first["id"], "result": {}})
        await request

    with_connection(body)


def test_any_text_can_be_encoded() -> None:
    assert encode({"a": "é"}) == '{"a":"é"}'.encode()
    assert encode({"a": "\ud800"}) == b'{"a":"\\ud800"}'
