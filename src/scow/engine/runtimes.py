"""Which runtimes there are, by the names that HostConfig.Runtime may have, and what each of them can do."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from scow.engine.context import Settings
from scow.errors import InvalidArgument, StartFailure
from scow.model.runtime import NATIVE, Runtime

ALIASES = {"io.containerd.runc.v2": "runc"}
"""Docker's other name of its stock runtime."""
_INSTALLED = ("runc", "crun")  # by name, wherever the machine has them
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PATIENCE = 5.0
_MAXIMUM = 1 << 20
_features: dict[tuple[str, tuple[str, ...], int], dict[str, Any] | None] = {}


def known(settings: Settings) -> dict[str, Runtime]:
    """Every external runtime by name: those of the configuration, and runc and crun where they are installed."""
    found = {name: Runtime(name) for name in _INSTALLED if _which(name)}
    found.update(settings.runtimes)
    found.update({alias: found[name] for alias, name in ALIASES.items() if name in found})
    return found


def check(settings: Settings, name: str) -> None:
    """InvalidArgument in Docker's words for a name that nobody has."""
    if name != NATIVE and name not in known(settings):
        raise InvalidArgument(f"unknown or invalid runtime name: {name}")


def command(settings: Settings, name: str) -> tuple[str, ...]:
    """The program's path and its own arguments; nothing for scow's own runtime.

    InvalidArgument for an unknown name, StartFailure when the program is missing.
    """
    if name in ("", NATIVE):
        return ()
    check(settings, name)
    runtime = known(settings)[name]
    path = _which(runtime.path)
    if not path:
        why = "no such file or directory" if "/" in runtime.path else "executable file not found in $PATH"
        raise StartFailure(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            f'unable to retrieve OCI runtime error: exec: "{runtime.path}": {why}: unknown'
        )
    return (path, *runtime.arguments)


async def features(runtimes: Mapping[str, Runtime]) -> dict[str, dict[str, Any]]:
    """What `RUNTIME features` tells of each, by name; one that does not tell is left out. A program is asked once."""
    result = {}
    for name, runtime in runtimes.items():
        path = _which(runtime.path)
        if path:
            told = await asyncio.to_thread(_ask, path, runtime.arguments)
            if told is not None:
                result[name] = told
    return result


def _which(path: str) -> str:
    return shutil.which(path, path=_PATH) or ""


def _ask(path: str, arguments: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        key = (path, arguments, os.stat(path).st_mtime_ns)
    except OSError:
        return None
    if key not in _features:
        _features[key] = _told(path, arguments)
    return _features[key]


def _told(path: str, arguments: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        done = subprocess.run(
            [path, *arguments, "features"],
            env={"PATH": _PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
        found = json.loads(done.stdout[:_MAXIMUM]) if done.returncode == 0 else None
    except (OSError, ValueError, RecursionError, subprocess.TimeoutExpired):
        return None
    return found if isinstance(found, dict) else None
