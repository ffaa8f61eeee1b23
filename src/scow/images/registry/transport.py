"""HTTP as registries need it: bounded answers, redirects without credentials, retries with back-off.

Each request goes to one origin (scheme, host, port). The Authorization header is the caller's and is sent to that
origin only: redirects are followed here, by hand, without it (CVE-2020-15157). Answers are asked for and read without
content encoding, so nothing is decompressed on the way (CVE-2025-66471).
"""

import asyncio
import random
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from scow.errors import DataLoss
from scow.images.registry.dialing import describe
from scow.images.registry.endpoint import DEFAULT_PORTS, is_loopback, literal_address
from scow.images.registry.faults import RegistryFailure

if TYPE_CHECKING:
    import aiohttp

ATTEMPTS = 5
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 30.0
_REDIRECTS = 10
_CONNECT_TIMEOUT = 30
_READ_TIMEOUT = 60
_RETRIED = frozenset({429, 500, 502, 503, 504})
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_AGENT = "scow"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole small answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    body: bytes


class Transport:
    """Requests to one registry and to where it redirects. `close` it in the end."""

    def __init__(
        self, context: Callable[[], ssl.SSLContext | bool], sleep: Callable[[float], object] = asyncio.sleep
    ) -> None:
        """`context` makes the TLS settings when the first https request is made."""
        self._context = context
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | bool | None = None
        self._proxies = getproxies()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(
        self,
        method: str,
        url: str,
        limit: int,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        *,
        retry: bool = True,
    ) -> Answer:
        """A small answer, read whole. Errors 429 and 5xx and broken connections are tried again; others are answers."""
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self.open(method, url, headers, data) as response:
                    body = await _read(response, limit, url)
                    answer = Answer(
                        response.status,
                        response.reason or "",
                        {name.lower(): value for name, value in response.headers.items()},
                        tuple(response.headers.getall("WWW-Authenticate", ())),
                        body,
                    )
            except Broken as error:
                if not retry or not error.temporary or attempt >= ATTEMPTS:
                    raise RegistryFailure(error.message) from error
                await self.pause(attempt)
                continue
            if answer.status in _RETRIED and retry and attempt < ATTEMPTS:
                await self.pause(attempt, answer.headers.get("retry-after", ""))
                continue
            return answer

    @asynccontextmanager
    async def open(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> "AsyncGenerator[aiohttp.ClientResponse, None]":
        """An answer whose body is still to be read, redirects followed. Raises Broken for what the network did."""
        import aiohttp

        sent = {"Accept-Encoding": "identity", "User-Agent": _AGENT, **(headers or {})}
        for _ in range(_REDIRECTS + 1):
            try:
                response = await self._request(method, url, sent, data)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise Broken.of(error, method, url) from error
            try:
                location = response.headers.get("Location", "")
                if response.status not in _REDIRECTED or not location:
                    try:
                        yield response
                    except (aiohttp.ClientError, TimeoutError, OSError) as error:
                        raise Broken.of(error, method, url) from error
                    return
            finally:
                response.close()
            target = urljoin(url, location)
            check_redirect(url, target)
            sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
            url = target
        raise RegistryFailure(f'{method.title()} "{url}": stopped after {_REDIRECTS} redirects')

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> "aiohttp.ClientResponse":
        import aiohttp
        from yarl import URL

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=16),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=_READ_TIMEOUT),
                auto_decompress=False,
                read_bufsize=1 << 20,
                trust_env=False,  # it would also read passwords from .netrc
            )
        secure = url.startswith("https:")
        if secure and self._tls is None:
            self._tls = self._context()
        return await self._session.request(
            method,
            URL(url, encoded=True),  # as it stands: signed URLs do not survive a second quoting
            headers=dict(headers),
            data=data,
            allow_redirects=False,
            ssl=self._tls if secure and self._tls is not None else True,
            proxy=self._proxy(url),
        )

    def _proxy(self, url: str) -> str | None:
        """The proxy that the environment names for a URL (HTTP_PROXY, HTTPS_PROXY, NO_PROXY); none for loopback."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not self._proxies or is_loopback(host) or proxy_bypass(parts.netloc):
            return None
        return self._proxies.get(parts.scheme)

    async def pause(self, attempt: int, retry_after: str = "") -> None:
        """Wait before another attempt: as long as the registry asks, else twice as long each time, with jitter."""
        delay = _FIRST_DELAY * 2 ** (attempt - 1) * (0.5 + random.random())
        if retry_after.isdigit() and len(retry_after) < 6:
            delay = max(delay, float(retry_after))
        waiting = self._sleep(min(delay, _LONGEST_DELAY))
        if asyncio.iscoroutine(waiting):
            await waiting


class Broken(Exception):
    """A request that got no proper answer. `temporary` says whether another attempt makes sense."""

    def __init__(self, message: str, temporary: bool) -> None:
        super().__init__(message)
        self.message = message
        self.temporary = temporary

    @classmethod
    def of(cls, error: BaseException, method: str, url: str) -> "Broken":
        text, temporary = describe(error, urlsplit(url).netloc)
        return cls(f'{method.title()} "{url}": {text}', temporary)


async def _read(response: "aiohttp.ClientResponse", limit: int, url: str) -> bytes:
    """The body, up to `limit` bytes, as it was sent."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("", "identity"):
        raise DataLoss(f'"{url}" answers with the content encoding {encoding[:40]!r}, which was not asked for')
    parts: list[bytes] = []
    total = 0
    async for chunk in response.content.iter_any():
        total += len(chunk)
        if total > limit:
            raise DataLoss(f'"{url}" answers with more than {limit} bytes')
        parts.append(chunk)
    return b"".join(parts)


def check_redirect(source: str, target: str) -> None:
    """Refuse redirects that leave https, or that lead from elsewhere to this machine's own surroundings."""
    here, there = urlsplit(source), urlsplit(target)
    try:
        port = there.port or DEFAULT_PORTS.get(there.scheme)
    except ValueError:
        port = None
    if there.scheme not in DEFAULT_PORTS or not there.hostname or port is None or there.username is not None:
        raise RegistryFailure(f"redirect to {target[:200]!r} refused: not an http or https URL")
    if here.scheme == "https" and there.scheme != "https":
        raise RegistryFailure(f"redirect from https to {target[:200]!r} refused")
    if here.hostname == there.hostname:
        return
    address = literal_address(there.hostname)
    own = literal_address(here.hostname or "")
    if address is not None and not address.is_global and not (own is not None and not own.is_global):
        raise RegistryFailure(f"redirect to the private address {target[:200]!r} refused")
    if address is not None and address.is_link_local:
        raise RegistryFailure(f"redirect to the link-local address {target[:200]!r} refused")
