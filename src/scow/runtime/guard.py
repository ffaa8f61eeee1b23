"""The guard of the stretch between entering a container and execve.

Python loads code and data lazily: modules, codecs, locale and NSS files, source lines for tracebacks. In a container's
mount namespace all of that would come from the container, with the engine's privilege. Behind the guard there is nothing
to import from, and any audited event that is not on a short list ends the process at once.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

ALLOWED_EVENTS = frozenset(
    (
        "ctypes.addressof",
        "ctypes.create_string_buffer",
        "ctypes.get_errno",
        "os.exec",
        "os.chdir",
        "os.chown",
        "socket.__new__",
        "socket.sendmsg",
        "sys.addaudithook",
    )
)
"""What our own steps raise. Everything else (import, open, compile, exec, dlopen, Popen, getaddrinfo, …) is fatal."""

GUARD_EXIT = 99


class _Refuse:
    """A finder that finds nothing and says so."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        raise ImportError(f"import of {name} behind the guard")


_FINDERS: Any = [_Refuse()]
_KEPT = (sys.path, sys.path_hooks, sys.meta_path)


def install(abort: Callable[[str], None]) -> None:
    """Close the trap for the rest of this process's life. `abort(event)` is told the event, then the process ends."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ALLOWED_EVENTS:
            detail = f"{event} {arguments[0]}" if arguments and isinstance(arguments[0], str) else event
            try:
                abort(detail)
            finally:
                os._exit(GUARD_EXIT)

    sys.path, sys.path_hooks, sys.meta_path = [], [], _FINDERS  # the old lists live on in _KEPT: nothing is torn down
    sys.addaudithook(hook)
