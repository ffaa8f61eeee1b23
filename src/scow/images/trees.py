"""Layer directories: layers/<name>/ holds one unpacked layer, mounted read-only as a lower directory of overlayfs.

Names are short because up to 127 of them make one mount option. A directory counts only when a database row names it;
others are left-overs and swept at start. Removal is a rename into trash/ and a deletion behind the scenes.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Container
from concurrent.futures import Executor, Future

from scow.linux import inode_flags

_log = logging.getLogger("scow.images")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_NAME_LENGTH = 8


class Trees:
    """Directories below `root` and the trash beside them."""

    def __init__(self, root: str, trash: "Trash") -> None:
        self.root = root
        self._trash = trash
        self._made: set[str] = set()
        os.makedirs(root, 0o710, exist_ok=True)
        inode_flags.spread(root)

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def create(self) -> str:
        """The name of a new empty directory, 0755 root."""
        while True:
            name = "".join(secrets.choice(_ALPHABET) for _ in range(_NAME_LENGTH))
            self._made.add(name)  # before it is there: see in_the_making
            try:
                os.mkdir(self.path(name), 0o755)
            except FileExistsError:
                continue
            return name

    def in_the_making(self, name: str) -> bool:
        """Whether this daemon has made the directory and not removed it: what no row names yet may still get one."""
        return name in self._made

    def remove(self, name: str) -> None:
        """Out of sight now, off the disk later."""
        self._trash.put(self.path(name))
        self._made.discard(name)

    def sweep(self, keep: Container[str]) -> None:
        for name in os.listdir(self.root):
            if name not in keep:
                self.remove(name)


class Trash:
    """Directories that wait for their deletion, in one worker thread, so that no caller waits for big trees."""

    def __init__(self, root: str, executor: Executor) -> None:
        self._root = root
        self._executor = executor
        os.makedirs(root, 0o700, exist_ok=True)
        for name in os.listdir(root):
            self._delete_later(f"{root}/{name}")

    def put(self, path: str) -> None:
        """Take the directory `path` away; nothing happens when it is gone already."""
        target = f"{self._root}/{secrets.token_hex(12)}"
        try:
            os.rename(path, target)
        except FileNotFoundError:
            return
        self._delete_later(target)

    def _delete_later(self, path: str) -> None:
        self._executor.submit(delete_tree, path).add_done_callback(_report)


def delete_tree(path: str) -> None:
    """Remove a directory and everything in it, without following links."""
    shutil.rmtree(path)


def _report(future: "Future[None]") -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _log.error("cannot delete a directory in the trash: %s", error)
