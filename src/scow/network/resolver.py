"""Which resolvers of the host a container can use. Pure, but for `read_host`."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

_HOST_FILE = "/etc/resolv.conf"
_BEHIND_STUB = "/run/systemd/resolve/resolv.conf"
_STUB = "127.0.0.53"
FALLBACK = ("8.8.8.8", "8.8.4.4")
_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What a resolv.conf says, in its order."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    path: str = _HOST_FILE


def parse(text: str, path: str = _HOST_FILE) -> ResolvConf:
    """A resolv.conf(5); the last search or domain line counts, unknown lines do not."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            nameservers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            options.extend(words[1:])
    return ResolvConf(tuple(nameservers), search, tuple(options), path)


def is_local(nameserver: str) -> bool:
    """Whether an address means the host itself, so that it means nothing in a container. What is no address, too."""
    try:
        address = ip_address(nameserver.partition("%")[0])
    except ValueError:
        return True
    return address.is_loopback or address.is_unspecified


def for_container(host: ResolvConf, *, ipv6: bool = False) -> ResolvConf:
    """Without resolvers that a container cannot reach; Docker's fallback when none is left."""
    usable = tuple(one for one in host.nameservers if not is_local(one) and (ipv6 or ":" not in one))
    return ResolvConf(usable or FALLBACK, host.search, host.options, host.path)


def read_host(path: str = _HOST_FILE, behind_stub: str = _BEHIND_STUB) -> ResolvConf:
    """The host's file, or the one behind systemd-resolved's stub resolver. Nothing when there is none."""
    host = _read(path)
    if host.nameservers == (_STUB,):
        behind = _read(behind_stub)
        if behind.nameservers:
            return behind
    return host


def _read(path: str) -> ResolvConf:
    try:
        with open(path, "rb") as file:
            return parse(file.read(_LIMIT).decode("utf-8", "replace"), path)
    except OSError:
        return ResolvConf(path=path)


def overridden(host: Sequence[str], override: Sequence[str]) -> Sequence[str]:
    """A list of the user's replaces the host's as a whole."""
    return override or host
