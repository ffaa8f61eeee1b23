"""What a task is started with and how it ends: the records between the engine and the supervisor."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scow.oci.runtime import Mount, Spec


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended. code: 0-255 (128+n for signal n; 255 when nobody knows). finished_at: Unix nanoseconds."""

    code: int
    finished_at: int
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A client's connection that is handed to the monitor for good: bytes flow client <-> monitor without the daemon.

    `connection` is a connected stream socket (a duplicate owned by the receiver); `early` are bytes that the client
    sent and the daemon has already read: they are stdin. `framed`: output carries Docker's 8-byte frame headers
    (never with a tty). `detach_keys` is the raw byte sequence that detaches, b"" for none.
    """

    connection: socket.socket
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    framed: bool = True
    early: bytes = b""
    detach_keys: bytes = b""


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Where a container's output is recorded. driver: json-file, none (local, … later). path: the json-file's path."""

    driver: str
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """All that is needed to run a container: the OCI bundle and what surrounds it.

    spec: the runtime-spec document; spec["root"]["path"] is an empty directory where `rootfs` is mounted, inside the
    container's own mount namespace only (the host never sees the mount). rootfs: mounts in order, containerd's form:
    {"type": "overlay", "source": "overlay", "options": ["lowerdir=a:b", "upperdir=…", "workdir=…"]} or a bind.
    netns: an open fd of the network namespace to enter, or None when the spec's namespaces say it all.
    keep: fds that the monitor holds open as long as the container lives (reserved host ports).
    runtime: an external runtime's path and arguments; nothing for scow's own.
    exit_path: the file of the exit record; with durable_exit it survives a power cut, too.
    sockets are duplicated; the caller keeps and closes its own.
    """

    id: str
    spec: Spec
    rootfs: Sequence[Mount]
    log: LogTarget
    exit_path: str
    durable_exit: bool = True
    runtime: Sequence[str] = ()
    terminal: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    console_size: tuple[int, int] = (0, 0)
    netns: int | None = None
    keep: Sequence[socket.socket] = ()
    attachments: Sequence[Attachment] = ()
