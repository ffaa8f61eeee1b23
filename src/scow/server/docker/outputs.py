"""The `outputs` of a build: what is made of the target. Attributes have BuildKit's names; one that would change nothing here is
taken, one that would is refused by name.
"""

from collections.abc import Iterable, Sequence

import msgspec

from scow.build.request import Output
from scow.errors import InvalidArgument, Unsupported
from scow.oci.reference import Reference
from scow.server.docker import query

_MOST = 16
_KINDS = {
    "moby": "image",
    "image": "image",
    "registry": "image",
    "docker": "docker",
    "oci": "oci",
    "tar": "tar",
    "local": "tar",
    "cacheonly": "cacheonly",
}
_TRUTHS = {"store": True, "oci-mediatypes": True, "rewrite-timestamp": True, "unpack": True, "tar": True}
_FALSEHOODS = ("force-compression", "push-by-digest", "registry.insecure", "platform-split", "estargz")


class Wire(msgspec.Struct):
    """One of them, as Docker's API has it."""

    Type: str
    Attrs: dict[str, str] | None = None


def read(wanted: Sequence[Wire]) -> tuple[Output, ...]:
    """InvalidArgument for what does not exist, Unsupported for what scow does not do."""
    if len(wanted) > _MOST:
        raise InvalidArgument(f"{len(wanted)} outputs of a build are more than {_MOST}")
    return tuple(_output(each.Type, dict(each.Attrs or {})) for each in wanted)


def names(texts: Iterable[str]) -> tuple[Reference, ...]:
    """What an image is to be called."""
    found: dict[Reference, None] = {}
    for text in texts:
        if not text:
            continue
        reference = Reference.parse(text)
        if reference.digest is not None:
            raise InvalidArgument("build tag cannot contain a digest")
        found[reference.with_default_tag()] = None
    return tuple(found)


def _output(kind: str, attributes: dict[str, str]) -> Output:
    if kind not in _KINDS:
        raise InvalidArgument(f'exporter "{kind}" could not be found')
    found = _KINDS[kind]
    if found == "image" and kind == "moby":
        kind = _within(attributes)
    called = names(attributes.pop("name", "").split(",")) if found in ("image", "docker", "oci") else ()
    push = query.boolean(attributes.pop("push", "1" if kind == "registry" else "")) if found == "image" else False
    if attributes.get("compression") == "gzip":
        del attributes["compression"]
    for name, value in attributes.items():
        meant = _TRUTHS.get(name, False if name in _FALSEHOODS else None)
        if meant is None or query.boolean(value) != meant:
            raise Unsupported(f"{name}={value[:80]} of an output of a build (type={kind}) is not supported by scow")
    return Output(found, called, push)


def _within(attributes: dict[str, str]) -> str:
    """Docker's own output is an image, whatever else it is called in its attributes."""
    kind = attributes.pop("type", "image")
    if kind != "image":
        raise Unsupported(f"type={kind[:80]} of an output of a build (type=moby) is not supported by scow")
    return kind
