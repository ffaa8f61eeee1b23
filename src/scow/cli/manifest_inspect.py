"""`scow manifest inspect`: a manifest or a manifest list as its registry has it, or as it is kept here to be pushed."""

from __future__ import annotations

import binascii

from scow.cli.command import Command
from scow.cli.manifests import document, full, lists_of, refuse_insecure, remote, verbose
from scow.cli.output import put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option
    from scow.oci.reference import Reference

_OPTIONS: tuple[Option, ...] = (
    ("insecure", "", "bool", "", "Allow a registry without TLS"),
    ("verbose", "v", "bool", "", "Show descriptors, platforms and layers, too"),
)


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    import json

    refuse_insecure(flags)
    reference, lists = full(args[0]), lists_of(session)
    everything = flags.on("verbose")
    if len(args) == 2:
        entry = lists.entry(reference, full(args[1]))
        _show(entry if everything else json.loads(binascii.a2b_base64(entry["Raw"])))
    elif lists.has(reference):
        entries = lists.entries(reference)
        if everything:
            _show(entries)
        else:
            put(document(entries)[1].decode() + "\n")
    else:
        _inspect_remote(session, reference, everything)
    return 0


def _inspect_remote(session: Session, reference: Reference, everything: bool) -> None:
    import json

    found = remote(session, reference, everything)
    raw = json.loads(binascii.a2b_base64(found["Raw"]))
    if not everything:
        _show(raw, 3 if "manifests" in raw else "\t")
        return
    name = str(reference)
    entries = [
        verbose(f"{name.partition('@')[0]}@{entry['Descriptor']['digest']}", entry) for entry in found["Entries"]
    ]
    _show(entries if "manifests" in raw else verbose(name, found))


def _show(value: object, indent: int | str = "\t") -> None:
    import json

    put(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


COMMAND = Command(
    _inspect,
    "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    "Show an image manifest, or a manifest list",
    "",
    _OPTIONS,
    1,
    2,
)
