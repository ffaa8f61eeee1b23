"""Host ports held by sockets, and what is said when one cannot be had. Binds high ports of this machine only."""

import asyncio
import socket

import pytest

from scow.model.ports import Port, PortBinding
from scow.network import reserve
from scow.network.portmap import PortTable, plan
from scow.network.publishing import HeldPorts, PortKeeper, PortTaken


async def nobody_leaves(_container_id: str) -> bool:
    return False


def keeper(first: int = 45000, last: int = 45999) -> PortKeeper:
    return PortKeeper(PortTable(first, last), nobody_leaves)


def hold(ports: PortKeeper, name: str, *bindings: PortBinding) -> HeldPorts:
    return asyncio.run(ports.hold(name, name, "e" * 64, "172.29.0.2", plan(bindings, ipv6=False)))


def taken(kind: int = socket.SOCK_STREAM) -> socket.socket:
    other = socket.socket(socket.AF_INET, kind)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
    other.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        other.listen()
    return other


@pytest.mark.parametrize(("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_a_port_of_another_program_is_found(protocol: str, kind: int) -> None:
    with taken(kind) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            hold(keeper(), "web", PortBinding(Port(80, protocol), "", str(port)))
    assert caught.value.message == (
        f"driver failed programming external connectivity on endpoint web ({'e' * 64}): "
        f"Error starting userland proxy: listen {protocol}4 0.0.0.0:{port}: bind: address already in use"
    )


def test_a_random_port_goes_past_what_is_taken() -> None:
    with taken() as other:
        port = other.getsockname()[1]
        ports = PortKeeper(PortTable(port, port), nobody_leaves)
        with pytest.raises(PortTaken, match="all ports are allocated"):
            hold(ports, "web", PortBinding(Port(80)))


def test_all_or_none_and_free_again() -> None:
    ports = keeper()
    held = hold(ports, "a", PortBinding(Port(80)), PortBinding(Port(53, "udp")))
    port = {one.port.protocol: one.host_port for one in held.published}
    with pytest.raises(PortTaken, match=f"Bind for 0.0.0.0:{port['udp']} failed: port is already allocated"):
        hold(ports, "b", PortBinding(Port(1)), PortBinding(Port(53, "udp"), "", str(port["udp"])))
    held.close()
    ports.release("a", held.published)
    again = hold(ports, "b", PortBinding(Port(80), "", str(port["tcp"])))
    again.close()


def test_a_port_that_is_just_being_given_back_is_waited_for() -> None:
    async def main() -> None:
        left: list[str] = []

        async def leaving(container_id: str) -> bool:
            left.append(container_id)
            first.close()
            ports.release("a", first.published)
            return True

        ports = PortKeeper(PortTable(45000, 45999), leaving)
        first = await ports.hold("a", "a", "e", "172.29.0.2", plan([PortBinding(Port(80))], ipv6=False))
        wish = plan([PortBinding(Port(80), "", str(first.published[0].host_port))], ipv6=False)
        second = await ports.hold("b", "b", "e", "172.29.0.3", wish)
        second.close()
        assert left == ["a"]

    asyncio.run(main())


def test_a_reserved_port_refuses_connections_and_admits_no_second_owner() -> None:
    with taken() as other:  # a port by number: the kernel would take one of its own choice back
        address = other.getsockname()
    holder = reserve.reserve("tcp", *address)
    assert holder is not None
    with holder:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 1)
        for again in (lambda: reserve.reserve("tcp", *address), lambda: reserve.reserve("tcp", "0.0.0.0", address[1])):
            with pytest.raises(OSError, match="in use"):
                again()


def test_a_port_with_connections_in_time_wait_can_be_had() -> None:
    with taken() as server:
        address = server.getsockname()
        client = socket.create_connection(address)
        inside, _ = server.accept()
        inside.close()  # the side that closes first waits
        client.close()
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(address)
    holder = reserve.reserve("tcp", *address)
    assert holder is not None
    holder.close()
