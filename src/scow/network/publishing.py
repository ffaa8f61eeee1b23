"""Getting the host ports that a container asks for, all or none, and giving them back."""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from scow.errors import ResourceExhausted, Unsupported
from scow.model.ports import PublishedPort
from scow.network import portmap, reserve
from scow.network.portmap import PortTable, Wish
from scow.network.relay_client import Relayed

_RECENT = 2.0
_PATIENCE = 1.0
_PAUSE = 0.005


class PortTaken(ResourceExhausted):
    """A host port cannot be had. Docker answers 500 to this one; its sentence says which port, and why."""


@dataclass(frozen=True, slots=True)
class HeldPorts:
    """What a container got: `reserved` go to its monitor, `relayed` to the relay; both are closed by the caller."""

    published: tuple[PublishedPort, ...]
    reserved: tuple[socket.socket, ...]
    relayed: tuple[tuple[Relayed, socket.socket], ...]

    def close(self) -> None:
        for holder in self.reserved:
            holder.close()
        for _, holder in self.relayed:
            holder.close()


def relayed_of(address: str, published: Sequence[PublishedPort], everything: bool = False) -> list[Relayed]:
    """The publications that the relay serves: those at IPv6 addresses, or all."""
    return [
        Relayed(one.port.protocol, one.host_ip, one.host_port, address, one.port.number)
        for one in published
        if everything or ":" in one.host_ip
    ]


class PortKeeper:
    """Holds host ports for containers. `leaving(container_id)` waits for a release under way: True when there was one."""

    def __init__(self, table: PortTable, leaving: Callable[[str], Awaitable[bool]], *, relay_all: bool = False) -> None:
        self._table = table
        self._relay_all = relay_all
        self._leaving = leaving
        self._recent: dict[tuple[str, int], float] = {}

    async def hold(
        self, container_id: str, name: str, endpoint_id: str, address: str, wishes: Sequence[Wish]
    ) -> HeldPorts:
        """Every wish or PortTaken, and then nothing is held. Unsupported for a protocol that the relay cannot carry."""
        if self._relay_all and any(wish.port.protocol == "sctp" for wish in wishes):
            raise Unsupported("sctp ports cannot be published with publish-policy host-firewall")
        published: list[PublishedPort] = []
        holders: list[tuple[PublishedPort, socket.socket]] = []
        try:
            for wish in wishes:
                for one, holder in await self._one(container_id, wish):
                    published.append(one)
                    if holder is not None:
                        holders.append((one, holder))
        except BaseException as error:
            for _, holder in holders:
                holder.close()
            self._table.release(container_id, published)
            if isinstance(error, PortTaken):
                place = f"driver failed programming external connectivity on endpoint {name} ({endpoint_id})"
                raise PortTaken(f"{place}: {error.message}") from None
            raise
        return HeldPorts(
            portmap.in_order(published),
            tuple(holder for one, holder in holders if not self._relayed(one)),
            tuple(
                (relayed_of(address, (one,), self._relay_all)[0], holder)
                for one, holder in holders
                if self._relayed(one)
            ),
        )

    def _relayed(self, one: PublishedPort) -> bool:
        return self._relay_all or ":" in one.host_ip

    def adopt(self, container_id: str, published: Sequence[PublishedPort]) -> None:
        """What a live container holds from an earlier daemon's time."""
        self._table.hold(container_id, published)

    def release(self, container_id: str, published: Sequence[PublishedPort]) -> None:
        self._table.release(container_id, published)
        now = time.monotonic()
        self._recent = {key: at for key, at in self._recent.items() if now - at < _RECENT}
        for one in published:
            self._recent[(one.port.protocol, one.host_port)] = now

    async def _one(self, container_id: str, wish: Wish) -> list[tuple[PublishedPort, socket.socket | None]]:
        deadline = time.monotonic() + _PATIENCE
        while True:
            for port in self._table.candidates(wish):
                busy = self._table.free(wish, port)
                if busy:
                    if not wish.fixed:
                        continue
                    holder = self._table.holder(wish.port.protocol, busy, port)
                    if holder is not None and await self._leaving(holder):
                        break  # it is just being given back: look again
                    raise PortTaken(portmap.bind_for(busy, port))
                held = self._bind(wish, port)
                if not isinstance(held, list):
                    address, error = held
                    if error.errno == errno.EADDRINUSE and not wish.fixed:
                        continue
                    if self._lingers(wish, port, error) and time.monotonic() < deadline:
                        await asyncio.sleep(_PAUSE)
                        break
                    raise PortTaken(reserve.sentence(wish.port.protocol, address, port, error))
                self._table.hold(container_id, [one for one, _ in held])
                return held
            else:
                raise PortTaken(portmap.ALL_TAKEN)

    def _lingers(self, wish: Wish, port: int, error: OSError) -> bool:
        """A container's monitor may take a moment to go after its container: its sockets hold the port until then."""
        at = self._recent.get((wish.port.protocol, port), -_RECENT)
        return error.errno == errno.EADDRINUSE and time.monotonic() - at < _RECENT

    def _bind(self, wish: Wish, port: int) -> "list[tuple[PublishedPort, socket.socket | None]] | tuple[str, OSError]":
        held: list[tuple[PublishedPort, socket.socket | None]] = []
        for address in wish.addresses:
            try:
                holder = reserve.reserve(wish.port.protocol, address, port, served=self._relay_all)
            except OSError as error:
                for _, earlier in held:
                    if earlier is not None:
                        earlier.close()
                return address, error
            held.append((PublishedPort(wish.port, address, port), holder))
        return held
