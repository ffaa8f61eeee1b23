"""ADD: like COPY, and archives of the context are unpacked, and URLs are fetched."""

import hashlib
import posixpath
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

from scow.build import git_address, git_tree
from scow.build.agents import DEFAULT
from scow.build.context import MAGIC, Context
from scow.build.frontend.commands import Add
from scow.build.git_address import Repository
from scow.build.ops import copy
from scow.build.ops.copy import Copied, Source
from scow.build.state import State
from scow.build.tree import Node, Path, Tree
from scow.build.work import Work
from scow.errors import DataLoss, InvalidArgument, Unavailable
from scow.images.archive import entry as kinds
from scow.images.archive.limits import InvalidArchive
from scow.images.pipe import through
from scow.model.transfer import PullProgress

_DEFAULT_NAME = "download"
_SHORTEST_ID = 7


def is_remote(text: str) -> bool:
    """Whether a source lies elsewhere than in the context. InvalidArgument for a bad name of a git repository."""
    return is_url(text) or git_address.parse(text) is not None


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


async def gather(work: Work, state: State, command: Add) -> Copied:
    """ADD, up to the writing of its layer."""
    fetched: dict[str, Source] = {}
    for text in command.sources:
        repository = git_address.parse(text)
        if repository is not None:
            fetched[text] = await _check_out(work, command, repository)
        elif is_url(text):
            fetched[text] = await _fetch(work, command, text)
    if command.keep_git_dir and not any(source.whole for source in fetched.values()):
        raise InvalidArgument("ADD --keep-git-dir is for git repositories only")
    if command.checksum and not fetched:
        raise InvalidArgument("checksum requires exactly one remote source")
    return await work.run(_place, work, state, command, fetched)


def _place(work: Work, state: State, command: Add, fetched: dict[str, Source]) -> Copied:
    sources = list(copy.documents(work, command))
    for text in command.sources:
        if text in fetched:
            found = [fetched[text]]
            unpack = command.unpack is True and not fetched[text].whole
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


async def _check_out(work: Work, command: Add, repository: Repository) -> Source:
    """The files of a git repository, or of a directory in it."""
    held = work.scratch_tree()
    agent = work.agents.get(DEFAULT)
    commit = await git_tree.fill(
        work.parts, held, repository, keep=command.keep_git_dir, agent=agent, sockets=work.secrets
    )
    if command.checksum and (len(command.checksum) < _SHORTEST_ID or not commit.id.startswith(command.checksum)):
        raise DataLoss(f"expected checksum to match {command.checksum}, got {commit.id}")
    return Source(held, (), Node(kinds.DIRECTORY, 0o755), b"", whole=True)


async def _fetch(work: Work, command: Add, url: str) -> Source:
    """What a URL leads to, as a file of its name; root's alone, as Docker makes it."""
    name = posixpath.basename(unquote(urlsplit(url).path))
    if name in ("", ".", "..") or "\0" in name:
        name = _DEFAULT_NAME
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

    try:
        await through(work.images.fetch(url, progress), lambda read: work.parts.submit(keep, read))
    except Unavailable as error:
        raise Unavailable(f"ADD failed: {error.__cause__ or error.message}") from None
    if command.checksum and command.checksum != f"sha256:{whole.hexdigest()}":
        raise DataLoss(f"digest mismatch sha256:{whole.hexdigest()}: {command.checksum}")
    path: Path = (name.encode("utf-8", "surrogateescape"),)
    node = held.find(path)
    assert node is not None
    tree: Tree = held
    return Source(tree, path, node, path[0])
