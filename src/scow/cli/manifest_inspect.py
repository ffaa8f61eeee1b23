"""`scow manifest inspect`: a manifest or a manifest list as its registry has it."""

from __future__ import annotations

import binascii

from scow.cli.command import Command, Exit
from scow.cli.output import put
from scow.client import credentials
from scow.client.api import ApiError
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("insecure", "", "bool", "", "Allow a registry without TLS"),
    ("verbose", "v", "bool", "", "Show descriptors, platforms and layers, too"),
)


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    if flags.on("insecure"):
        raise Exit(1, "--insecure is not supported: name the registry in the daemon's insecure-registries")
    reference = Reference.parse(args[0]).with_default_tag()
    server = credentials.server_key(reference.domain)
    headers = credentials.header(credentials.load(session.config, server), server)
    params = [("name", reference.familiar), *([("entries", "1")] if flags.on("verbose") else [])]
    try:
        found = session.client.call("GET", "/scow/registry/manifest", params, None, headers).json()
    except ApiError as error:
        if error.status == 404:
            raise Exit(1, f"no such manifest: {reference.familiar}") from None
        raise
    import json

    raw = binascii.a2b_base64(found["Raw"])
    if not flags.on("verbose"):
        is_list = "manifests" in json.loads(raw)
        put(json.dumps(json.loads(raw), indent=3 if is_list else "\t", ensure_ascii=False) + "\n")
        return 0
    name = str(reference)
    entries = [
        verbose(f"{name.partition('@')[0]}@{entry['Descriptor']['digest']}", entry) for entry in found["Entries"]
    ]
    shown: object = entries if "manifests" in json.loads(raw) else verbose(name, found)
    put(json.dumps(shown, indent="\t", ensure_ascii=False) + "\n")
    return 0


def verbose(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """One manifest with what Docker tells of it."""
    import json

    descriptor = found["Descriptor"]
    if "Platform" in found:
        descriptor["platform"] = found["Platform"]
    kind = "OCIManifest" if ".oci." in descriptor["mediaType"] else "SchemaV2Manifest"
    document = json.loads(binascii.a2b_base64(found["Raw"]))
    return {"Ref": name, "Descriptor": descriptor, "Raw": found["Raw"], kind: document}


COMMAND = Command(
    _inspect,
    "[OPTIONS] MANIFEST",
    "Show an image manifest, or a manifest list",
    "",
    _OPTIONS,
    1,
    1,
)
