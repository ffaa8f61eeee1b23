"""`scow manifest push`: a manifest list, and what it names, into a repository."""

from __future__ import annotations

import binascii

from scow.cli.command import Command, Exit
from scow.cli.manifests import auth, document, full, lists_of, refuse_insecure
from scow.cli.output import line
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("insecure", "", "bool", "", "Allow a registry without TLS"),
    ("purge", "p", "bool", "", "Forget the list once it is pushed"),
)


def _push(session: Session, flags: Flags, args: list[str]) -> int:
    refuse_insecure(flags)
    target = full(args[0])
    lists = lists_of(session)
    entries = lists.entries(target)
    sources = []
    for entry in entries:
        source = Reference.parse(entry["Ref"])
        if source.domain != target.domain:
            raise Exit(
                1,
                "cannot use source images from a different registry than the target image: "
                f"{source.domain} != {target.domain}",
            )
        platform = entry["Descriptor"].get("platform") or {}
        if not (platform.get("os") and platform.get("architecture")):
            raise Exit(1, f"manifest {entry['Ref']} must have an OS and Architecture to be pushed to a registry")
        if source.name != target.name:
            kind = entry["Descriptor"]["mediaType"]
            sources.append({"Repository": source.name, "MediaType": kind, "Raw": entry["Raw"]})
    media_type, data = document(entries)
    raw = binascii.b2a_base64(data, newline=False).decode()
    body = {"MediaType": media_type, "Raw": raw, "Manifests": sources}
    answer = session.client.call(
        "POST", "/scow/registry/manifest", [("name", target.familiar)], body, auth(session, target)
    ).json()
    for digest in answer["Manifests"]:
        line(f"Pushed ref {target.name}@{digest} with digest: {digest}")
    line(answer["Digest"])
    if flags.on("purge"):
        lists.remove(target)
    return 0


COMMAND = Command(_push, "[OPTIONS] MANIFEST_LIST", "Push a manifest list to its repository", "", _OPTIONS, 1, 1)
