"""Containers on networks: each has a namespace, an interface on every network of its, and its ports at the outward one."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address

from scow.background import TaskSet, complete
from scow.errors import Forbidden, InvalidArgument, NotFound, ScowError, Unavailable
from scow.linux import conntrack
from scow.model.network import Endpoint, EndpointWish, Places, Reach, Sandbox, Tenancy, Tenant
from scow.model.ports import PublishedPort
from scow.network import choice, links, portmap, request, sandbox
from scow.network.catalog import Catalog
from scow.network.leases import Lease, LeaseDirectory
from scow.network.naming import NameTable
from scow.network.pool import Wanted
from scow.network.publishing import HeldPorts, PortKeeper, relayed_of
from scow.network.relay_client import RelayClient
from scow.network.rules import Rules
from scow.network.ruleset import Publications, Way
from scow.network.sandbox import Plug, Ready, veth_name
from scow.network.segment import Segment

_log = logging.getLogger("scow.network")


@dataclass(frozen=True, slots=True)
class Parts:
    """What tenancies are made of. owner: what veths are named after. bind_at: the address that ports without one are
    published at, "" for everywhere. ipv6: the host has it. relay_all: every port is the relay's.
    """

    owner: str
    catalog: Catalog
    rules: Rules
    relay: RelayClient
    files: LeaseDirectory
    names: NameTable
    tasks: TaskSet
    bind_at: str
    ipv6: bool
    relay_all: bool


@dataclass(slots=True)
class _Place:
    """One container's: `late` are sockets of ports that were published while it ran."""

    tenant: Tenant
    lease: Lease
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    late: list[socket.socket] = field(default_factory=list)


