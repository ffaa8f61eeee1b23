"""`scow history`: the steps that made an image."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.listing import FORMAT_HELP, Listing, Row
from scow.cli.moments import ago
from scow.cli.output import put
from scow.cli.units import ellipsis, human_size, short_id
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("format", "", "string", "", FORMAT_HELP),
    ("human", "H", "bool", "true", "Show sizes and dates for people"),
    ("no-trunc", "", "bool", "", "Don't truncate output"),
    ("platform", "", "string", "", "Show the history of the image for this platform"),
    ("quiet", "q", "bool", "", "Show only image IDs"),
)


def _history(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("platform", flags.text("platform"))] if flags.text("platform") else []
    items = session.client.get(f"/images/{quote(args[0], '/:@')}/history", params)
    human, trunc = flags.on("human"), not flags.on("no-trunc")
    rows = [_row(item, trunc, human) for item in items]
    layout = flags.text("format")
    if flags.on("quiet") and not layout:
        put("".join(row.text("ID") + "\n" for row in rows))
        return 0
    headers = {
        "ID": "IMAGE",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "Size": "SIZE",
        "Comment": "COMMENT",
    }
    when = "CreatedSince" if human else "CreatedAt"
    put(Listing(("ID", when, "CreatedBy", "Size", "Comment"), headers).render(rows, layout))
    return 0


def _row(item: dict[str, Any], trunc: bool, human: bool) -> Row:
    import time

    def created_by() -> str:
        text = (item.get("CreatedBy") or "").replace("\t", " ")
        return ellipsis(text, 45) if trunc else text

    def created_at() -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(item["Created"]))
        offset = time.localtime(item["Created"]).tm_gmtoff
        sign = "-" if offset < 0 else "+"
        zone = f"{sign}{abs(offset) // 3600:02d}:{abs(offset) % 3600 // 60:02d}" if offset else "Z"
        return moment + zone

    size = item.get("Size") or 0
    fields = {
        "ID": lambda: short_id(item["Id"]) if trunc else item["Id"],
        "CreatedAt": created_at,
        "CreatedSince": lambda: ago(item["Created"]) if human else created_at(),
        "CreatedBy": created_by,
        "Size": lambda: human_size(size) if human else str(size),
        "Comment": lambda: item.get("Comment") or "",
    }
    return Row("*image.historyContext", fields)


COMMAND = Command(_history, "[OPTIONS] IMAGE", "Show the history of an image", "image history, history", _OPTIONS, 1, 1)
