"""Sandboxes made ahead of time, and the taking back of what containers leave.

A start takes a ready one and waits for nothing; the pool fills itself behind it, one at a time (the kernel makes and
removes interfaces under one lock, so more would only queue there). It grows while starts find it empty.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address

from scow.background import TaskSet
from scow.errors import Conflict, ResourceExhausted, ScowError
from scow.network import bridge, sandbox
from scow.network.ipam import AddressPool, mac_for
from scow.network.sandbox import Place, Ready

_CALM = 3.0
_MOMENT = 0.002
_FIRST_LOOK, _SECOND_LOOK, _PATIENCE = 0.05, 0.1, 0.5


class Reaper:
    """Takes veths and addresses back. A dead container's namespace takes its veth along in some moments by itself; one
    that is held by somebody else is deleted. Only when the veth is gone is the address free: two namespaces must not
    answer for one address.
    """

    def __init__(self, addresses: AddressPool, tasks: TaskSet, clock: Callable[[], float] = time.monotonic) -> None:
        self._addresses = addresses
        self._tasks = tasks
        self._clock = clock
        self._waiting: dict[str, tuple[IPv4Address, float]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def retire(self, veth: str, address: IPv4Address) -> None:
        self._waiting[veth] = (address, self._clock() + _PATIENCE)
        if self._worker is None or self._worker.done():
            self._worker = self._tasks.spawn(self._work(), "veth reaper")

    def expects(self, address: IPv4Address) -> bool:
        return any(address == waiting for waiting, _ in self._waiting.values())

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
            for veth, (address, deadline) in list(self._waiting.items()):
                if bridge.exists(veth):
                    if self._clock() < deadline:
                        continue
                    await asyncio.to_thread(bridge.delete, veth)
                del self._waiting[veth]
                self._addresses.release(address)
                self._freed.set()


class SandboxPool:
    """Ready sandboxes, lowest address first. Lifecycle: start(), take()/give_back(), close()."""

    def __init__(
        self, place: Place, addresses: AddressPool, reaper: Reaper, tasks: TaskSet, *, low: int = 4, high: int = 16
    ) -> None:
        self._place = place
        self._addresses = addresses
        self._reaper = reaper
        self._tasks = tasks
        room = max(0, addresses.network.num_addresses // 8 - 1)  # a small network's addresses are not hoarded
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

    async def make_special(self, address: IPv4Address | None, mac_address: str) -> Ready:
        """A sandbox with a wanted address or hardware address. InvalidArgument or Conflict when it cannot be had."""
        if address is not None:
            await self._claim(address)
        else:
            address = await self._next_address()
        usual = mac_for(address)
        mac = mac_address.lower() or usual
        announce = mac != usual or address in self._unusual
        if mac != usual:
            self._unusual.add(address)
        return await self._make(address, mac, announce)

    def give_back(self, unused: Ready) -> None:
        """A sandbox that no container has entered."""
        if unused.mac_address == mac_for(unused.address):
            self._offer(unused)
        else:
            self.discard(unused)

    def discard(self, unused: Ready) -> None:
        unused.close()
        self._reaper.retire(unused.veth, unused.address)

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
                address = await self._next_address() if self._waiters else self._addresses.take()
                ready = await self._make(address, mac_for(address), address in self._unusual)
            except ScowError as error:
                if not self._waiters:
                    return  # nobody waits: the next take tries again, and tells
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(error)
                continue
            self._unusual.discard(address)
            self._offer(ready)

    async def _next_address(self) -> IPv4Address:
        """The lowest free one; if there is none, one that is on its way back."""
        while True:
            try:
                return self._addresses.take()
            except ResourceExhausted:
                if not await self._reaper.freed():
                    raise

    async def _claim(self, address: IPv4Address) -> None:
        """Our own stock, also what is just being made or taken down, is not in anybody's way."""
        while True:
            for ready in self._ready:
                if ready.address == address:
                    self._ready.remove(ready)
                    self.discard(ready)
                    break
            try:
                return self._addresses.hold(address)
            except Conflict:
                if self._reaper.expects(address):
                    await self._reaper.freed()
                elif address in self._in_the_making:
                    await asyncio.sleep(_MOMENT)
                else:
                    raise

    async def _make(self, address: IPv4Address, mac_address: str, announce: bool) -> Ready:
        """In a thread. A caller that is cancelled leaves no namespace behind: what comes late is discarded."""
        endpoint_id = sandbox.new_endpoint_id()
        self._in_the_making.add(address)
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            making = loop.run_in_executor(
                None, lambda: sandbox.make(self._place, address, mac_address, endpoint_id, announce=announce)
            )
            try:
                return await asyncio.shield(making)
            except asyncio.CancelledError:
                making.add_done_callback(self._late)
                raise
            except BaseException:
                self._addresses.release(address)
                raise
            finally:
                self._in_the_making.discard(address)

    def _late(self, making: "asyncio.Future[Ready]") -> None:
        with contextlib.suppress(BaseException):
            ready = making.result()
            ready.close()
            self._addresses.release(ready.address)
