"""A container's hosts, hostname and resolv.conf: written at its start, and changed when its networks change."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

from scow.background import complete
from scow.engine.containers import files
from scow.engine.context import Engine
from scow.model.container import Container
from scow.model.network import Endpoint
from scow.network.files import hosts_text
from scow.network.resolver import RESOLVER, container_text, names_text, read_file, read_host

_MOST = 1 << 20
_editing = threading.Lock()
"""Several linked containers may start at once, and each changes the same file of one that runs."""


def write(
    engine: Engine,
    container: Container,
    endpoints: Sequence[Endpoint],
    resolver: str,
    linked: Sequence[tuple[str, str]] = (),
) -> None:
    """All three. `resolver`: the address inside that answers for names, "" for the host's resolvers. linked: lines of the
    hosts file.
    """
    directory, config, host = files.directory(engine, container.id), container.config, container.host
    if host.network_mode.startswith("container:"):
        other = engine.containers.find(host.network_mode.removeprefix("container:")).container
        for name in ("hosts", "hostname", "resolv.conf"):
            with open(f"{files.directory(engine, other.id)}/{name}", encoding="utf-8", errors="replace") as source:
                files.write_file(f"{directory}/{name}", source.read())
        return
    files.write_file(f"{directory}/hostname", config.hostname + "\n")
    if host.network_mode == "host" and not host.extra_hosts:
        with contextlib.suppress(FileNotFoundError), open("/etc/hosts", encoding="utf-8", errors="replace") as source:
            files.write_file(f"{directory}/hosts", source.read())
    else:
        files.write_file(f"{directory}/hosts", _hosts(engine, container, endpoints, linked))
    files.write_file(f"{directory}/resolv.conf", _resolv(engine, container, resolver))


async def rewrite(engine: Engine, container: Container, endpoints: Sequence[Endpoint], resolver: str) -> None:
    """Its networks changed. A file that the container itself has changed meanwhile stays as it is."""
    directory = files.directory(engine, container.id)
    before = container.status.endpoints

    def work() -> None:
        with _editing:
            linked = _linked_lines(_read(f"{directory}/hosts"), container)
            hosts = [_hosts(engine, container, places, linked) for places in (before, endpoints)]
            _replace_if_ours(f"{directory}/hosts", *hosts)
        wanted = _resolv(engine, container, resolver)
        for resolvers in {"", resolver, RESOLVER}:
            if _replace_if_ours(f"{directory}/resolv.conf", _resolv(engine, container, resolvers), wanted):
                return

    await complete(asyncio.to_thread(work), f"names of {container.id[:12]}")


def edit_hosts(path: str, change: Callable[[str], str]) -> None:
    """Of a container that runs and may have lines of its own there; a file that is too large, or no text, is left alone.
    Blocks.
    """
    with _editing:
        present = _read(path)
        wanted = change(present)
        if len(present) < _MOST and "\N{REPLACEMENT CHARACTER}" not in present and wanted != present:
            files.write_file(path, wanted)


def _read(path: str) -> str:
    """ "" when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST)
    except FileNotFoundError:
        return ""


def _linked_lines(text: str, container: Container) -> list[tuple[str, str]]:
    """The lines of links as they are: what they lead to may have moved since they were written."""
    aliases = {link.alias.rpartition("/")[2] for link in container.status.links}
    pairs = [line.partition("\t")[::2] for line in text.splitlines()]
    return [(address, names) for address, names in pairs if names.partition(" ")[0] in aliases and " " in names]


def _replace_if_ours(path: str, ours: str, wanted: str) -> bool:
    if _read(path) != ours:
        return False
    if wanted != ours:
        files.write_file(path, wanted)
    return True


def _hosts(
    engine: Engine, container: Container, endpoints: Sequence[Endpoint], linked: Sequence[tuple[str, str]] = ()
) -> str:
    config, host = container.config, container.host
    addresses = [address for one in endpoints for address in (one.ip_address, one.ipv6_address) if address]
    return hosts_text(
        config.hostname, config.domainname, addresses, host.extra_hosts, _gateway(engine, endpoints), linked
    )


def _gateway(engine: Engine, endpoints: Sequence[Endpoint]) -> str:
    """What host-gateway means: the host's address on the default bridge, as with Docker, else one of the container's own."""
    default = next((one.gateway for one in engine.networking.networks() if one.name == "bridge"), "")
    return default or next((one.gateway for one in endpoints if one.gateway), "")


def _resolv(engine: Engine, container: Container, resolver: str) -> str:
    settings, host = engine.settings, container.host
    dns = host.dns or settings.dns
    search = host.dns_search or settings.dns_search
    options = host.dns_options or settings.dns_options
    if resolver:
        return names_text(read_file(), dns, search, options)
    return container_text(read_host(), dns, search, options, host_network=host.network_mode == "host")
