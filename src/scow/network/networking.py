"""The default bridge as the engine sees it (engine.ports.Networking): connect, release, and what start must put right."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

from scow.background import TaskSet
from scow.errors import InvalidArgument, ScowError, Unavailable
from scow.linux import conntrack
from scow.metadata.database import Database
from scow.metadata.leases import HostChange, NetworkStore
from scow.model.network import Endpoint, Network, Sandbox
from scow.model.ports import PortBinding, PublishedPort
from scow.network import bridge, foreign, portmap, records, reserve
from scow.network.firewall import Firewall, Publications, Shape, table_name
from scow.network.ipam import AddressPool, parse_bip
from scow.network.leases import Lease, LeaseDirectory
from scow.network.pool import Reaper, SandboxPool
from scow.network.publishing import PortKeeper, relayed_of
from scow.network.relay_client import RelayClient
from scow.network.sandbox import Place, Ready, veth_name

T = TypeVar("T")
_log = logging.getLogger("scow.network")
_BRIDGE = "bridge"
DEFAULT_BRIDGE = "scow0"


def open_networking(
    *,
    database: Database,
    exec_root: str,
    bridge: str = DEFAULT_BRIDGE,
    bip: str = "",
    mtu: int = 0,
    default_address: str = "",
    pool_size: int = 4,
) -> "BridgeNetworking":
    """The network of a daemon, not started. InvalidArgument for a bridge name or address that cannot be.

    bip: the bridge's own address ("172.29.0.1/16"), "" for one that is free. mtu 0: that of the default route. bridge
    "none": no bridge; containers have host, none or another container's network. default_address: where ports are
    published when a binding names no address ("" is everywhere). pool_size: sandboxes kept ready.
    """
    return BridgeNetworking(database, exec_root, bridge, bip, mtu, default_address, pool_size)


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists between start and close."""

    place: Place
    pool: SandboxPool
    reaper: Reaper
    firewall: Firewall
    unguarded: str = ""  # why there is no rule set; then nothing is published and nothing forwarded


