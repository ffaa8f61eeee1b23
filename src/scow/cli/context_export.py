"""`scow context export`: a context, with its TLS files, as an archive."""

from __future__ import annotations

import json
import os

from scow.cli.command import Command, Exit
from scow.cli.context_archive import pack
from scow.cli.context_store import DEFAULT, Store, check_name
from scow.cli.output import warn, write_all
from scow.cli.terminal import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _export(session: Session, flags: Flags, args: list[str]) -> int:
    name = args[0]
    if name != DEFAULT:
        check_name(name)
    path = args[1] if len(args) > 1 else f"{name}.dockercontext"
    store = Store(session)
    meta = store.load(name)
    files = store.tls_content(name) if name != DEFAULT else {}
    archive = pack(json.dumps(meta, separators=(",", ":"), ensure_ascii=False).encode(), files)
    if path == "-":
        if is_terminal(1):
            raise Exit(1, "cowardly refusing to export to a terminal, specify a file path")
        write_all(1, archive)
        return 0
    _write(path, archive)
    warn(f'Written file "{path}"')
    return 0


def _write(path: str, archive: bytes) -> None:
    """Keys are in it: for the user alone, and never over or through what is there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Exit(1, f"open {path}: {(error.strerror or '').lower()}") from None
    try:
        write_all(fd, archive)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


COMMAND = Command(
    _export,
    "[OPTIONS] CONTEXT [FILE|-]",
    "Export a context to a tar archive FILE or a tar stream on STDOUT.",
    "",
    (),
    1,
    2,
)
