"""The directories of tasks: <exec_root>/tasks/<id>; monitor/bundle.py says what lies in one.

A task's directory is alive as long as somebody holds its lock: the spawning daemon, then the monitor, which inherits
the locked descriptor. The kernel gives it back whatever way the last holder ends.
"""

import fcntl
import os
import shutil
import signal
import socket
from collections.abc import Mapping

from scow.errors import DataLoss, Internal, ResourceExhausted
from scow.model.task import TaskSpec
from scow.monitor import bundle, control, exit_record
from scow.supervisor.connection import encode

_NO_SPACE = frozenset((28, 122, 23, 24))  # ENOSPC, EDQUOT, ENFILE, EMFILE


class TaskDirectory:
    """An open task directory. Lifecycle: `create` or `open_existing`, then `close`; `remove` takes it away."""

    def __init__(self, path: str, fd: int, lock: int) -> None:
        self.path = path
        self.fd = fd
        self.lock = lock

    @classmethod
    def create(cls, root: str, spec: TaskSpec, files: Mapping[str, bytes]) -> "TaskDirectory":
        """Make the directory of a new task, locked, with task.json and `files` (those that are not empty).

        What an ended task of this id left is removed.

        Raises ResourceExhausted or Internal, having left nothing.
        """
        path = f"{root}/{spec.id}"
        try:
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                remove(path)
                os.mkdir(path, 0o700)
            made = cls(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), -1)
            try:
                made._fill(spec, files)
            except BaseException:
                made.close()
                remove(path)
                raise
        except OSError as error:
            kind = ResourceExhausted if error.errno in _NO_SPACE else Internal
            raise kind(f"cannot prepare the task directory {path}: {error.strerror}") from error
        return made

    @classmethod
    def open_existing(cls, path: str) -> "TaskDirectory":
        """A directory found on disk. OSError when it is none."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return cls(path, fd, -1)

    def _fill(self, spec: TaskSpec, files: Mapping[str, bytes]) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.lock = os.open(bundle.LOCK, flags, 0o600, dir_fd=self.fd)
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        exit_record.remove(spec.exit_path)
        for name, content in files.items():
            if content:
                bundle.write(self.fd, name, content)
        bundle.write(self.fd, bundle.TASK, encode(bundle.fields(bundle_of(spec))))

    def read(self) -> bundle.Bundle:
        """task.json. DataLoss when it is missing or damaged."""
        return bundle.read(self.fd)

    def started(self) -> bool:
        """Whether the container's init was ever executed."""
        return self.read_started() is not None

    def read_started(self) -> tuple[int, int] | None:
        """(pid, time) of the container's init, once it was executed."""
        return bundle.read_started(self.fd)

    def alive(self) -> bool:
        """Whether a monitor (or a daemon that is starting one) holds the lock."""
        try:
            lock = os.open(bundle.LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def connect(self) -> socket.socket:
        """A connection to the monitor. OSError when there is none (yet), or when it is another user's."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            peer.setblocking(False)
            peer.connect(f"/proc/self/fd/{self.fd}/{control.NAME}")
            if control.peer_uid(peer) != os.geteuid():
                raise PermissionError("the control socket belongs to another user")
        except BaseException:
            peer.close()
            raise
        return peer

    def end_monitor(self) -> None:
        """Kill the monitor that holds the lock, if there is one. What it watches over is not touched."""
        try:
            with self.connect() as peer:
                pid = control.peer_pid(peer)
            handle = os.pidfd_open(pid)
        except OSError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def release_lock(self) -> None:
        """Close this process's copy of the lock; the monitor's goes on."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def close(self) -> None:
        self.release_lock()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def bundle_of(spec: TaskSpec) -> bundle.Bundle:
    """The part of a TaskSpec that task.json keeps."""
    linux = spec.spec.get("linux") or {}
    return bundle.Bundle(
        id=spec.id,
        rootfs=list(spec.rootfs),
        log_driver=spec.log.driver,
        log_path=spec.log.path,
        log_options=dict(spec.log.options),
        log_attributes=dict(spec.log.attributes),
        exit_path=spec.exit_path,
        cgroup=str(linux.get("cgroupsPath") or f"/scow/{spec.id}"),
        terminal=spec.terminal,
        open_stdin=spec.open_stdin,
        stdin_once=spec.stdin_once,
        console_size=spec.console_size,
        durable_exit=spec.durable_exit,
        runtime=list(spec.runtime),
    )


def exit_path(path: str) -> str | None:
    """Where the task in directory `path` records its exit; None when that cannot be known."""
    try:
        directory = TaskDirectory.open_existing(path)
    except OSError:
        return None
    try:
        return directory.read().exit_path
    except DataLoss:
        return None
    finally:
        directory.close()


def remove(path: str) -> None:
    """Remove a task's directory; none is fine."""
    shutil.rmtree(path, ignore_errors=True)
