"""RUN --mount=type=ssh: the client's ssh agent, asked through a connection that the client holds open during its build.

Nothing of it is kept: keys stay with the client's agent, signatures pass through. The id of a connection is the client's
secret, and only its user's builds may name it.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from scow.background import TaskSet
from scow.build.agent_messages import FAILURE, Messages, allowed, packed
from scow.errors import Conflict, InvalidArgument, NotFound, ResourceExhausted

DEFAULT = "default"
"""The id of the agent that counts where none is named."""
_PIECE = 64 << 10
_MOST = 64
_CLIENTS = 32  # of one step at the same time: the others wait until these have gone
_ANSWER = 300.0
"""Seconds for an answer: the agent may ask its owner."""


@dataclass(slots=True)
class Agent:
    """One agent of one client; asked one thing at a time."""

    sock: socket.socket
    uid: int | None
    lock: asyncio.Lock
    broken: bool = False

    async def ask(self, message: bytes) -> bytes:
        """Its answer; FAILURE when it gives none, or must not be asked that."""
        if not allowed(message):
            return FAILURE
        async with self.lock:
            if self.broken:
                return FAILURE
            try:
                return await asyncio.wait_for(self._exchange(message), _ANSWER)
            except (OSError, InvalidArgument, TimeoutError):
                pass
            except asyncio.CancelledError:
                self.broken = True  # the answer would be taken for the next one's
                raise
            self.broken = True
            return FAILURE

    async def _exchange(self, message: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.sock, packed(message))
        messages = Messages()
        while data := await loop.sock_recv(self.sock, _PIECE):
            for answer in messages.feed(data):
                return answer
        raise ConnectionResetError


class Agents:
    """Those that wait for their builds."""

    def __init__(self) -> None:
        self._waiting: dict[str, Agent] = {}

    def check(self, id_: str) -> None:
        """Whether `add` will take it."""
        if not 16 <= len(id_) <= 64 or not id_.isalnum():
            raise InvalidArgument("the id of an ssh agent has 16 to 64 letters and digits")
        if id_ in self._waiting:
            raise Conflict("an ssh agent has this id already")
        for known in [known for known, agent in self._waiting.items() if _left(agent.sock)]:
            self._waiting.pop(known).sock.close()
        if len(self._waiting) >= _MOST:
            raise ResourceExhausted(f"{_MOST} ssh agents wait for their builds already")

    def add(self, id_: str, sock: socket.socket, uid: int | None) -> None:
        """The socket is this object's from now on. After `check`."""
        sock.setblocking(False)
        before = self._waiting.pop(id_, None)
        if before is not None:
            before.sock.close()
        self._waiting[id_] = Agent(sock, uid, asyncio.Lock())

    def take(self, id_: str, uid: int | None) -> Agent:
        """The caller closes its socket."""
        agent = self._waiting.get(id_)
        if agent is None or agent.uid != uid:
            raise NotFound("no such ssh agent of a build")
        return self._waiting.pop(id_)


def _left(sock: socket.socket) -> bool:
    """Whether the client has closed it: it says nothing before it is asked."""
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


@asynccontextmanager
async def listening(agent: Agent, directory: str, mode: int, uid: int, gid: int) -> AsyncIterator[str]:
    """The path of a socket (in `directory`) on which a step's processes reach the agent."""
    name = secrets.token_hex(8)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    tasks = TaskSet()
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.bind(f"/proc/self/fd/{fd}/{name}")  # the path itself may be longer than an address can be
        os.chown(name, uid, gid, dir_fd=fd)
        os.chmod(name, mode, dir_fd=fd)
        sock.listen(16)
        sock.setblocking(False)
        tasks.spawn(_accept(sock, agent, tasks), "ssh-agent")
        yield f"{directory}/{name}"
    finally:
        await tasks.close()
        sock.close()
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=fd)
        os.close(fd)


async def _accept(sock: socket.socket, agent: Agent, tasks: TaskSet) -> None:
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(_CLIENTS)
    while True:
        await room.acquire()
        client, _ = await loop.sock_accept(sock)
        tasks.spawn(_serve(client, agent), "ssh-agent-client").add_done_callback(lambda _: room.release())


async def _serve(client: socket.socket, agent: Agent) -> None:
    loop = asyncio.get_running_loop()
    messages = Messages()
    with client:
        client.setblocking(False)
        with suppress(OSError, InvalidArgument):
            while data := await loop.sock_recv(client, _PIECE):
                for message in messages.feed(data):
                    await loop.sock_sendall(client, packed(await agent.ask(message)))
