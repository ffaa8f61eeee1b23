"""`scow images`: lists images."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.listing import FORMAT_HELP, Listing, Row, filters_param
from scow.cli.moments import ago, local_string
from scow.cli.output import put
from scow.cli.units import human_size, short_id
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all", "a", "bool", "", "Show all images (default: without intermediate ones)"),
    ("digests", "", "bool", "", "Show digests"),
    ("filter", "f", "list", "", "Show only images that match a condition"),
    ("format", "", "string", "", FORMAT_HELP),
    ("no-trunc", "", "bool", "", "Don't truncate output"),
    ("quiet", "q", "bool", "", "Show only image IDs"),
)
HEADERS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
_NONE = "<none>"


def _images(session: Session, flags: Flags, args: list[str]) -> int:
    filters = flags.items("filter") + [f"reference={name}" for name in args]
    params = [("all", "1")] if flags.on("all") else []
    images = session.client.get("/images/json", params + filters_param(filters)) or []
    layout = flags.text("format")
    if not layout and not flags.on("quiet") and session.config is not None:
        layout = session.config.text("imagesFormat")
    trunc, digests = not flags.on("no-trunc"), flags.on("digests")
    used = digests or "{{.Digest}}" in layout
    rows = [row for image in images for row in _rows(image, trunc, digests, used)]
    if flags.on("quiet"):
        layout = "{{.ID}}" if not layout else layout
        if layout == "{{.ID}}":
            put("".join(row.text("ID") + "\n" for row in rows))
            return 0
    table = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size") if flags.on("digests") else (
        "Repository", "Tag", "ID", "CreatedSince", "Size"
    )  # fmt: skip
    put(Listing(table, HEADERS).render(rows, layout))
    return 0


def _rows(image: dict[str, Any], trunc: bool, digests: bool, used: bool) -> list[Row]:
    """The rows of one image: one for each tag, with its digests when those are `used`, then those without a tag."""
    tags, hashes = _by_name(image.get("RepoTags") or (), ":"), _by_name(image.get("RepoDigests") or (), "@")
    if (not tags and not hashes) or (list(tags) == [_NONE] and list(hashes) in ([], [_NONE])):
        return [_row(image, _NONE, _NONE, _NONE, trunc)]
    out = []
    for name, values in tags.items():
        known = hashes.pop(name, [])
        if not used:
            known = []
        for tag in values:
            out += [_row(image, name, tag, digest, trunc) for digest in known or [_NONE]]
    for name, values in hashes.items():
        out += [_row(image, name, _NONE, digest, trunc) for digest in (values if digests else [""])]
    return out


def first_row(image: dict[str, Any], trunc: bool) -> Row:
    """An image under its first tag."""
    tags = [text for text in image.get("RepoTags") or () if text != "<none>:<none>"]
    name, _, tag = (tags[0] if tags else f"{_NONE}:{_NONE}").rpartition(":")
    return _row(image, name, tag, "", trunc)


def _by_name(references: Sequence[str], separator: str) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for text in references:
        name, _, tail = text.partition("@") if separator == "@" else text.rpartition(":")
        if name != _NONE:
            name = Reference.parse(name).familiar_name
        out.setdefault(name, []).append(tail)
    return out


def _row(image: dict[str, Any], name: str, tag: str, digest: str, trunc: bool) -> Row:
    size = image.get("Size") or 0
    shared, containers = image.get("SharedSize", -1), image.get("Containers", -1)
    fields = {
        "ID": lambda: short_id(image["Id"]) if trunc else image["Id"],
        "Repository": lambda: name,
        "Tag": lambda: tag,
        "Digest": lambda: digest,
        "CreatedSince": lambda: ago(image["Created"]) if image["Created"] > 0 else "N/A",
        "CreatedAt": lambda: local_string(image["Created"]) if image["Created"] > 0 else "",
        "Size": lambda: human_size(size),
        "Containers": lambda: "N/A" if containers == -1 else str(containers),
        "VirtualSize": lambda: human_size(size, 4),
        "SharedSize": lambda: "N/A" if shared == -1 else human_size(shared, 4),
        "UniqueSize": lambda: "N/A" if shared == -1 else human_size(size - shared, 4),
    }
    return Row("*formatter.imageContext", fields)


COMMAND = Command(
    _images,
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    "image ls, image list, images",
    _OPTIONS,
    0,
    1,
)
