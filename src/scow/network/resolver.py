"""Which resolvers of the host a container can use, and the resolv.conf it gets. Pure, but for what reads files."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from scow.network.files import resolv_text

_HOST_FILE = "/etc/resolv.conf"
_BEHIND_STUB = "/run/systemd/resolve/resolv.conf"
_STUB = "127.0.0.53"
RESOLVER = "127.0.0.11"
FALLBACK = ("8.8.8.8", "8.8.4.4")
_LIMIT = 1 << 16


class ResolvConf(NamedTuple):
    """What a resolv.conf says, in its order. invalid: nameservers that are no addresses; other: lines kept as they are."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    path: str = _HOST_FILE
    fallback: bool = False


def parse(text: str, path: str = _HOST_FILE) -> ResolvConf:
    """A resolv.conf(5); the last search or domain line counts."""
    nameservers: list[str] = []
    invalid: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    other: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            if len(words) > 1:
                (nameservers if _is_address(words[1]) else invalid).append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:]) if len(words) > 1 else search
        elif words[0] == "options":
            options.extend(words[1:])
        else:
            other.append(" ".join(words))
    return ResolvConf(tuple(nameservers), search, tuple(options), tuple(other), tuple(invalid), path)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(nameserver: str) -> bool:
    """Whether it would mean the container itself, once inside."""
    return ip_address(nameserver).is_loopback


def for_container(host: ResolvConf, *, ipv6: bool = False) -> ResolvConf:
    """Without resolvers that a container cannot reach; Docker's fallback when none is left."""
    usable = tuple(one for one in host.nameservers if not is_loopback(one) and (ipv6 or ":" not in one))
    return ResolvConf(usable or FALLBACK, host.search, host.options, host.other, host.invalid, host.path, not usable)


def read_host(path: str = _HOST_FILE, behind_stub: str = _BEHIND_STUB) -> ResolvConf:
    """The host's file, or the one behind systemd-resolved's stub resolver. Nothing when there is none."""
    host = read_file(path)
    if host.nameservers == (_STUB,):
        behind = read_file(behind_stub)
        if behind.nameservers:
            return behind
    return host


def read_file(path: str = _HOST_FILE) -> ResolvConf:
    """What it says; nothing when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return parse(file.read(_LIMIT).decode("utf-8", "replace"), path)
    except OSError:
        return ResolvConf(path=path)


def container_text(
    host: ResolvConf,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    *,
    host_network: bool = False,
) -> str:
    """A container's whole /etc/resolv.conf as Docker 26 writes it. host: `read_host()`. Each list that the user gave
    replaces the host's; with the host's network namespace the host's resolvers are all reachable, loopback included.
    """
    given = {"nameservers": dns, "search": search, "options": options}
    usable = host if host_network or dns else for_container(host)
    return resolv_text(
        list(dns or usable.nameservers),
        list(search or usable.search),
        list(options or usable.options),
        overrides=[name for name, value in given.items() if value],
        other=usable.other,
        invalid=() if dns else usable.invalid,
        fallback=usable.fallback,
        host_path=host.path,
        host_network=host_network,
    )


def asks_bare_names(host: ResolvConf, options: Sequence[str] = ()) -> bool:
    """Whether names of one label are asked outside for a container with these options (or else the host's): not when
    ndots says that its search list comes first.
    """
    return _ndots(options or host.options) in ("", "0")


def names_text(
    host: ResolvConf, dns: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()
) -> str:
    """The same where names of containers are answered, on user-defined networks: 127.0.0.11 is asked, which asks others.
    host: `read_file()`, for it may ask the host's loopback, too.
    """
    given = {"nameservers": dns, "search": search, "options": options}
    external = dns or tuple(f"host({one})" if is_loopback(one) else one for one in host.nameservers)
    wanted = list(options or host.options)
    internal = not _ndots(wanted)
    return resolv_text(
        [RESOLVER],
        list(search or host.search),
        [*wanted, "ndots:0"] if internal else wanted,
        overrides=[name for name, value in given.items() if value],
        other=host.other,
        invalid=() if dns else host.invalid,
        fallback=not external,
        host_path=host.path,
        external=external or FALLBACK,
        ndots_from="internal" if internal else "",
    )


def _ndots(options: Sequence[str]) -> str:
    return next((one.partition(":")[2] for one in options if one.startswith("ndots:")), "")
