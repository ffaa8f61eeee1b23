"""The network of a daemon as the engine sees it (engine.ports.Networking): its lifecycle, and what start must put right."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from scow.background import TaskSet
from scow.errors import InvalidArgument, ScowError, Unavailable
from scow.metadata.database import Database
from scow.metadata.leases import HostChange, NetworkStore
from scow.model.network import EndpointWish, Network, NetworkRequest, Places, Reach, Sandbox, Tenancy, Tenant
from scow.network import bridge, ipam, portmap, records, reserve, segment
from scow.network.catalog import Catalog
from scow.network.ipam import parse_bip
from scow.network.leases import LeaseDirectory
from scow.network.names import NameService
from scow.network.naming import NameTable
from scow.network.publishing import PortKeeper, relayed_of
from scow.network.relay_client import RelayClient
from scow.network.rules import Rules
from scow.network.sandbox import Place
from scow.network.tenancies import Parts, Tenancies
from scow.network.watch import RuleWatch

_log = logging.getLogger("scow.network")
_BRIDGE = "bridge"
DEFAULT_BRIDGE = "scow0"
POLICIES = ("docker", "loopback", "host-firewall")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What flags and daemon.json say.

    bip: the default bridge's own address ("172.29.0.1/16"), "" for one that is free. mtu 0: that of the default route. bridge
    "none": no default bridge. default_address: where ports are published when a binding names no address ("" is
    everywhere). pool_size: sandboxes kept ready on the default bridge. address_pools: (base, prefix length) that automatic
    networks are cut from. publish_policy: docker; loopback (no address means 127.0.0.1); host-firewall (published ports are
    served by the relay, so that the host's INPUT rules decide). icc: containers on the default bridge reach each other.
    """

    bridge: str = DEFAULT_BRIDGE
    bip: str = ""
    mtu: int = 0
    default_address: str = ""
    pool_size: int = 4
    address_pools: tuple[tuple[str, int], ...] = ()
    publish_policy: str = "docker"
    icc: bool = True


def open_networking(
    *,
    database: Database,
    exec_root: str,
    bridge: str = DEFAULT_BRIDGE,
    bip: str = "",
    mtu: int = 0,
    default_address: str = "",
    pool_size: int = 4,
    address_pools: tuple[tuple[str, int], ...] = (),
    publish_policy: str = "docker",
    icc: bool = True,
    names: NameService | None = None,
) -> "HostNetworking":
    """The network of a daemon, not started. InvalidArgument for a setting that cannot be (see NetworkSettings)."""
    settings = NetworkSettings(bridge, bip, mtu, default_address, pool_size, address_pools, publish_policy, icc)
    return HostNetworking(database, exec_root, settings, names)


