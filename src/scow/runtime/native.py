"""Scow's own runtime as one container's Runtime: launch.py and execute.py around a cgroup that it makes itself."""

from collections.abc import Sequence

from scow.errors import ScowError
from scow.linux import cgroup
from scow.oci.runtime import Mount, Process, Spec
from scow.runtime.contract import Launched, Streams
from scow.runtime.execute import execute
from scow.runtime.launch import launch


class Native:
    """See contract.Runtime."""

    def __init__(self, cgroup_path: str) -> None:
        self._path = cgroup_path
        self._made: cgroup.Cgroup | None = None
        self._start: tuple[Spec, Sequence[Mount], int | None] | None = None

    def prepare(self, spec: Spec, rootfs: Sequence[Mount], netns: int | None) -> None:
        self._start = spec, rootfs, netns
        self._made = cgroup.create(self._path, _resources(spec))

    def launch(self, stdio: Streams | None, console_size: tuple[int, int]) -> Launched:
        assert self._start is not None and self._made is not None
        spec, rootfs, netns = self._start
        return launch(spec, rootfs, cgroup=self._made, netns=netns, stdio=stdio, console_size=console_size)

    def abandon(self) -> None:
        if self._made is not None:
            try:
                self._made.remove()
            except (OSError, ScowError):
                pass  # the supervisor buries it

    def execute(
        self, init: int, spec: Spec, process: Process, stdio: Streams | None, console_size: tuple[int, int]
    ) -> Launched:
        group = cgroup.open(self._path)
        return execute(init, spec, process, cgroup=group, stdio=stdio, console_size=console_size)

    def release(self) -> None:
        """Nothing is kept."""


def _resources(spec: Spec) -> Spec:
    linux = spec.get("linux")
    resources = linux.get("resources") if isinstance(linux, dict) else None
    return resources if isinstance(resources, dict) else {}
