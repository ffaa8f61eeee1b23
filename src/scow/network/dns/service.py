"""The daemon's hand on the helper (helper.py): it is started for the first container that needs names, found again after a
daemon restart, and revived, with all it has to know, if it dies.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scow.background import TaskSet
from scow.network import companion
from scow.network.dns import helper
from scow.network.names import NameClient, NameRecord

_log = logging.getLogger("scow.network.names")
_ANSWER = 10.0
_CHUNK = 1 << 16
_PAUSE = 1.0
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop()); from scow.network.dns.helper import main; main()"

Request = tuple[Mapping[str, Any], int | None]
"""What is asked of the helper, and the fd that goes with it."""


class Names:
    """Implements names.NameService. One loop uses it; what blocks happens in one thread, in order."""

    def __init__(self, directory: str) -> None:
        """directory: 0700, below the exec root; need not exist before start()."""
        self._path = os.path.join(directory, "names.sock")
        self._tasks = TaskSet()
        self._tables: dict[str, dict[str, NameRecord]] = {}
        self._clients: dict[str, tuple[NameClient, int]] = {}
        self._thread = ThreadPoolExecutor(1, "names")
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._started = -_PAUSE
        self._closed = False

    # ------------------------------------------------------------ contract

    async def start(
        self, tables: Mapping[str, Mapping[str, NameRecord]], clients: Mapping[str, tuple[NameClient, int]]
    ) -> None:
        self._tables = {network_id: dict(records) for network_id, records in tables.items()}
        for container_id, (client, netns) in clients.items():
            self._keep(client, netns, container_id)
        await self._do(self._begin)

    async def publish(self, network_id: str, records: Mapping[str, NameRecord]) -> None:
        self._tables.setdefault(network_id, {}).update(records)
        await self._tell(list(_publications(network_id, records)))

    async def withdraw(self, network_id: str, container_ids: Iterable[str]) -> None:
        gone = list(container_ids)
        table = self._tables.get(network_id, {})
        for container_id in gone:
            table.pop(container_id, None)
        if not table:
            self._tables.pop(network_id, None)
        await self._tell([({"do": "withdraw", "network": network_id, "containers": gone}, None)])

    async def serve(self, client: NameClient, netns: int) -> None:
        self._keep(client, netns, client.container_id)
        await self._do(self._serve, client)

    async def leave(self, container_id: str) -> None:
        known = self._clients.pop(container_id, None)
        if known is not None:
            await self._tell([({"do": "leave", "container": container_id}, None)], known[1])

    async def close(self) -> None:
        self._closed = True
        await self._tasks.close()
        await self._do(self._disconnect)
        self._thread.shutdown(wait=True)
        for _, netns in self._clients.values():
            os.close(netns)
        self._clients.clear()

    async def stop(self) -> None:
        self._closed = True
        await self._do(self._end)
        await self.close()

    # ------------------------------------------------------------ beyond the contract

    async def status(self) -> Mapping[str, int]:
        """Figures of the helper; {} when there is none."""
        answers = await self._do(self._ask_if_there, [({"do": "status"}, None)])
        return dict(answers[0]) if answers else {}

    # ------------------------------------------------------------ on the loop

    def _keep(self, client: NameClient, netns: int, container_id: str) -> None:
        known = self._clients.pop(container_id, None)
        self._clients[container_id] = (client, os.dup(netns))
        if known is not None:
            self._thread.submit(os.close, known[1])  # behind the work that may be sending it

    async def _tell(self, requests: list[Request], netns: int | None = None) -> None:
        """Of no interest when there is no helper: it will be told all when it starts."""
        try:
            await self._do(self._ask_if_there, requests)
        finally:
            if netns is not None:
                os.close(netns)

    async def _do(self, work: Any, *arguments: Any) -> Any:
        """In the thread. What it cannot do is logged: containers run without names rather than not at all."""
        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments))
        except OSError as error:
            _log.error("names of containers cannot be kept: %s", error)
        finally:
            self._watch()
        return None

    def _watch(self) -> None:
        if self._connection is not None and not self._closed and (self._watcher is None or self._watcher.done()):
            self._watcher = self._tasks.spawn(self._await_end(self._connection), "names watch")

    async def _await_end(self, connection: socket.socket) -> None:
        """Notice the helper's end; start another one while containers need it."""
        await companion.until_ended(connection)
        self._watcher = None
        await asyncio.sleep(max(0.0, self._started + _PAUSE - time.monotonic()))  # one that dies at once is not hurried
        await self._do(self._revive, connection)

    # ------------------------------------------------------------ in the thread

    def _begin(self) -> None:
        if self._connect():
            try:
                return self._send_all()
            except OSError as error:  # it ended just now, or is of another version
                _log.warning("the helper that answers names does not understand: %s", error)
                self._disconnect()
        if self._clients:
            self._start()

    def _serve(self, client: NameClient) -> None:
        known = self._clients.get(client.container_id)
        if known is None:
            return  # it has left meanwhile
        if self._connection is None:
            return self._start()
        try:
            self._ask([_serving(*known)])
        except OSError:  # it ended just now, having had nothing to do, or was killed
            self._start()

    def _revive(self, connection: socket.socket) -> None:
        if self._connection is not connection:
            return
        self._disconnect()
        if self._clients and not self._closed:
            _log.warning("the helper that answers names has ended; starting another one")
            self._start()

    def _ask_if_there(self, requests: list[Request]) -> list[Mapping[str, Any]]:
        if self._connection is None:
            return []
        try:
            return self._ask(requests)
        except OSError:
            self._disconnect()
            if self._clients and not self._closed:
                self._start()
            return []

    def _send_all(self) -> None:
        """Everything, as one change: until the last word the helper answers what it knew before."""
        requests: list[Request] = [({"do": "begin"}, None)]
        for network_id, records in list(self._tables.items()):
            requests.extend(_publications(network_id, dict(records)))
        requests.extend(_serving(*known) for known in list(self._clients.values()))
        requests.append(({"do": "settle"}, None))
        self._ask(requests)

    def _ask(self, requests: list[Request]) -> list[Mapping[str, Any]]:
        """Each answered before the next is sent. OSError when the helper is not there or says nothing."""
        answers: list[Mapping[str, Any]] = []
        for request, netns in requests:
            if self._connection is None:
                raise BrokenPipeError("the helper is gone")
            socket.send_fds(self._connection, [json.dumps(request).encode()], [] if netns is None else [netns])
            data = self._connection.recv(_CHUNK)
            if not data:
                raise ConnectionResetError("the helper has ended")
            answer = json.loads(data)
            if answer.get("error"):
                _log.error("container %s gets no names: %s", str(request.get("container"))[:12], answer["error"])
            answers.append(answer)
        return answers

    def _connect(self) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            connection.settimeout(_ANSWER)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, helper.MESSAGE * 2)
            connection.connect(self._path)
        except OSError:
            connection.close()
            return False
        self._connection = connection
        return True

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)  # whoever waits for its end has a descriptor of its own
            self._connection.close()
            self._connection = None

    def _start(self) -> None:
        self._disconnect()
        if self._process is not None:
            self._process.poll()
        self._started = time.monotonic()
        with open(self._path.removesuffix(".sock") + ".log", "wb") as log:  # says what ended it, if anything
            program = ["-c", _PROGRAM, self._path, _source_root()]
            self._process = companion.launch(self._path, program, errors=log.fileno())
        if not self._connect():
            raise ConnectionRefusedError(f"the helper for names cannot be reached at {self._path}")
        try:
            self._send_all()
        except OSError:
            self._disconnect()
            raise

    def _end(self) -> None:
        if self._connection is not None or self._connect():
            with contextlib.suppress(OSError):
                self._ask([({"do": "end"}, None)])
            self._disconnect()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _source_root() -> str:
    """Where the package `scow` lies."""
    here = os.path.dirname(helper.__file__)
    return os.path.dirname(os.path.dirname(os.path.dirname(here)))


def _publications(network_id: str, records: Mapping[str, NameRecord]) -> Iterator[Request]:
    """In messages that are not too long; what is longer by itself loses aliases rather than being lost."""
    chunk: dict[str, Any] = {}
    size = 0
    for container_id, record in records.items():
        names: list[str] = []
        length = 200
        for name in record.names:
            length += 6 * len(name) + 4  # JSON may write a character as six
            if length > _CHUNK:
                break
            names.append(name)
        if chunk and size + length > _CHUNK:
            yield {"do": "publish", "network": network_id, "records": chunk}, None
            chunk, size = {}, 0
        chunk[container_id] = [names, record.ipv4, record.ipv6]
        size += length
    if chunk:
        yield {"do": "publish", "network": network_id, "records": chunk}, None


def _serving(client: NameClient, netns: int) -> Request:
    request = {
        "do": "serve",
        "container": client.container_id,
        "networks": list(zip(client.networks, client.network_names, strict=False)),
        "forward": client.forward,
        "bare": client.bare,
        "resolvers": client.resolvers,
        "links": client.links,
    }
    return request, netns
