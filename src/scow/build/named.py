"""Contexts beside the main one, by the names that FROM, COPY --from and RUN --mount=from= give them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from scow.build import git_address
from scow.build.nodes import Nodes
from scow.errors import InvalidArgument, Unsupported
from scow.oci.reference import Reference

IMAGE = "docker-image://"
_LAYOUT = "oci-layout://"
Opener = Callable[[str], Awaitable[Nodes]]


class NamedContexts:
    """`values`: an image, a URL or a git repository for each name, "" for one that the client has sent, which is in `sent`."""

    def __init__(self, values: Mapping[str, str], sent: Mapping[str, Nodes], open_url: Opener) -> None:
        self._values = values
        self._trees = dict(sent)
        self._open = open_url
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._values)

    def image(self, name: str) -> str | None:
        """The image that a name stands for; None for another kind of context, or none."""
        value = self._values.get(name.lower(), "")
        return value.removeprefix(IMAGE) if value.startswith(IMAGE) else None

    async def tree(self, name: str) -> Nodes | None:
        """The files that a name stands for, fetched when they are first asked for; None for an image, or no context."""
        name = name.lower()
        if name not in self._values or self.image(name) is not None:
            return None
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self._trees:
                self._trees[name] = await self._open(self._values[name])
            return self._trees[name]


def check(name: str, value: str) -> None:
    """InvalidArgument, or Unsupported, for what is no context."""
    if not name or name != name.lower() or not name.isprintable() or len(name) > 255:
        raise InvalidArgument(f"invalid name of a build context: {name[:255]!r}")
    if value.startswith(IMAGE):
        Reference.parse(value.removeprefix(IMAGE))
    elif value.startswith(_LAYOUT):
        raise Unsupported(
            f"a build context from an OCI layout ({name}) is not supported by scow yet: load it, and use the image"
        )
    elif value.startswith("input:") or not is_remote(value):
        raise InvalidArgument(f"invalid build context {name}={git_address.redacted(value)[:200]}")


def is_remote(value: str) -> bool:
    """Whether the daemon fetches it."""
    return value.startswith(("http://", "https://")) or git_address.parse(value, short=True) is not None
