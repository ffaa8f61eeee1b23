"""`scow system check`: is everything that the engine stores whole? With --repair it is put right."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.output import line, put
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("json", "", "bool", "", "Print the report as JSON"),
    (
        "repair",
        "",
        "bool",
        "",
        "Put right: fetch (without credentials), unpack again, remove what belongs to nothing",
    ),
)


def _check(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("repair", "1")] if flags.on("repair") else []
    report = session.client.post("/scow/system/check", params)
    findings = report["Findings"]
    if flags.on("json"):
        put(jsontext.encode(report).decode() + "\n")
    else:
        for finding in findings:
            line(_words(finding))
        line(f"{report['Blobs']} blobs and {report['Layers']} layers checked, {_count(findings)}")
    return 0 if all(finding["Remedy"] for finding in findings) else 1


def _words(finding: dict[str, Any]) -> str:
    text = f"{finding['Problem']} {finding['Kind']} {finding['Name']}"
    if finding["Detail"]:
        text += f": {finding['Detail']}"
    if finding["Images"]:
        text += f" (of {', '.join(image.removeprefix('sha256:')[:12] for image in finding['Images'])})"
    if finding["Remedy"]:
        return f"{text}: {finding['Remedy']}"
    return f"{text}: not repaired: {finding['Failure']}" if finding["Failure"] else text


def _count(findings: list[dict[str, Any]]) -> str:
    if not findings:
        return "nothing wrong"
    left = sum(not finding["Remedy"] for finding in findings)
    plural = "s" if len(findings) != 1 else ""
    return f"{len(findings)} problem{plural}, {left or 'none'} of them left"


COMMAND = Command(
    _check, "[OPTIONS]", "Check that everything the engine stores is whole", "system check", _OPTIONS, 0, 0
)
