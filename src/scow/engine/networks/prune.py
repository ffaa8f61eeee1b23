"""Prune."""

from collections.abc import Mapping, Sequence

from scow.engine.containers.happenings import publish_prune
from scow.engine.containers.query import moment
from scow.engine.context import Engine
from scow.engine.networks import happenings, query
from scow.errors import InvalidArgument, ScowError

_FILTERS = ("label", "label!", "until")


async def prune(engine: Engine, filters: Mapping[str, Sequence[str]]) -> list[str]:
    """Remove every network of the user's that no running container is on and the filters allow; their names."""
    for key in filters:
        if key not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    moments = [moment(engine, value) for value in filters.get("until", ())]
    if len(moments) > 1:
        raise InvalidArgument("more than one until filter specified")
    deleted = []
    for network in engine.networking.networks():
        if network.predefined or query.containers_on(engine, network.id):
            continue
        if moments and network.created_at >= moments[0]:
            continue
        if not all(query.has_label(network, wish) for wish in filters.get("label", ())):
            continue
        if any(query.has_label(network, wish) for wish in filters.get("label!", ())):
            continue
        try:
            await engine.networking.remove(network)
        except ScowError:
            continue  # somebody uses it just now
        happenings.publish(engine, network, "destroy")
        deleted.append(network.name)
    publish_prune(engine, "network", 0)
    return deleted
