"""Which files of a context a build can want, as far as the Dockerfile tells before anything is built."""

import os

from scow.build.frontend.commands import Add, Command, Copy, Run
from scow.build.graph import Plan
from scow.build.ops import copy
from scow.build.ops.add import is_remote
from scow.build.tree import Path, Tree, is_pattern, resolve, walk
from scow.errors import ScowError
from scow.images.archive import entry as kinds

_UNKNOWN = "$\\\"'`"
"""What only the walk through the stages can undo: the text before the first of them is certain."""


def needed(tree: Tree, plan: Plan) -> set[Path]:
    """The files that instructions of the planned stages read. Triggers of base images are not among them."""
    found: set[Path] = set()
    for planned in plan.stages.values():
        for command in planned.commands:
            for source in _sources(command):
                _take(tree, source, found)
    return found


def _sources(command: Command) -> list[str]:
    if isinstance(command, Copy) and command.origin is None:
        return list(command.sources)
    if isinstance(command, Add):
        return [source for source in command.sources if not is_remote(source)]
    if isinstance(command, Run):
        binds = [mount for mount in command.mounts if mount.kind == "bind" and not mount.origin]
        return ["" if "$" in mount.written or is_pattern(mount.source.encode()) else mount.source for mount in binds]
    return []


def _take(tree: Tree, source: str, found: set[Path]) -> None:
    cut = min((source.index(mark) for mark in _UNKNOWN if mark in source), default=-1)
    if cut >= 0:
        source = source[:cut].rpartition("/")[0]
        paths = [resolve(tree, os.fsencode(source))]
    else:
        try:
            paths = [each.path for each in copy.find(tree, source or ".", "COPY", context=True)]
        except ScowError:  # the build will say it
            return
    for path in paths:
        node = tree.find(path)
        if node is not None and node.kind == kinds.FILE:
            found.add(path)
        elif node is not None and node.is_directory:
            found.update((*path, *inner) for inner, each in walk(tree, path) if each.kind == kinds.FILE)
