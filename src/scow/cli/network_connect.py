"""`scow network connect`: connects a container to one more network."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.networks import driver_options, endpoint
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("alias", "", "list", "", "Add an alias that is valid in the network"),
    ("driver-opt", "", "list", "", "Options of the network's driver"),
    ("gw-priority", "", "int", "", "The network of the highest one has the default route"),
    ("ip", "", "string", "", "IPv4 address"),
    ("ip6", "", "string", "", "IPv6 address"),
    ("link", "", "list", "", "Add a link to another container"),
    ("link-local-ip", "", "list", "", "Link-local IPv4 or IPv6 addresses"),
)


def _connect(session: Session, flags: Flags, args: list[str]) -> int:
    try:
        options = driver_options(flags.items("driver-opt"))
    except ValueError as error:
        raise Exit(1, str(error)) from None
    settings = endpoint(
        {
            "Aliases": flags.items("alias"),
            "DriverOpts": options,
            "IPv4": flags.text("ip"),
            "IPv6": flags.text("ip6"),
            "MAC": "",
            "LL": flags.items("link-local-ip"),
            "Links": flags.items("link"),
            "Priority": flags.number("gw-priority"),
        }
    )
    request = {"Container": args[1], "EndpointConfig": settings}
    session.client.call("POST", f"/networks/{quote(args[0], '/:@')}/connect", (), request).read()
    return 0


COMMAND = Command(_connect, "[OPTIONS] NETWORK CONTAINER", "Connect a container to a network", "", _OPTIONS, 2, 2)
