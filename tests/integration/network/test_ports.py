"""Which host ports containers get, what is said when they cannot, and that nothing is left then."""

import os
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from scow.errors import Forbidden, InvalidArgument, ScowError
from scow.model.network import Sandbox
from tests.integration.network.conftest import BridgeNetworking, Scenario, Site, ask, binding, free_port

OnSite = Callable[[Scenario], None]


def drop(sandbox: Sandbox) -> None:
    os.close(sandbox.netns)
    for holder in sandbox.reserved:
        holder.close()


async def refusal(networking: BridgeNetworking, name: str, *bindings: object, **options: str) -> str:
    with pytest.raises(ScowError) as caught:
        drop(await networking.connect(name, bindings, name=name, **options))  # type: ignore[arg-type]
    return caught.value.message


def test_a_port_of_another_container(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        first = await networking.connect("first", [binding(port)], name="first")
        message = await refusal(networking, "second", binding(free_port()), binding(port))
        assert message.startswith("driver failed programming external connectivity on endpoint second (")
        assert message.endswith(f"): Bind for 0.0.0.0:{port} failed: port is already allocated")
        assert site.elements() == 1 and site.lease_files() == ["first.json"]
        message = await refusal(networking, "twice", binding(port + 1, 80), binding(port + 1, 81))
        assert message.endswith(f": Bind for 0.0.0.0:{port + 1} failed: port is already allocated")
        message = await refusal(networking, "narrower", binding(port, host_ip="127.0.0.1"))
        assert message.endswith(f": listen tcp4 127.0.0.1:{port}: bind: address already in use")
        drop(first)
        await networking.release("first")
        drop(await networking.connect("second", [binding(port)], name="second"))

    on_site(scenario)


def test_a_port_of_another_program(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        with socket.socket() as other, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            message = await refusal(networking, "one", binding(port))
            assert message.endswith(
                f": Error starting userland proxy: listen tcp4 0.0.0.0:{port}: bind: address already in use"
            )
            datagrams.bind(("0.0.0.0", 0))
            port = datagrams.getsockname()[1]
            message = await refusal(networking, "one", binding(port, 53, "udp", "127.0.0.1"))
            assert message.endswith(f": listen udp4 127.0.0.1:{port}: bind: address already in use")
        message = await refusal(networking, "one", binding(port, host_ip="203.0.113.77"))
        assert message.endswith(f": listen tcp4 203.0.113.77:{port}: bind: cannot assign requested address")
        assert site.elements() == 0 and site.lease_files() == []

    on_site(scenario)


def test_nobody_else_gets_a_published_port(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        sandbox = await networking.connect("one", [binding(port), binding(port, 53, "udp")], name="one")
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with closing(socket.socket(family, kind)) as thief:
                    if kind == socket.SOCK_STREAM:
                        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    with pytest.raises(OSError, match="in use"):
                        thief.bind((address, port))
                        thief.listen()
        drop(sandbox)

    on_site(scenario)


def test_ranges_and_random_ports(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        low = free_port()
        got = []
        for name in ("a", "b", "c"):
            sandbox = await networking.connect(name, [binding(f"{low}-{low + 2}")], name=name)
            got.append(sandbox.published[0].host_port)
            drop(sandbox)
        assert got == [low, low + 1, low + 2]
        assert (await refusal(networking, "d", binding(f"{low}-{low + 2}"))).endswith("): all ports are allocated")
        sandbox = await networking.connect("e", [binding(""), binding("", 81), binding("", 53, "udp")], name="e")
        drop(sandbox)
        ports = {(one.port.number, one.host_ip): one.host_port for one in sandbox.published}
        assert ports[80, "0.0.0.0"] == ports[80, "::"] != ports[81, "0.0.0.0"]
        assert all(32768 <= port <= 65535 for port in ports.values())

    on_site(scenario)


def test_what_cannot_be_is_refused_before_anything_changes(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        with pytest.raises(InvalidArgument, match='invalid port specification: "70000"'):
            await networking.connect("a", [binding(70000)])
        with pytest.raises(InvalidArgument, match="localhost"):
            await networking.connect("a", [binding(8080, host_ip="localhost")])
        with pytest.raises(InvalidArgument, match="is not a valid mac address"):
            await networking.connect("a", [], mac_address="zz:42:0a:ca:00:99")
        with pytest.raises(InvalidArgument, match="not a host address"):
            await networking.connect("a", [], address="192.0.2.77")
        with pytest.raises(Forbidden, match="Address already in use"):
            await networking.connect("a", [], address=str(networking.place.gateway))
        assert site.elements() == 0 and site.lease_files() == []

    on_site(scenario)


def test_a_port_is_free_again_at_once_also_while_its_monitor_lingers(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        import asyncio

        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        for _ in range(10):
            sandbox = await networking.connect("a", [binding(port), binding(port, 53, "udp")], name="a")
            asyncio.get_running_loop().call_later(0.03, drop, sandbox)  # closed later than released
            asyncio.get_running_loop().create_task(networking.release("a"))
            await asyncio.sleep(0)
            drop(await networking.connect("b", [binding(port), binding(port, 53, "udp")], name="b"))
            await networking.release("b")

    on_site(scenario)


def test_wanted_addresses(on_site: OnSite) -> None:
    """Also one that stands ready in the pool, and a neighbour that remembers another hardware address for it."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        address = str(networking.place.gateway + 2)
        other = await site.container(networking, "other")
        for mac in ("02:42:11:22:33:44", "", "02:42:11:22:33:55"):
            sandbox = await networking.connect("web", [], name="web", mac_address=mac, address=address)
            assert sandbox.endpoint.ip_address == address
            assert not mac or sandbox.endpoint.mac_address == mac
            drop(sandbox)
            await networking.release("web")
            web = await site.container_at(networking, "web", address, mac)
            assert ask(other.netns, address, 80) == f"web sees {other.ip} says hi"
            await site.remove(networking, web)

    on_site(scenario)
