"""Removal of a directory that builds may be using: out of sight at once, or not at all."""

import os
import secrets
import shutil
import threading
from collections.abc import Mapping


def remove_unused(root: str, name: str, users: Mapping[str, int], lock: threading.Lock) -> bool:
    """In a thread: remove <root>/<name>. False when somebody uses it (`users`, which `lock` guards), or when it is not there.

    A crash leaves a name that begins with a dot, which the next sweep removes.
    """
    gone = f"{root}/.gone-{secrets.token_hex(8)}"
    with lock:
        if users.get(name):
            return False
        try:
            os.rename(f"{root}/{name}", gone)
        except FileNotFoundError:
            return False
    shutil.rmtree(gone, ignore_errors=True)
    return True
