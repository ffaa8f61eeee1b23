"""Links of containers on the default bridge: who is linked to whom, and what that puts into hosts and environment.

Containers on other networks have links, too: names that they alone use, answered by the name service (names.NameClient).
"""

import asyncio
import logging
import re
from collections.abc import Iterable
from dataclasses import replace

from scow.background import complete
from scow.engine.containers import files
from scow.engine.containers.validate import HOST_AND_LINKS
from scow.engine.context import Engine
from scow.engine.networks import name_files, wishes
from scow.engine.registry import Entry
from scow.errors import Internal, InvalidArgument, NotFound, ScowError
from scow.model import transitions
from scow.model.container import Container, HostConfig, Link
from scow.model.network import EndpointWish, Reach, Tenant
from scow.network import links

_log = logging.getLogger("scow.network")
_BRIDGE = "bridge"
_MODES = ("default", "bridge", "none", "")


class NotLinkable(Internal):
    """Docker answers 500 to this one."""


class OwnName(Internal):
    """Docker answers 500 to this one, too."""


def at_create(engine: Engine, host: HostConfig) -> tuple[Link, ...]:
    """What was asked for, with the containers that it names; (): the container will be on a network of its own. Of an alias
    that is given twice the first one counts; an empty one is no link: it would be the container's own name.
    """
    if host.network_mode not in _MODES:
        return ()
    found: dict[str, Link] = {}
    for text in host.links:
        name, alias = links.parse(text)
        other = _target(engine, name)
        if other.host.network_mode == "host":
            raise InvalidArgument(HOST_AND_LINKS)
        alias = alias.strip("/")
        if alias:
            found.setdefault(alias, Link(alias, other.id, other.name))
    return tuple(found.values())


def _target(engine: Engine, name: str) -> Container:
    """The container of that name, or the one whose network it shares."""
    wanted = name
    try:
        while True:
            if not wanted:
                raise InvalidArgument('invalid name or ID supplied: ""')
            other = engine.containers.find(wanted).container
            if not other.host.network_mode.startswith("container:"):
                return other
            wanted = other.host.network_mode.removeprefix("container:")
    except (NotFound, InvalidArgument) as error:
        raise InvalidArgument(f"could not get container for {name}: {error.message}") from error


# ---------------------------------------------------------------- what is shown


