"""Flags of `docker buildx build` that Docker's API has no parameter for."""

from __future__ import annotations

from scow.cli.command import Exit
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.flags import Flags, Option

OPTIONS: tuple[Option, ...] = (
    ("attest", "", "list", "", ""),
    ("cache-to", "", "list", "", "Where the cache goes (type=inline: every image lends its steps)"),
    ("call", "", "string", "build", "What is done (build|check)"),
    ("metadata-file", "", "string", "", "Write what was built to a file, as JSON"),
    ("no-cache-filter", "", "list", "", "Stages that are built without the cache"),
    ("provenance", "", "string", "", ""),
    ("sbom", "", "string", "", ""),
)
_NO = ("", "false", "0")


def check(flags: Flags) -> None:
    """Raises Exit for what scow does not do; what turns it off is taken."""
    for name in ("provenance", "sbom"):
        if flags.text(name).lower() not in _NO:
            raise Exit(1, f"attestations (--{name}={flags.text(name)}) are not supported by scow")
    for word in flags.items("attest"):
        if "disabled=true" not in word.split(","):
            raise Exit(1, f"attestations (--attest={word}) are not supported by scow")
    for word in flags.items("cache-to"):
        if word not in ("inline", "type=inline"):
            raise Exit(1, f"a cache of another kind than an image (--cache-to={word}) is not supported by scow")
    if flags.text("call") not in ("build", "check", "lint"):
        raise Exit(1, f"--call={flags.text('call')} is not supported by scow: use build or check")


def parameters(flags: Flags) -> list[tuple[str, str]]:
    """For POST /build, whose own they are not."""
    params = []
    stages = [stage for word in flags.items("no-cache-filter") for stage in word.split(",") if stage]
    if stages:
        params.append(("nocachefilter", jsontext.encode(stages).decode()))
    if flags.text("metadata-file"):
        params.append(("metadata", "1"))
    return params


def lenders(words: list[str]) -> list[str]:
    """--cache-from: names separated by commas, or one description."""
    return [name for word in words for name in ([word] if "=" in word else word.split(",")) if name]


def write_metadata(path: str, metadata: dict[str, object]) -> None:
    """Atomically: a reader sees the old file or the new one."""
    import os

    from scow.cli.output_file import write

    if os.path.isdir(path):
        raise Exit(1, f"the metadata file {path} is a directory")
    write(iter([jsontext.encode(metadata) + b"\n"]), path, 0o644)
