"""Proxies as the environment names them, read as Docker's daemon reads them (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)."""

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from scow.images.registry.endpoint import DEFAULT_PORTS, is_loopback, literal_address


class Proxies:
    """The proxies of one environment, which is read once."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._by_scheme = {scheme: _either(env, f"{scheme}_proxy") for scheme in DEFAULT_PORTS}
        self._exceptions = [entry for part in _either(env, "no_proxy").split(",") if (entry := part.strip().lower())]

    def of(self, url: str) -> str | None:
        """The proxy for a URL; None for loopback, for exceptions, and when none is named."""
        parts = urlsplit(url)
        proxy = self._by_scheme.get(parts.scheme)
        host = (parts.hostname or "").rstrip(".").lower()
        if not proxy or is_loopback(host) or self._excepted(host, parts.port or DEFAULT_PORTS[parts.scheme]):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def _excepted(self, host: str, port: int) -> bool:
        """NO_PROXY has `*`, networks, addresses, and names that stand for themselves and what is below them."""
        address = literal_address(host)
        for entry in self._exceptions:
            if entry == "*":
                return True
            if "/" in entry:
                try:
                    if address is not None and address in ipaddress.ip_network(entry, strict=False):
                        return True
                except ValueError:
                    pass
                continue
            name, colon, wanted = entry.rpartition(":")
            if not colon or not wanted.isdigit() or literal_address(entry) is not None:
                name, wanted = entry, ""
            if wanted and int(wanted[:6]) != port:
                continue
            name = name.strip("[]").removeprefix("*")
            if address is not None:
                if literal_address(name) == address:
                    return True
            elif host == name.removeprefix(".") and not name.startswith(".") or host.endswith("." + name.lstrip(".")):
                return True
        return False


def _either(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper(), "") or environment.get(name, "")
