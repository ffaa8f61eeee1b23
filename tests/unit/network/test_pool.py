"""The pool and the reaper with namespaces that are only files."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from scow.background import TaskSet
from scow.errors import Internal, ResourceExhausted
from scow.network import bridge, pool, sandbox
from scow.network.ipam import AddressPool, mac_for
from scow.network.sandbox import Place, Plug, Ready, veth_name


class World:
    """What the kernel would have: links by name, and how making one ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, prefix_length: int = 24) -> None:
        self.links: set[str] = set()
        self.failure: Exception | None = None
        self.place = Place("sct0", 7, IPv4Address("10.9.8.1"), prefix_length, 1400)
        self.addresses = AddressPool(self.place.subnet, [self.place.gateway])
        self.tasks = TaskSet()
        self.reaper = pool.Reaper(self.addresses, self.tasks)
        monkeypatch.setattr(sandbox, "make", self.make)
        monkeypatch.setattr(bridge, "exists", lambda name: name in self.links)
        monkeypatch.setattr(bridge, "delete", self.links.discard)
        for name in ("_FIRST_LOOK", "_SECOND_LOOK", "_PATIENCE", "_CALM"):
            monkeypatch.setattr(pool, name, 0.001)

    def make(self, place: Place, plug: Plug) -> Ready:
        if self.failure is not None:
            raise self.failure
        veth = veth_name(place.bridge, plug.endpoint_id)
        self.links.add(veth)
        return Ready(
            os.open("/dev/null", os.O_RDONLY), plug.endpoint_id, veth, plug.address, plug.mac_address, plug.address6
        )

    def leave(self, ready: Ready) -> None:
        ready.close()
        self.reaper.retire(ready.veth, ready.address)


def run(world: World, scenario: Callable[[pool.SandboxPool], Awaitable[None]], low: int = 2) -> None:
    async def main() -> None:
        sandboxes = pool.SandboxPool(world.place, world.addresses, world.reaper, world.tasks, low=low, high=4)
        sandboxes.start()
        try:
            await asyncio.wait_for(scenario(sandboxes), 10)
        finally:
            await world.tasks.close()
            sandboxes.close()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_it_fills_itself_and_gives_the_lowest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)

    async def scenario(sandboxes: pool.SandboxPool) -> None:
        await until(lambda: len(sandboxes) == 2)
        first, second = await sandboxes.take(), await sandboxes.take()
        assert [str(first.address), str(second.address)] == ["10.9.8.2", "10.9.8.3"]
        assert first.mac_address == mac_for(first.address)
        third = await sandboxes.take()
        for ready in (first, second, third):
            world.leave(ready)
        await world.reaper.drain()
        # the third may have made it grow: it shrinks again, and what it gives up goes away behind it
        await until(lambda: len(sandboxes) == len(world.links) == len(world.addresses) == 2)

    run(world, scenario)


def test_it_grows_with_a_rush_and_shrinks_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    monkeypatch.setattr(pool, "_CALM", 0.2)

    async def scenario(sandboxes: pool.SandboxPool) -> None:
        taken = await asyncio.gather(*(sandboxes.take() for _ in range(10)))
        assert len({ready.address for ready in taken}) == 10
        await until(lambda: len(sandboxes) == 4)
        await until(lambda: len(sandboxes) == 2)
        for ready in taken:
            world.leave(ready)
        await world.reaper.drain()
        assert len(world.addresses) == len(world.links) == 2

    run(world, scenario)


def test_a_failure_goes_to_those_who_wait_and_the_next_take_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.failure = Internal("no memory")

    async def scenario(sandboxes: pool.SandboxPool) -> None:
        with pytest.raises(Internal, match="no memory"):
            await sandboxes.take()
        await until(lambda: len(world.addresses) == 0)
        world.failure = None
        (await sandboxes.take()).close()

    run(world, scenario)


def test_a_small_network_is_not_hoarded_and_waits_for_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, prefix_length=30)

    async def scenario(sandboxes: pool.SandboxPool) -> None:
        only = await sandboxes.take()
        with pytest.raises(ResourceExhausted):
            await sandboxes.take()
        world.leave(only)
        again = await sandboxes.take()
        assert again.address == only.address
        again.close()

    assert world.place.subnet == IPv4Network("10.9.8.0/30")
    run(world, scenario)


def test_an_address_is_not_free_before_its_veth_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    monkeypatch.setattr(pool, "_PATIENCE", 60)

    async def scenario(sandboxes: pool.SandboxPool) -> None:
        ready = await sandboxes.take()
        world.leave(ready)
        other = await sandboxes.take()
        assert other.address != ready.address and world.reaper.expects(ready.address)
        other.close()
        world.links.discard(ready.veth)  # the kernel took it down
        await until(lambda: ready.address not in world.addresses.held or not world.reaper.expects(ready.address))

    run(world, scenario)


def test_a_wanted_address_of_the_stock_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)

    async def scenario(sandboxes: pool.SandboxPool) -> None:
        await until(lambda: len(sandboxes) == 2)
        ready = await sandboxes.make_special(pool.Wanted(IPv4Address("10.9.8.2"), None, "02:00:00:00:00:09"))
        assert (str(ready.address), ready.mac_address) == ("10.9.8.2", "02:00:00:00:00:09")
        sandboxes.give_back(ready)  # nobody else wants that hardware address
        await world.reaper.drain()
        assert ready.veth not in world.links

    run(world, scenario)


def test_whoever_gives_up_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)

    async def scenario(sandboxes: pool.SandboxPool) -> None:
        waiting = asyncio.ensure_future(sandboxes.take())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: len(world.links) == len(sandboxes) == len(world.addresses) == 2)

    run(world, scenario)
