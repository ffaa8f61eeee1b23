"""The word that makes a link, `CONTAINER[:ALIAS]`, and what a link puts into an environment, as Docker has it. Pure."""

from collections.abc import Iterable, Sequence

from scow.errors import InvalidArgument
from scow.model.ports import Port

_MOST_TEXT = 1 << 16
_LEFT_OUT = frozenset({"HOME", "PATH"})


def parse(text: str) -> tuple[str, str]:
    """(container, alias). What inspect shows of a container (`/CONTAINER:/PARENT/ALIAS`) is understood, too."""
    if not text:
        raise InvalidArgument("empty string specified for links")
    name, colon, alias = text.partition(":")
    if ":" in alias:
        raise InvalidArgument(f"bad format for links: {text}")
    if not colon:
        return text, text
    return (name[1:], alias.rpartition("/")[2]) if name.startswith("/") else (name, alias)


def aliases(links: Sequence[str]) -> dict[str, str]:
    """alias -> container of the links on one network; of an alias that is given twice the last one counts."""
    if sum(map(len, links)) > _MOST_TEXT:
        raise InvalidArgument(f"links: more than {_MOST_TEXT} characters in all")
    return {alias: name for name, alias in map(parse, links)}


def variables(full_name: str, address: str, ports: Iterable[Port], environment: Sequence[str]) -> list[str]:
    """What a container learns of one that it calls `full_name` (/PARENT/ALIAS) and that exposes `ports` at `address`.

    Runs of three and more ports are told as ranges as well; the numbers alone make a run, as in Docker.
    """
    prefix = full_name.rpartition("/")[2].upper().replace("-", "_")
    listed = sorted(ports, key=lambda port: (port.number, port.protocol != "tcp", port.protocol))
    words = [f"{prefix}_PORT={_url(listed[0], address)}"] if listed else []
    position = 0
    while position < len(listed):
        last = _end_of_run(listed, position)
        if last <= position + 1:
            position += 1
            continue
        words += _range(prefix, address, listed[position], listed[last])
        position = last + 1
    for port in listed:
        stem = f"{prefix}_PORT_{port.number}_{port.protocol.upper()}"
        words.append(f"{stem}={_url(port, address)}")
        words += [f"{stem}_ADDR={address}", f"{stem}_PORT={port.number}", f"{stem}_PROTO={port.protocol}"]
    words.append(f"{prefix}_NAME={full_name}")
    for word in environment:
        name, separator, _ = word.partition("=")
        if separator and name not in _LEFT_OUT:
            words.append(f"{prefix}_ENV_{word}")
    return words


def _url(port: Port, address: str) -> str:
    return f"{port.protocol}://{address}:{port.number}"


def _end_of_run(ports: Sequence[Port], first: int) -> int:
    """The position of the last port whose number is at most one above those before it, counted from `first`."""
    value = ports[first].number
    for position in range(first + 1, len(ports)):
        if ports[position].number > value + 1:
            return position - 1
        value += 1
    return len(ports) - 1


def _range(prefix: str, address: str, first: Port, last: Port) -> list[str]:
    stem = f"{prefix}_PORT_{first.number}_{first.protocol.upper()}"
    return [
        f"{stem}_START={_url(first, address)}",
        f"{stem}_ADDR={address}",
        f"{stem}_PROTO={first.protocol}",
        f"{stem}_PORT_START={first.number}",
        f"{stem}_END={_url(last, address)}",
        f"{stem}_PORT_END={last.number}",
    ]
