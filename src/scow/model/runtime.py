"""Runtimes: the programs that turn a bundle into processes."""

from dataclasses import dataclass

NATIVE = "scow"
"""The name of scow's own, which is no program."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An external OCI runtime: a path, or a name that is looked for where programs are, and its own arguments."""

    path: str
    arguments: tuple[str, ...] = ()
