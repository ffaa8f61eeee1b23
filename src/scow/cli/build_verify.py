"""`build --verify`: what the daemon has found, in words or as JSON."""

from __future__ import annotations

from scow.cli.command import Exit
from scow.cli.output import line
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.flags import Flags

PATH = "/scow/build/verify"
_SHOWN = 120  # characters of a value
_UNUSABLE = (
    "cache-from", "cache-to", "iidfile", "load", "metadata-file", "no-cache", "no-cache-filter", "output", "push", "quiet", "tag",
)  # fmt: skip


def check(flags: Flags) -> None:
    """Raises Exit for flags that do not go with --verify, and for --format without it."""
    if not flags.text("verify"):
        if flags.text("format"):
            raise Exit(1, "--format needs --verify")
        return
    if flags.text("format") not in ("", "json"):
        raise Exit(1, f"invalid format {flags.text('format')}: json is the only one")
    for name in _UNUSABLE:
        if flags.changed(name):
            raise Exit(1, f"--{name} and --verify cannot be used together")


def report(image: str, verdict: dict[str, Any], as_json: bool) -> int:
    """Prints it; the exit code: 0 when the image's digest agrees, 1 when it does not."""
    if as_json:
        line(jsontext.encode({"Image": image, **verdict}).decode())
    else:
        for text in lines(image, verdict):
            line(text)
    return 0 if verdict["Agrees"] else 1


def lines(image: str, verdict: dict[str, Any]) -> list[str]:
    """For people."""
    expected, built = verdict["Expected"], verdict["Built"]
    if verdict["Agrees"]:
        found = [f"{image} agrees: {expected['ID']}"]
        if expected["Manifest"] != built["Manifest"]:
            found.append(
                f"  its layers are compressed otherwise: manifest {expected['Manifest']}, built {built['Manifest']}"
            )
        return found
    found = [f"{image} does not agree: {expected['ID']}, built {built['ID']}"]
    for layer in verdict["Layers"]:
        found.append(f"layer {layer['Number']}: {_short(layer['CreatedBy'])}")
        found += [f"  {_path(file['Path'])}: {_deviations(file['Deviations'])}" for file in layer["Files"]]
        if layer["More"]:
            found.append(f"  and {layer['More']} more files")
        elif not layer["Built"]:
            found.append("  missing")
        elif not layer["Expected"]:
            found.append("  extra")
        elif not layer["Files"]:
            found.append("  the same files in an archive of other bytes")
    if verdict["Config"]:
        found.append("config:")
        found += [f"  {one['What']}: {_change(one)}" for one in verdict["Config"]]
    if verdict["Moment"] and any(one["What"] == "created" for one in verdict["Config"]):
        found.append(f"All its steps have one time: perhaps it was built with SOURCE_DATE_EPOCH={verdict['Moment']}.")
    return found


def _deviations(found: list[dict[str, str]]) -> str:
    return ", ".join(_deviation(one) for one in found)


def _deviation(one: dict[str, str]) -> str:
    if one["What"] in ("missing", "extra", "content"):
        return one["What"]
    return f"{one['What']} {_change(one)}"


def _change(one: dict[str, str]) -> str:
    return f"{_short(one['Expected']) or 'nothing'} → {_short(one['Built']) or 'nothing'}"


def _short(text: str) -> str:
    """On one line, and without what a terminal would obey: it comes from an image."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean if len(clean) <= _SHOWN else clean[:_SHOWN] + "…"


def _path(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
