"""What a monitor asks of a runtime: the native one (native.py) and external programs (external/) alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scow.oci.runtime import Mount, Process, Spec

Streams = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that has executed its program. pid: the host's; pidfd and console (the pty's master) belong to the
    caller; started_at: Unix nanoseconds."""

    pid: int
    pidfd: int
    console: int | None
    started_at: int


class Runtime(Protocol):
    """One container. Lifecycle: `prepare` and `launch` once, by the same process, `abandon` when either has failed;
    `execute` any number of times while init lives; `release` when it has ended.

    Signals, freezing, limits and figures are no part of it: they go to init's pidfd and to the container's cgroup, which
    is the spec's cgroupsPath whoever made it.
    """

    def prepare(self, spec: Spec, rootfs: Sequence[Mount], netns: int | None) -> None:
        """Do what can be done before the standard streams are there. netns replaces the spec's network namespace."""

    def launch(self, stdio: Streams | None, console_size: tuple[int, int]) -> Launched:
        """Run init. stdio None makes a pty, console_size is (height, width). Raises StartFailure or another ScowError.

        Init is a child of the caller, and its parent's when the caller ends: that one is a subreaper.
        """

    def abandon(self) -> None:
        """End every process of a start that failed, and remove what it has made. Raises nothing."""

    def execute(
        self, init: int, spec: Spec, process: Process, stdio: Streams | None, console_size: tuple[int, int]
    ) -> Launched:
        """Run one more process in the container whose init has the pid `init`; else as `launch`."""

    def release(self) -> None:
        """Init has ended: let go of what the runtime keeps of it. The cgroup stays for the caller. Raises ScowError."""
