"""Look-ups."""

from collections.abc import Callable, Mapping, Sequence

from scow.engine.context import Engine
from scow.errors import InvalidArgument
from scow.model import transitions
from scow.model.container import Container
from scow.model.network import Endpoint, Network
from scow.network import choice

_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})


def list_networks(engine: Engine, filters: Mapping[str, Sequence[str]] | None = None) -> list[Network]:
    """The predefined ones, then the user's."""
    wanted = dict(filters or {})
    for key in wanted:
        if key not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    for value in wanted.get("type", ()):
        if value not in ("builtin", "custom"):
            raise InvalidArgument(f"invalid filter: 'type'='{value}'")
    dangling = wanted.pop("dangling", ())
    if len(dangling) > 1:
        raise InvalidArgument('got more than one value for filter key "dangling"')
    for value in dangling:
        if value not in ("true", "1", "false", "0"):
            raise InvalidArgument('invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")')
        wanted["dangling"] = (value,)
    return [network for network in engine.networking.networks() if _allowed(engine, network, wanted)]


def _allowed(engine: Engine, network: Network, wanted: Mapping[str, Sequence[str]]) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "driver": lambda value: network.driver == value,
        "id": lambda value: network.id.startswith(value),
        "name": lambda value: value in network.name,
        "scope": lambda value: value == "local",
        "type": lambda value: network.predefined is (value == "builtin"),
        "label": lambda value: has_label(network, value),
        "dangling": lambda value: _dangling(engine, network) is (value in ("true", "1")),
    }
    for key, values in wanted.items():
        matches = all if key == "label" else any
        if values and not matches(tests[key](value) for value in values):
            return False
    return True


def _dangling(engine: Engine, network: Network) -> bool:
    return not network.predefined and not containers_on(engine, network.id)


def has_label(network: Network, wish: str) -> bool:
    """`name` or `name=value`."""
    name, separator, value = wish.partition("=")
    return name in network.labels and (not separator or network.labels[name] == value)


def get(engine: Engine, name: str) -> Network:
    """By name, then id, then unambiguous id prefix."""
    return choice.find(engine.networking.networks(), name)


def containers_on(engine: Engine, network_id: str) -> list[tuple[Container, Endpoint]]:
    """Running containers with a place on the network."""
    return [
        (entry.container, endpoint)
        for entry in engine.containers
        if entry.container.status.state in transitions.RUNNING
        for endpoint in entry.container.status.endpoints
        if endpoint.network_id == network_id
    ]
