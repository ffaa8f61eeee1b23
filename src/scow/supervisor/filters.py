"""Seccomp programs, compiled once in the daemon, so that no monitor spends a start on a profile of 1000 names.

The compiled program goes into the bundle as a file of its own, and an annotation of the spec names it (see
runtime/seccomp.py): an exec months later needs neither the profile nor the cache.
"""

import asyncio
from typing import Any

from scow.errors import Internal
from scow.oci.runtime import Spec
from scow.runtime import seccomp
from scow.supervisor.connection import encode

NAME = "seccomp.bpf"
_MOST = 64


class Filters:
    """Compiled profiles by their JSON. `directory` is the on-disk cache."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._configured = False
        self._known: dict[bytes, bytes] = {}

    async def take(self, spec: Spec, path: str) -> tuple[Spec, bytes]:
        """(the spec with the program's annotation in place of its profile, the program file's content for `path`).

        A spec without a profile comes back as it is, with no content. Raises what the compilation raises.
        """
        linux = spec.get("linux") or {}
        profile = linux.get("seccomp")
        if not profile or seccomp.PROGRAM in (spec.get("annotations") or {}):
            return spec, b""
        key = encode(profile)
        content = self._known.get(key)
        if content is None:
            content = await asyncio.to_thread(self._compile, profile)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = content
        flags = {"flags": profile["flags"]} if "flags" in profile else None
        light = {name: value for name, value in linux.items() if name != "seccomp"}
        if flags:
            light["seccomp"] = flags
        annotations = {**(spec.get("annotations") or {}), seccomp.PROGRAM: path}
        return {**spec, "linux": light, "annotations": annotations}, content

    def _compile(self, profile: dict[str, Any]) -> bytes:
        if not self._configured:
            seccomp.configure(self._directory)
            self._configured = True
        seccomp.compiled(profile)
        try:
            with open(seccomp.cached_path(profile), "rb") as file:
                return file.read()
        except OSError as error:
            raise Internal(f"a seccomp program cannot be kept in {self._directory}: {error.strerror}") from error
