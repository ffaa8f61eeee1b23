"""`scow version`: client and server."""

from __future__ import annotations

import sys

from scow import __version__
from scow.cli.command import Command, Exit
from scow.cli.output import put
from scow.cli.records import Record, render
from scow.cli.table import Columns
from scow.client.api import API_VERSION
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("format", "f", "string", "", "Format output: 'json', or a Go template"),)
_ENGINE = (
    ("API version", ""),
    ("Python version", "PythonVersion"),
    ("Go version", "GoVersion"),
    ("Git commit", "GitCommit"),
    ("Built", "BuildTime"),
    ("OS/Arch", ""),
    ("Experimental", "Experimental"),
)


def machine() -> str:
    """This machine's architecture in Go's words."""
    import posix

    name = posix.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}.get(name, name)


def _version(session: Session, flags: Flags, args: list[str]) -> int:
    server: dict[str, Any] | None = None
    failure = ""
    try:
        server = session.client.get("/version")
    except ScowError as error:
        failure = str(error)
    client = {
        "Version": __version__,
        "ApiVersion": session.client.version,
        "DefaultAPIVersion": API_VERSION,
        "GitCommit": "",
        "PythonVersion": sys.version.partition(" ")[0],
        "Os": "linux",
        "Arch": machine(),
        "BuildTime": "",
        "Context": session.context or "default",
    }
    layout = flags.text("format")
    if layout:
        data = Record("system.versionInfo", {"Client": client, "Server": server})
        try:
            put(render(layout, data, "version"))
        finally:
            put("\n")
    else:
        put(_text(client, server))
    if failure:
        raise Exit(1, failure)
    return 0


def _text(client: dict[str, Any], server: dict[str, Any] | None) -> str:
    api = client["ApiVersion"]
    if api != client["DefaultAPIVersion"]:
        api += f" (downgraded from {client['DefaultAPIVersion']})"
    table = Columns(least=20, padding=1)
    table.add(["Client:"])
    table.add([" Version:", client["Version"]])
    table.add([" API version:", api])
    table.add([" Python version:", client["PythonVersion"]])
    table.add([" OS/Arch:", f"{client['Os']}/{client['Arch']}"])
    table.add([" Context:", client["Context"]])
    if server is not None:
        platform = (server.get("Platform") or {}).get("Name") or ""
        table.add([""])
        table.add([f"Server: {platform}" if platform else "Server:"])
        for component in server.get("Components") or [
            {"Name": "Engine", "Version": server["Version"], "Details": server}
        ]:
            _add_component(table, component)
    return table.render()


def _add_component(table: Columns, component: dict[str, Any]) -> None:
    details = component.get("Details") or {}
    table.add([f" {component['Name']}:"])
    table.add(["  Version:", component["Version"]])
    if component["Name"] != "Engine":
        for key in sorted(details):
            table.add([f"  {key}:", details[key]])
        return
    for title, key in _ENGINE:
        if title == "API version":
            value = f"{details.get('ApiVersion', '')} (minimum version {details.get('MinAPIVersion', '')})"
        elif title == "OS/Arch":
            value = f"{details.get('Os', '')}/{details.get('Arch', '')}"
        elif key == "BuildTime":
            value = _built(str(details.get(key) or ""))
        elif key in details:
            value = str(details[key])
        else:
            continue
        table.add([f"  {title}:", value])


def _built(text: str) -> str:
    """A build time as C's asctime has it; an unknown form stays as it is."""
    import time

    from scow.cli.timestamps import parse

    moment = parse(text) if text else None
    return text if moment is None else time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(moment[0]))


COMMAND = Command(_version, "[OPTIONS]", "Show version information of client and server", "", _OPTIONS, 0, 0)
