"""Values of image transfers: who asks a registry, and how far a transfer is."""

from collections.abc import Callable
from dataclasses import dataclass, field

from scow.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client sent in X-Registry-Auth; empty strings when not given. Never printed: repr shows no secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    server_address: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, server_address={self.server_address!r}, …)"


@dataclass(frozen=True, slots=True)
class PullProgress:
    """One progress step, Docker's words: status ("Pulling fs layer", "Downloading", "Download complete", "Extracting",
    "Pull complete", "Already exists", "Digest: …", "Status: …"), the short layer id ("" for whole-pull lines), bytes.
    """

    status: str
    id: str = ""
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class PushedTag:
    """A tag that has been pushed: the digest of its manifest and the manifest's size in bytes."""

    tag: str
    digest: str
    size: int


PushReport = Callable[[PullProgress | PushedTag], None]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Text for the user in an answer that tells progress, with its newline."""

    text: str


@dataclass(frozen=True, slots=True)
class Built:
    """A stage of a build is done: the id of its image."""

    image_id: str


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """What a build has left: the image's id, its manifest's digest, and the names that it was given."""

    image_id: str
    manifest: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image that a load made: its id, the names it was given, and whose names those were before: name to id."""

    image_id: str
    names: tuple[str, ...] = ()
    replaced: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check of the store has found: `problem` (missing, damaged, orphaned) of a `kind` (blob, layer, image,
    directory) of things, which one, the ids of the images that have it, and what was done about it: a `remedy`, or the
    `failure` of one.
    """

    problem: str
    kind: str
    name: str
    images: tuple[str, ...] = ()
    detail: str = ""
    remedy: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has looked at and found."""

    blobs: int
    layers: int
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest or an index as a registry has it. `platforms`: (os, architecture, variant), of an index in its order;
    `entries`: the manifests of an index, when they were asked for.
    """

    media_type: str
    digest: str
    data: bytes
    platforms: tuple[tuple[str, str, str], ...] = ()
    entries: tuple["RemoteManifest", ...] = ()


@dataclass(frozen=True, slots=True)
class ListPart:
    """A manifest that a manifest list names, and the repository in which it and its blobs are."""

    repository: Reference
    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Found:
    """One repository that a search has found."""

    name: str
    description: str
    stars: int
    official: bool


@dataclass(frozen=True, slots=True)
class Vertex:
    """A step of a build as it is now. Times in Unix nanoseconds, 0 for not yet; `error` "" for none."""

    digest: str
    name: str
    started: int = 0
    completed: int = 0
    cached: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class VertexLog:
    """Output of a step; `stream` is 1 or 2."""

    vertex: str
    stream: int
    text: str
    moment: int


@dataclass(frozen=True, slots=True)
class VertexStatus:
    """How far a transfer of a step is; `current` and `total` in bytes, 0 for not known."""

    vertex: str
    id: str
    name: str
    current: int
    total: int
    moment: int
