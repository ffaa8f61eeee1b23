"""`scow context inspect`: all that is kept of contexts."""

from __future__ import annotations

import json

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.context_store import DEFAULT, Store
from scow.cli.inspecting import FORMAT_HELP, inspect
from scow.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("format", "f", "string", "", FORMAT_HELP),)


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    store = Store(session)

    def fetch(name: str) -> tuple[str, bytes]:
        try:
            meta = store.load(name)
        except Exit as missing:
            raise NotFound(missing.message) from None
        kept = name != DEFAULT
        shown = {
            "Name": name,
            "Metadata": meta.get("Metadata") or {},
            "Endpoints": meta["Endpoints"],
            "TLSMaterial": store.tls_files(name) if kept else {},
            "Storage": {
                "MetadataPath": store.meta_directory(name) if kept else "<IN MEMORY>",
                "TLSPath": store.tls_directory(name) if kept else "<IN MEMORY>",
            },
        }
        return "Context", json.dumps(shown, ensure_ascii=False).encode()

    return inspect(args or [store.current()], flags.text("format"), fetch)


COMMAND = Command(
    _inspect,
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    "Display detailed information on one or more contexts",
    "",
    _OPTIONS,
    0,
    UNLIMITED,
)
