"""WORKDIR: the directory is made where it is missing."""

from collections.abc import Callable

from scow.build.files import Files, Ownership
from scow.build.state import State
from scow.build.work import Work
from scow.images.archive.writer import Emit


def missing(work: Work, state: State, path: str) -> Callable[[int, bool, Emit], None] | None:
    """What writes the layer with the directory, given the step's time; None when it is there. Runs in a thread."""
    lower = work.tree(state.chain)
    files = Files(lower, Ownership(), from_context=False)
    target = files.target(path)
    node = lower.find(target)
    if node is not None and node.is_directory or not target:
        return None
    files.parents(target)
    files.directory(target, owned=False)
    return files.write
