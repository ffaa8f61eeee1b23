"""ADD: like COPY, and archives of the context are unpacked, and URLs are fetched."""

import hashlib
import posixpath
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

from scow.build.context import MAGIC, Context
from scow.build.frontend.commands import Add
from scow.build.ops import copy
from scow.build.ops.copy import Copied, Source
from scow.build.state import State
from scow.build.tree import Node, Path, Tree
from scow.build.work import Work
from scow.errors import DataLoss, InvalidArgument, Unsupported
from scow.images.archive import entry as kinds
from scow.images.archive.limits import InvalidArchive
from scow.images.pipe import through
from scow.model.transfer import PullProgress

_DEFAULT_NAME = "download"


def is_remote(text: str) -> bool:
    """Whether a source lies elsewhere than in the context."""
    return is_url(text) or text.startswith(("git@", "git://", "ssh://"))


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


async def gather(work: Work, state: State, command: Add) -> Copied:
    """ADD, up to the writing of its layer."""
    fetched: dict[str, Source] = {}
    if command.keep_git_dir:
        raise Unsupported("ADD --keep-git-dir is not supported by scow yet")
    for text in command.sources:
        if text.startswith(("git@", "git://", "ssh://")) or is_url(text) and urlsplit(text).path.endswith(".git"):
            raise Unsupported(f"ADD of a git repository ({text}) is not supported by scow yet")
        if is_url(text):
            fetched[text] = await _fetch(work, command, text)
    if command.checksum and not fetched:
        raise InvalidArgument("checksum requires exactly one remote source")
    return await work.run(_place, work, state, command, fetched)


def _place(work: Work, state: State, command: Add, fetched: dict[str, Source]) -> Copied:
    sources = list(copy.documents(work, command))
    for text in command.sources:
        if text in fetched:
            found = [fetched[text]]
            unpack = command.unpack is True
        else:
            found = copy.find(work.context, text, "ADD", context=True)
            unpack = command.unpack is not False
        for source in found:
            tree = _archive(work, source) if unpack else None
            sources.append(source if tree is None else Source(tree, (), Node(kinds.DIRECTORY, 0o755), b"", whole=True))
    ownership = copy.ownership_of(work, state, command, context=True)
    return copy.place(work, state, command, sources, ownership, context=True)


def _archive(work: Work, source: Source) -> Context | None:
    """What an archive holds, as a tree; None for a file that is no archive."""
    if source.node.kind != kinds.FILE or not source.node.size:
        return None
    pieces = source.tree.content(source.path)
    first = next(pieces)
    if not first.startswith(MAGIC) and first[257:262] != b"ustar":
        return None
    held = work.scratch_tree()
    waiting = iter((first,))

    def read() -> bytes:
        return next(waiting, b"") or next(pieces, b"")

    try:
        held.read_archive(read, work.parts.limits)
    except InvalidArchive:
        if first[257:262] == b"ustar":
            raise
        return None  # compressed, and something else than an archive
    return held


async def _fetch(work: Work, command: Add, url: str) -> Source:
    """What a URL leads to, as a file of its name; root's alone, as Docker makes it."""
    name = posixpath.basename(unquote(urlsplit(url).path)) or _DEFAULT_NAME
    held = work.scratch_tree()
    whole = hashlib.sha256()

    def keep(read: Callable[[], bytes]) -> None:
        def pieces() -> Iterator[bytes]:
            while piece := read():
                whole.update(piece)
                yield piece

        held.add_file(name, pieces(), 0o600)

    def progress(step: PullProgress) -> None:
        """A step's output has no bars."""

    await through(work.images.fetch(url, progress), lambda read: work.parts.submit(keep, read))
    if command.checksum and command.checksum != f"sha256:{whole.hexdigest()}":
        raise DataLoss(f"digest mismatch sha256:{whole.hexdigest()}: {command.checksum}")
    path: Path = (name.encode("utf-8", "surrogateescape"),)
    node = held.find(path)
    assert node is not None
    tree: Tree = held
    return Source(tree, path, node, path[0])
