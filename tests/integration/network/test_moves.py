"""Containers that come to a second network, leave one, and what goes wrong on the way."""

import asyncio
import subprocess
import time
from collections.abc import Callable

import pytest

from scow.errors import Forbidden, Internal, NotFound, Unavailable
from scow.model.network import EndpointWish, Network, NetworkRequest, Tenant
from scow.network import sandbox, segment
from scow.network.networking import HostNetworking
from scow.network.sandbox import Place
from tests.integration.network.conftest import BridgeNetworking, Scenario, Site, ask, binding, free_port

OnSite = Callable[[Scenario], None]


async def second_network(site: Site, networking: BridgeNetworking, name: str = "second") -> Network:
    options = {"com.docker.network.bridge.name": f"sctm{site.number}{name[:4]}"}
    return await networking.create(NetworkRequest(name, options=options))


def test_ports_follow_the_way_out(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        network = await second_network(site, networking, "aaa")
        port = free_port()
        web = await site.container(networking, "web", [binding(port)])
        assert ask(None, "127.0.0.1", port).startswith("web sees")
        wish = EndpointWish("aaa", gw_priority=1)
        places = await networking.attach(Tenant("web", "web", bindings=(binding(port),)), wish, web.netns)
        assert places.published == web.sandbox.published
        assert site.elements() == 1
        assert ask(None, "127.0.0.1", port) == f"web sees {network.gateway} says hi"
        assert ask(None, "::1", port) == f"web sees {network.gateway} says hi"
        await networking.detach("web", network.id, web.netns)
        assert ask(None, "127.0.0.1", port) == f"web sees {networking.place.gateway} says hi"

    on_site(scenario)


def test_a_failed_detach_gives_address_and_membership_back(on_site: OnSite, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        network = await second_network(site, networking)
        one = await site.container(networking, "one")
        tenant = Tenant("one", "one")
        places = await networking.attach(tenant, EndpointWish("second"), one.netns)
        first = places.endpoints[1].ip_address
        with monkeypatch.context() as broken:
            broken.setattr(sandbox, "detach", refuse)
            with pytest.raises(Internal, match="no"):
                await networking.detach("one", network.id, one.netns)
        await networking.settle()
        places = await networking.attach(tenant, EndpointWish("second"), one.netns)
        assert places.endpoints[1].ip_address == first
        await networking.detach("one", network.id, one.netns)
        await networking.remove(network)

    on_site(scenario)


def refuse(*_: object) -> None:
    raise Internal("no")


def test_a_network_that_goes_while_a_container_is_given_back_is_not_found(
    on_site: OnSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        network = await second_network(site, networking)
        tenancies, tenant = networking._tenancies, Tenant("one", "one")

        async def release(_container_id: str) -> None:
            await networking.remove(network)

        monkeypatch.setattr(tenancies, "release", release)
        with pytest.raises(NotFound, match="network second not found"):
            await HostNetworking.connect(networking, tenant, [EndpointWish("second")])

    on_site(scenario)


def test_a_cancelled_attach_is_undone_before_it_returns(on_site: OnSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked closes the namespace then."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        network = await second_network(site, networking, "aaa")
        one = await site.container(networking, "one")
        undoing, undone, detach = asyncio.Event(), [], sandbox.detach
        loop = asyncio.get_running_loop()

        def slowly(netns: int, interface: str) -> None:
            loop.call_soon_threadsafe(undoing.set)
            time.sleep(0.2)
            detach(netns, interface)
            undone.append(interface)

        monkeypatch.setattr(sandbox, "set_default_route", refuse)
        monkeypatch.setattr(sandbox, "detach", slowly)
        wish = EndpointWish("aaa", gw_priority=1)
        attaching = asyncio.ensure_future(networking.attach(Tenant("one", "one"), wish, one.netns))
        await undoing.wait()
        attaching.cancel()
        await asyncio.wait([attaching])
        assert attaching.cancelled() and undone == ["eth1"]
        await networking.remove(network)

    on_site(scenario)


def test_what_was_taken_down_stays_down(on_site: OnSite) -> None:
    """Also when somebody touched the table a moment before."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        table = ["table", "inet", f"scow_{site.bridge}"]
        subprocess.run(["nft", "flush", *table], check=True)
        await asyncio.sleep(0.01)
        await networking.destroy()
        await asyncio.sleep(0.6)
        assert subprocess.run(["nft", "list", *table], capture_output=True).returncode == 1

    on_site(scenario)


def test_live_containers_go_on_when_their_network_cannot_be_made_again(
    on_site: OnSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        network = await second_network(site, networking)
        port, other = free_port(), free_port()
        tenant = Tenant("web", "web", bindings=(binding(port),))
        web = site._serve(
            "web",
            await HostNetworking.connect(networking, tenant, [EndpointWish("second")]),
            ["tcp/80", f"tcp/{other}"],
        )
        await networking.close()

        def broken(*_: object) -> Place:
            raise OSError(12, "no memory")

        second = site.open()
        with monkeypatch.context() as ensure:
            ensure.setattr(segment, "ensure", broken)
            await second.start({"web": web.sandbox.endpoint}, {"web": web.sandbox.published})
        assert ask(None, "127.0.0.1", port).startswith("web sees")
        assert ask(None, "::1", port).startswith("web sees")
        assert ask(site.outside, site.host, port).startswith("web sees")
        assert ask(site.outside, web.ip, other, wait=0.5) == "silence"
        with pytest.raises(Unavailable, match="network second cannot be used"):
            await HostNetworking.connect(second, Tenant("b", "b"), [EndpointWish("second")])
        with pytest.raises(Forbidden, match="has active endpoints"):
            await second.remove(network)
        await site.remove(second, web)
        assert ask(None, "127.0.0.1", port) == "refused"
        await second.remove(network)

    on_site(scenario)
