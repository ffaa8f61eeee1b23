"""Contexts that a client has sent ahead of its build: each waits under an id that cannot be guessed until the build takes it."""

import asyncio
import secrets
from dataclasses import dataclass

from scow.background import spawn
from scow.build.nodes import Nodes
from scow.errors import NotFound, ResourceExhausted

_WAITING = 64
_PATIENCE = 600.0
"""Seconds until an upload that nobody takes is dropped."""


@dataclass(slots=True)
class _Upload:
    tree: Nodes
    uid: int | None
    timer: asyncio.TimerHandle


class Uploads:
    """All of one daemon; they go with it."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Upload] = {}

    def add(self, tree: Nodes, uid: int | None) -> str:
        """The id under which `tree` waits for its user (None: one whose user is not known); closed when nobody takes it."""
        if len(self._waiting) >= _WAITING:
            raise ResourceExhausted(f"{_WAITING} build contexts wait for their builds already")
        id_ = secrets.token_hex(16)
        timer = asyncio.get_running_loop().call_later(_PATIENCE, self._drop, id_)
        self._waiting[id_] = _Upload(tree, uid, timer)
        return id_

    def take(self, id_: str, uid: int | None) -> Nodes:
        """It is the caller's from now on. NotFound also for what another user has sent."""
        upload = self._waiting.get(id_)
        if upload is None or upload.uid != uid:
            raise NotFound(f"no such build context: {id_[:64]}")
        upload.timer.cancel()
        del self._waiting[id_]
        return upload.tree

    def _drop(self, id_: str) -> None:
        spawn(asyncio.to_thread(self._waiting.pop(id_).tree.close), "build-context")
