"""`--publish` and `--expose`: port specifications to the API's maps."""

from __future__ import annotations

from scow.cli.flags import go_quote
from scow.cli.values import is_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Bindings = dict[str, list[dict[str, str]]]


def port_number(text: str) -> int:
    """strconv.ParseUint(text, 10, 16). Raises ValueError with its message."""
    if not text.isdigit() or not text.isascii():
        raise ValueError(f"strconv.ParseUint: parsing {go_quote(text)}: invalid syntax")
    value = int(text)
    if value > 65535:
        raise ValueError(f"strconv.ParseUint: parsing {go_quote(text)}: value out of range")
    return value


def port_range(text: str) -> tuple[int, int]:
    """`80` or `80-90`, both ends included. Raises ValueError."""
    if not text:
        raise ValueError("empty string specified for ports.")
    low, dash, high = text.partition("-")
    start = port_number(low)
    end = port_number(high) if dash else start
    if end < start:
        raise ValueError(f"invalid range specified for port: {text}")
    return start, end


def split_protocol(text: str) -> tuple[str, str]:
    """(protocol, port) of `80/udp`; tcp when none is named."""
    port, _, rest = text.partition("/")
    if not port:
        return "", ""
    return rest.partition("/")[0] or "tcp", port


def publish(specs: Iterable[str]) -> tuple[dict[str, dict[str, str]], Bindings]:
    """Exposed ports and port bindings of all `-p` options. Raises ValueError with Docker's sentence."""
    exposed: dict[str, dict[str, str]] = {}
    bindings: Bindings = {}
    for spec in specs:
        for port, address, host_port in _mappings(_short_form(spec) if "=" in spec else spec):
            exposed.setdefault(port, {})
            bindings.setdefault(port, []).append({"HostIp": address, "HostPort": host_port})
    return exposed, bindings


def expose(specs: Iterable[str]) -> list[str]:
    """The ports of `--expose` options. Raises ValueError."""
    ports = []
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        protocol, text = split_protocol(spec)
        try:
            start, end = port_range(text)
        except ValueError as error:
            raise ValueError(f"invalid range format for --expose: {spec}, error: {error}") from None
        ports += [f"{number}/{protocol}" for number in range(start, end + 1)]
    return ports


def _short_form(spec: str) -> str:
    """`published=8080,target=80,protocol=udp` as `8080:80/udp`."""
    fields = {"protocol": "tcp", "published": "", "target": ""}
    for field in spec.split(","):
        key, equals, value = field.partition("=")
        if not equals or key not in ("protocol", "published", "target", "mode"):
            raise ValueError(f"invalid field format: {field}" if not equals else f"invalid field key: {key}")
        fields[key] = value
    return f"{fields['published']}:{fields['target']}/{fields['protocol']}"


def _split(spec: str) -> tuple[str, str, str]:
    parts = spec.split(":")
    if len(parts) == 1:
        return "", "", parts[0]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _mappings(spec: str) -> list[tuple[str, str, str]]:
    """(container port with protocol, host address, host port or range) of one `-p` option."""
    address, host, container = _split(spec)
    protocol, container = split_protocol(container)
    if address[:1] == "[":
        if not address.endswith("]"):
            raise ValueError(f"invalid IP address {address}: address {address}:: missing ']' in address")
        address = address[1:-1]
    if address and not is_address(address):
        raise ValueError(f"invalid IP address: {address}")
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    start, end = _range_of(container, "containerPort")
    low, high = _range_of(host, "hostPort") if host else (0, 0)
    dynamic = start == end and low != high
    if host and end - start != high - low and not dynamic:
        raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
    if protocol.lower() not in ("tcp", "udp", "sctp"):
        raise ValueError(f"invalid proto: {protocol}")
    out = []
    for offset in range(end - start + 1):
        shown = "" if not host else f"{low}-{high}" if dynamic else str(low + offset)
        out.append((f"{start + offset}/{protocol.lower()}", address, shown))
    return out


def _range_of(text: str, what: str) -> tuple[int, int]:
    try:
        return port_range(text)
    except ValueError:
        raise ValueError(f"invalid {what}: {text}") from None
