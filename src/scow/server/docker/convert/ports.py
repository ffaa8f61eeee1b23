"""Ports and their bindings, to the domain and back."""

from collections.abc import Iterable

from scow.api.host_config import PortBinding as WireBinding
from scow.api.host_config import PortMap
from scow.api.values import Empty, Set
from scow.errors import InvalidArgument
from scow.model.ports import Port, PortBinding

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_port(text: str) -> Port:
    """`80` or `80/tcp`."""
    number, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    return Port(_number(number, number, 1), protocol)


def _number(text: str, whole: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not least <= int(text) <= 65535:
        raise InvalidArgument(f'invalid port specification: "{whole}"')
    return int(text)


def parse_exposed(ports: Set) -> tuple[Port, ...]:
    """The keys of ExposedPorts; a range counts for each of its ports."""
    found: list[Port] = []
    for text in ports or ():
        number, slash, protocol = text.partition("/")
        first, dash, last = number.partition("-")
        if not dash:
            found.append(parse_port(text))
            continue
        low, high = _number(first, number, 1), _number(last, number, 1)
        if low > high:
            raise InvalidArgument(f'invalid port specification: "{number}"')
        found.extend(parse_port(f"{one}{slash}{protocol}") for one in range(low, high + 1))
    return tuple(dict.fromkeys(found))


def parse_bindings(ports: PortMap) -> tuple[tuple[PortBinding, ...], tuple[Port, ...]]:
    """(bindings, ports that are named without a binding: those are exposed only)."""
    bindings: list[PortBinding] = []
    exposed: list[Port] = []
    for text, wishes in (ports or {}).items():
        port = parse_port(text)
        if not wishes:
            exposed.append(port)
        for wish in wishes or ():
            _check_host_port(wish.HostPort)
            bindings.append(PortBinding(port, wish.HostIp, wish.HostPort))
    return tuple(bindings), tuple(exposed)


def _check_host_port(text: str) -> None:
    if not text:
        return
    first, dash, last = text.partition("-")
    low = _number(first, text, 0)
    high = _number(last, text, 0) if dash else low
    if low > high:
        raise InvalidArgument(f'invalid port specification: "{text}"')


def show_exposed(ports: Iterable[Port]) -> dict[str, Empty]:
    return {str(port): Empty() for port in ports}


def show_bindings(bindings: Iterable[PortBinding]) -> dict[str, list[WireBinding] | None]:
    """HostConfig.PortBindings."""
    shown: dict[str, list[WireBinding] | None] = {}
    for binding in bindings:
        wires = shown.setdefault(str(binding.port), [])
        assert wires is not None
        wires.append(WireBinding(binding.host_ip, binding.host_port))
    return shown