class Tenancies:
    """Used from one event loop; what blocks runs in threads."""

    def __init__(self, parts: Parts, ports: "Callable[[Tenancies], PortKeeper]") -> None:
        self._parts = parts
        self._places: dict[str, _Place] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._ports = ports(self)

    # ------------------------------------------------------------ start

    def adopt(self, living: Mapping[str, Tenancy]) -> None:
        """What live containers hold: as the engine recorded it, else as the lease's file says. Also on a network that could
        not be made at this start: they go on there.
        """
        parts, files = self._parts, self._parts.files.load()
        networks = parts.catalog.by_id()
        for container_id, tenancy in living.items():
            file = files.get(container_id)
            endpoints = tenancy.endpoints or (file.endpoints if file else ())
            lease = Lease(
                container_id,
                tuple(one for one in endpoints if one.ip_address and one.network_id in networks),
                tenancy.published or (file.published if file else ()),
                file.interfaces if file else len(endpoints),
            )
            self._places[container_id] = _Place(tenancy.tenant, lease)
            for endpoint in lease.endpoints:
                found = parts.catalog.segment_of(endpoint.network_id)
                if found is not None:
                    found.hold(endpoint.ip_address, endpoint.ipv6_address)
                parts.catalog.members(endpoint.network_id).add(container_id)
            self._ports.adopt(container_id, lease.published)
            parts.files.write(lease)
        parts.files.retain(set(self._places))

    def publications(self, *, relayed: bool = False) -> dict[str, Publications]:
        """What leads to whom, by rules or (relayed) by the relay."""
        found = {id_: self._publications(place.lease, relayed=relayed) for id_, place in self._places.items()}
        return {id_: one for id_, one in found.items() if one is not None}

    def ways(self) -> frozenset[Way]:
        """What is open by links on bridges that keep their containers apart; a link may lead through the default one only."""
        networks = self._parts.catalog.by_id()
        return frozenset(
            (endpoint.ip_address, reach.address, reach.port.protocol, reach.port.number)
            for place in self._places.values()
            for endpoint in place.lease.endpoints
            if endpoint.network_name == "bridge"
            and not request.boolean(networks[endpoint.network_id].options, request.ICC)
            for reach in place.tenant.reaches
        )

    def veths(self) -> dict[str, int | None]:
        """Names of the veths in use -> index of the bridge that each is plugged into, None for one that is not known."""
        found: dict[str, int | None] = {}
        for place in self._places.values():
            for endpoint in place.lease.endpoints:
                segment = self._parts.catalog.segment_of(endpoint.network_id)
                if segment is None or not segment.place.macvlan:
                    name = veth_name(self._parts.owner, endpoint.endpoint_id)
                    found[name] = segment.place.bridge_index if segment else None
        return found

    def endpoints(self) -> dict[str, tuple[Tenant, tuple[Endpoint, ...]]]:
        return {id_: (place.tenant, place.lease.endpoints) for id_, place in self._places.items()}

    # ------------------------------------------------------------ a container's life

    async def connect(self, tenant: Tenant, wishes: Sequence[EndpointWish]) -> Sandbox:
        """See engine.ports.Networking."""
        parts = self._parts
        wanted = [_wanted(wish) for wish in wishes]
        port_wishes = self._plan(tenant, parts.bind_at)  # what is malformed is refused before anything is made
        if port_wishes and parts.rules.unguarded:
            raise Unavailable(f"cannot publish ports: {parts.rules.unguarded}")
        await self.release(tenant.id)
        segments = [parts.catalog.segment(wish.network) for wish in wishes]
        for segment in segments:
            segment.members.add(tenant.id)
        place = _Place(tenant, Lease(tenant.id, ()))
        ready = None
        try:
            ready = await _take(segments[0], wanted[0])
            self._places[tenant.id] = place
            place.lease = Lease(tenant.id, (_endpoint(segments[0], wishes[0], _plug_of(ready)),))
            for number, (segment, wish, one) in enumerate(zip(segments[1:], wishes[1:], wanted[1:], strict=True), 1):
                plug = await segment.pool.attach(ready.netns, one, f"eth{number}")
                endpoints = (*place.lease.endpoints, _endpoint(segment, wish, plug))
                place.lease = replace(place.lease, endpoints=endpoints, interfaces=number + 1)
            return await self._finish(place, segments, ready)
        except BaseException as error:
            if ready is None:
                for segment in segments:
                    segment.members.discard(tenant.id)
            else:
                unused = (
                    len(segments) == 1 and not isinstance(error, asyncio.CancelledError) and not place.lease.published
                )
                await self._undo(place, segments, ready, reuse=unused)
            raise

    async def _finish(self, place: _Place, segments: Sequence[Segment], ready: Ready) -> Sandbox:
        parts, tenant = self._parts, place.tenant
        networks = parts.catalog.by_id()
        outward = choice.outward(place.lease.endpoints, networks)
        first = place.lease.endpoints[0]
        if outward is not first and (outward is not None or segments[0].place.routed):
            await asyncio.to_thread(
                sandbox.set_default_route, ready.netns, outward.interface if outward else "", choice.gateways(outward)
            )
        if tenant.reaches:
            await self._open_ways()
        held = await self._hold(place, outward)
        place.lease = replace(place.lease, published=held.published)
        try:
            parts.files.write(place.lease)
            if held.published:
                await self._publish(place, held)
        except BaseException:
            held.close()
            raise
        for _, holder in held.relayed:
            holder.close()
        await parts.names.set(tenant, place.lease.endpoints, networks, ready.netns)
        resolver = parts.names.resolver(place.lease.endpoints, networks)
        return Sandbox(ready.netns, place.lease.endpoints, held.published, held.reserved, resolver)

    async def _undo(self, place: _Place, segments: Sequence[Segment], ready: Ready, *, reuse: bool) -> None:
        container_id = place.tenant.id
        if reuse:
            self._places.pop(container_id, None)
            self._parts.files.remove(container_id)
            segments[0].members.discard(container_id)
            if place.tenant.reaches:
                await self._close_ways()
            segments[0].pool.give_back(ready)
            return
        os.close(ready.netns)
        for segment in segments:
            segment.members.discard(container_id)
        await complete(self._give_back(place), f"undo {container_id[:12]}")

    async def attach(self, tenant: Tenant, wish: EndpointWish, netns: int) -> Places:
        """See engine.ports.Networking."""
        parts = self._parts
        segment = parts.catalog.segment(wish.network)
        wanted = _wanted(wish)
        place = self._places.setdefault(tenant.id, _Place(tenant, Lease(tenant.id, (), interfaces=0)))
        async with place.lock:
            place.tenant = tenant
            if tenant.id in segment.members:
                raise Forbidden(f"endpoint with name {tenant.name} already exists in network {segment.network.name}")
            segment.members.add(tenant.id)
            before = place.lease
            try:
                interface = f"eth{before.interfaces}"
                place.lease = replace(before, interfaces=before.interfaces + 1)
                plug = await segment.pool.attach(netns, wanted, interface)
            except BaseException:
                segment.members.discard(tenant.id)
                raise
            endpoint = _endpoint(segment, wish, plug)
            place.lease = replace(place.lease, endpoints=(*before.endpoints, endpoint))
            try:
                parts.files.write(place.lease)
                return await self._rearrange(place, netns, before)
            except BaseException:
                await complete(self._pull_out(place, endpoint, netns), f"undo {tenant.short_id}")
                raise

    async def detach(self, container_id: str, network_id: str, netns: int) -> Places:
        """See engine.ports.Networking."""
        place = self._places.get(container_id)
        endpoint = next((one for one in place.lease.endpoints if one.network_id == network_id), None) if place else None
        if place is None or endpoint is None:
            raise NotFound(f"container {container_id} is not connected to network {network_id}")
        async with place.lock:
            return await self._pull_out(place, endpoint, netns)

    async def _pull_out(self, place: _Place, endpoint: Endpoint, netns: int) -> Places:
        before = place.lease
        left = tuple(one for one in before.endpoints if one is not endpoint)
        place.lease = replace(before, endpoints=left)
        try:
            self._parts.files.write(place.lease)
            await asyncio.to_thread(sandbox.detach, netns, endpoint.interface)
            return await self._rearrange(place, netns, before)
        finally:
            if self._unreach((endpoint,)):
                await self._close_ways()
            self._free(place.tenant.id, endpoint)

    async def _rearrange(self, place: _Place, netns: int, before: Lease) -> Places:
        """Default route, ports and names follow the container's networks."""
        parts, lease = self._parts, place.lease
        networks = parts.catalog.by_id()
        if place.tenant.reaches:
            await self._open_ways()
        old, new = (choice.outward(one.endpoints, networks) for one in (before, lease))
        if new is not old:
            interface = new.interface if new else ""
            await asyncio.to_thread(sandbox.set_default_route, netns, interface, choice.gateways(new))
            await self._move_ports(place, before, old, new)
        await parts.names.set(place.tenant, place.lease.endpoints, networks, netns)
        published = place.lease.published if new is not None else ()
        return Places(place.lease.endpoints, published, parts.names.resolver(place.lease.endpoints, networks))

    # ------------------------------------------------------------ ports

    def _plan(self, tenant: Tenant, bind_at: str) -> list[portmap.Wish]:
        return portmap.plan(tenant.bindings, ipv6=self._parts.ipv6, default_address=bind_at)

    async def _hold(self, place: _Place, outward: Endpoint | None) -> HeldPorts:
        """The host ports that the container asks for; none while no network of it leads outside."""
        tenant = place.tenant
        if outward is None:
            return HeldPorts((), (), ())
        options = self._parts.catalog.by_id()[outward.network_id].options
        own = options.get(request.BINDING, "")
        wishes = self._plan(tenant, self._parts.bind_at if own in ("", "0.0.0.0") else own)
        return await self._ports.hold(
            tenant.id, tenant.name or tenant.short_id, outward.endpoint_id, outward.ip_address, wishes
        )

    def _publications(self, lease: Lease, *, relayed: bool = False) -> Publications | None:
        outward = choice.outward(lease.endpoints, self._parts.catalog.by_id())
        if outward is None or not lease.published or (self._parts.relay_all and not relayed):
            return None
        return Publications(outward.ip_address, lease.published, outward.ipv6_address)

    async def _publish(self, place: _Place, held: HeldPorts) -> None:
        publications = self._publications(place.lease)
        if publications is not None:
            await self._parts.rules.publish(place.tenant.id, publications)
        await self._parts.relay.add(held.relayed)
        self._forget_datagrams(held.published)

    async def _move_ports(self, place: _Place, before: Lease, old: Endpoint | None, new: Endpoint | None) -> None:
        """They are the container's whatever its networks are; what leads to them changes."""
        parts, published = self._parts, before.published
        if not published:
            if new is not None and place.tenant.bindings:
                held = await self._hold(place, new)
                place.lease = replace(place.lease, published=held.published)
                place.late.extend(held.reserved)
                parts.files.write(place.lease)
                await self._publish(place, held)
                for _, holder in held.relayed:
                    holder.close()
            return
        publications = self._publications(place.lease)
        if publications is not None:
            await parts.rules.publish(place.tenant.id, publications)
        elif old is not None:
            await parts.rules.withdraw(place.tenant.id)
        relay_all = parts.relay_all
        before_at = relayed_of(old.ip_address, published, relay_all) if old else []
        after_at = relayed_of(new.ip_address, published, relay_all) if new else []
        await parts.relay.replace(before_at, after_at)
        self._forget_datagrams(published)

    def _forget_datagrams(self, published: Sequence[PublishedPort]) -> None:
        """In the background: clients that sent to this port before must be led anew."""
        ports = sorted({one.host_port for one in published if one.port.protocol == "udp"})
        if not ports:
            return

        async def work() -> None:
            for port in ports:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(conntrack.forget_udp_to_port, port)

        self._parts.tasks.spawn(work(), "conntrack")

    # ------------------------------------------------------------ the end

    async def release(self, container_id: str) -> None:
        """See engine.ports.Networking."""
        task = self._leaving.get(container_id)
        if task is None:
            place = self._places.get(container_id)
            if place is None:
                return
            task = self._parts.tasks.spawn(self._give_back(place), f"release {container_id[:12]}")
            self._leaving[container_id] = task
            task.add_done_callback(lambda _: self._leaving.pop(container_id, None))
        await asyncio.shield(task)

    async def left(self, container_id: str) -> bool:
        """Wait for a release that is under way; False when there is none."""
        task = self._leaving.get(container_id)
        if task is None:
            return False
        await asyncio.shield(task)
        return True

    async def settled(self) -> None:
        if self._leaving:
            await asyncio.wait(set(self._leaving.values()), timeout=5)

    async def reach(self, container_id: str, reaches: tuple[Reach, ...]) -> None:
        """See engine.ports.Networking."""
        place = self._places.get(container_id)
        if place is not None and place.tenant.reaches != reaches:
            place.tenant = replace(place.tenant, reaches=reaches)
            await self._open_ways()

    def _unreach(self, endpoints: Sequence[Endpoint]) -> bool:
        """No link leads to their addresses any more; whether one did. Links to a container that starts again are told anew."""
        gone, found = {one.ip_address for one in endpoints}, False
        for place in self._places.values():
            left = tuple(reach for reach in place.tenant.reaches if reach.address not in gone)
            if left != place.tenant.reaches:
                place.tenant, found = replace(place.tenant, reaches=left), True
        return found

    async def _close_ways(self) -> None:
        """Before an address is somebody else's."""
        try:
            await self._open_ways()
        except ScowError as error:
            _log.error("ways of links stay open until the next change: %s", error.message)

    async def _open_ways(self) -> None:
        if not self._parts.rules.unguarded:
            await self._parts.rules.link(self.ways())

    async def rename(self, container_id: str, name: str) -> None:
        place = self._places.get(container_id)
        if place is not None:
            place.tenant = replace(place.tenant, name=name)
            await self._parts.names.rename(container_id, name, self._parts.catalog.by_id())

    async def _give_back(self, place: _Place) -> None:
        """Rules first, so that no packet goes to an address that has another owner; then ports, record, address."""
        parts, lease, container_id = self._parts, place.lease, place.tenant.id
        networks = parts.catalog.by_id()
        outward = choice.outward(lease.endpoints, networks)
        await parts.names.drop(container_id, networks)
        try:
            if lease.published and outward is not None:
                await parts.rules.withdraw(container_id)
                await parts.relay.remove(relayed_of(outward.ip_address, lease.published, parts.relay_all))
        except ScowError as error:
            _log.error("ports of container %s stay published until the next start: %s", container_id, error.message)
        for holder in place.late:
            holder.close()
        self._ports.release(container_id, lease.published)
        parts.files.remove(container_id)
        self._places.pop(container_id, None)
        if self._unreach(lease.endpoints) or place.tenant.reaches:
            await self._close_ways()
        for endpoint in lease.endpoints:
            self._free(container_id, endpoint)
        if outward is not None and any(one.port.protocol == "udp" for one in lease.published):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(conntrack.forget_udp_answered_by, outward.ip_address)

    def _free(self, container_id: str, endpoint: Endpoint) -> None:
        self._parts.catalog.members(endpoint.network_id).discard(container_id)
        segment = self._parts.catalog.segment_of(endpoint.network_id)
        if segment is None:
            return
        veth = veth_name(self._parts.owner, endpoint.endpoint_id)
        address6 = IPv6Address(endpoint.ipv6_address) if endpoint.ipv6_address else None
        segment.reaper.retire(veth, IPv4Address(endpoint.ip_address), address6)


