"""Who is called what on which network: the table behind the name service, kept in step with containers' places."""

import logging
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace

from scow.errors import ScowError
from scow.model.network import Endpoint, Network, Tenant
from scow.network import links
from scow.network.names import NameClient, NameRecord, NameService
from scow.network.resolver import RESOLVER

_log = logging.getLogger("scow.network")


class NameTable:
    """`service` None: nobody answers, and containers ask the host's resolvers. A service that fails is logged: containers run
    without names.
    """

    def __init__(self, service: NameService | None) -> None:
        self._service = service
        self._tenants: dict[str, Tenant] = {}
        self._endpoints: dict[str, tuple[Endpoint, ...]] = {}

    def resolver(self, endpoints: Iterable[Endpoint], networks: Mapping[str, Network]) -> str:
        """What the resolv.conf of a container with these places names; "" for the host's resolvers."""
        return RESOLVER if self._service is not None and _named(endpoints, networks) else ""

    async def start(
        self, living: Mapping[str, tuple[Tenant, tuple[Endpoint, ...], int]], networks: Mapping[str, Network]
    ) -> None:
        """Containers that live on: (who, where, netns)."""
        tables: dict[str, dict[str, NameRecord]] = {}
        clients: dict[str, tuple[NameClient, int]] = {}
        for container_id, (tenant, endpoints, netns) in living.items():
            self._tenants[container_id], self._endpoints[container_id] = tenant, endpoints
            named = _named(endpoints, networks)
            for endpoint in named:
                tables.setdefault(endpoint.network_id, {})[container_id] = _record(tenant, endpoint)
            if named and netns >= 0:
                clients[container_id] = (_client(tenant, named, endpoints, networks), netns)
        if self._service is not None:
            await self._attempt(self._service.start(tables, clients), "start")

    async def set(
        self, tenant: Tenant, endpoints: tuple[Endpoint, ...], networks: Mapping[str, Network], netns: int
    ) -> None:
        """A container's places are these from now on."""
        before = self._endpoints.get(tenant.id, ())
        self._tenants[tenant.id], self._endpoints[tenant.id] = tenant, endpoints
        if self._service is None:
            return
        named = _named(endpoints, networks)
        here = {endpoint.network_id for endpoint in named}
        for network_id in {one.network_id for one in _named(before, networks)} - here:
            await self._attempt(self._service.withdraw(network_id, [tenant.id]), "withdraw")
        for endpoint in named:
            await self._attempt(
                self._service.publish(endpoint.network_id, {tenant.id: _record(tenant, endpoint)}), "publish"
            )
        if named or _named(before, networks):
            await self._attempt(self._service.serve(_client(tenant, named, endpoints, networks), netns), "serve")

    async def rename(self, container_id: str, name: str, networks: Mapping[str, Network]) -> None:
        tenant = self._tenants.get(container_id)
        if tenant is None:
            return
        self._tenants[container_id] = tenant = replace(tenant, name=name)
        if self._service is None:
            return
        for endpoint in _named(self._endpoints.get(container_id, ()), networks):
            await self._attempt(
                self._service.publish(endpoint.network_id, {container_id: _record(tenant, endpoint)}), "publish"
            )

    async def drop(self, container_id: str, networks: Mapping[str, Network]) -> None:
        """The container has ended."""
        endpoints = self._endpoints.pop(container_id, ())
        if self._tenants.pop(container_id, None) is None or self._service is None:
            return
        named = _named(endpoints, networks)
        for endpoint in named:
            await self._attempt(self._service.withdraw(endpoint.network_id, [container_id]), "withdraw")
        if named:
            await self._attempt(self._service.leave(container_id), "leave")

    async def close(self) -> None:
        if self._service is not None:
            await self._attempt(self._service.close(), "close")

    async def stop(self) -> None:
        """As close, when nobody is there to be answered."""
        if self._service is not None:
            await self._attempt(self._service.stop(), "stop")

    @staticmethod
    async def _attempt(work: Awaitable[None], what: str) -> None:
        try:
            await work
        except (ScowError, OSError) as error:
            _log.error("names: %s: %s", what, error)


def _named(endpoints: Iterable[Endpoint], networks: Mapping[str, Network]) -> list[Endpoint]:
    """On user-defined networks, where names are known."""
    return [one for one in endpoints if one.network_id in networks and not networks[one.network_id].predefined]


def _record(tenant: Tenant, endpoint: Endpoint) -> NameRecord:
    return NameRecord(
        name=tenant.name,
        short_id=tenant.short_id,
        hostname=tenant.hostname,
        aliases=endpoint.aliases,
        ipv4=endpoint.ip_address,
        ipv6=endpoint.ipv6_address,
    )


def _client(
    tenant: Tenant, named: Iterable[Endpoint], endpoints: Iterable[Endpoint], networks: Mapping[str, Network]
) -> NameClient:
    named = list(named)
    return NameClient(
        container_id=tenant.id,
        networks=tuple(one.network_id for one in named),
        network_names=tuple(one.network_name for one in named),
        forward=any(not networks[one.network_id].internal for one in endpoints if one.network_id in networks),
        resolvers=tenant.dns,
        bare=tenant.bare_names,
        links={one.network_id: links.aliases(one.links) for one in named if one.links},
    )
