"""A stream from the daemon into a file: `save -o`, `export -o`."""

from __future__ import annotations

import os

from scow.cli.output import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.client.api import Response


def write(response: Response, path: str) -> None:
    """Into a file beside `path` that takes its name when all is there: a broken transfer replaces nothing."""
    import secrets

    temporary = f"{os.path.dirname(path) or '.'}/.tmp-{os.path.basename(path)}{secrets.token_hex(5)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            for piece in response.pieces():
                write_all(fd, piece)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
