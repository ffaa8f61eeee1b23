"""What `cp` makes of its two paths: pure rules, those of Docker's CLI.

A path that ends with a slash asserts a directory; one that ends with `/.` means what is in the directory.
"""

from __future__ import annotations

import posixpath

from scow.cli.command import Exit


class Place:
    """A source or destination as it was found. `rebase` is the name of the source's archive when it is not its own."""

    __slots__ = ("exists", "is_directory", "path", "rebase")

    def __init__(self, path: str, exists: bool = False, is_directory: bool = False, rebase: str = "") -> None:
        self.path = path
        self.exists = exists
        self.is_directory = is_directory
        self.rebase = rebase


def split_argument(argument: str) -> tuple[str, str]:
    """(container, path); the container is empty for a path of this machine."""
    if argument.startswith("/"):
        return "", argument
    container, colon, path = argument.partition(":")
    if not colon or container.startswith("."):
        return "", argument
    return container, path


def means_contents(path: str) -> bool:
    """Whether the path ends with a dot, or is empty."""
    return not path or path.rpartition("/")[2] == "."


def asserts_directory(path: str) -> bool:
    """Whether the path can only be a directory."""
    return path.endswith("/") or means_contents(path)


def split_last(path: str) -> tuple[str, str]:
    """(directory, name); the name is "." when the contents are meant."""
    clean = clean_path(path)
    if means_contents(path):
        return clean, "."
    return posixpath.dirname(clean) or ".", posixpath.basename(clean) or "/"


def clean_path(path: str) -> str:
    """filepath.Clean."""
    clean = posixpath.normpath(path)
    return clean[1:] if clean.startswith("//") else clean


def rebased(path: str, resolved: str) -> tuple[str, str]:
    """(the resolved path with the ending of `path`, the name that its archive must have, "" for its own)."""
    if means_contents(path) and not means_contents(resolved):
        resolved += "/."
    if path.endswith("/") and not resolved.endswith("/"):
        resolved += "/"
    asked = split_last(path)[1]
    return resolved, asked if asked != split_last(resolved)[1] else ""


def settle(source: Place, destination: Place) -> tuple[str, str]:
    """(the directory to extract into, the name that the archive's first entry takes there; "" for its own).

    Exit with Docker's sentences when one cannot become the other.
    """
    directory, name = split_last(destination.path)
    if destination.exists and destination.is_directory:
        return destination.path, ""
    if destination.exists and source.is_directory:
        raise Exit(1, "cannot copy directory")
    if not destination.exists and not source.is_directory and asserts_directory(destination.path):
        raise Exit(1, "no such directory")
    return directory, name


def renamer(old: str, new: str) -> object:
    """A function from the archive's cleaned names to those under which they are placed: `old` becomes `new`."""
    import os

    before, after = os.fsencode("" if old in (".", "/") else old), os.fsencode(new)

    def rename(name: bytes) -> bytes:
        if not before:
            return after + b"/" + name if name else after
        if name == before or name.startswith(before + b"/"):
            return after + name[len(before) :]
        return name

    return rename
