"""The predefined networks as records: bridge, host and none keep their ids over restarts."""

import os
import time
from dataclasses import replace

from scow.metadata.leases import NetworkStore
from scow.model.network import Network
from scow.network.sandbox import Place

PREDEFINED = (("bridge", "bridge"), ("host", "host"), ("none", "null"))


def load(store: NetworkStore) -> dict[str, Network]:
    """By name; those that have no record yet are made up, and are to be saved."""
    found = {network.name: network for network in store.load()}
    for name, driver in PREDEFINED:
        if name not in found:
            found[name] = Network(id=os.urandom(32).hex(), name=name, driver=driver, created_at=time.time_ns())
    return found


def with_place(network: Network, place: Place) -> Network:
    """The default bridge's record, as things are now; Docker's option names."""
    return replace(
        network,
        subnet=str(place.subnet),
        gateway=str(place.gateway),
        bridge=place.bridge,
        mtu=place.mtu,
        options={
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": "true",
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
            "com.docker.network.bridge.name": place.bridge,
            "com.docker.network.driver.mtu": str(place.mtu),
        },
    )


async def save(store: NetworkStore, networks: dict[str, Network], known: dict[str, Network]) -> None:
    """Those that differ from what is on disk."""
    for name, network in networks.items():
        if known.get(name) != network:
            await store.save(network)
