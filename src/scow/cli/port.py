"""`scow port`: what a container publishes."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.natural import natural_key
from scow.cli.output import line
from scow.cli.ports import port_number
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _port(session: Session, _: Flags, args: list[str]) -> int:
    container = session.client.get(f"/containers/{quote(args[0])}/json")
    published = container["NetworkSettings"]["Ports"] or {}
    lines = []
    if len(args) > 1 and args[1]:
        port, _slash, protocol = args[1].partition("/")
        try:
            port_number(port)
        except ValueError as error:
            raise Exit(1, f"Error: invalid port ({port}): {error}") from None
        bindings = published.get(f"{port}/{protocol or 'tcp'}")
        if not bindings:
            raise Exit(1, f"Error: No public port '{args[1]}' published for {args[0]}")
        lines = [_address(binding) for binding in bindings]
    else:
        for port, bindings in published.items():
            lines += [f"{port} -> {_address(binding)}" for binding in bindings or ()]
    for text in sorted(lines, key=natural_key):
        line(text)
    return 0


def _address(binding: dict[str, str]) -> str:
    address = binding["HostIp"]
    return f"[{address}]:{binding['HostPort']}" if ":" in address else f"{address}:{binding['HostPort']}"


COMMAND = Command(
    _port,
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings, or one of them, of the container",
    "container port, port",
    (),
    1,
    2,
)
