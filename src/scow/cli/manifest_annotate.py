"""`scow manifest annotate`: for which platform a manifest of a list is."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.manifests import PLATFORM, full, lists_of
from scow.client.manifest_lists import NoSuchList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("arch", "", "string", "", "Architecture"),
    ("os", "", "string", "", "Operating system"),
    ("os-features", "", "list", "", "Features of the operating system"),
    ("os-version", "", "string", "", "Version of the operating system"),
    ("variant", "", "string", "", "Variant of the architecture"),
)

# What Docker's CLI lets through.
_KNOWN = {
    "darwin": "386 amd64 arm arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm",
    "linux": "386 amd64 arm arm64 ppc64le mips64 mips64le riscv64 s390x",
    "netbsd": "386 amd64 arm",
    "openbsd": "386 amd64 arm",
    "plan9": "386 amd64",
    "solaris": "amd64",
    "windows": "386 amd64",
}


def _annotate(session: Session, flags: Flags, args: list[str]) -> int:
    target, manifest = full(args[0]), full(args[1])
    lists = lists_of(session)
    try:
        entry = lists.entry(target, manifest)
    except NoSuchList:
        raise Exit(1, f"manifest for image {args[1]} does not exist in {args[0]}") from None
    platform = {**(entry["Descriptor"].get("platform") or {})}
    for key, option in (("architecture", "arch"), ("os", "os"), ("os.version", "os-version"), ("variant", "variant")):
        if flags.text(option):
            platform[key] = flags.text(option)
    features = [item for text in flags.items("os-features") for item in text.split(",") if item]
    if features:
        platform["os.features"] = list(dict.fromkeys([*platform.get("os.features", ()), *features]))
    if platform.get("architecture", "") not in _KNOWN.get(platform.get("os", ""), "").split():
        given = f"{flags.text('os')}/{flags.text('arch')}"
        raise Exit(1, f"manifest entry for image has unsupported os/arch combination: {given}")
    entry["Descriptor"]["platform"] = {key: platform[key] for key in PLATFORM if key in platform}
    lists.put(target, manifest, entry)
    return 0


COMMAND = Command(
    _annotate,
    "[OPTIONS] MANIFEST_LIST MANIFEST",
    "Say for which platform a manifest of a list is",
    "",
    _OPTIONS,
    2,
    2,
)
