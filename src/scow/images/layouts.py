"""What images an archive holds: Docker's manifest.json, or an OCI image layout.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md. docker save writes both at once since 25.0; the
list of names and images is manifest.json then, and the layout's manifest of the same image is kept with it.
Nothing here believes an id, a path or a digest: documents are parsed by the one strict reader, files found by name and
compared with the digest by which they were asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from scow.errors import NotFound, ScowError
from scow.images.archive.limits import InvalidArchive
from scow.images.spool import Spool, SpooledFile
from scow.oci import image as image_documents
from scow.oci import manifest as manifests
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.documents import CONFIG_LIMIT, MANIFEST_LIMIT, list_field, load, load_list, strings, text_field
from scow.oci.image import ImageConfig
from scow.oci.manifest import Index, Manifest
from scow.oci.media import INDEXES, MANIFESTS, OCI_INDEX
from scow.oci.platform import Platform, host_platform
from scow.oci.reference import InvalidReference, Reference

IMAGES = 1000
"""How many images one archive may hold."""
_CONTAINERD_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"


class PlatformNotInArchive(NotFound):
    """The archive has the image, but not for this platform."""


@dataclass(slots=True)
class Candidate:
    """One image of an archive. `manifest` is None when the archive has none; `documents` are its other documents as
    they came (an index). `layers` are the files from base to top.
    """

    id: Digest
    config_data: bytes
    config: ImageConfig
    layers: list[SpooledFile]
    names: list[Reference]
    manifest: Manifest | None = None
    manifest_data: bytes = b""
    documents: dict[Digest, bytes] = field(default_factory=dict)
    parent: str = ""  # the id of the image it was made of, as far as the archive says

    @property
    def platform(self) -> Platform:
        return Platform.normalised(self.config.os, self.config.architecture, self.config.variant)


def candidates(spool: Spool, platform: Platform | None) -> list[Candidate]:
    """The images of an archive; with `platform` those for it alone, PlatformNotInArchive when one has none."""
    if spool.has("manifest.json"):
        found = _docker(spool)
        for each in found:
            if platform is not None and platform.runs(each.platform) is None:
                label = each.names[0].familiar if each.names else str(each.id)
                raise PlatformNotInArchive(
                    f"image with reference {label} was found but does not provide the specified platform ({platform})"
                )
    elif spool.has("index.json"):
        found = list(_layout(spool, platform))
    else:
        raise InvalidArchive("no image in the archive: it has neither manifest.json nor index.json")
    if len(found) > IMAGES:
        raise InvalidArchive(f"the archive has {len(found)} images, more than the {IMAGES} allowed")
    return found


# ---------------------------------------------------------------- Docker's archive


def _docker(spool: Spool) -> list[Candidate]:
    items = load_list(spool.find("manifest.json").read(MANIFEST_LIMIT, "manifest.json"), "manifest.json")
    by_config = {each.id: each for each in _layout(spool, None, lenient=True)} if spool.has("index.json") else {}
    return [_docker_image(spool, item, by_config) for item in items]


def _docker_image(spool: Spool, item: dict[str, Any], by_config: dict[Digest, Candidate]) -> Candidate:
    what = "manifest.json"
    file = _find(spool, text_field(item, "Config", what))
    layers = [_find(spool, path) for path in strings(item.get("Layers"), f"{what} Layers")]
    names = []
    for text in strings(item.get("RepoTags"), f"{what} RepoTags"):
        reference = Reference.parse(text)
        if reference.tag is None or reference.digest is not None:
            raise InvalidArchive(f"invalid tag {text[:200]!r}")
        names.append(reference)
    data = file.read(CONFIG_LIMIT, "image config")
    result = Candidate(file.digest, data, image_documents.parse(data), layers, names)
    result.parent = text_field(item, "Parent", what)
    _check_count(result)
    same = by_config.get(file.digest)
    if same is not None and [layer.digest for layer in same.layers] == [layer.digest for layer in layers]:
        result.manifest, result.manifest_data, result.documents = same.manifest, same.manifest_data, same.documents
    return result


def _find(spool: Spool, path: str) -> SpooledFile:
    """A file of manifest.json; one whose name says a digest must have it."""
    file = spool.find(path)
    claimed = path.removeprefix("blobs/sha256/")
    if claimed != path and file.digest.hex != claimed:
        raise InvalidArchive(f"blob sha256:{claimed[:64]} is not what its name says: it has {file.digest}")
    return file


def _check_count(candidate: Candidate) -> None:
    layers, diff_ids = len(candidate.layers), len(candidate.config.diff_ids)
    if layers > manifests.LAYER_LIMIT:
        raise InvalidArchive(f"the image has {layers} layers, more than the {manifests.LAYER_LIMIT} allowed")
    if layers != diff_ids:
        raise InvalidArchive(f"invalid manifest, layers length mismatch: expected {diff_ids}, got {layers}")


# ---------------------------------------------------------------- OCI layout


def _layout(spool: Spool, platform: Platform | None, lenient: bool = False) -> Iterator[Candidate]:
    """The images of index.json. `lenient` leaves out what cannot be read: manifest.json says what counts."""
    data = spool.find("index.json").read(MANIFEST_LIMIT, "index.json")
    descriptors = _index_entries(data)
    if len(descriptors) > 1 and all(each.platform is not None for each in descriptors) and not _names(descriptors):
        descriptors = [_choose(Index(OCI_INDEX, tuple(descriptors)), platform)]
    for descriptor in descriptors:
        try:
            candidate = _layout_image(spool, descriptor, platform)
        except ScowError:
            if lenient:
                continue
            raise
        if candidate is not None:
            yield candidate


def _index_entries(data: bytes) -> list[Descriptor]:
    document = load(data, "index.json", MANIFEST_LIMIT)
    if "layers" in document or "config" in document:
        raise InvalidArchive("index.json is ambiguous: it has both manifests and layers")
    return [
        Descriptor.parse(value, "index.json manifests") for value in list_field(document, "manifests", "index.json")
    ]


def _names(descriptors: list[Descriptor]) -> list[str]:
    return [name for each in descriptors for name in (_CONTAINERD_NAME, _REF_NAME) if name in each.annotations]


def _layout_image(spool: Spool, descriptor: Descriptor, platform: Platform | None) -> Candidate | None:
    """The image of one entry of index.json; None for what is no image (a signature, an attestation)."""
    if descriptor.media_type not in MANIFESTS | INDEXES:
        return None
    documents: dict[Digest, bytes] = {}
    names = _name_of(descriptor)
    for _ in range(2):
        data = _blob(spool, descriptor).read(MANIFEST_LIMIT, "manifest")
        document = manifests.parse(data, descriptor.media_type)
        if isinstance(document, Manifest):
            break
        documents[descriptor.digest] = data
        descriptor = _choose(document, platform)
    else:
        raise InvalidArchive(f"manifest {descriptor.digest.short} is an index within an index within an index")
    config_data = _blob(spool, document.config).read(CONFIG_LIMIT, "image config")
    config = image_documents.parse(config_data)
    layers = [_blob(spool, layer) for layer in document.layers]
    result = Candidate(document.config.digest, config_data, config, layers, names, document, data, documents)
    _check_count(result)
    if platform is not None and platform.runs(result.platform) is None:
        raise PlatformNotInArchive(f"the image is for {result.platform}, not for {platform}")
    return result


def _choose(index: Index, platform: Platform | None) -> Descriptor:
    choice = index.choose(platform or host_platform())
    if choice is None:
        raise PlatformNotInArchive(f"no matching manifest for {platform or host_platform()} in the archive")
    return choice


def _blob(spool: Spool, descriptor: Descriptor) -> SpooledFile:
    """The blob of a descriptor, proven to be it."""
    digest = descriptor.digest
    if digest.algorithm != "sha256":
        raise InvalidArchive(f"blob {digest}: only sha256 digests are supported in image archives")
    file = spool.find(f"blobs/{digest.algorithm}/{digest.hex}")
    if file.digest != digest or file.size != descriptor.size:
        raise InvalidArchive(f"blob {digest} is not what its name says: it has {file.size} bytes and {file.digest}")
    return file


def _name_of(descriptor: Descriptor) -> list[Reference]:
    """The name an entry of index.json was given; a bare tag is none, and what is no name does not count."""
    for key in (_CONTAINERD_NAME, _REF_NAME):
        text = descriptor.annotations.get(key, "")
        if ":" not in text and "/" not in text:
            continue
        try:
            reference = Reference.parse(text)
        except InvalidReference:
            continue
        if reference.digest is None:
            return [reference.with_default_tag()]
    return []
