"""A daemon that goes, by will or by kill -9, and the next one: traffic goes on, what is stale goes away, nothing leaks."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.integration.network.conftest import Scenario, Site, ask, binding, free_port

OnSite = Callable[[Scenario], None]


def test_the_next_daemon_keeps_what_lives_and_removes_the_rest(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        network_id = networking.networks()[0].id
        port, other_port = free_port(), free_port()
        live = await site.container(networking, "live", [binding(port)])
        dead = await site.container(networking, "dead", [binding(other_port)])
        await networking.close()
        assert ask(None, "127.0.0.1", port).startswith("live sees")
        assert ask(None, "::1", port).startswith("live sees")

        site.containers.remove(dead)
        dead.end()  # and the daemon that should have seen it is not there
        second = site.open()
        assert second.networks()[0].id == network_id
        await second.start({"live": live.sandbox.endpoint}, {"live": live.sandbox.published})
        for address in ("127.0.0.1", "::1", site.host):
            assert ask(None, address, port).startswith("live sees")
        assert ask(None, "127.0.0.1", other_port) == "refused"
        assert site.lease_files() == ["live.json"]
        assert site.elements() == 1
        assert f"veth{dead.sandbox.endpoint.endpoint_id[:8]}" not in {name[:4] + name[7:] for name in site.veths()}
        fresh = await site.container(second, "fresh", [binding(other_port)])
        assert fresh.ip != live.ip
        assert ask(fresh.netns, live.ip, 80).startswith("live sees")
        await site.remove(second, live)
        assert ask(None, "127.0.0.1", port) == "refused"
        assert ask(None, "::1", port) == "refused"

    on_site(scenario)


def test_flushed_rules_come_back_with_the_next_start_or_change(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        ports = [free_port() for _ in range(3)]
        one = await site.container(networking, "one", [binding(ports[0])])
        subprocess.run(["nft", "delete", "table", "inet", f"scow_{site.bridge}"], check=True)
        await site.container(networking, "two", [binding(ports[1])])
        assert ask(None, "127.0.0.1", ports[0]).startswith("one sees")
        assert ask(None, "127.0.0.1", ports[1]).startswith("two sees")
        subprocess.run(["nft", "delete", "table", "inet", f"scow_{site.bridge}"], check=True)
        await site.remove(networking, one)
        assert ask(None, "127.0.0.1", ports[1]).startswith("two sees")
        assert ask(None, "127.0.0.1", ports[0]) == "refused"

    on_site(scenario)


def test_the_relay_is_revived(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()
        await site.container(networking, "one", [binding(port)])
        assert ask(None, "::1", port).startswith("one sees")
        (pid,) = relays(site)
        os.kill(pid, signal.SIGKILL)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if relays(site) not in ([], [pid]):
                break
        assert ask(None, "::1", port).startswith("one sees")

    on_site(scenario)


def test_two_hundred_come_and_go(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        networking = site.open()
        await networking.start({}, {})
        port = free_port()

        async def worker(number: int, times: int) -> None:
            for turn in range(times):
                name = f"c{number}-{turn}"
                bindings = [binding(port + number), binding("", 53, "udp")] if turn % 5 == 0 else []
                sandbox = await networking.connect(name, bindings, name=name)
                os.close(sandbox.netns)
                for holder in sandbox.reserved:
                    holder.close()
                await networking.release(name)

        await worker(9, 1)
        await networking.settle()
        await quiet(site)
        before = len(os.listdir("/proc/self/fd"))
        await asyncio.gather(*(worker(number, 25) for number in range(8)))
        await networking.settle()
        await quiet(site)
        assert site.elements() == 0
        assert site.lease_files() == []
        assert len(os.listdir("/proc/self/fd")) <= before
        assert len(site.veths()) == 4

    on_site(scenario)


async def quiet(site: Site) -> None:
    """Until the pool is back at its usual size: all made, and the rush's growth given up."""
    deadline = time.monotonic() + 12
    await asyncio.sleep(3.5)
    while len(site.veths()) != 4 and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


def relays(site: Site) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"relay.py" in (text := path.read_bytes()) and str(site.directory).encode() in text:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_killed_at_any_point_it_loses_and_leaves_nothing(on_site: OnSite) -> None:
    async def scenario(site: Site) -> None:
        port = free_port()
        chance = random.Random(7)
        for _ in range(6):
            child = subprocess.Popen(
                [sys.executable, "-c", _CHURN, str(site.directory), site.bridge, str(port)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert child.stdout is not None and child.stdout.readline() == "going\n"
            time.sleep(chance.random() * 0.4)
            child.kill()
            child.communicate()
        networking = site.open(pool_size=0)
        await networking.start({}, {})
        assert site.elements() == 0 and site.lease_files() == [] and site.veths() == set()
        web = await site.container(networking, "web", [binding(port)])
        assert ask(None, "127.0.0.1", port).startswith("web sees") and ask(None, "::1", port).startswith("web sees")
        assert web.ip == str(networking.place.gateway + 1)

    on_site(scenario)


_CHURN = """
import asyncio, os, sys
from scow.metadata.database import Database
from scow.metadata.leases import SCHEMA
from scow.model.network import EndpointWish, Tenant
from scow.model.ports import Port, PortBinding
from scow.network.networking import open_networking

async def main(directory, bridge, port):
    database = Database(directory + "/scow.db", ((1, SCHEMA),))
    networking = open_networking(database=database, exec_root=directory, bridge=bridge)
    await networking.start({})
    print("going", flush=True)
    async def worker(number):
        for turn in range(10000):
            name = f"c{number}-{turn}"
            tenant = Tenant(name, name, bindings=(PortBinding(Port(80), "", str(int(port) + number)),))
            sandbox = await networking.connect(tenant, [EndpointWish("bridge")])
            os.close(sandbox.netns)
            for holder in sandbox.reserved:
                holder.close()
            await networking.release(name)
    await asyncio.gather(*(worker(number) for number in range(4)))

asyncio.run(main(*sys.argv[1:]))
"""
