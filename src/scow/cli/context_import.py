"""`scow context import`: a context out of an archive, tar or zip."""

from __future__ import annotations

import os

from scow.cli.command import Command, Exit
from scow.cli.context_archive import MOST, unpack
from scow.cli.context_store import Store
from scow.cli.output import line, warn
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags

_GO_NAMES = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def _import(session: Session, flags: Flags, args: list[str]) -> int:
    name = args[0]
    store = Store(session)
    store.check_new(name)
    raw, files = unpack(_read(args[1]))
    try:
        meta = jsontext.decode(raw)
    except ValueError as error:
        raise Exit(1, f"meta.json: {error}") from None
    if not isinstance(meta, dict):
        kind = _GO_NAMES.get(type(meta), "null")
        raise Exit(1, f"json: cannot unmarshal {kind} into Go value of type store.Metadata")
    about, endpoints = meta.get("Metadata"), meta.get("Endpoints")
    for key, value in (("Metadata", about), ("Endpoints", endpoints)):
        if value is not None and not isinstance(value, dict):
            raise Exit(1, f"meta.json: {key} is not an object")
    store.save({"Name": name, "Metadata": about or {}, "Endpoints": endpoints or {}}, files)
    line(name)
    warn(f'Successfully imported context "{name}"')
    return 0


def _read(path: str) -> bytes:
    """No more than tells that it is too much."""
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as stream:
            return stream.read(MOST + 1)
    except OSError as error:
        raise Exit(1, f"open {path}: {os.strerror(error.errno or 0).lower()}") from None


COMMAND = Command(_import, "CONTEXT FILE|-", "Import a context from a tar or zip file", "", (), 2, 2)
