"""Who reaches a container, by which way, and as whom it sees them."""

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from scow.errors import Unsupported
from tests.integration.network.conftest import PEER, Scenario, Site, ask, binding, free_port, in_namespace

OnSite = Callable[[Scenario], None]


def test_every_way_to_a_published_tcp_port(on_site: OnSite) -> None:
    """CVE-2021-20199: what comes from elsewhere never looks as if it came from this machine's loopback."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        gateway, port = str(networking.place.gateway), free_port()
        web = await site.container(networking, "web", [binding(port)])
        other = await site.container(networking, "other")
        assert ask(None, "127.0.0.1", port) == f"web sees {gateway} says hi"
        assert ask(None, "localhost", port) == f"web sees {gateway} says hi"
        assert ask(None, "::1", port) == f"web sees {gateway} says hi"
        assert ask(None, site.host, port) == f"web sees {site.host} says hi"
        assert ask(None, web.ip, 80) == f"web sees {gateway} says hi"
        assert ask(site.outside, site.host, port) == f"web sees 10.254.{site.number}.2 says hi"
        assert ask(other.netns, web.ip, 80) == f"web sees {other.ip} says hi"
        assert ask(other.netns, site.host, port) == f"web sees {gateway} says hi"
        assert ask(other.netns, gateway, port) == f"web sees {gateway} says hi"
        assert ask(web.netns, site.host, port) == f"web sees {gateway} says hi"

    on_site(scenario)


def test_every_way_to_a_published_udp_port(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        gateway, port = str(networking.place.gateway), free_port()
        dns = await site.container(networking, "dns", [binding(port, 53, "udp")], ["udp/53"])
        other = await site.container(networking, "other")
        assert ask(None, "127.0.0.1", port, "udp") == f"dns sees {gateway} says hi"
        assert ask(None, "::1", port, "udp") == f"dns sees {gateway} says hi"
        assert ask(site.outside, site.host, port, "udp") == f"dns sees 10.254.{site.number}.2 says hi"
        assert ask(other.netns, site.host, port, "udp") == f"dns sees {gateway} says hi"
        assert ask(dns.netns, site.host, port, "udp") == f"dns sees {gateway} says hi"

    on_site(scenario)


def test_a_container_gets_out_with_the_hosts_address(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        one = await site.container(networking, "one")
        command = in_namespace(site.outside, sys.executable, PEER, "serve", "world", "tcp/7777")
        world = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(site.outside,))
        try:
            assert world.stdout is not None and world.stdout.readline() == "ready\n"
            assert ask(one.netns, f"10.254.{site.number}.2", 7777) == f"world sees {site.host} says hi"
        finally:
            world.kill()
            world.communicate()

    on_site(scenario)


def test_large_transfers_and_half_close_through_the_relay(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        await site.container(networking, "web", [binding(port, host_ip="::1")])
        payload = "0123456789abcdef" * 8000
        assert ask(None, "::1", port, payload=payload, wait=10).endswith(f" says {payload}")
        assert ask(None, "127.0.0.1", port) == "refused"

    on_site(scenario)


def test_unpublished_stays_unreachable_from_outside(on_site: OnSite) -> None:
    """I-14, also by direct routing to the container's address."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        web = await site.container(networking, "web", [binding(port)], ["tcp/80", "tcp/81"])
        assert ask(site.outside, web.ip, 81, wait=0.5) == "silence"
        assert ask(site.outside, web.ip, 80, wait=0.5) == "silence"
        assert ask(site.outside, site.host, port).startswith("web sees")

    on_site(scenario)


def test_published_at_loopback_stays_there(on_site: OnSite) -> None:
    """CVE-2025-54388, CVE-2025-54410: not by the host's address, and not by sending to 127.0.0.1 over the wire."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        await site.container(networking, "web", [binding(port, host_ip="127.0.0.1")], ["tcp/80"])
        assert ask(None, "127.0.0.1", port).startswith("web sees")
        assert ask(None, site.host, port) == "refused"
        assert ask(site.outside, site.host, port) == "refused"
        _send_loopback_over_the_wire(site.outside)
        assert ask(site.outside, "127.0.0.1", port, wait=0.5) in ("silence", "unreachable")

    on_site(scenario)


def test_a_container_cannot_reach_the_hosts_loopback(on_site: OnSite) -> None:
    """CVE-2020-8558. With the guarding rules away the datagram does arrive, so that the test can tell."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        evil = await site.container(networking, "evil")
        _send_loopback_over_the_wire(evil.netns, str(networking.place.gateway))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as secret:
            secret.bind(("127.0.0.1", 0))
            secret.settimeout(1)
            port = secret.getsockname()[1]
            assert ask(evil.netns, "127.0.0.1", port, "udp", wait=0.2) == "silence"
            with pytest.raises(TimeoutError):
                secret.recv(100)
            if _others_guard(f"scow_{site.bridge}"):
                return  # another daemon's rules guard the loopback of this machine as well, or our guard table does
            networking._watch.close()
            subprocess.run(["nft", "flush", "chain", "inet", f"scow_{site.bridge}", "loopback_stays"], check=True)
            ask(evil.netns, "127.0.0.1", port, "udp", wait=0.2)
            assert secret.recv(100) == b"hi"

    on_site(scenario)


