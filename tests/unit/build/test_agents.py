"""Messages to ssh agents in any pieces, and who gets an answer."""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.build.agent_messages import FAILURE, LARGEST, Messages, allowed, packed
from scow.build.agents import Agents, listening
from scow.errors import Conflict, InvalidArgument, NotFound

ID = "a" * 32


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 20))
def test_messages_come_in_any_pieces(sent: list[bytes], piece: int) -> None:
    data = b"".join(map(packed, sent))
    messages = Messages()
    found = [message for at in range(0, len(data), piece) for message in messages.feed(data[at : at + piece])]
    assert found == sent


@given(st.binary(max_size=60))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    try:
        assert all(Messages().feed(data)) or not data
    except InvalidArgument:
        pass


def test_messages_are_bounded() -> None:
    for size in (0, LARGEST + 1):
        with pytest.raises(InvalidArgument):
            Messages().feed(size.to_bytes(4, "big"))


def test_only_keys_and_signatures_may_be_asked_for() -> None:
    assert [kind for kind in range(256) if allowed(bytes([kind]))] == [11, 13]
    assert not allowed(b"")


def test_a_step_asks_the_clients_agent(tmp_path: Path) -> None:
    async def main() -> None:
        agents, (ours, theirs) = Agents(), socket.socketpair()
        agents.check(ID)
        agents.add(ID, ours, 7)
        with pytest.raises(Conflict):
            agents.check(ID)
        with pytest.raises(NotFound):
            agents.take(ID, 8)
        agent = agents.take(ID, 7)
        deep = tmp_path / ("d" * 100)
        deep.mkdir()
        async with listening(agent, str(deep), 0o600, 0, 0) as path:
            assert Path(path).stat().st_mode & 0o777 == 0o600
            asked = asyncio.create_task(asyncio.to_thread(_ask, path, [b"\x0bkeys", b"\x11add", b"\x0dsign"]))
            theirs.setblocking(False)
            loop = asyncio.get_running_loop()
            for question, answer in ((b"\x0bkeys", b"\x0cK"), (b"\x0dsign", b"\x0eS")):
                assert await loop.sock_recv(theirs, 99) == packed(question)
                await loop.sock_sendall(theirs, packed(answer))
            assert await asked == [b"\x0cK", FAILURE, b"\x0eS"]
            theirs.close()
            assert await asyncio.to_thread(_ask, path, [b"\x0bkeys"]) == [FAILURE]
        assert not Path(path).exists()
        agent.sock.close()

    asyncio.run(main())


def test_a_step_cannot_take_every_descriptor_of_the_daemon(tmp_path: Path) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        agents, before = Agents(), len(os.listdir("/proc/self/fd"))
        agents.add(ID, ours, 7)
        agent = agents.take(ID, 7)
        async with listening(agent, str(tmp_path), 0o600, 0, 0) as path:
            clients = [socket.socket(socket.AF_UNIX) for _ in range(100)]
            for client in clients:
                client.setblocking(False)
                with suppress(BlockingIOError):
                    client.connect(path)
                await asyncio.sleep(0)
            assert len(os.listdir("/proc/self/fd")) - before - len(clients) < 60
            for client in clients:
                client.close()
            assert await asyncio.to_thread(_ask, path, [b"\x11add"]) == [FAILURE]
        agent.sock.close()
        theirs.close()

    asyncio.run(main())


def _ask(path: str, questions: list[bytes]) -> list[bytes]:
    answers = []
    fd = os.open(os.path.dirname(path), os.O_PATH)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"/proc/self/fd/{fd}/{os.path.basename(path)}")
        os.close(fd)
        messages = Messages()
        for question in questions:
            client.sendall(packed(question))
            while not (found := messages.feed(client.recv(99))):
                pass
            answers += found
    return answers


def test_agents_of_clients_that_left_make_room() -> None:
    agents, pairs = Agents(), [socket.socketpair() for _ in range(70)]
    for number, (ours, theirs) in enumerate(pairs):
        agents.check(f"{number:032}")
        agents.add(f"{number:032}", ours, 0)
        theirs.close()
    for bad in ("", "a", "a" * 65, "../" * 8):
        with pytest.raises(InvalidArgument):
            agents.check(bad)
