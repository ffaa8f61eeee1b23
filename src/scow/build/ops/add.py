"""ADD: like COPY, and archives of the context are unpacked."""

from scow.build.frontend.commands import Add
from scow.build.ops import copy
from scow.build.ops.copy import Copied
from scow.build.state import State
from scow.build.work import Work
from scow.errors import Unsupported


def gather(work: Work, state: State, command: Add) -> Copied:
    """ADD, up to the writing of its layer. Runs in a thread."""
    for text in command.sources:
        if "://" in text or text.startswith("git@"):
            raise Unsupported(f"ADD of a URL ({text}) is not supported by scow yet")
    if command.heredocs or command.exclude:
        raise Unsupported("ADD of a document, and ADD --exclude, are not supported by scow yet")
    sources = [found for text in command.sources for found in copy.find(work.context, text, "ADD", context=True)]
    ownership = copy.ownership_of(work, state, command, context=True)
    return copy.place(work, state, command, sources, ownership, context=True)