def _others_guard(table: str) -> bool:
    out = subprocess.run(["nft", "list", "chains", "inet"], capture_output=True, text=True, check=True).stdout
    tables = dict(re.findall(r"table inet (\S+) {(.*?)\n}", out, re.DOTALL))
    assert "loopback_stays" in tables.pop(table)
    return f"{table}_guard" in tables or any("loopback_stays" in text for text in tables.values())


def _send_loopback_over_the_wire(netns: int, gateway: str = "") -> None:
    """Make a namespace treat 127.0.0.1 as an address of somebody else."""
    via = (
        gateway
        or subprocess.run(
            in_namespace(netns, "ip", "-o", "route", "show", "default"),
            capture_output=True,
            text=True,
            pass_fds=(netns,),
        ).stdout.split()[2]
    )
    script = (
        "sysctl -qw net.ipv4.conf.eth0.route_localnet=1 net.ipv4.conf.all.route_localnet=1; ip addr flush dev lo; "
        f"ip route add 127.0.0.1/32 via {via} dev eth0"
    )
    subprocess.run(in_namespace(netns, "sh", "-c", script), check=True, pass_fds=(netns,))


def test_only_wanted_address_families_exist(on_site: OnSite) -> None:
    """CVE-2024-32473, CVE-2020-13401: no IPv6 address, link-local included, and no router advertisement is believed."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        one = await site.container(networking, "one")
        inside = subprocess.run(
            in_namespace(one.netns, "ip", "-6", "-o", "addr", "show", "dev", "eth0"),
            capture_output=True,
            text=True,
            pass_fds=(one.netns,),
        )
        assert inside.returncode == 0 and inside.stdout == ""
        for name in (site.bridge, *site.veths()):
            found = subprocess.run(["ip", "-6", "-o", "addr", "show", "dev", name], capture_output=True, text=True)
            assert found.stdout == "", name
        with open(f"/proc/sys/net/ipv6/conf/{site.bridge}/accept_ra") as file:
            assert file.read().strip() == "0"

    on_site(scenario)


def test_a_datagram_client_is_led_to_the_next_container(on_site: OnSite) -> None:
    """A client that keeps its source port must not be led to where the port was published before."""

    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        first = await site.container(networking, "first", [binding(port, 53, "udp")], ["udp/53"])
        client = subprocess.Popen(
            in_namespace(site.outside, sys.executable, "-c", _STUBBORN, site.host, str(port)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(site.outside,),
        )
        assert client.stdin is not None and client.stdout is not None
        try:
            assert client.stdout.readline().startswith("first sees")
            await site.remove(networking, first)
            second = await site.container(networking, "second", [binding(port, 53, "udp")], ["udp/53"])
            assert second.ip != first.ip
            client.stdin.write("again\n")
            client.stdin.flush()
            assert client.stdout.readline().startswith("second sees")
        finally:
            client.kill()
            client.communicate()

    on_site(scenario)


_STUBBORN = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(0.2)
while True:
    client.sendto(b"hi", (sys.argv[1], int(sys.argv[2])))
    try:
        answer = client.recv(1000).decode()
    except OSError:
        continue
    print(answer, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("policy", ["host-firewall", "loopback"])
def test_publish_policies(on_site: OnSite, policy: str) -> None:
    """host-firewall: every port is the relay's, a socket of this host's, and the host's input rules hold for it. loopback: no
    address means 127.0.0.1.
    """

    async def scenario(site: Site) -> None:
        networking = site.open(publish_policy=policy)
        await networking.start({}, {})
        port, other = free_port(), free_port()
        await site.container(networking, "web", [binding(port)])
        await site.container(networking, "dns", [binding(other, 53, "udp")], ["udp/53"])
        assert ask(None, "127.0.0.1", port).startswith("web sees")
        assert ask(None, "127.0.0.1", other, "udp").startswith("dns sees")
        outside = "refused" if policy == "loopback" else "web sees"
        assert ask(site.outside, site.host, port).startswith(outside)
        outside = "refused" if policy == "loopback" else "dns sees"
        assert ask(site.outside, site.host, other, "udp").startswith(outside)
        if policy == "host-firewall":
            assert ask(None, "::1", port).startswith("web sees")
            assert ask(None, "::1", other, "udp").startswith("dns sees")
            assert ask(None, site.host, other, "udp").startswith("dns sees")
            with _input_drops(site, f"tcp dport {port}", f"udp dport {other}"):
                assert ask(site.outside, site.host, port, wait=0.5) == "silence"
                assert ask(site.outside, site.host, other, "udp", wait=0.5) == "silence"
            assert ask(site.outside, site.host, port).startswith("web sees")
            with pytest.raises(Unsupported, match="sctp"):
                await site.container(networking, "sct", [binding(free_port(), 5, "sctp")])

    on_site(scenario)


@contextlib.contextmanager
def _input_drops(site: Site, *matches: str) -> Iterator[None]:
    """A firewall of the host's owner, as ufw makes one."""
    rules = "".join(f"{match} drop\n" for match in matches)
    table = f"inet sctfw{site.number}"
    text = f"table {table} {{ chain input {{ type filter hook input priority filter; policy accept;\n{rules}}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", *table.split()], check=True)
