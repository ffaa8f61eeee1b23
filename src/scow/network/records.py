"""The predefined networks as records: bridge, host and none keep their ids over restarts."""

import os
import time
from dataclasses import replace

from scow.metadata.leases import NetworkStore
from scow.model.network import AddressRange, Network
from scow.network import request
from scow.network.ruleset import Wall
from scow.network.sandbox import Place

PREDEFINED = (("bridge", "bridge"), ("host", "host"), ("none", "null"))


def load(store: NetworkStore) -> dict[str, Network]:
    """By id; predefined ones that have no record yet are made up, and are to be saved."""
    found = {network.id: network for network in store.load()}
    names = {network.name for network in found.values()}
    for name, driver in PREDEFINED:
        if name not in names:
            network = Network(id=os.urandom(32).hex(), name=name, driver=driver, created_at=time.time_ns())
            found[network.id] = network
    return found


def with_place(network: Network, place: Place, *, icc: bool = True) -> Network:
    """The default bridge's record, as things are now; Docker's option names."""
    return replace(
        network,
        ranges=(AddressRange(str(place.subnet), str(place.gateway)),),
        bridge=place.bridge,
        mtu=place.mtu,
        options={
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": "true" if icc else "false",
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
            "com.docker.network.bridge.name": place.bridge,
            "com.docker.network.driver.mtu": str(place.mtu),
        },
    )


def own_address(network: Network, name: str) -> str:
    """The recorded address of the bridge with its prefix length, "" when the record is of another bridge."""
    if network.bridge != name or not network.gateway:
        return ""
    return f"{network.gateway}/{network.subnet.partition('/')[2]}"


def wall(network: Network) -> Wall:
    """What the packet filter must know of a bridge network."""
    six = network.range6
    return Wall(
        bridge=network.bridge,
        subnet=network.subnet,
        subnet6=six.subnet if six else "",
        icc=request.boolean(network.options, request.ICC),
        masquerade=request.boolean(network.options, request.MASQUERADE),
        internal=network.internal,
    )
