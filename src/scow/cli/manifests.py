"""What the commands about manifest lists share: names, what a registry has under one, and the list as a document."""

from __future__ import annotations

import binascii

from scow.cli.command import Exit
from scow.client import credentials
from scow.client.api import ApiError
from scow.client.manifest_lists import ManifestLists
from scow.client.select import config_directory
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
PLATFORM = ("architecture", "os", "os.version", "os.features", "variant", "features")
"""The keys of a platform, in the order in which Docker writes them."""


def refuse_insecure(flags: Flags) -> None:
    if flags.on("insecure"):
        raise Exit(1, "--insecure is not supported: name the registry in the daemon's insecure-registries")


def lists_of(session: Session) -> ManifestLists:
    return ManifestLists(config_directory(session.config_dir))


def full(text: str) -> Reference:
    return Reference.parse(text).with_default_tag()


def auth(session: Session, reference: Reference) -> list[tuple[str, str]]:
    """The header with the credentials for a reference's registry."""
    server = credentials.server_key(reference.domain)
    return credentials.header(credentials.load(session.config, server), server)


def remote(session: Session, reference: Reference, entries: bool = False) -> dict[str, Any]:
    """What a registry has under a name; Exit when there is nothing."""
    params = [("name", reference.familiar), *([("entries", "1")] if entries else [])]
    try:
        found = session.client.call("GET", "/scow/registry/manifest", params, None, auth(session, reference)).json()
    except ApiError as error:
        if error.status == 404:
            raise Exit(1, f"no such manifest: {reference.familiar}") from None
        raise
    answer: dict[str, Any] = found
    return answer


def verbose(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """One manifest with what Docker tells of it, which is also what it keeps of one."""
    import json

    descriptor = found["Descriptor"]
    if "Platform" in found:
        descriptor["platform"] = found["Platform"]
    kind = "OCIManifest" if ".oci." in descriptor["mediaType"] else "SchemaV2Manifest"
    document = json.loads(binascii.a2b_base64(found["Raw"]))
    return {"Ref": name, "Descriptor": descriptor, "Raw": found["Raw"], kind: document}


def document(entries: Sequence[dict[str, Any]]) -> tuple[str, bytes]:
    """(media type, bytes) of the list of these manifests: byte for byte what Docker's CLI makes of them."""
    import json

    media_type = _OCI_INDEX if entries and entries[0]["Descriptor"]["mediaType"] == OCI_MANIFEST else _DOCKER_LIST
    manifests = []
    for entry in entries:
        given = entry["Descriptor"]
        platform = given.get("platform") or {}
        kept = {key: platform[key] for key in PLATFORM if platform.get(key) or key in ("architecture", "os")}
        item = {"mediaType": given["mediaType"], "size": given["size"], "digest": given["digest"], "platform": kept}
        manifests.append(item)
    value = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    return media_type, json.dumps(value, indent=3, ensure_ascii=False).encode()
