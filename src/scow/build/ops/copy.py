"""COPY and ADD: from a tree into the root file system, as one layer."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from scow.build import history
from scow.build.files import Files, Ownership
from scow.build.frontend.commands import Copy, Transfer
from scow.build.frontend.ignore import IgnoreRules
from scow.build.state import State
from scow.build.tree import Node, Path, Tree, is_pattern, matches, resolve, split
from scow.build.work import Work
from scow.errors import InvalidArgument, NotFound
from scow.images.archive import entry as kinds
from scow.linux import users


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to copy: where it lies in its tree (links resolved), and the name it has when it comes into a directory. `whole`:
    an unpacked archive, whose files keep owner and mode.
    """

    tree: Tree
    path: Path
    node: Node
    name: bytes
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Copied:
    """What a step will write, and its words for the history: `file`, `dir` or `multi`, the content's digest, and the
    newest time in it (Unix seconds, 0 for none).
    """

    files: Files
    digest: str
    kind: str
    newest: int = 0


def find(tree: Tree, text: str, word: str, *, context: bool) -> list[Source]:
    """What one source of an instruction means; a pattern may mean nothing."""
    raw = os.fsencode(text)
    if context and _climbs(raw):
        raise InvalidArgument(f"{word} failed: forbidden path outside the build context: {text} ()")
    if is_pattern(raw):
        return [_source(tree, path, path[-1]) for path in matches(tree, raw) if path]
    path = resolve(tree, raw)
    node = tree.find(path)
    if node is None:
        where = "file not found in build context or excluded by .dockerignore: " if context else ""
        raise NotFound(f"{word} failed: {where}stat {text.lstrip('/')}: file does not exist")
    names = split(raw)
    return [Source(tree, path, node, names[-1] if names else b"")]


def _source(tree: Tree, path: Path, name: bytes) -> Source:
    real = resolve(tree, b"/".join(path))
    node = tree.find(real)
    if node is None:
        raise NotFound(f"stat {os.fsdecode(b'/'.join(path))}: file does not exist")
    return Source(tree, real, node, name)


def _climbs(raw: bytes) -> bool:
    depth = 0
    for name in raw.split(b"/"):
        depth += {b"..": -1, b".": 0, b"": 0}.get(name, 1)
        if depth < 0:
            return True
    return False


def place(
    work: Work, state: State, command: Transfer, sources: list[Source], ownership: Ownership, *, context: bool
) -> Copied:
    """Everything at its place. Runs in a thread: trees are read. The digest is of what is written, not of its times."""
    word = command.word
    if not sources:
        raise InvalidArgument(f"{word} failed: no source files were specified")
    target = command.target
    into = target.endswith(("/", "/.", "/..")) or target in (".", "..")
    if len(sources) > 1 and not into:
        raise InvalidArgument(
            f"When using {word} with more than one source file, the destination must be a directory and end with a /"
        )
    excluded = IgnoreRules.parse("\n".join(command.exclude)) if command.exclude else None
    # --link: as if onto nothing, so that no link of what lies below leads elsewhere and the layer is the same on any base
    below = work.tree(() if command.link else state.chain)
    files = Files(below, ownership, from_context=context, excluded=excluded)
    base = files.target(os.path.join("/", state.config.working_dir, target))
    for source in sources:
        _place_one(files, base, source, into=into, parents=isinstance(command, Copy) and command.parents)
    directory = sources[0].node.is_directory and not sources[0].whole
    kind = "multi" if len(sources) > 1 else "dir" if directory else "file"
    return Copied(files, files.digest(), kind, files.newest())


def _place_one(files: Files, base: Path, source: Source, *, into: bool, parents: bool) -> None:
    if parents:  # the path from the context's root, or from the pivot point, is kept
        base = (*base, *(source.path if source.node.is_directory else source.path[:-1]))
    if source.node.is_directory:
        files.contents(base, source.tree, source.path, keep=source.whole)
        return
    if files.leaves_out((source.name,)):
        return
    path = (*base, source.name) if into or parents or files.is_directory(base) else base
    files.file(path, source.tree, source.path, source.node)


def ownership_of(work: Work, state: State, command: Transfer, *, context: bool) -> Ownership:
    """--chown and --chmod, names looked up in the image. What comes from a context is root's, what comes from an image keeps
    its owner. Runs in a thread.
    """
    mode = _mode(command.chmod)
    if not command.chown:
        return Ownership(0, 0, mode) if context else Ownership(None, None, mode)
    uid, gid = _owner(work, state, command.chown)
    return Ownership(uid, gid, mode, chown=True)


def _mode(text: str) -> int | None:
    if not text:
        return None
    if not all("0" <= digit <= "7" for digit in text) or int(text, 8) > 0o7777:
        raise InvalidArgument(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
    return int(text, 8)


def _owner(work: Work, state: State, chown: str) -> tuple[int, int]:
    """Docker's rule: one word is user and group of that name or number."""
    user, colon, group = chown.partition(":")
    if not colon:
        group = user
    if not user or not group or ":" in group:
        raise InvalidArgument(f"invalid chown string format: {chown}")
    tree = work.tree(state.chain)
    return (
        _number(tree, user, b"etc/passwd", "uid for user", "user"),
        _number(tree, group, b"etc/group", "gid for group", "group"),
    )


def _number(tree: Tree, name: str, file: bytes, what: str, kind: str) -> int:
    number = users.parse_id(name)
    if number is not None:
        return number
    path = resolve(tree, file)
    node = tree.find(path)
    data = b""
    if node is not None and node.kind == kinds.FILE and node.size <= users.MAX_FILE:
        data = b"".join(tree.content(path))
    found = users.number_of(data, name)
    if found is None:
        raise NotFound(
            f"unable to convert uid/gid chown string to host mapping: can't find {what} {name}: no such {kind}: {name}"
        )
    return found


def comment(command: Transfer, copied: Copied) -> str:
    """The line in the history."""
    flags = f"--chown={command.chown} " if command.chown else ""
    flags += f"--chmod={command.chmod} " if command.chmod else ""
    return f"{command.word} {flags}{copied.kind}:{copied.digest} in {command.target} "


def created_by(state: State, command: Transfer, copied: Copied) -> str:
    """As `comment`, with the shell in front."""
    return history.nothing(state.config, comment(command, copied), wide=False)


def documents(work: Work, command: Transfer) -> Iterator[Source]:
    """The files that stand in the Dockerfile itself."""
    if not command.heredocs:
        return
    tree = work.scratch_tree()
    for document in command.heredocs:
        content = document.content.encode("utf-8", "surrogateescape")
        tree.add_file(document.name, iter((content,)), 0o644)
        path = (os.fsencode(document.name),)
        node = tree.find(path)
        assert node is not None
        yield Source(tree, path, node, path[0])


def gather(work: Work, state: State, command: Copy, origin: Tree | None) -> Copied:
    """COPY, up to the writing of its layer: from `origin`, or from the context. Runs in a thread."""
    tree: Tree = work.context if origin is None else origin
    context = origin is None
    sources = list(documents(work, command))
    sources += [found for text in command.sources for found in find(tree, text, "COPY", context=context)]
    return place(work, state, command, sources, ownership_of(work, state, command, context=context), context=context)
