"""The daemon's hands on the processes beside it: what happens when one dies just before it is spoken to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from scow.background import TaskSet
from scow.network import companion, reserve
from scow.network.relay_client import RelayClient, Relayed
from tests.integration.network.conftest import free_port


def publication() -> Relayed:
    return Relayed("tcp", "::1", free_port(), "127.0.0.1", 1)


async def add(client: RelayClient, one: Relayed) -> None:
    holder = reserve.reserve(one.protocol, one.host_ip, one.host_port, served=True)
    assert holder is not None
    with holder:
        await client.add([(one, holder)])


def served(one: Relayed) -> bool:
    try:
        socket.create_connection((one.host_ip, one.host_port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


def kill(client: RelayClient) -> None:
    """The relay is gone, and the loop has had no time to notice."""
    assert client._process is not None
    client._process.kill()
    client._process.wait()


def with_client(tmp_path: Path, scenario: Callable[[RelayClient], Awaitable[None]]) -> None:
    async def main() -> None:
        tasks = TaskSet()
        client = RelayClient(str(tmp_path), tasks)
        try:
            await scenario(client)
        finally:
            await tasks.close()
            client.stop()

    asyncio.run(main())


def test_a_relay_that_dies_before_an_add_loses_nothing(tmp_path: Path) -> None:
    async def scenario(client: RelayClient) -> None:
        first, second = publication(), publication()
        await add(client, first)
        kill(client)
        await add(client, second)
        assert served(first) and served(second)

    with_client(tmp_path, scenario)


def test_a_relay_that_dies_before_a_removal_loses_nothing(tmp_path: Path) -> None:
    async def scenario(client: RelayClient) -> None:
        first, second = publication(), publication()
        await add(client, first)
        await add(client, second)
        kill(client)
        await client.remove([first])
        for _ in range(100):
            if served(second):
                break
            await asyncio.sleep(0.02)
        assert served(second) and not served(first)

    with_client(tmp_path, scenario)


def test_the_end_of_a_connection_is_noticed_whoever_ends_it() -> None:
    async def main() -> None:
        for ending in ("theirs", "ours", "closed before"):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with ours, theirs:
                if ending == "closed before":
                    ours.close()
                waiting = asyncio.ensure_future(companion.until_ended(ours))
                await asyncio.sleep(0.01)
                assert waiting.done() is (ending == "closed before")
                if ending == "theirs":
                    theirs.close()
                elif ending == "ours":
                    ours.shutdown(socket.SHUT_RDWR)
                    ours.close()
                await asyncio.wait_for(waiting, 1)

    asyncio.run(main())