class BridgeNetworking:
    """Implements engine.ports.Networking. Used from one event loop; what blocks runs in threads."""

    def __init__(
        self, database: Database, exec_root: str, name: str, bip: str, mtu: int, default_address: str, pool_size: int
    ) -> None:
        self._name = bridge.check_name(name)
        self._bip = str(parse_bip(bip)) if bip else ""
        self._mtu = mtu
        self._default_address = portmap.parse_host_address(default_address) if default_address else ""
        self._pool_size = pool_size
        self._database = database
        self._store = NetworkStore(database)
        self._networks = records.load(self._store)
        self._directory = os.path.join(exec_root, "network")
        self._files = LeaseDirectory(os.path.join(self._directory, "leases"))
        self._leases: dict[str, Lease] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._tasks = TaskSet()
        self._relay = RelayClient(self._directory, self._tasks)
        self._ports = PortKeeper(portmap.PortTable(*reserve.ephemeral_range()), self._left)
        self._rules = ThreadPoolExecutor(1, "firewall")
        self._running: _Running | None = None
        self._trouble = "the network has not been started"
        self._ipv6 = reserve.host_has_ipv6()

    # ------------------------------------------------------------ contract

    async def start(self, live: Mapping[str, Endpoint], published: Mapping[str, Sequence[PublishedPort]]) -> None:
        """Never fails for a machine that cannot do it (no nftables, no right to): `connect` says so then."""
        known = {network.name: network for network in self._store.load()}
        await asyncio.to_thread(os.makedirs, self._directory, 0o700, exist_ok=True)
        try:
            if self._name == "none":
                raise Unavailable("the default bridge is switched off: use --network host, none or container:NAME")
            await self._start(self._adopt(live, published))
        except (OSError, Unavailable) as error:
            self._trouble = error.message if isinstance(error, ScowError) else f"cannot set up {self._name}: {error}"
            _log.warning("containers get no bridge network: %s", self._trouble)
        await records.save(self._store, self._networks, known)

    def networks(self) -> Sequence[Network]:
        return tuple(
            self._networks[name] for name, _ in records.PREDEFINED if not (name == _BRIDGE and self._name == "none")
        )

    async def connect(
        self,
        container_id: str,
        bindings: Sequence[PortBinding],
        *,
        name: str = "",
        mac_address: str = "",
        address: str = "",
    ) -> Sandbox:
        running = self._require()
        wishes = portmap.plan(bindings, ipv6=self._ipv6, default_address=self._default_address)
        if wishes and running.unguarded:
            raise Unavailable(f"cannot publish ports: {running.unguarded}")
        wanted_mac, wanted_address = check_mac(mac_address), check_address(address)
        await self.release(container_id)
        if wanted_mac or wanted_address:
            ready = await running.pool.make_special(wanted_address, wanted_mac)
        else:
            ready = await running.pool.take()
        endpoint = self._endpoint(running.place, ready)
        try:
            held = await self._ports.hold(
                container_id, name or container_id[:12], endpoint.endpoint_id, endpoint.ip_address, wishes
            )
        except BaseException:
            running.pool.give_back(ready)
            raise
        lease = Lease(container_id, endpoint, held.published)
        self._leases[container_id] = lease
        try:
            self._files.write(lease)
            if held.reserved or held.published:
                publications = Publications(endpoint.ip_address, held.published)
                await self._in_order(running.firewall.publish, container_id, publications)
                await self._relay.add(held.relayed)
                self._forget_datagrams(held.published)
        except BaseException:
            held.close()
            os.close(ready.netns)
            await asyncio.shield(self._tasks.spawn(self._give_back(running, lease), f"undo {container_id[:12]}"))
            raise
        for _, holder in held.relayed:
            holder.close()
        return Sandbox(ready.netns, endpoint, held.published, held.reserved)

    async def release(self, container_id: str) -> None:
        task = self._leaving.get(container_id)
        if task is None:
            lease, running = self._leases.get(container_id), self._running
            if lease is None or running is None:
                return
            task = self._tasks.spawn(self._give_back(running, lease), f"release {container_id[:12]}")
            self._leaving[container_id] = task
            task.add_done_callback(lambda _: self._leaving.pop(container_id, None))
        await asyncio.shield(task)

    async def close(self) -> None:
        """Traffic of live containers goes on: bridge, rules and relay stay. The pool's namespaces go."""
        running, self._running = self._running, None
        self._trouble = "the network is being shut down"
        if self._leaving:
            await asyncio.wait(set(self._leaving.values()), timeout=5)
        await self._tasks.close()
        self._relay.close()
        if running is not None:
            running.pool.close()
            await self._in_order(running.firewall.close)
        self._rules.shutdown(wait=True)

    # ------------------------------------------------------------ beyond the contract

    async def settle(self) -> None:
        """Wait until every address that was given back is free again and every veth is gone."""
        if self._running is not None:
            await self._running.reaper.drain()

    async def destroy(self) -> None:
        """Take everything down that this network put on the machine (tests, uninstall), and close."""
        running = self._running
        if running is not None:
            running.pool.close()
            if not running.unguarded:
                await self._in_order(running.firewall.destroy)
                await asyncio.to_thread(foreign.undo, self._name)
            await asyncio.to_thread(bridge.reconcile_ports, running.place, ())
            for change in self._store.changes():
                if (change.what, change.object) == ("link", self._name):
                    await asyncio.to_thread(bridge.delete, self._name)
                    await self._store.forget_change(change)
        self._relay.stop()
        await self.close()

    @property
    def place(self) -> Place:
        """The bridge as it is. Unavailable before start."""
        return self._require().place

    # ------------------------------------------------------------ start

    def _adopt(
        self, live: Mapping[str, Endpoint], published: Mapping[str, Sequence[PublishedPort]]
    ) -> dict[str, Lease]:
        """What live containers hold: as the engine recorded it, else as the lease's file says."""
        files = self._files.load()
        leases = {}
        for container_id in {*live, *published}:
            endpoint = live.get(container_id) or (files[container_id].endpoint if container_id in files else None)
            if endpoint is not None and endpoint.ip_address:
                leases[container_id] = Lease(container_id, endpoint, tuple(published.get(container_id, ())))
        return leases

    async def _start(self, leases: dict[str, Lease]) -> None:
        wanted = bridge.Wanted(
            self._name,
            self._bip,
            self._mtu,
            recorded=_own_address(self._networks[_BRIDGE], self._name),
            live=tuple(IPv4Address(lease.endpoint.ip_address) for lease in leases.values()),
        )
        place = await asyncio.to_thread(bridge.ensure, wanted, self._record_change)
        addresses = AddressPool(place.subnet, (place.gateway,))
        for lease in leases.values():
            with contextlib.suppress(ScowError):  # outside the range: then nobody else gets it anyway
                addresses.hold(IPv4Address(lease.endpoint.ip_address))
            self._ports.adopt(lease.container_id, lease.published)
            self._files.write(lease)
        self._files.retain(set(leases))
        self._leases = leases
        firewall = Firewall(Shape(table_name(self._name), self._name, place.subnet))
        publications = {
            id_: Publications(lease.endpoint.ip_address, lease.published)
            for id_, lease in leases.items()
            if lease.published
        }
        unguarded = await self._guard(firewall, publications)
        keep = [veth_name(self._name, lease.endpoint.endpoint_id) for lease in leases.values()]
        stale = await asyncio.to_thread(bridge.reconcile_ports, place, keep)
        if stale:
            _log.info("removed %d interfaces that an earlier daemon left", len(stale))
        relayed = [one for lease in leases.values() for one in relayed_of(lease.endpoint.ip_address, lease.published)]
        for lost in await self._relay.reconcile(relayed):
            _log.warning("the published port %s was taken by another program while the relay was away", lost)
        reaper = Reaper(addresses, self._tasks)
        pool = SandboxPool(place, addresses, reaper, self._tasks, low=self._pool_size)
        self._networks[_BRIDGE] = records.with_place(self._networks[_BRIDGE], place)
        self._running = _Running(place, pool, reaper, firewall, unguarded)
        pool.start()

    async def _guard(self, firewall: Firewall, publications: Mapping[str, Publications]) -> str:
        """Load the rules, then open the ways that they guard; returns why not, when this machine has no nftables.

        Without rules containers reach each other and the host, and nothing else: safe as long as nothing is forwarded.
        """
        try:
            await self._in_order(firewall.load, publications)
        except Unavailable as error:
            if bridge.forwards():
                raise
            _log.warning("containers have no way out and publish no ports: %s", error.message)
            return error.message
        await asyncio.to_thread(bridge.open_ways, self._name, self._record_change)
        try:
            for chain in await self._in_order(foreign.let_by, self._name):
                await asyncio.to_thread(self._record_change, "rule", chain, "", foreign.comment(self._name))
        except Unavailable as error:
            _log.warning("another firewall may drop the traffic of containers: %s", error.message)
        return ""

    def _record_change(self, what: str, name: str, before: str, after: str) -> None:
        """Blocks until it is on disk: for threads."""
        change = HostChange(what, name, before, after, time.time_ns())
        self._database.write_now(lambda connection: self._store.insert_change(connection, change))

    # ------------------------------------------------------------ inside

    def _require(self) -> _Running:
        if self._running is None:
            raise Unavailable(self._trouble)
        return self._running

    def _endpoint(self, place: Place, ready: Ready) -> Endpoint:
        return Endpoint(
            network_id=self._networks[_BRIDGE].id,
            network_name=_BRIDGE,
            endpoint_id=ready.endpoint_id,
            ip_address=str(ready.address),
            prefix_length=place.prefix_length,
            gateway=str(place.gateway),
            mac_address=ready.mac_address,
        )

    async def _in_order(self, work: Callable[..., T], *arguments: object) -> T:
        """Changes of rules happen in one thread, in the order in which they were asked for."""
        return await asyncio.get_running_loop().run_in_executor(self._rules, work, *arguments)

    async def _left(self, container_id: str) -> bool:
        """Wait for a release that is under way; False when there is none."""
        task = self._leaving.get(container_id)
        if task is None:
            return False
        await asyncio.shield(task)
        return True

    async def _give_back(self, running: _Running, lease: Lease) -> None:
        """Rules first, so that no packet goes to an address that has another owner; then ports, record, address."""
        container_id, address = lease.container_id, lease.endpoint.ip_address
        try:
            if lease.published:
                await self._in_order(running.firewall.withdraw, container_id)
                await self._relay.remove(relayed_of(address, lease.published))
        except ScowError as error:
            _log.error("ports of container %s stay published until the next start: %s", container_id, error.message)
        self._ports.release(container_id, lease.published)
        self._files.remove(container_id)
        self._leases.pop(container_id, None)
        running.reaper.retire(veth_name(self._name, lease.endpoint.endpoint_id), IPv4Address(address))
        if any(one.port.protocol == "udp" for one in lease.published):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(conntrack.forget_udp_answered_by, address)

    def _forget_datagrams(self, published: Sequence[PublishedPort]) -> None:
        """In the background: clients that sent to this port before must be led anew."""
        ports = sorted({one.host_port for one in published if one.port.protocol == "udp"})
        if not ports:
            return

        async def work() -> None:
            for port in ports:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(conntrack.forget_udp_to_port, port)

        self._tasks.spawn(work(), "conntrack")


def _own_address(network: Network, name: str) -> str:
    """The recorded address of the bridge with its prefix length, "" when the record is of another bridge."""
    if network.bridge != name or not network.gateway:
        return ""
    return f"{network.gateway}/{network.subnet.partition('/')[2]}"


def check_mac(text: str) -> str:
    """A unicast hardware address in lower case, or "" for none wished."""
    if not text:
        return ""
    parts = text.lower().replace("-", ":").split(":")
    digits = set("0123456789abcdef")
    if len(parts) != 6 or any(len(part) != 2 or not set(part) <= digits for part in parts):
        raise InvalidArgument(f"{text} is not a valid mac address")
    if int(parts[0], 16) & 1 or set(parts) == {"00"}:
        raise InvalidArgument(f"{text} is not the mac address of one interface")
    return ":".join(parts)


def check_address(text: str) -> IPv4Address | None:
    if not text:
        return None
    try:
        return IPv4Address(text)
    except ValueError:
        raise InvalidArgument(f"invalid IPv4 address: {text}") from None
