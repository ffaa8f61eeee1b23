"""`scow manifest create`: a new manifest list, kept here until it is pushed."""

from __future__ import annotations

import binascii

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.manifests import full, lists_of, refuse_insecure, remote, verbose
from scow.cli.output import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("amend", "a", "bool", "", "Add to a list that is there"),
    ("insecure", "", "bool", "", "Allow a registry without TLS"),
)


def _create(session: Session, flags: Flags, args: list[str]) -> int:
    import json

    refuse_insecure(flags)
    target, sources = full(args[0]), [full(name) for name in args[1:]]
    lists = lists_of(session)
    if lists.has(target) and not flags.on("amend"):
        raise Exit(1, "refusing to amend an existing manifest list with no --amend flag")
    found = []
    for source in sources:
        answer = remote(session, source)
        if "manifests" in json.loads(binascii.a2b_base64(answer["Raw"])):
            raise Exit(1, f"{source.familiar} is a manifest list")
        found.append((source, verbose(str(source), answer)))
    for source, entry in found:
        lists.put(target, source, entry)
    line(f"Created manifest list {target}")
    return 0


COMMAND = Command(
    _create,
    "MANIFEST_LIST MANIFEST [MANIFEST...]",
    "Create a manifest list, to be annotated and pushed to a registry",
    "",
    _OPTIONS,
    2,
    UNLIMITED,
)
