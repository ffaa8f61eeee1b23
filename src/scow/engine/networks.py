"""Networks: look-ups of the predefined ones. User-defined networks are not made yet."""

from collections.abc import Callable, Mapping, Sequence

from scow.engine.context import Engine
from scow.errors import InvalidArgument, NotFound
from scow.model import transitions
from scow.model.container import Container
from scow.model.network import Endpoint, Network

_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})


def list_networks(engine: Engine, filters: Mapping[str, Sequence[str]] | None = None) -> list[Network]:
    """bridge, host, none."""
    wanted = dict(filters or {})
    for key in wanted:
        if key not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    return [network for network in engine.networking.networks() if _allowed(network, wanted)]


def _allowed(network: Network, wanted: Mapping[str, Sequence[str]]) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "driver": lambda value: network.driver == value,
        "id": lambda value: network.id.startswith(value),
        "name": lambda value: value in network.name,
        "scope": lambda value: value == "local",
        "type": lambda value: value == "builtin",
        "label": lambda value: value in network.labels,
        "dangling": lambda value: value in ("false", "0"),
    }
    return not any(values and not any(tests[key](value) for value in values) for key, values in wanted.items())


def get(engine: Engine, name: str) -> Network:
    """By name, id or unambiguous id prefix."""
    networks = engine.networking.networks()
    for network in networks:
        if name in (network.name, network.id):
            return network
    matches = [network for network in networks if name and network.id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    raise NotFound(f"network {name} not found")


def containers_on(engine: Engine, network_id: str) -> list[tuple[Container, Endpoint]]:
    """Running containers with a place on the network."""
    return [
        (entry.container, endpoint)
        for entry in engine.containers
        if entry.container.status.state in transitions.RUNNING
        for endpoint in entry.container.status.endpoints
        if endpoint.network_id == network_id
    ]