async def _take(segment: Segment, wanted: Wanted) -> Ready:
    return await (segment.pool.make_special(wanted) if wanted or segment.place.macvlan else segment.pool.take())


def _plug_of(ready: Ready) -> Plug:
    return Plug(ready.endpoint_id, ready.address, ready.mac_address, ready.address6)


def _endpoint(segment: Segment, wish: EndpointWish, plug: Plug) -> Endpoint:
    network, place = segment.network, segment.place
    return Endpoint(
        network_id=network.id,
        network_name=network.name,
        endpoint_id=plug.endpoint_id,
        ip_address=str(plug.address),
        prefix_length=place.prefix_length,
        gateway=str(place.gateway) if place.routed else "",
        mac_address=plug.mac_address,
        aliases=wish.aliases,
        ipv6_address=str(plug.address6) if plug.address6 else "",
        ipv6_prefix_length=place.prefix_length6 if plug.address6 else 0,
        ipv6_gateway=str(place.gateway6) if place.gateway6 and place.routed else "",
        interface=plug.interface,
        gw_priority=wish.gw_priority,
        links=wish.links,
    )


def _wanted(wish: EndpointWish) -> Wanted:
    try:
        address = IPv4Address(wish.ipv4) if wish.ipv4 else None
        address6 = IPv6Address(wish.ipv6) if wish.ipv6 else None
    except ValueError as error:
        raise InvalidArgument(f"invalid address: {error}") from None
    links.aliases(wish.links)
    return Wanted(address, address6, check_mac(wish.mac_address))


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
