"""Connections: one request after the other, streams, clients that leave, and connections that are given away."""

import asyncio
import gc
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from scow.server.http import connection as connections
from scow.server.http import request as requests
from scow.server.http.head import BadMessage
from scow.server.http.request import Request
from tests.unit.server.front import Front, request, served


async def echo(req: Request) -> None:
    body = await req.read(1 << 20)
    req.send(200, f"{req.method} {req.path} {req.query} ".encode() + body)


def test_keep_alive_and_pipelining(tmp_path: Path) -> None:
    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(request("POST", "/a?x=1", raw=b"one") + request("GET", "/b") + b"\r\n" + request("GET", "/c"))
        assert [(await wire.answer()).body for _ in range(3)] == [b"POST /a x=1 one", b"GET /b  ", b"GET /c  "]
        await wire.send(request("GET", "/d", headers={"Connection": "close"}))
        answer = await wire.answer()
        assert (answer.headers["connection"], await wire.rest()) == ("close", b"")

    served(tmp_path, echo, scenario)


def test_a_request_in_single_bytes(tmp_path: Path) -> None:
    async def scenario(front: Front) -> None:
        wire = await front.connect()
        whole = b"POST /x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        for index in range(len(whole)):
            await wire.send(whole[index : index + 1])
            await asyncio.sleep(0)
        assert (await wire.answer()).body == b"POST /x  abcde"

    served(tmp_path, echo, scenario)


def test_head_has_a_length_and_no_body(tmp_path: Path) -> None:
    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(request("HEAD", "/x") + request("GET", "/y"))
        assert (await wire.answer(bodiless=True)).headers["content-length"] == "9"
        assert (await wire.answer()).body == b"GET /y  "

    served(tmp_path, echo, scenario)


def test_http_1_0_gets_a_close_and_no_chunks(tmp_path: Path) -> None:
    async def stream(req: Request) -> None:
        out = req.stream(200)
        await out.write(b"abc")
        await out.end()

    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = await wire.answer()
        assert (answer.body, answer.headers.get("transfer-encoding")) == (b"abc", None)

    served(tmp_path, stream, scenario)


