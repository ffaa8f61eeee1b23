"""The daemon's hand on the relay (relay.py): started when needed, found again after a daemon restart, revived if it dies."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scow.background import TaskSet, complete
from scow.errors import Unavailable
from scow.network import companion, relay, reserve

_log = logging.getLogger("scow.network")
_PER_MESSAGE = 100
_ANSWER = 2.0


@dataclass(frozen=True, slots=True)
class Relayed:
    """One publication, at an address of either family, and the container's IPv4 address that it leads to."""

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int

    @property
    def key(self) -> str:
        return f"{self.protocol}/[{self.host_ip}]:{self.host_port}"

    @property
    def line(self) -> str:
        return f"{self.protocol} {self.key} {self.address} {self.port}"


class RelayClient:
    """Lifecycle: reconcile() once, then add/remove, close() (the relay lives on). One loop uses it.

    After `add` the ports answer at once: their sockets are listening already, and the kernel queues connections until
    the relay, if it is only just starting, takes them.
    """

    def __init__(self, directory: str, tasks: TaskSet) -> None:
        self._path = os.path.join(directory, "relay.sock")
        self._tasks = tasks
        self._connection: socket.socket | None = None
        self._wanted: dict[str, Relayed] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    async def reconcile(self, wanted: Iterable[Relayed]) -> None:
        """Make a relay that lives serve exactly these; start one if needed. What cannot be bound again is logged."""
        self._wanted = {one.key: one for one in wanted}
        async with self._lock:
            if not self._connect():
                return await self._revive_if_wanted()
            present = await self._list()
            extra = [key for key in present if key not in self._wanted or present[key] != self._wanted[key].line]
            if extra:
                await self._remove(extra)
            missing = [one for key, one in self._wanted.items() if key not in present or key in extra]
            try:
                self._rebind(missing)
            except OSError:  # it ended just now
                await self._revive_if_wanted()

    async def add(self, publications: Sequence[tuple[Relayed, socket.socket]]) -> None:
        """Serve these. The sockets are bound (tcp: listening); the relay gets duplicates, the caller closes its own."""
        if not publications:
            return
        async with self._lock:
            for one, _ in publications:
                self._wanted[one.key] = one
            if self._connection is None and not self._connect():
                await self._start_beside(publications)
            try:
                self._send(publications)
            except OSError:  # it ended just now, having had nothing to do, or was killed
                await self._start_beside(publications)
                self._send(publications)

    async def remove(self, publications: Iterable[Relayed]) -> None:
        """The ports are free when this returns."""
        keys = [one.key for one in publications if self._wanted.pop(one.key, None) is not None]
        if keys:
            async with self._lock:
                await self._remove(keys)
                if self._connection is None and not self._connect():
                    await self._revive_if_wanted()

    async def replace(self, before: Sequence[Relayed], after: Sequence[Relayed]) -> None:
        """The same ports lead elsewhere: those of `before` that are not in `after` are given up. A port that another
        program takes in between is lost, and logged.
        """
        keys = {one.key: one for one in after}
        await self.remove([one for one in before if keys.get(one.key) != one])
        new = [one for one in after if one.key not in self._wanted]
        if not new:
            return
        held: list[tuple[Relayed, socket.socket]] = []
        try:
            for one in new:
                try:
                    holder = reserve.reserve(one.protocol, one.host_ip, one.host_port, served=True)
                except OSError as error:
                    _log.warning("the published port %s was taken by another program: %s", one.key, error)
                    continue
                if holder is not None:
                    held.append((one, holder))
            await self.add(held)
        finally:
            for _, holder in held:
                holder.close()

    def close(self) -> None:
        self._disconnect()

    def stop(self) -> None:
        """End the relay, when no port is published any more; one that an earlier daemon began is left for the next."""
        self._disconnect()
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    # ------------------------------------------------------------ the process

    def _connect(self) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            return False
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._connection = connection
        self._watcher = self._tasks.spawn(self._watch(connection), "relay watch")
        return True

    def _disconnect(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)  # whoever waits for its end has a descriptor of its own
            self._connection.close()
            self._connection = None

    async def _start(self) -> None:
        self._disconnect()
        await complete(asyncio.to_thread(self._launch), "relay start")
        if not self._connect():
            raise Unavailable(f"the relay for published ports cannot be reached at {self._path}")

    def _launch(self) -> None:
        if self._process is not None:
            self._process.poll()
        self._process = companion.launch(self._path, [relay.__file__, self._path])

    async def _start_beside(self, publications: Sequence[tuple[Relayed, socket.socket]]) -> None:
        """Another relay, which serves what was wanted before these."""
        new = {one.key for one, _ in publications}
        await self._start()
        self._rebind([one for key, one in self._wanted.items() if key not in new])

    async def _watch(self, connection: socket.socket) -> None:
        """Notice the relay's end; start another one while ports are published."""
        await companion.until_ended(connection)
        async with self._lock:
            if self._connection is connection:
                self._watcher = None  # this task, which goes on
                self._disconnect()
            if self._process is not None:
                self._process.poll()
            if self._connection is None:
                await self._revive_if_wanted()

    async def _revive_if_wanted(self) -> None:
        if self._wanted:
            await self._start_beside(())

    def _rebind(self, publications: Sequence[Relayed]) -> None:
        """Bind anew what an earlier relay or daemon had bound; a port that another program took meanwhile is lost."""
        held: list[tuple[Relayed, socket.socket]] = []
        for one in publications:
            try:
                holder = reserve.reserve(one.protocol, one.host_ip, one.host_port, served=True)
            except OSError as error:
                _log.warning("the published port %s was taken while the relay was away: %s", one.key, error)
                continue
            if holder is not None:
                held.append((one, holder))
        try:
            self._send(held)
        finally:
            for _, holder in held:
                holder.close()

    # ------------------------------------------------------------ messages

    def _send(self, publications: Sequence[tuple[Relayed, socket.socket]]) -> None:
        for start in range(0, len(publications), _PER_MESSAGE):
            chunk = publications[start : start + _PER_MESSAGE]
            message = "add " + "\n".join(one.line for one, _ in chunk)
            if self._connection is None:
                raise BrokenPipeError
            socket.send_fds(self._connection, [message.encode("ascii")], [holder.fileno() for _, holder in chunk])

    async def _remove(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _PER_MESSAGE):
            await self._ask("remove " + " ".join(keys[start : start + _PER_MESSAGE]))

    async def _list(self) -> Mapping[str, str]:
        answer = await self._ask("list")
        entries = [line.split(" ") for line in answer.splitlines() if line]
        return {key: f"{key.partition('/')[0]} {key} {address} {port}" for key, address, port in entries}

    async def _ask(self, message: str) -> str:
        """Send and take the answer; "" when there is no relay any more (then nothing is served either)."""
        loop = asyncio.get_running_loop()
        if self._connection is None:
            return ""
        try:
            await loop.sock_sendall(self._connection, message.encode("ascii"))
            answer = await asyncio.wait_for(loop.sock_recv(self._connection, 1 << 18), _ANSWER)
        except OSError:  # a TimeoutError is one, too
            self._disconnect()
            return ""
        return answer.decode("ascii")
