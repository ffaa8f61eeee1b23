"""`scow events`: what happens in the engine, as it happens."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.listing import filters_param
from scow.cli.moments import go_fixed
from scow.cli.output import put
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("filter", "f", "list", "", "Show only events that match a condition"),
    ("format", "", "string", "", "Format output: 'json', or a Go template"),
    ("since", "", "string", "", "Show all events since this point in time"),
    ("until", "", "string", "", "Stop at this point in time"),
)


def _events(session: Session, flags: Flags, args: list[str]) -> int:
    show = _formatter(flags.text("format"))
    params = []
    for name in ("since", "until"):
        if flags.text(name):
            from scow.cli.timestamps import for_api

            try:
                params.append((name, for_api(flags.text(name))))
            except ValueError as error:
                raise Exit(1, f'invalid value for "{name}": {error}') from None
    params += filters_param(flags.items("filter"))
    for text in session.client.call("GET", "/events", params).lines():
        put(show(text.decode("utf-8", "replace")))
    return 0


def _formatter(layout: str) -> Callable[[str], str]:
    if not layout:
        return lambda text: _plain(jsontext.decode(text))
    from scow.cli.listing import unescape
    from scow.cli.template.evaluate import evaluate
    from scow.cli.template.functions import FUNCTIONS
    from scow.cli.template.lexer import TemplateError
    from scow.cli.template.parser import parse
    from scow.cli.template.values import Number, Raw
    from scow.cli.typed import pointer_to

    decode = jsontext.decoder(Number, Raw)
    try:
        template = parse("{{json .}}" if layout == "json" else unescape(layout), FUNCTIONS)
    except TemplateError as error:
        raise Exit(64, f"Error parsing format: {error}") from None

    def show(text: str) -> str:
        try:
            return evaluate(template, pointer_to("Event", decode(text))) + "\n"
        except TemplateError as error:
            raise Exit(64, f"Error parsing format: {error}") from None

    return show


def _plain(event: dict[str, Any]) -> str:
    """`2024-01-02T03:04:05.000000006Z container start ID (image=busybox, name=x)`."""
    if event.get("timeNano"):
        moment = go_fixed(*divmod(int(event["timeNano"]), 10**9)) + " "
    else:
        moment = go_fixed(int(event["time"]), 0) + " " if event.get("time") else ""
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    text = f"{moment}{event.get('Type', '')} {event.get('Action', '')} {actor.get('ID', '')}"
    if attributes:
        text += " (" + ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes)) + ")"
    return text + "\n"


COMMAND = Command(_events, "[OPTIONS]", "Get real time events from the server", "system events, events", _OPTIONS, 0, 0)
