"""A network of our own on the real machine: own bridge, own directories, an outside host in a namespace of its own."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scow.metadata.database import Database
from scow.metadata.leases import SCHEMA
from scow.model.network import Endpoint, EndpointWish, Sandbox, Tenancy, Tenant
from scow.model.ports import Port, PortBinding, PublishedPort
from scow.network.networking import HostNetworking, NetworkSettings
from tests.harness import scratch

PEER = str(Path(__file__).with_name("peer.py"))


def binding(host_port: int | str, port: int = 80, protocol: str = "tcp", host_ip: str = "") -> PortBinding:
    return PortBinding(Port(port, protocol), host_ip, str(host_port))


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A host port below the ephemeral range that nobody has now."""
    for _ in range(200):
        port = 20000 + secrets.randbelow(12000)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, kind) as probe:
            probe.bind(("::", port))
            return port
    raise AssertionError("no free port")


def in_namespace(netns: int | None, *command: str) -> list[str]:
    return [*command] if netns is None else ["nsenter", f"--net=/proc/self/fd/{netns}", *command]


def ask(netns: int | None, address: str, port: int, protocol: str = "tcp", payload: str = "hi", wait: float = 1) -> str:
    """What a peer answers ("NAME sees ADDRESS says PAYLOAD"), or "refused", "silence", "unreachable"."""
    command = in_namespace(netns, sys.executable, PEER, "ask", protocol, address, str(port), payload, str(wait))
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, pass_fds=() if netns is None else (netns,)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class BridgeNetworking(HostNetworking):
    """The network with nothing but its default bridge."""

    async def start(  # type: ignore[override]
        self,
        live: Mapping[str, Endpoint] | None = None,
        published: Mapping[str, Sequence[PublishedPort]] | None = None,
    ) -> None:
        await super().start(
            {
                name: Tenancy(Tenant(name, name), (endpoint,), tuple((published or {}).get(name, ())))
                for name, endpoint in (live or {}).items()
            }
        )

    async def connect(  # type: ignore[override]
        self,
        container_id: str,
        bindings: Sequence[PortBinding],
        *,
        name: str = "",
        mac_address: str = "",
        address: str = "",
    ) -> Sandbox:
        tenant = Tenant(container_id, name, bindings=tuple(bindings))
        return await super().connect(tenant, [EndpointWish("bridge", ipv4=address, mac_address=mac_address)])


@dataclass
class Container:
    """Something that listens in a sandbox; its process keeps the namespace alive."""

    id: str
    sandbox: Sandbox
    process: subprocess.Popen[str]

    @property
    def ip(self) -> str:
        return self.sandbox.endpoint.ip_address

    @property
    def netns(self) -> int:
        return self.sandbox.netns

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self.sandbox.netns)
        for holder in self.sandbox.reserved:
            holder.close()


@dataclass
class Site:
    """Directories, bridge and outside host of one test."""

    directory: Path
    bridge: str
    number: int
    outside: int = -1
    containers: list[Container] = field(default_factory=list)
    opened: list[tuple[BridgeNetworking, Database]] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The host's address on the wire to the outside host."""
        return f"10.254.{self.number}.1"

    def open(self, **options: Any) -> BridgeNetworking:
        database = Database(str(self.directory / "scow.db"), ((1, SCHEMA),))
        settings = NetworkSettings(bridge=self.bridge, **options)
        networking = BridgeNetworking(database, str(self.directory), settings)
        self.opened.append((networking, database))
        return networking

    async def container(
        self,
        networking: BridgeNetworking,
        name: str,
        bindings: Sequence[PortBinding] = (),
        ports: Sequence[str] = ("tcp/80",),
    ) -> Container:
        """A sandbox with a server that listens at `ports`."""
        return self._serve(name, await networking.connect(name, bindings, name=name), ports)

    async def container_at(self, networking: BridgeNetworking, name: str, address: str, mac_address: str) -> Container:
        """The same with an address and a hardware address of its own."""
        sandbox = await networking.connect(name, [], name=name, address=address, mac_address=mac_address)
        return self._serve(name, sandbox, ("tcp/80",))

    def _serve(self, name: str, sandbox: Sandbox, ports: Sequence[str]) -> Container:
        command = in_namespace(sandbox.netns, sys.executable, PEER, "serve", name, *ports)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(sandbox.netns,))
        container = Container(name, sandbox, process)
        self.containers.append(container)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return container

    async def remove(self, networking: BridgeNetworking, container: Container) -> None:
        self.containers.remove(container)
        container.end()
        await networking.release(container.id)

    def veths(self) -> set[str]:
        out = subprocess.run(["ip", "-o", "link", "show", "master", self.bridge], capture_output=True, text=True).stdout
        return {line.split()[1].split("@")[0].rstrip(":") for line in out.splitlines()}

    def elements(self) -> int:
        table = subprocess.run(
            ["nft", "list", "table", "inet", f"scow_{self.bridge}"], capture_output=True, text=True
        ).stdout
        return table.count(" : ") - 4 * bool(table)  # the types of the four maps have a colon, too

    def lease_files(self) -> list[str]:
        return sorted(os.listdir(self.directory / "network" / "leases"))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def _outside(site: Site) -> Iterator[int]:
    """A namespace that is a host on the wire: 10.254.N.2, its gateway is our host 10.254.N.1."""
    name, link = f"scto{site.number}", f"sctw{site.number}"
    (site.directory / scratch.NETNS).write_text(name)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    _ip("netns", "add", name)
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"10.254.{site.number}.1/24", "dev", link)
        _ip("link", "set", link, "up")
        for arguments in (
            ("addr", "add", f"10.254.{site.number}.2/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", f"10.254.{site.number}.1"),
        ):
            _ip("-n", name, *arguments)
        descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        subprocess.run(["ip", "link", "del", link], capture_output=True)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


@contextlib.asynccontextmanager
async def _site(site: Site) -> AsyncIterator[Site]:
    try:
        yield site
    finally:
        for container in site.containers:
            container.end()
        for networking, _ in site.opened[:-1]:
            await networking.close()
        if site.opened:
            await site.opened[-1][0].destroy()
        for _, database in site.opened:
            database.close()


Scenario = Callable[[Site], Coroutine[Any, Any, None]]


@pytest.fixture
def on_site() -> Iterator[Callable[[Scenario], None]]:
    """Runs a scenario on a site of its own and takes everything down behind it."""
    number = 1 + secrets.randbelow(250)
    site = Site(scratch.make("net"), f"sctn{number}", number)
    (site.directory / scratch.BRIDGE).write_text(site.bridge)

    async def run(scenario: Scenario) -> None:
        with _outside(site) as site.outside:
            async with _site(site):
                await scenario(site)

    yield lambda scenario: asyncio.run(run(scenario))
    scratch.remove(site.directory)
