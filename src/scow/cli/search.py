"""`scow search`: repositories of a hub, or the tags of a repository in any registry."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.listing import FORMAT_HELP, Listing, Row, filters_param
from scow.cli.output import line, put, warn
from scow.client import credentials
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("filter", "f", "list", "", "Show only repositories that match a condition"),
    ("format", "", "string", "", FORMAT_HELP),
    ("limit", "", "int", "0", "The most results to show"),
    ("no-trunc", "", "bool", "", "Don't shorten descriptions"),
    ("tags", "", "bool", "", "List the tags of the repository TERM in its registry"),
)
_HEADERS = {"Description": "DESCRIPTION", "IsOfficial": "OFFICIAL", "Name": "NAME", "StarCount": "STARS"}
_SHOWN = 45


def _search(session: Session, flags: Flags, args: list[str]) -> int:
    if flags.on("tags"):
        return _tags(session, flags, args[0])
    for item in flags.items("filter"):
        if "=" not in item:
            raise Exit(
                125,
                f'invalid argument "{item}" for "-f, --filter" flag: bad format of filter (expected name=value)\n\n'
                f"Usage:  {session.path} {COMMAND.usage}\n\nRun '{session.path} --help' for more information",
            )
        if item == "is-automated=true":
            warn(
                'WARNING: the "is-automated" filter is deprecated, and searching for "is-automated=true" '
                "will not yield any results in future."
            )
    limit = flags.number("limit")
    host, slash, _ = args[0].partition("/")
    named = slash and ("." in host or ":" in host or host == "localhost")
    server = credentials.server_key(host if named else "docker.io")
    params = [("term", args[0]), *([("limit", str(limit))] if limit > 0 else []), *filters_param(flags.items("filter"))]
    headers = credentials.header(credentials.load(session.config, server), server)
    found = session.client.call("GET", "/images/search", params, None, headers).json() or []
    whole, layout = flags.on("no-trunc"), flags.text("format")
    rows = [_row(item, whole, layout != "json") for item in found]
    put(Listing(("Name", "Description", "StarCount", "IsOfficial"), _HEADERS).render(rows, layout))
    return 0


def _row(item: dict[str, Any], whole: bool, marked: bool) -> Row:
    description = str(item.get("description") or "").replace("\n", " ").replace("\r", " ")
    if not whole and len(description) > _SHOWN:
        description = description[: _SHOWN - 1] + "…"
    official = bool(item.get("is_official"))
    fields = {
        "Name": lambda: str(item.get("name") or ""),
        "Description": lambda: description,
        "StarCount": lambda: str(item.get("star_count") or 0),
        "IsOfficial": lambda: ("[OK]" if official else "") if marked else ("true" if official else "false"),
    }
    return Row("*registry.searchContext", fields)


def _tags(session: Session, flags: Flags, name: str) -> int:
    for other in ("filter", "format", "no-trunc"):
        if flags.changed(other):
            raise Exit(1, f"conflicting options: cannot specify both --tags and --{other}")
    reference = Reference.parse(name)
    if reference.tag is not None or reference.digest is not None:
        raise Exit(1, f"--tags lists a repository: {name} names one image")
    server = credentials.server_key(reference.domain)
    headers = credentials.header(credentials.load(session.config, server), server)
    params = [("name", reference.familiar_name)]
    tags = session.client.call("GET", "/scow/registry/tags", params, None, headers).json()["Tags"]
    limit = flags.number("limit")
    for tag in tags[:limit] if limit > 0 else tags:
        line(tag)
    return 0


COMMAND = Command(_search, "[OPTIONS] TERM", "Search a hub for images, or a registry for tags", "", _OPTIONS, 1, 1)