def names_of(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Container id -> the names (`/PARENT/ALIAS`) that links give it."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        for link in entry.container.status.links:
            found.setdefault(link.container_id, []).append(_full_name(entry.container, link))
    return found


def shown(engine: Engine, container: Container) -> list[str]:
    """`/CHILD:/PARENT/ALIAS`"""
    return [f"/{_name(engine, link)}:{_full_name(container, link)}" for link in container.status.links]


def _full_name(parent: Container, link: Link) -> str:
    return f"/{parent.name}/{link.alias}"


def _name(engine: Engine, link: Link) -> str:
    entry = engine.containers.get(link.container_id)
    return entry.container.name if entry else link.name


# ---------------------------------------------------------------- what the container gets


def _on_bridge(container: Container) -> bool:
    return any(wish.network == _BRIDGE for wish in wishes.of(container))


def _address(container: Container) -> str:
    """On the default bridge, "" when it is not there or does not run."""
    if container.status.state not in transitions.RUNNING:
        return ""
    return next((one.ip_address for one in container.status.endpoints if one.network_name == _BRIDGE), "")


def _linked(engine: Engine, container: Container) -> list[tuple[Link, Container]]:
    """The containers behind its links. NotLinkable for one that does not run, or is not on the default bridge."""
    if not container.status.links or not _on_bridge(container):
        return []
    found = []
    for link in container.status.links:
        entry = engine.containers.get(link.container_id)
        if entry is not None and not _on_bridge(entry.container):
            raise NotLinkable(f"Cannot link to /{entry.container.name}, as it does not belong to the default network")
        if entry is None or not _address(entry.container):
            sentence = (
                f"Cannot link to a non running container: /{_name(engine, link)} AS {_full_name(container, link)}"
            )
            raise NotLinkable(sentence)
        found.append((link, entry.container))
    return found


def tenant(engine: Engine, container: Container, joining: EndpointWish | None = None) -> Tenant:
    """What the network must know of a container (`wishes.tenant`), also of its links."""
    return replace(wishes.tenant(engine, container, joining), reaches=_reaches(engine, container))


def _reaches(engine: Engine, container: Container) -> tuple[Reach, ...]:
    entries = (engine.containers.get(link.container_id) for link in container.status.links)
    others = {entry.container.id: entry.container for entry in entries if entry is not None}
    return tuple(
        Reach(address, port)
        for other in others.values()
        if (address := _address(other))
        for port in other.config.exposed_ports
    )


def environment(engine: Engine, container: Container) -> tuple[str, ...]:
    """The variables that tell of linked containers, as they are now."""
    return tuple(
        word
        for link, other in _linked(engine, container)
        for word in links.variables(
            _full_name(container, link), _address(other), other.config.exposed_ports, other.config.env
        )
    )


def hosts(engine: Engine, container: Container) -> tuple[tuple[str, str], ...]:
    """Lines of its hosts file: (address, names): alias, host name and, if it is another one, name."""
    lines = []
    for link, other in _linked(engine, container):
        alias = _short(link.alias)
        own = "" if alias == other.name else f" {other.name}"
        lines.append((_address(other), f"{alias} {other.config.hostname}{own}"))
    return tuple(lines)


def _short(alias: str) -> str:
    return alias.rpartition("/")[2]


# ---------------------------------------------------------------- what changes later


async def moved(engine: Engine, container: Container) -> None:
    """It runs, perhaps at another address than before: ways and hosts files of those that are linked to it follow. What keeps
    one from that is logged: the container runs all the same, and the others follow.
    """
    address = _address(container)
    for entry in engine.containers:
        aliases = [link.alias for link in entry.container.status.links if link.container_id == container.id]
        if not aliases or not address or not _address(entry.container):
            continue
        try:
            await _follow(engine, entry.container, aliases, address)
        except (ScowError, OSError) as error:
            what = f"{entry.container.id} to {container.id}"
            _log.error("links of container %s lead to where it was before: %s", what, error)


async def _follow(engine: Engine, parent: Container, aliases: list[str], address: str) -> None:
    path = f"{files.directory(engine, parent.id)}/hosts"

    def change(text: str) -> str:
        for alias in aliases:
            text = with_address(text, alias, address)
        return text

    try:
        await engine.networking.reach(parent.id, _reaches(engine, parent))
    finally:
        await complete(asyncio.to_thread(name_files.edit_hosts, path, change), f"links of {parent.id[:12]}")


def _line(alias: str) -> re.Pattern[str]:
    return re.compile(rf"^\S+\t{re.escape(_short(alias))}(?=[\s.]).*$", re.MULTILINE)


def with_address(text: str, alias: str, address: str) -> str:
    """A hosts file whose lines that begin with this name lead to `address`."""
    return _line(alias).sub(lambda found: f"{address}\t{found[0].partition(chr(9))[2]}", text)


def without(text: str, alias: str) -> str:
    """A hosts file without the lines that begin with this name."""
    kept = [line for line in text.splitlines(keepends=True) if not _line(alias).match(line)]
    return "".join(kept)


async def unlink(engine: Engine, name: str) -> None:
    """Remove the link PARENT/ALIAS; both containers stay."""
    engine.containers.find(name)
    parent, slash, alias = name.removeprefix("/").partition("/")
    if not slash:
        raise OwnName("Conflict, cannot remove the default link name of the container")
    entry = engine.containers.find(parent)
    async with entry.lock:
        status = entry.container.status
        engine.containers.set_status(
            entry, replace(status, links=tuple(link for link in status.links if link.alias != alias))
        )
        await engine.containers.save(entry)
    path = f"{files.directory(engine, entry.container.id)}/hosts"
    if _address(entry.container):
        edit = asyncio.to_thread(name_files.edit_hosts, path, lambda text: without(text, alias))
        await complete(edit, f"links of {entry.container.id[:12]}")
        await engine.networking.reach(entry.container.id, _reaches(engine, entry.container))
    engine.export(entry.container)
