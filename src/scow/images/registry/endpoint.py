"""Where a registry is: scheme, host and port of a reference's domain, and which way in is allowed.

Plain HTTP only for loopback and for registries that the administrator named as insecure; nothing ever falls back from
HTTPS to HTTP otherwise (CVE-2014-5277).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from scow.images.registry.policy import DEFAULT_POLICY, Policy
from scow.oci.reference import DEFAULT_DOMAIN

_DOCKER_HUB = "registry-1.docker.io"
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to a registry. `authority` is host[:port] as it stands in URLs; `verify` false takes any certificate."""

    scheme: str
    authority: str
    verify: bool = True
    mirror: bool = False

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What the administrator configured: names, host:port or networks (CIDR) of insecure registries; mirror URLs;
    directories of certificates. `policy` says how patient requests are.
    """

    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ("/etc/scow/certs.d", "/etc/docker/certs.d")
    policy: Policy = DEFAULT_POLICY


def endpoints(domain: str, settings: RegistrySettings) -> tuple[Endpoint, ...]:
    """The ways to the registry of `domain`, to be tried in order; mirrors (of Docker Hub only) come first."""
    if domain == DEFAULT_DOMAIN:
        return (*(_mirror(url, settings) for url in settings.mirrors), Endpoint("https", _DOCKER_HUB))
    return own_endpoints(domain, settings)


def own_endpoints(authority: str, settings: RegistrySettings) -> tuple[Endpoint, ...]:
    """The ways to host[:port] itself."""
    host = host_of(authority)
    if is_loopback(host):
        # A loopback peer is this machine: nobody can listen in, and most registries there speak plain HTTP.
        return (Endpoint("http", authority), Endpoint("https", authority, verify=False))
    if _is_insecure(authority, host, settings.insecure):
        return (Endpoint("https", authority, verify=False), Endpoint("http", authority))
    return (Endpoint("https", authority),)


def _mirror(url: str, settings: RegistrySettings) -> Endpoint:
    scheme, _, rest = url.rpartition("://")
    authority = rest.partition("/")[0]
    verify = not _is_insecure(authority, host_of(authority), settings.insecure)
    return Endpoint("http" if scheme == "http" else "https", authority, verify=verify, mirror=True)


def host_of(authority: str) -> str:
    """The host of host[:port] or [v6][:port], in lower case."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """localhost or a loopback address."""
    address = literal_address(host)
    return address.is_loopback if address is not None else host == "localhost"


def literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `host` is; None for names."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_insecure(authority: str, host: str, configured: Sequence[str]) -> bool:
    address = literal_address(host)
    for entry in configured:
        if entry in (authority, host):
            return True
        if "/" in entry and address is not None:
            try:
                network = ipaddress.ip_network(entry, strict=False)
            except ValueError:
                continue
            if address in network:
                return True
    return False