class HostNetworking:
    """Implements engine.ports.Networking. Used from one event loop; what blocks runs in threads."""

    def __init__(
        self, database: Database, exec_root: str, settings: NetworkSettings, names: NameService | None = None
    ) -> None:
        if settings.publish_policy not in POLICIES:
            raise InvalidArgument(f"publish-policy: {settings.publish_policy!r} is none of {', '.join(POLICIES)}")
        self._settings = settings
        self._relay_all = settings.publish_policy == "host-firewall"
        self._name = bridge.check_name(settings.bridge)
        self._bip = str(parse_bip(settings.bip)) if settings.bip else ""
        # what names of veths and the table are made of; daemons without a default bridge differ by their directory
        self._owner = self._name if self._name != "none" else f"none:{exec_root}"
        self._database = database
        self._store = NetworkStore(database)
        self._directory = os.path.join(exec_root, "network")
        self._tasks = TaskSet()
        self._names = NameTable(names)
        self._rules = Rules(self._owner, self._record_change)
        self._relay = RelayClient(self._directory, self._tasks)
        self._catalog = Catalog(
            self._store,
            self._owner,
            self._tasks,
            settings.address_pools or ipam.DEFAULT_POOLS,
            os.urandom(5),
            self._rules.reshape,
            self._record_change,
        )
        self._tenancies = Tenancies(self._parts(), self._port_keeper)
        self._watch = RuleWatch(self._rules, self._owner, self._tasks)
        self._trouble = "the network has not been started"
        self._started = False

    def _parts(self) -> Parts:
        settings = self._settings
        bind_at = portmap.parse_host_address(settings.default_address) if settings.default_address else ""
        if settings.publish_policy == "loopback":
            bind_at = bind_at or "127.0.0.1"
        return Parts(
            owner=self._owner,
            catalog=self._catalog,
            rules=self._rules,
            relay=self._relay,
            files=LeaseDirectory(os.path.join(self._directory, "leases")),
            names=self._names,
            tasks=self._tasks,
            bind_at=bind_at,
            ipv6=reserve.host_has_ipv6(),
            relay_all=self._relay_all,
        )

    def _port_keeper(self, tenancies: Tenancies) -> PortKeeper:
        table = portmap.PortTable(*reserve.ephemeral_range())
        return PortKeeper(table, tenancies.left, relay_all=self._relay_all)

    # ------------------------------------------------------------ lifecycle

    async def start(self, living: Mapping[str, Tenancy]) -> None:
        """Never fails for a machine that cannot do it (no nftables, no right to): `connect` says so then."""
        await asyncio.to_thread(os.makedirs, self._directory, 0o700, exist_ok=True)
        try:
            await self._start(living)
            self._started = True
        except (OSError, Unavailable) as error:
            self._trouble = error.message if isinstance(error, ScowError) else f"cannot set up {self._name}: {error}"
            _log.warning("containers get no bridge network: %s", self._trouble)
            if not living:
                self._watch.close()  # it would put back what is taken down
                await self._take_rules_down()
        await self._catalog.save_predefined()

    async def _start(self, living: Mapping[str, Tenancy]) -> None:
        await self._open_default(living)
        await self._catalog.open_networks()
        tenancies = self._tenancies
        tenancies.adopt(living)
        await self._rules.load(self._catalog.walls(), tenancies.publications(), tenancies.ways())
        self._watch.start()
        stale = await asyncio.to_thread(bridge.reconcile_ports, self._owner, tenancies.veths())
        if stale:
            _log.info("removed %d interfaces that an earlier daemon left", len(stale))
        relayed = [
            one
            for publications in tenancies.publications(relayed=True).values()
            for one in relayed_of(publications.address, publications.ports, self._relay_all)
        ]
        await self._relay.reconcile(relayed)
        await self._start_names(living)
        for one in self._catalog.segments():
            one.pool.start()

    async def _open_default(self, living: Mapping[str, Tenancy]) -> None:
        network = self._catalog.by_name(_BRIDGE)
        if self._name == "none":
            why = "the default bridge is switched off: use a network of your own, or --network host, none or container:NAME"
            self._catalog.refuse(network, why)
            return
        wanted = bridge.Wanted(
            self._name,
            self._bip,
            self._settings.mtu,
            recorded=records.own_address(network, self._name),
            live=tuple(
                IPv4Address(endpoint.ip_address)
                for tenancy in living.values()
                for endpoint in tenancy.endpoints
                if endpoint.network_id == network.id and endpoint.ip_address
            ),
        )
        place = await asyncio.to_thread(bridge.ensure, wanted, self._record_change)
        network = records.with_place(network, place, icc=self._settings.icc)
        opened = segment.open_segment(network, place, self._tasks, low=self._settings.pool_size)
        self._catalog.put(network, opened)

    async def _start_names(self, living: Mapping[str, Tenancy]) -> None:
        networks = self._catalog.by_id()
        with contextlib.ExitStack() as stack:
            known = {}
            for container_id, (tenant, endpoints) in self._tenancies.endpoints().items():
                netns = -1
                with contextlib.suppress(OSError):
                    netns = os.open(f"/proc/{living[container_id].pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                    stack.callback(os.close, netns)
                known[container_id] = (tenant, endpoints, netns)
            await self._names.start(known, networks)

    async def close(self) -> None:
        """Traffic of live containers goes on: bridges, rules, names and relay stay. The pools' namespaces go. Without live
        containers nothing of ours stays in the packet filter.
        """
        started, self._started, self._trouble = self._started, False, "the network is being shut down"
        await self._tenancies.settled()
        self._watch.close()
        idle = started and not self._tenancies.endpoints()
        if idle:
            await self._take_rules_down()
        await self._tasks.close()
        if idle:
            self._relay.stop()
            await self._names.stop()
        else:
            self._relay.close()
            await self._names.close()
        for one in self._catalog.segments():
            one.pool.close()
        await self._rules.close()

    # ------------------------------------------------------------ networks

    def networks(self) -> Sequence[Network]:
        return [one for one in self._catalog.networks() if not (one.name == _BRIDGE and self._name == "none")]

    def host_changes(self) -> Sequence[str]:
        told = []
        for change in self._store.changes():
            if change.what == "sysctl":
                told.append(f"{change.object}={change.after} (was {change.before})")
            elif change.what == "module":
                told.append(f"modprobe {change.object}")
            elif change.what == "rule":
                told.append(f"a rule with the comment {change.after!r} in {change.object}")
        return told

    async def create(self, request: NetworkRequest) -> Network:
        self._require()
        return await self._catalog.create(request)

    async def remove(self, network: Network) -> None:
        for container_id in list(self._catalog.members(network.id)):
            await self._tenancies.left(container_id)  # who is just leaving is not in the way
        await self._catalog.remove(network)

    # ------------------------------------------------------------ containers

    async def connect(self, tenant: Tenant, wishes: Sequence[EndpointWish]) -> Sandbox:
        self._require()
        return await self._tenancies.connect(tenant, wishes)

    async def attach(self, tenant: Tenant, wish: EndpointWish, netns: int) -> Places:
        self._require()
        return await self._tenancies.attach(tenant, wish, netns)

    async def detach(self, container_id: str, network_id: str, netns: int) -> Places:
        return await self._tenancies.detach(container_id, network_id, netns)

    async def reach(self, container_id: str, reaches: tuple[Reach, ...]) -> None:
        await self._tenancies.reach(container_id, reaches)

    async def rename(self, container_id: str, name: str) -> None:
        await self._tenancies.rename(container_id, name)

    async def release(self, container_id: str) -> None:
        await self._tenancies.release(container_id)

    # ------------------------------------------------------------ beyond the contract

    async def settle(self) -> None:
        """Wait until every address that was given back is free again and every veth is gone."""
        for one in self._catalog.segments():
            await one.reaper.drain()

    async def destroy(self) -> None:
        """Take everything down that this network put on the machine (tests, uninstall), and close."""
        if self._started:
            self._started = False
            self._watch.close()
            for one in self._catalog.segments():
                one.pool.close()
            await self._take_rules_down()
            await asyncio.to_thread(bridge.reconcile_ports, self._owner, {})
            for change in self._store.changes():
                if change.what == "link":
                    await asyncio.to_thread(bridge.delete, change.object)
                    await self._store.forget_change(change)
        self._relay.stop()
        await self.close()

    async def _take_rules_down(self) -> None:
        if not await self._rules.destroy():
            return
        for change in self._store.changes():
            if change.what == "rule":
                await self._store.forget_change(change)

    @property
    def place(self) -> Place:
        """The default bridge as it is. Unavailable before start."""
        self._require()
        return self._catalog.segment(_BRIDGE).place

    def _require(self) -> None:
        if not self._started:
            raise Unavailable(self._trouble)

    def _record_change(self, what: str, name: str, before: str, after: str) -> None:
        """Blocks until it is on disk: for threads."""
        change = HostChange(what, name, before, after, time.time_ns())
        self._database.write_now(lambda connection: self._store.insert_change(connection, change))
