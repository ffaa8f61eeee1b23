"""A stream from the daemon into a file or to stdout: `save`, `export`."""

from __future__ import annotations

import os

from scow.cli.command import Exit
from scow.cli.output import write_all
from scow.cli.terminal import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def check(path: str, failed: str) -> None:
    """Docker's refusals of an output path ("" for stdout) that should not be written. `failed` says what has failed."""
    if not path:
        if is_terminal(1):
            raise Exit(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect")
        return
    directory = os.path.dirname(path) or "."
    if not os.path.exists(directory):
        raise Exit(1, f"{failed}: invalid output path: stat {directory}: no such file or directory")
    if os.path.islink(path):
        raise Exit(1, f"{failed}: cannot write to a symbolic link directly")
    if os.path.isdir(path):
        raise Exit(1, f"{failed}: cannot write to a directory")
    if os.path.exists(path) and not os.path.isfile(path):
        raise Exit(1, f"{failed}: cannot write to a character device file")


def write(pieces: Iterator[bytes], path: str, mode: int = 0o600) -> None:
    """To stdout, or into a file beside `path` that takes its name when all is there: a broken transfer replaces nothing."""
    if not path:
        for piece in pieces:
            write_all(1, piece)
        return
    import secrets

    temporary = f"{os.path.dirname(path) or '.'}/.tmp-{os.path.basename(path)}{secrets.token_hex(5)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            for piece in pieces:
                write_all(fd, piece)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
