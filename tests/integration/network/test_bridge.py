"""The bridge: its range, its MTU, what it keeps over restarts, and what it refuses."""

import subprocess
from collections.abc import Callable

import pytest

from scow.errors import Conflict, InvalidArgument, Unavailable
from scow.linux import rtnetlink
from scow.linux.netlink import ROUTE, Netlink
from scow.model.network import EndpointWish, Tenant
from scow.network.networking import open_networking
from tests.integration.network.conftest import Container, Scenario, Site, in_namespace

OnSite = Callable[[Scenario], None]


def eth0(container: Container) -> str:
    command = in_namespace(container.netns, "ip", "-o", "link", "show", "eth0")
    return subprocess.run(command, capture_output=True, text=True, pass_fds=(container.netns,)).stdout


def route_mtu() -> int:
    netlink = Netlink(ROUTE)
    try:
        mtus = {link.index: link.mtu for link in rtnetlink.links(netlink)}
        defaults = [route for route in rtnetlink.routes(netlink) if route.prefix_length == 0]
        return min(defaults, key=lambda route: route.priority).mtu or mtus[defaults[0].index] if defaults else 1500
    finally:
        netlink.close()


def test_containers_have_the_mtu_of_the_route_or_the_wanted_one(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        first = site.open()
        await first.start({}, {})
        one = await site.container(first, "one")
        output = eth0(one)
        assert f" mtu {route_mtu()} " in output
        assert f"link/ether {one.sandbox.endpoint.mac_address} " in output
        await first.close()
        second = site.open(mtu=1280)
        await second.start({}, {})
        assert " mtu 1280 " in eth0(await site.container(second, "two"))

    on_site(scenario)


def test_the_range_is_kept_also_when_the_bridge_was_deleted(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        first = site.open(bip=f"10.253.{site.number}.1/24")
        await first.start({}, {})
        assert str(first.place.subnet) == f"10.253.{site.number}.0/24"
        bridge = first.networks()[0]
        assert (bridge.subnet, bridge.gateway, bridge.bridge) == (
            f"10.253.{site.number}.0/24",
            f"10.253.{site.number}.1",
            site.bridge,
        )
        await first.close()
        subprocess.run(["ip", "link", "del", site.bridge], check=True)
        second = site.open()
        await second.start({}, {})
        assert str(second.place.gateway) == f"10.253.{site.number}.1"

    on_site(scenario)


def test_a_range_that_the_host_uses_is_refused(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open(bip=f"10.254.{site.number}.129/25")
        with pytest.raises(Conflict, match=rf"overlaps the host's route to 10\.254\.{site.number}\.0/24"):
            await networking.start({}, {})
        assert site.veths() == set()

    on_site(scenario)


def test_bad_names_and_no_bridge_at_all(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        site.open()
        _, database = site.opened[0]
        for name in ("", "a" * 16, "a/b", 'x"; drop', "a b"):
            with pytest.raises(InvalidArgument, match="invalid bridge name"):
                open_networking(database=database, exec_root=str(site.directory), bridge=name)
        networking = open_networking(database=database, exec_root=str(site.directory), bridge="none")
        await networking.start({})
        assert [network.name for network in networking.networks()] == ["host", "none"]
        with pytest.raises(Unavailable, match="the default bridge is switched off"):
            await networking.connect(Tenant("a"), [EndpointWish("bridge")])
        await networking.close()

    on_site(scenario)
