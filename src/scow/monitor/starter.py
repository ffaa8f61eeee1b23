"""Processes are started by a short-lived child of the monitor, the starter.

What a start touches (the spec, the cgroup's files, the runtime) would stay in the monitor's private memory for the
container's life; so it is done in a copy that ends. The started process is then the monitor's: it is the subreaper.
Meanwhile the monitor goes on serving.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from scow.errors import Internal, ScowError, from_code
from scow.monitor import wire
from scow.monitor.loop import IN, Loop


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a start. pidfd and console (or -1) are the receiver's."""

    pid: int
    started_at: int
    pidfd: int
    console: int


Work = Callable[[wire.Peer], Started]
Outcome = Started | ScowError


class Starter:
    """One start. `done` is called once, from `poll` or from the loop, with what came of it."""

    def __init__(self, loop: Loop, work: Work, done: Callable[[Outcome], None]) -> None:
        """Fork. `work(peer)` runs in the child; when it raises, nothing of its doing is left."""
        self._loop = loop
        self._done: Callable[[Outcome], None] | None = done
        ours, theirs = wire.pair()
        self.pid = os.fork()
        if not self.pid:
            ours.close()
            _run(work, theirs)
        theirs.close()
        self._peer = ours
        loop.watch(ours.fileno(), IN, self._ready)

    def send(self, message: wire.Message, fds: tuple[int, ...] = ()) -> None:
        """Tell the child to go on."""
        try:
            wire.send(self._peer, message, fds)
        except OSError:
            pass  # it has ended; what it said is still to be read

    def adopt(self, done: Callable[[Outcome], None]) -> bool:
        """Take over one that was forked in reserve; False when it has failed meanwhile."""
        if self._done is None:
            return False
        self._done = done
        return True

    def _ready(self, _: int) -> None:
        self.poll()

    def poll(self) -> None:
        """Take the child's answer if it is there."""
        if self._done is None:
            return
        try:
            message, fds = wire.receive(self._peer)
        except BlockingIOError:
            return
        except (wire.Closed, ScowError, OSError):
            message, fds = {"code": "internal", "message": "the start of a process was cut off"}, []
        done, self._done = self._done, None
        self._loop.forget(self._peer.fileno())
        self._peer.close()
        done(_outcome(message, fds))

    def cancel(self) -> None:
        """Close the connection: a child that waits to go on undoes what it has done. Waits for its end."""
        if self._done is not None:
            self._done = None
            self._loop.forget(self._peer.fileno())
            self._peer.close()
            try:
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                pass


def _outcome(message: wire.Message, fds: list[int]) -> Outcome:
    pid = message.get("pid")
    if type(pid) is int and fds:
        return Started(pid, int(message["started_at"]), fds[0], fds[1] if len(fds) > 1 else -1)
    wire.close_all(fds)
    return from_code(str(message.get("code")), str(message.get("message")))


def _run(work: Work, peer: wire.Peer) -> None:
    """The child: never returns."""
    try:
        try:
            started = work(peer)
        except wire.Closed:
            return
        except ScowError as error:
            wire.send(peer, {"code": error.code, "message": error.message})
        except Exception as error:  # noqa: BLE001  whatever it is, it must be told
            text = f"{type(error).__name__}: {error}"
            wire.send(peer, {"code": Internal.code, "message": text})
        else:
            fds = (started.pidfd, started.console) if started.console >= 0 else (started.pidfd,)
            wire.send(peer, {"pid": started.pid, "started_at": started.started_at}, fds)
    finally:
        os._exit(0)
