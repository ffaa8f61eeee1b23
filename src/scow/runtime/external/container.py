"""One container of an external OCI runtime.

In the task's directory lies `oci`, the bundle as the runtime sees it: its config.json, its log, its pid file, its own
state (--root), and while something is being started the socket for the terminal. The root is mounted in a mount namespace
of the starter's own (root.py), and the network namespace is named by the starter's descriptor; the runtime needs both
only while it creates the container.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from scow.errors import DataLoss, NotFound, ScowError
from scow.linux import cgroup, cgroup_files, libc, mounts
from scow.oci.runtime import Mount, Process, Spec
from scow.runtime.contract import Launched, Streams
from scow.runtime.external import document, program, root, trouble
from scow.runtime.external.console import Console

DIRECTORY = "oci"
_CONFIG, _LOG, _PID, _CONSOLE, _STATE = "config.json", "log.json", "pid", "console", "state"
_PATIENCE = 120
_SHORT = 10


class External:
    """See contract.Runtime. command: the program's path and its own arguments. directory: an fd of the task's."""

    def __init__(self, command: Sequence[str], container_id: str, cgroup_path: str, directory: int) -> None:
        self._command = list(command)
        self._id = container_id
        self._cgroup = cgroup_path
        self._directory = directory
        self._bundle = -1
        self._created = False

    def prepare(self, spec: Spec, rootfs: Sequence[Mount], netns: int | None) -> None:
        # Whatever ends the monitor ends this, then the runtime, and the container whose init has not executed yet.
        libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        os.mkdir(DIRECTORY, 0o700, dir_fd=self._directory)
        self._open()
        top = root.mount(rootfs, str((spec.get("root") or {}).get("path")))
        spec = {**spec, "mounts": self._reachable(spec.get("mounts") or ())}
        network = None if netns is None else f"/proc/{os.getpid()}/fd/{netns}"
        self._write(_CONFIG, document.container(spec, top, network))
        os.close(top)

    def launch(self, stdio: Streams | None, console_size: tuple[int, int]) -> Launched:
        console = Console(self._bundle, _CONSOLE) if stdio is None else None
        try:
            place = self._place()
            options = ["--bundle", place, "--pid-file", f"{place}/{_PID}", *_socket(console)]
            self._created = True  # or half of it, if the runtime is killed
            self._call("create", _LOG, [*options, self._id], stdio)
            pid = self._read_pid(_PID)
            pidfd = libc.pidfd_open(pid)  # not reaped by anybody: it is a child of this process by now
            master = console.take(console_size) if console is not None else None
            self._call("start", _LOG, [self._id])
            return Launched(pid, pidfd, master, time.time_ns())
        finally:
            if console is not None:
                console.close()

    def abandon(self) -> None:
        group = cgroup.open(self._cgroup)
        try:
            group.kill()
        except (OSError, ScowError):
            pass  # there is none yet
        _end_children()
        if self._created:
            try:
                self.release()
            except ScowError:
                pass  # its state goes with the task's directory
        try:
            group.remove()
        except (OSError, ScowError):
            pass  # the supervisor buries it

    def execute(
        self, init: int, spec: Spec, process: Process, stdio: Streams | None, console_size: tuple[int, int]
    ) -> Launched:
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        try:
            top = libc.open_at(libc.AT_FDCWD, f"/proc/{init}/root", libc.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise NotFound(f"container process {init} is not running") from error
        self._open()
        name = f"exec-{os.getpid()}"
        files = [f"{name}.json", f"{name}.log", f"{name}.pid"]
        console = Console(self._bundle, f"{name}.console") if stdio is None else None
        try:
            self._write(files[0], document.process(spec, process, top))
            place = self._place()
            options = ["--detach", "--process", f"{place}/{files[0]}", "--pid-file", f"{place}/{files[2]}"]
            self._call("exec", files[1], [*options, *_socket(console), self._id], stdio)
            pid = self._read_pid(files[2])
            pidfd = libc.pidfd_open(pid)
            master = console.take(console_size) if console is not None else None
            return Launched(pid, pidfd, master, time.time_ns())
        except BaseException:
            _end_children()
            raise
        finally:
            os.close(top)
            if console is not None:
                console.close()
            for file in files:
                _unlink(self._bundle, file)

    def release(self) -> None:
        """Its hooks have run and its state is gone when this returns."""
        self._open()
        # Without a log: the directory may be on its way out, and a new file would be in the way.
        self._call("delete", "", ["--force", self._id], patience=_SHORT)

    def _reachable(self, wanted: Sequence[Mount]) -> list[Mount]:
        """The mounts, with sources in other containers brought here."""
        foreign = [item for item in wanted if mounts.FOREIGN.fullmatch(str(item.get("source") or ""))]
        places = iter(root.bring([str(item["source"]) for item in foreign], self._place()))
        return [{**item, "source": next(places)} if item in foreign else item for item in wanted]

    # ------------------------------------------------------------ the program

    def _call(
        self, verb: str, log: str, rest: Sequence[str], stdio: Streams | None = None, patience: float = _PATIENCE
    ) -> None:
        """Run one verb; `log` is the file for its words. StartFailure with the runtime's last words when it does not succeed."""
        place = self._place()
        where = f"{place}/{log}" if log else "/dev/null"
        words = ["--root", f"{place}/{_STATE}", "--log", where, "--log-format", "json", verb, *rest]
        try:
            code = program.run([*self._command, *words], stdio=stdio, patience=patience)
        except OSError as error:
            raise trouble.not_executed(verb, error) from error
        if code != 0:
            raise trouble.failure(verb, self._bundle, log, code, self._command[0])

    def _open(self) -> None:
        if self._bundle < 0:
            try:
                self._bundle = os.open(
                    DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._directory
                )
            except OSError as error:
                raise DataLoss(f"the bundle of container {self._id} cannot be opened: {error.strerror}") from error

    def _place(self) -> str:
        """The bundle's path: the runtime, and whoever asks it by hand, know it by this."""
        return os.readlink(f"/proc/self/fd/{self._bundle}")

    def _write(self, name: str, value: dict[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=self._bundle), "w", encoding="ascii") as file:
            json.dump(value, file, separators=(",", ":"))

    def _read_pid(self, name: str) -> int:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._bundle)
            try:
                return int(os.read(fd, 16))
            finally:
                os.close(fd)
        except (OSError, ValueError) as error:
            raise DataLoss(f"the runtime {self._command[0]} has not told the pid of container {self._id}") from error


def _socket(console: Console | None) -> list[str]:
    return [] if console is None else ["--console-socket", console.path]


def _unlink(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass  # it was not made


def _end_children() -> None:
    """Kill and reap every child of this process, for a bounded time: what a runtime that was killed has left."""
    for _ in range(100):
        for word in cgroup_files.read(f"/proc/self/task/{os.getpid()}", "children").split():
            try:
                os.kill(int(word), signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)
