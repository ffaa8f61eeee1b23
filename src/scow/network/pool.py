"""Sandboxes made ahead of time, and the taking back of what containers leave.

A start takes a ready one and waits for nothing; the pool fills itself behind it, one at a time (the kernel makes and
removes interfaces under one lock, so more would only queue there). It grows while starts find it empty.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import cast

from scow.background import TaskSet
from scow.errors import ResourceExhausted, ScowError
from scow.network import bridge, sandbox
from scow.network.ipam import AddressInUse, AddressPool, mac_for
from scow.network.sandbox import Place, Plug, Ready

_CALM = 3.0
_MOMENT = 0.002
_FIRST_LOOK, _SECOND_LOOK, _PATIENCE = 0.05, 0.1, 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """An interface with something of its own: an address of either family, a hardware address."""

    address: IPv4Address | None = None
    address6: IPv6Address | None = None
    mac_address: str = ""

    def __bool__(self) -> bool:
        return bool(self.address or self.address6 or self.mac_address)


class Reaper:
    """Takes veths and addresses back. A dead container's namespace takes its veth along in some moments by itself; one
    that is held by somebody else is deleted. Only when the veth is gone is the address free: two namespaces must not
    answer for one address.
    """

    def __init__(
        self,
        addresses: AddressPool,
        tasks: TaskSet,
        clock: Callable[[], float] = time.monotonic,
        addresses6: AddressPool | None = None,
    ) -> None:
        self._addresses = addresses
        self._addresses6 = addresses6
        self._tasks = tasks
        self._clock = clock
        self._waiting: dict[str, tuple[IPv4Address, IPv6Address | None, float]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def retire(self, veth: str, address: IPv4Address, address6: IPv6Address | None = None) -> None:
        self._waiting[veth] = (address, address6, self._clock() + _PATIENCE)
        if self._worker is None or self._worker.done():
            self._worker = self._tasks.spawn(self._work(), "veth reaper")

    def expects(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in (waiting, waiting6) for waiting, waiting6, _ in self._waiting.values())

    async def freed(self) -> bool:
        """Wait until an address comes back; False when none is on its way."""
        if not self._waiting:
            return False
        self._freed.clear()
        await self._freed.wait()
        return True

    async def drain(self) -> None:
        while self._waiting:
            await self.freed()

    async def _work(self) -> None:
        pause = _FIRST_LOOK
        while self._waiting:
            await asyncio.sleep(pause)
            pause = _SECOND_LOOK
            for veth, (address, address6, deadline) in list(self._waiting.items()):
                if bridge.exists(veth):
                    if self._clock() < deadline:
                        continue
                    await asyncio.to_thread(bridge.delete, veth)
                del self._waiting[veth]
                self._addresses.release(address)
                if address6 is not None and self._addresses6 is not None:
                    self._addresses6.release(address6)
                self._freed.set()


class SandboxPool:
    """Ready sandboxes, lowest address first. Lifecycle: start(), take()/give_back(), close()."""

    def __init__(
        self,
        place: Place,
        addresses: AddressPool,
        reaper: Reaper,
        tasks: TaskSet,
        *,
        low: int = 4,
        high: int = 16,
        addresses6: AddressPool | None = None,
    ) -> None:
        self._place = place
        self._addresses = addresses
        self._addresses6 = addresses6
        self._reaper = reaper
        self._tasks = tasks
        room = max(0, addresses.size // 8 - 1)  # a small network's addresses are not hoarded
        self._low, self._high = min(low, room), min(high, room)
        self._target = self._low
        self._ready: list[Ready] = []
        self._waiters: deque[asyncio.Future[Ready]] = deque()
        self._filler: asyncio.Task[None] | None = None
        self._trimmer: asyncio.Task[None] | None = None
        self._last_take = 0.0
        self._unusual: set[IPv4Address] = set()
        self._in_the_making: set[IPv4Address] = set()
        self._one_at_a_time = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._ready)

    def start(self) -> None:
        self._fill()

    async def take(self) -> Ready:
        """The next sandbox; waits for one to be made when none is ready. ResourceExhausted when addresses ran out."""
        self._last_take = time.monotonic()
        if self._ready:
            taken = self._ready.pop(0)
            self._fill()
            return taken
        self._target = min(self._high, max(1, self._target) * 2)
        if self._trimmer is None or self._trimmer.done():
            self._trimmer = self._tasks.spawn(self._trim(), "sandbox pool trimmer")
        waiter: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._fill()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            raise

    async def make_special(self, wanted: Wanted) -> Ready:
        """A sandbox with a wanted address or hardware address. InvalidArgument or AddressInUse when it cannot be had."""
        plug = await self.plan(wanted)
        return await self._make(plug)

    async def attach(self, netns: int, wanted: Wanted, interface: str) -> Plug:
        """One more interface in a namespace of the caller's."""
        plug = await self.plan(wanted, interface)
        making = asyncio.get_running_loop().run_in_executor(None, sandbox.attach, netns, self._place, plug)
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(lambda _: self.retire(plug))
            raise
        except BaseException:
            self._forget(plug)
            raise
        finally:
            self._in_the_making.discard(plug.address)
        return plug

    async def plan(self, wanted: Wanted, interface: str = sandbox.FIRST_INTERFACE) -> Plug:
        """Addresses for one interface, now held."""
        if wanted.address is not None:
            address = wanted.address
            await self._claim(self._addresses, address)
        else:
            address = await self._next_address()
        try:
            address6 = await self._address6(wanted.address6)
        except BaseException:
            self._addresses.release(address)
            raise
        usual = mac_for(address)
        mac = wanted.mac_address.lower() or usual
        announce = mac != usual or address in self._unusual
        if mac != usual:
            self._unusual.add(address)
        self._in_the_making.add(address)
        return Plug(sandbox.new_endpoint_id(), address, mac, address6, interface, announce)

    def retire(self, plug: Plug) -> None:
        """An interface that is being taken down; its addresses are free when it is gone."""
        owner = self._place.owner or self._place.bridge
        self._reaper.retire(sandbox.veth_name(owner, plug.endpoint_id), plug.address, plug.address6)

    def give_back(self, unused: Ready) -> None:
        """A sandbox that no container has entered."""
        if unused.mac_address == mac_for(unused.address):
            self._offer(unused)
        else:
            self.discard(unused)

    def discard(self, unused: Ready) -> None:
        unused.close()
        self._reaper.retire(unused.veth, unused.address, unused.address6)

    def close(self) -> None:
        """The namespaces that nobody entered go away with their descriptors."""
        for waiter in self._waiters:
            waiter.cancel()
        for ready in self._ready:
            ready.close()
        self._ready.clear()

    # ------------------------------------------------------------ inside

    def _offer(self, ready: Ready) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(ready)
                return
        if len(self._ready) >= self._target:  # the pool was trimmed while this one was made or away
            self.discard(ready)
            return
        self._ready.append(ready)
        self._ready.sort(key=lambda one: one.address)

    def _fill(self) -> None:
        if self._filler is None or self._filler.done():
            self._filler = self._tasks.spawn(self._work(), "sandbox pool")

    async def _trim(self) -> None:
        """When the rush is over, what it made the pool grow by is given up."""
        rest = _CALM
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self._last_take + _CALM - time.monotonic()
        self._target = self._low
        while len(self._ready) > self._low:
            self.discard(self._ready.pop())

    async def _work(self) -> None:
        while self._waiters or len(self._ready) < self._target:
            try:
                address = await self._next_address() if self._waiters else self._take()
                ready = await self._make(self._usual(address))
            except ScowError as error:
                if not self._waiters:
                    return  # nobody waits: the next take tries again, and tells
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(error)
                continue
            self._unusual.discard(address)
            self._offer(ready)

    def _take(self) -> IPv4Address:
        return cast(IPv4Address, self._addresses.take())

    def _usual(self, address: IPv4Address) -> Plug:
        try:
            address6 = cast(IPv6Address, self._addresses6.take()) if self._addresses6 is not None else None
        except ScowError:
            self._addresses.release(address)
            raise
        self._in_the_making.add(address)
        return Plug(sandbox.new_endpoint_id(), address, mac_for(address), address6, announce=address in self._unusual)

    async def _address6(self, wanted: IPv6Address | None) -> IPv6Address | None:
        if self._addresses6 is None:
            return None
        if wanted is None:
            return cast(IPv6Address, self._addresses6.take())
        await self._claim(self._addresses6, wanted)
        return wanted

    async def _next_address(self) -> IPv4Address:
        """The lowest free one; if there is none, one that is on its way back."""
        while True:
            try:
                return self._take()
            except ResourceExhausted:
                if not await self._reaper.freed():
                    raise

    async def _claim(self, pool: AddressPool, address: IPv4Address | IPv6Address) -> None:
        """Our own stock, also what is just being made or taken down, is not in anybody's way."""
        while True:
            for ready in self._ready:
                if address in (ready.address, ready.address6):
                    self._ready.remove(ready)
                    self.discard(ready)
                    break
            try:
                return pool.hold(address)
            except AddressInUse:
                if self._reaper.expects(address):
                    await self._reaper.freed()
                elif address in self._in_the_making:
                    await asyncio.sleep(_MOMENT)
                else:
                    raise

    def _forget(self, plug: Plug) -> None:
        self._addresses.release(plug.address)
        if plug.address6 is not None and self._addresses6 is not None:
            self._addresses6.release(plug.address6)

    async def _make(self, plug: Plug) -> Ready:
        """In a thread. A caller that is cancelled leaves no namespace behind: what comes late is discarded."""
        loop = asyncio.get_running_loop()
        begun = False
        try:
            async with self._one_at_a_time:
                begun = True
                making = loop.run_in_executor(None, lambda: sandbox.make(self._place, plug))
                try:
                    return await asyncio.shield(making)
                except asyncio.CancelledError:
                    making.add_done_callback(self._late)
                    raise
                except BaseException:
                    self._forget(plug)
                    raise
        finally:
            if not begun:
                self._forget(plug)
            self._in_the_making.discard(plug.address)

    def _late(self, making: "asyncio.Future[Ready]") -> None:
        with contextlib.suppress(BaseException):
            ready = making.result()
            ready.close()
            self._reaper.retire(ready.veth, ready.address, ready.address6)
