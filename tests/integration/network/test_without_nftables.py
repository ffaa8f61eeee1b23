"""A machine whose kernel has no nftables: the bridge works between host and containers, and nothing is opened."""

import asyncio
from collections.abc import Callable

import pytest

from scow.errors import Unavailable
from scow.linux import nfguard, nftables
from scow.network import bridge
from tests.integration.network.conftest import Scenario, Site, ask, binding, free_port

OnSite = Callable[[Scenario], None]


def _broken(_ruleset: str) -> None:
    raise nftables.RulesetError("Error: Could not process rule: Operation not supported")


def test_containers_reach_each_other_and_ports_are_refused(on_site: OnSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "forwards", lambda: False)

    async def scenario(site: Site) -> None:
        networking = site.open()
        with monkeypatch.context() as broken:
            broken.setattr(nftables, "load", _broken)
            await networking.start({}, {})
        with open(f"/proc/sys/net/ipv4/conf/{site.bridge}/route_localnet") as file:
            assert file.read().strip() == "0"
        with pytest.raises(Unavailable, match="cannot publish ports: .*Operation not supported"):
            await networking.connect("web", [binding(free_port())])
        other = await site.container(networking, "other")
        assert ask(None, other.ip, 80).startswith("other sees")

    on_site(scenario)


def test_where_packets_are_forwarded_no_container_is_connected(
    on_site: OnSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "forwards", lambda: True)

    async def scenario(site: Site) -> None:
        networking = site.open()
        with monkeypatch.context() as broken:
            broken.setattr(nftables, "load", _broken)
            await networking.start({}, {})
        with pytest.raises(Unavailable, match="cannot load the nftables table"):
            await networking.connect("web", [])
        assert f"scow_{site.bridge}_guard" not in nfguard.owners()
        await asyncio.to_thread(bridge.delete, site.bridge)

    on_site(scenario)
