"""Container ports and their publications on the host."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port inside a container: number 1-65535 and protocol tcp, udp or sctp. Text form `80/tcp`."""

    number: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class PortBinding:
    """One wish of the user: publish `port` at `host_ip` (empty: every address) and `host_port`.

    `host_port` is empty for a random port, `8080`, or a range `8000-8010` of which one free port is taken.
    """

    port: Port
    host_ip: str = ""
    host_port: str = ""


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """One publication that exists: `host_ip:host_port` leads to `port` of the container."""

    port: Port
    host_ip: str
    host_port: int