@pytest.mark.parametrize("bad", [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: d\r\nX : y\r\n\r\n", b"a" * (70 << 10)])
def test_what_is_not_http_is_told_and_cut(tmp_path: Path, bad: bytes) -> None:
    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(bad)
        answer = await wire.answer()
        assert answer.status in (400, 431)
        assert answer.message
        assert await wire.rest() == b""

    served(tmp_path, echo, scenario)


def test_a_body_over_the_limit_is_413_and_never_executed(tmp_path: Path) -> None:
    """CVE-2026-34040: over the limit means refused, not cut."""
    executed: list[bytes] = []

    async def handler(req: Request) -> None:
        executed.append(await req.read(100))
        req.send(204)

    async def scenario(front: Front) -> None:
        for body in (
            b"Content-Length: 101\r\n\r\n" + b"x" * 101,
            b"Transfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101,
        ):
            wire = await front.connect()
            await wire.send(b"POST / HTTP/1.1\r\nHost: d\r\n" + body)
            assert (await wire.answer()).status == 413
        assert executed == []
        assert (await front.ask("POST", "/", raw=b"x" * 100)).status == 204

    served(tmp_path, handler, scenario)


def test_expect_continue(tmp_path: Path) -> None:
    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(b"ok")
        assert (await wire.answer()).body.endswith(b"ok")

    served(tmp_path, echo, scenario)


def test_slow_heads_and_bodies_time_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.05)
    monkeypatch.setattr(connections, "BODY_TIMEOUT", 0.05)
    monkeypatch.setattr(connections, "IDLE_TIMEOUT", 0.05)

    async def scenario(front: Front) -> None:
        for start in (b"GET / HT", b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nab"):
            wire = await front.connect()
            await wire.send(start)
            assert (await wire.answer()).status == 408
        idle = await front.connect()
        assert await idle.rest() == b""

    served(tmp_path, echo, scenario)


def test_a_body_in_drips_times_out_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "READ_TIMEOUT", 0.1)

    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            await wire.send(b"x")
            await asyncio.sleep(0.005)
            if wire.reader._buffer:  # type: ignore[attr-defined]
                break
        assert (await wire.answer()).status == 408

    served(tmp_path, echo, scenario)


def test_a_stream_is_cancelled_when_its_client_leaves(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def endless(req: Request) -> None:
        stream = req.stream(200)
        try:
            while True:
                await stream.write(b"x")
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(request("GET", "/"))
        await wire.head()
        wire.close()
        await asyncio.wait_for(ended.wait(), 5)

    served(tmp_path, endless, scenario)


def test_work_goes_on_when_its_client_leaves_but_for_streams(tmp_path: Path) -> None:
    done: list[str] = []
    go = asyncio.Event()

    async def stop(req: Request) -> None:
        await go.wait()
        done.append(req.path)
        req.send(204)

    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(request("POST", "/stop"))
        wire.close()
        await asyncio.sleep(0.02)
        go.set()
        for _ in range(100):
            if done:
                return
            await asyncio.sleep(0.005)
        raise AssertionError("the stop was dropped")

    served(tmp_path, stop, scenario)


def test_who_has_left_is_not_known_any_more(tmp_path: Path) -> None:
    told: list[object] = []

    async def who(req: Request) -> None:
        told.append(req.peer_uid)
        req._connection._transport.abort()
        await asyncio.sleep(0.02)
        try:
            told.append(req.peer_uid)
        except (OSError, requests.Disconnected) as error:
            told.append(type(error))

    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(request("POST", "/who"))
        while len(told) < 2:
            await asyncio.sleep(0.005)
        assert told == [os.getuid(), requests.Disconnected]

    served(tmp_path, who, scenario)


def test_a_half_closed_client_gets_its_answer(tmp_path: Path) -> None:
    async def slow(req: Request) -> None:
        await asyncio.sleep(0.02)
        req.send(200, b"late")

    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(request("GET", "/"))
        wire.writer.write_eof()
        assert (await wire.answer()).body == b"late"
        assert await wire.rest() == b""

    served(tmp_path, slow, scenario)


def test_a_client_that_does_not_read_holds_the_writer(tmp_path: Path) -> None:
    written = 0

    async def flood(req: Request) -> None:
        nonlocal written
        stream = req.stream(200)
        for _ in range(2000):
            await stream.write(b"x" * 65536)
            written += 65536

    async def scenario(front: Front) -> None:
        sock = front.plain()
        sock.sendall(request("GET", "/"))
        await asyncio.sleep(0.2)
        assert written < 4 << 20
        sock.close()

    served(tmp_path, flood, scenario)


def test_an_unread_body_is_held_back(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def handler(req: Request) -> None:
        started.set()
        await asyncio.sleep(0.2)
        size = 0
        while chunk := await req.next_chunk():
            size += len(chunk)
        req.send(200, str(size).encode())

    async def scenario(front: Front) -> None:
        sock = front.plain()
        sock.setblocking(False)
        sock.send(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 8388608\r\n\r\n")
        await started.wait()
        sent = 0
        for _ in range(100):
            try:
                sent += sock.send(b"x" * min(65536, 8388608 - sent))
            except BlockingIOError:
                await asyncio.sleep(0.001)
        assert sent < 4 << 20
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b"x" * (8388608 - sent))
        assert (await loop.sock_recv(sock, 4096)).endswith(b"8388608")
        sock.close()

    served(tmp_path, handler, scenario)


def test_a_defect_in_a_handler_is_500_without_a_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(req: Request) -> None:
        raise ZeroDivisionError("secret detail")

    async def silent(req: Request) -> None:
        return

    async def scenario(front: Front) -> None:
        answer = await front.ask("GET", "/")
        assert (answer.status, answer.json) == (500, {"message": "internal error"})

    for handler in (broken, silent):
        served(tmp_path, handler, scenario)
    assert "ZeroDivisionError" in caplog.text


def test_an_error_in_a_stream_breaks_it_off(tmp_path: Path) -> None:
    async def broken(req: Request) -> None:
        await req.stream(200).write(b"half")
        raise BadMessage(500, "x")

    async def scenario(front: Front) -> None:
        wire = await front.connect()
        await wire.send(request("GET", "/"))
        await wire.head()
        assert await wire.chunk() == b"half"
        with pytest.raises((ConnectionResetError, ValueError, asyncio.IncompleteReadError)):
            await wire.chunk()

    served(tmp_path, broken, scenario)


# ---------------------------------------------------------------- giving away


def test_early_bytes_are_not_lost_and_the_connection_outlives_the_server(tmp_path: Path) -> None:
    """The socket is duplicated and never shut down: bytes flow when loop, transport and listener are gone."""
    given: list[tuple[socket.socket, bytes]] = []
    client: list[socket.socket] = []

    async def handler(req: Request) -> None:
        body = await req.read(100)
        given.append((*await req.hijack(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n"), body)[:2])
        assert body == b"{}"

    async def scenario(front: Front) -> None:
        sock = front.plain()
        client.append(sock)
        sock.sendall(request("POST", "/exec/x/start", raw=b"{}", headers={"Upgrade": "tcp"}) + b"early \x00bytes")
        while not given:
            await asyncio.sleep(0.001)

    served(tmp_path, handler, scenario)
    (mine, early), sock = given[0], client[0]
    assert early == b"early \x00bytes"
    assert sock.recv(100) == b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n"
    mine.setblocking(True)
    mine.sendall(b"out")
    assert sock.recv(10) == b"out"
    sock.sendall(b"in")
    assert mine.recv(10) == b"in"
    sock.shutdown(socket.SHUT_WR)
    assert mine.recv(10) == b""
    mine.sendall(b"half-closed")
    assert sock.recv(20) == b"half-closed"
    mine.close()
    assert sock.recv(10) == b""
    sock.close()


def test_a_client_that_half_closed_early_is_given_away_whole(tmp_path: Path) -> None:
    given: list[Any] = []

    async def handler(req: Request) -> None:
        await asyncio.sleep(0.02)
        given.append(await req.hijack(b"HTTP/1.1 200 OK\r\n\r\n"))

    async def scenario(front: Front) -> None:
        sock = front.plain()
        sock.sendall(request("POST", "/attach") + b"stdin")
        sock.shutdown(socket.SHUT_WR)
        while not given:
            await asyncio.sleep(0.001)
        mine, early = given[0]
        assert early == b"stdin"
        mine.setblocking(True)
        assert mine.recv(1) == b""
        mine.sendall(b"out")
        mine.close()
        await asyncio.sleep(0.01)  # the server's own descriptor goes with the loop's next turn
        said = b""
        while piece := sock.recv(100):
            said += piece
        assert said.endswith(b"\r\n\r\nout")
        sock.close()

    served(tmp_path, handler, scenario)


def test_a_thousand_dropped_connections_leave_nothing(tmp_path: Path) -> None:
    """CVE-2022-23471 class: no descriptor, no task, no connection object is left."""

    async def handler(req: Request) -> None:
        if req.path == "/h":
            sock, _ = await req.hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
            sock.close()
            return
        stream = req.stream(200)
        await stream.write(b"x")
        await asyncio.sleep(10)

    async def scenario(front: Front) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for index in range(300):
            sock = front.plain()
            sock.sendall([request("GET", "/s"), request("GET", "/h"), b"GET / HTTP/1.1\r\nHo"][index % 3])
            if index % 2:
                await asyncio.sleep(0)
            sock.close()
        for _ in range(200):
            if not front.listeners.connections:
                break
            await asyncio.sleep(0.005)
        gc.collect()
        assert not front.listeners.connections
        assert len(os.listdir("/proc/self/fd")) <= before

    served(tmp_path, handler, scenario)
