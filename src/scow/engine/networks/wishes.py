"""On which networks a container is to be: what create was asked for, and what connect and disconnect made of it."""

from collections.abc import Mapping
from dataclasses import replace

from scow.engine.context import Engine
from scow.engine.networks import query
from scow.errors import InvalidArgument, NotFound
from scow.model.container import Container
from scow.model.network import PREDEFINED, EndpointWish, Network, Tenant
from scow.model.ports import PortBinding
from scow.network.choice import check_wish
from scow.network.resolver import asks_bare_names, read_file

PLAIN = ("host", "none")


def first_network(mode: str) -> str:
    """The network that a mode names, "" for another container's."""
    if mode.startswith("container:"):
        return ""
    return "bridge" if mode in ("", "default") else mode


def of(container: Container) -> tuple[EndpointWish, ...]:
    """Its networks, also host and none; () for another container's namespace, or when it was disconnected from all."""
    if container.status.networks is not None:
        return container.status.networks
    name = first_network(container.host.network_mode)
    if not name or container.config.network_disabled:
        return ()
    return (EndpointWish(name, mac_address=container.config.mac_address),)


def plugged(container: Container) -> tuple[EndpointWish, ...]:
    """Those that need an interface."""
    return tuple(wish for wish in of(container) if wish.network not in PLAIN)


def at_create(
    engine: Engine, mode: str, mac_address: str, asked: Mapping[str, EndpointWish]
) -> tuple[EndpointWish, ...]:
    """Docker's rules: what was asked for by network, else what the mode names. A network that is not there is an error of the
    start; what is asked of one that is there is checked now.
    """
    name = first_network(mode)
    if not name:
        return ()
    wanted = {("bridge" if key == "default" else key): wish for key, wish in asked.items()}
    found = dict.fromkeys(wanted) or {name: None}
    ordered = sorted(found, key=lambda key: key != name)  # the mode's network is eth0
    wishes = []
    for key in ordered:
        wish = replace(wanted.get(key) or EndpointWish(key), network=key)
        network = _known(engine, key)
        if network is not None:
            wish = replace(wish, network=network.name)
            if network.name in PLAIN and len(ordered) > 1:
                raise InvalidArgument(
                    "container cannot be connected to multiple networks with one of the networks in "
                    f"{'private (none)' if network.name == 'none' else 'host'} mode"
                )
            check_wish(network, wish, prefix=f"invalid config for network {key}: ")
        if mac_address and key == name and not wish.mac_address and name not in PLAIN:
            wish = replace(wish, mac_address=mac_address)
        wishes.append(wish)
    return tuple(wishes)


def _known(engine: Engine, name: str) -> Network | None:
    try:
        return query.get(engine, name)
    except NotFound:
        return None


def resolved(engine: Engine, container: Container) -> tuple[EndpointWish, ...]:
    """With the names and ids of networks that are there."""
    found = []
    for wish in of(container):
        network = _known(engine, wish.network)
        found.append(replace(wish, network=network.name, network_id=network.id) if network else wish)
    return tuple(found)


def tenant(engine: Engine, container: Container, joining: EndpointWish | None = None) -> Tenant:
    """What the network must know of a container, which is `joining` one more network."""
    host, config = container.host, container.config
    bindings = list(host.port_bindings)
    if host.publish_all_ports:
        bound = {binding.port for binding in bindings}
        bindings += [PortBinding(port) for port in config.exposed_ports if port not in bound]
    joined = (*of(container), joining) if joining else of(container)
    named = any(wish.network not in PREDEFINED for wish in joined)
    hostname = f"{config.hostname}.{config.domainname}" if config.domainname else config.hostname
    return Tenant(
        id=container.id,
        name=container.name,
        hostname=hostname if hostname != container.id[:12] else "",
        dns=host.dns or engine.settings.dns,
        bare_names=not named or asks_bare_names(read_file(), host.dns_options or engine.settings.dns_options),
        bindings=tuple(bindings),
    )
