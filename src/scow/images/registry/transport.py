"""HTTP as registries need it: bounded answers, redirects without credentials, retries with back-off.

Each request goes to one origin (scheme, host, port). The Authorization header is the caller's and is sent to that
origin only: redirects are followed here, by hand, without it (CVE-2020-15157). Answers are asked for and read without
content encoding, so nothing is decompressed on the way (CVE-2025-66471).
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from scow.errors import DataLoss
from scow.images.registry.dialing import describe, resolver
from scow.images.registry.endpoint import DEFAULT_PORTS, literal_address
from scow.images.registry.faults import RegistryFailure
from scow.images.registry.policy import DEFAULT_POLICY, Policy
from scow.images.registry.proxy import Proxies

if TYPE_CHECKING:
    import aiohttp

RETRIED = frozenset({429, 500, 502, 503, 504})
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})  # the others would turn an upload into a GET
_AGENT = "scow"


@dataclass(frozen=True, slots=True)
class Content:
    """A request body of `length` bytes. Every call of `open` gives it from its start, so that it can be sent again."""

    length: int
    open: Callable[[], AsyncIterator[bytes]]


Body = bytes | Content | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole small answer. Header names are in lower case; `url` is the one that answered, after redirects."""

    status: int
    reason: str
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    body: bytes
    url: str = ""


class Transport:
    """Requests to one registry and to where it redirects. `close` it in the end."""

    def __init__(self, context: Callable[[], ssl.SSLContext | bool], policy: Policy = DEFAULT_POLICY) -> None:
        """`context` makes the TLS settings when the first https request is made."""
        self.policy = policy
        self._context = context
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | bool | None = None
        self._proxies = Proxies()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(
        self,
        method: str,
        url: str,
        limit: int,
        headers: Mapping[str, str] | None = None,
        data: Body = None,
        *,
        retry: bool = True,
    ) -> Answer:
        """A small answer, read whole. Errors 429 and 5xx and broken connections are tried again; others are answers."""
        attempt = 0
        while True:
            attempt += 1
            last = not retry or attempt >= self.policy.attempts
            try:
                async with self.open(method, url, headers, data) as response:
                    answer = await _read(response, limit, url)
            except Broken as error:
                if last or not error.temporary:
                    raise RegistryFailure(error.message) from error
                await self.pause(attempt)
                continue
            if answer.status not in RETRIED or last:
                return answer
            if not await self.pause(attempt, answer.headers.get("retry-after", "")):
                return answer

    @asynccontextmanager
    async def open(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, data: Body = None
    ) -> "AsyncGenerator[aiohttp.ClientResponse, None]":
        """An answer whose body is still to be read, redirects followed. Raises Broken for what the network did."""
        import aiohttp

        sent = {"Accept-Encoding": "identity", "User-Agent": _AGENT, **(headers or {})}
        for _ in range(self.policy.redirects + 1):
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
            if method not in ("GET", "HEAD") and response.status not in _SAME_METHOD:
                raise RegistryFailure(f'{method.title()} "{url}": redirect with status {response.status} refused')
            target = urljoin(url, location)
            check_redirect(url, target)
            sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
            url = target
        raise RegistryFailure(f'{method.title()} "{url}": stopped after {self.policy.redirects} redirects')

    async def _request(self, method: str, url: str, headers: Mapping[str, str], data: Body) -> "aiohttp.ClientResponse":
        import aiohttp
        from yarl import URL

        policy = self.policy
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=16, resolver=resolver()),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=policy.connect_timeout, sock_read=policy.read_timeout
                ),
                auto_decompress=False,
                read_bufsize=1 << 20,
                trust_env=False,  # it would also read passwords from .netrc
            )
            # It would try idempotent requests a second time by itself: ten attempts where the policy says five.
            self._session._retry_connection = False
        secure = url.startswith("https:")
        if secure and self._tls is None:
            self._tls = self._context()
        sent = dict(headers)
        patience = policy.connect_timeout + policy.read_timeout
        async with asyncio.timeout(patience) as alarm:
            body: bytes | AsyncIterator[bytes] | None
            if isinstance(data, Content):
                sent["Content-Length"] = str(data.length)
                body = _watched(data, alarm, patience)
            else:
                body = data
            return await self._session.request(
                method,
                URL(url, encoded=True),  # as it stands: signed URLs do not survive a second quoting
                headers=sent,
                data=body,
                allow_redirects=False,
                ssl=self._tls if secure and self._tls is not None else True,
                proxy=self._proxies.of(url),
            )

    async def pause(self, attempt: int, retry_after: str = "") -> bool:
        """Wait before another attempt: as long as the registry asks, else twice as long each time, with jitter. False,
        without a wait, when it asks for more than the policy grants.
        """
        delay = self.policy.delay(attempt, retry_after)
        if delay is None:
            return False
        await self.policy.sleep(delay)
        return True


class Broken(Exception):
    """A request that got no proper answer. `temporary` says whether another attempt makes sense."""

    def __init__(self, message: str, temporary: bool, retry_after: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.temporary = temporary
        self.retry_after = retry_after

    @classmethod
    def of(cls, error: BaseException, method: str, url: str) -> "Broken":
        text, temporary = describe(error, urlsplit(url).netloc)
        return cls(f'{method.title()} "{url}": {text}', temporary)


async def _watched(content: Content, alarm: asyncio.Timeout, patience: float) -> AsyncIterator[bytes]:
    """A body that puts off the alarm with every piece: a peer that takes nothing more must not hold us for ever."""
    loop = asyncio.get_running_loop()
    async for chunk in content.open():
        alarm.reschedule(loop.time() + patience)
        yield chunk
    alarm.reschedule(loop.time() + patience)


async def _read(response: "aiohttp.ClientResponse", limit: int, url: str) -> Answer:
    """The whole answer, its body up to `limit` bytes, as it was sent."""
    check_encoding(response.headers, url)
    parts: list[bytes] = []
    total = 0
    async for chunk in response.content.iter_any():
        total += len(chunk)
        if total > limit:
            raise DataLoss(f'"{url}" answers with more than {limit} bytes')
        parts.append(chunk)
    return Answer(
        response.status,
        response.reason or "",
        {name.lower(): value for name, value in response.headers.items()},
        tuple(response.headers.getall("WWW-Authenticate", ())),
        b"".join(parts),
        str(response.url),
    )


def check_encoding(headers: Mapping[str, str], url: str) -> None:
    """Refuse a content encoding: none was asked for, and none is undone (CVE-2025-66471)."""
    encoding = headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("", "identity"):
        raise DataLoss(f'"{url}" answers with the content encoding {encoding[:40]!r}, which was not asked for')


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
