"""One registry, as one user sees it, for the time of one operation.

For uploads and everything else that is not a pull there is `RegistryClient.request`: one request with the retries, the
limits and the credential rules of this package inside.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Self, TypeVar
from urllib.parse import urljoin, urlsplit

from scow.errors import DataLoss, InvalidArgument, ScowError
from scow.images.blobs import digest_of
from scow.images.registry import challenge, faults, token
from scow.images.registry.certificates import context_for
from scow.images.registry.download import Download, Origin
from scow.images.registry.endpoint import DEFAULT_PORTS, Endpoint, RegistrySettings, endpoints, own_endpoints
from scow.images.registry.transport import Answer, Body, Transport, check_redirect
from scow.model.transfer import Credentials
from scow.oci import media
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.documents import CONFIG_LIMIT, MANIFEST_LIMIT
from scow.oci.reference import Reference

T = TypeVar("T")
_log = logging.getLogger("scow.images")
_SMALL = 64 << 10
_TAGS_LIMIT = 4 << 20
_TAG_PAGES = 1000


class RegistryClient:
    """Lifecycle: `connect`, then any requests, then `close`.

    Credentials go to the registry's own origin and to its trusted token server, nowhere else.
    """

    def __init__(self, endpoint: Endpoint, settings: RegistrySettings, credentials: Credentials | None) -> None:
        self.endpoint = endpoint
        self._credentials = credentials or Credentials()
        self._transport = Transport(lambda: context_for(endpoint, settings), settings.policy)
        self._challenges: tuple[challenge.Challenge, ...] = ()
        self._tokens: dict[str, token.Token] = {}
        self._users = 1

    def share(self) -> Self:
        """One more user, who calls `close` as well: work that outlives the operation which began it."""
        self._users += 1
        return self

    async def close(self) -> None:
        """Close the connections with the last user."""
        self._users -= 1
        if not self._users:
            await self._transport.close()

    async def connect(self) -> None:
        """Find out that a registry is there and how it wants to be talked to."""
        answer = await self._transport.fetch("GET", f"{self.endpoint.url}/v2/", _SMALL)
        self._challenges = challenge.parse(answer.challenges)
        if answer.status == 401 and self._challenges:
            return
        if answer.status == 400 and b"HTTPS" in answer.body:
            raise faults.RegistryFailure(f"{self.endpoint.authority} speaks https")
        if answer.status >= 400:
            raise faults.from_answer(answer.status, answer.body, answer.reason, None, answer.headers)

    async def login(self) -> str:
        """Check the credentials. Returns an identity token or "". LoginRefused when a token server does not accept them,
        RegistryFailure when the registry itself does not (that is what Docker tells apart).
        """
        bearer = self._challenge("bearer")
        url = f"{self.endpoint.url}/v2/"
        if bearer is not None:
            granted = await token.request(
                self._transport, self.endpoint, bearer.parameters, (), self._credentials, offline=True
            )
            headers = {"Authorization": f"Bearer {granted.text}"}
        else:
            granted = None
            if self._challenges and not self._has_credentials():
                raise faults.RegistryFailure(f'Get "{url}": no basic auth credentials')
            headers = {"Authorization": token.basic(self._credentials)}
        answer = await self._transport.fetch("GET", url, _SMALL, headers)
        if answer.status != 200:
            raise faults.RegistryFailure(f"login attempt to {url} failed with status: {answer.status} {answer.reason}")
        return granted.refresh if granted else ""

    async def manifest(self, reference: Reference) -> tuple[bytes, str]:
        """(bytes, Content-Type) of a manifest or index, verified when the reference has a digest."""
        wanted = reference.digest or reference.tag or "latest"
        accept = {"Accept": ", ".join(media.ACCEPT)}
        answer = await self.request(
            "GET", f"/v2/{reference.path}/manifests/{wanted}", reference, headers=accept, limit=MANIFEST_LIMIT
        )
        if answer.status != 200:
            raise faults.from_answer(answer.status, answer.body, answer.reason, reference, answer.headers)
        manifest_digest(answer.body, reference)
        return answer.body, answer.headers.get("content-type", "")

    async def config(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """An image config, verified."""
        digest, size = descriptor.digest, descriptor.size
        if size > CONFIG_LIMIT:
            raise DataLoss(f"image config {digest.short} has {size} bytes, more than {CONFIG_LIMIT}")
        async with aclosing(self.blob(reference, descriptor)) as chunks:
            data = b"".join([chunk async for chunk in chunks])
        if len(data) != size or digest_of(data, digest.algorithm) != digest:
            raise DataLoss(f"image config verification failed for digest {digest}")
        return data

    def blob(self, reference: Reference, descriptor: Descriptor, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from `start` on; see Download."""

        async def authorization() -> dict[str, str]:
            return await self._authorization((_scope(reference, "pull"),))

        url = f"{self.endpoint.url}/v2/{reference.path}/blobs/{descriptor.digest}"
        origin = Origin(self._transport, url, authorization, self._tokens.clear)
        return Download(origin, descriptor, start).chunks()

    async def tags(self, reference: Reference) -> list[str]:
        """Every tag of a repository, in the registry's order."""
        found: list[str] = []
        target = f"/v2/{reference.path}/tags/list"
        for _ in range(_TAG_PAGES):
            answer = await self.request("GET", target, reference, limit=_TAGS_LIMIT)
            if answer.status != 200:
                raise faults.no_tags(answer.status, answer.body, answer.reason, reference, answer.headers)
            found += faults.tag_list(answer.body)
            link = answer.headers.get("link", "")
            if 'rel="next"' not in link and "rel=next" not in link:
                return list(dict.fromkeys(found))
            target = self.location(answer, link.partition("<")[2].partition(">")[0])
        raise DataLoss(f"repository {reference.familiar_name} has more than {_TAG_PAGES} pages of tags")

    async def request(
        self,
        method: str,
        target: str,
        reference: Reference,
        *,
        actions: str = "pull",
        also: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        limit: int = _SMALL,
        retry: bool = True,
    ) -> Answer:
        """One request about the repository of `reference`; any status that is left in the end is an answer.

        `target`: a path of the registry (`/v2/…`), or what `location` returned. Credentials and tokens go to the
        registry's own scheme, host and port only; elsewhere the request goes without. `actions` is the scope that is
        asked for (`pull`, `pull,push`), `also` names repositories from which something is to be mounted (for `pull`).
        A refused token is renewed once. `body`: bytes, or Content, which may be opened several times.

        429, 500, 502, 503, 504 and broken connections are tried again as the policy says, Retry-After honoured, unless
        `retry` is false: then the caller must find out what arrived (as after a PATCH). Raises RegistryFailure when
        there is no answer, DataLoss for one that is longer than `limit` bytes or has a content encoding.
        """
        url = self.endpoint.url + target if target.startswith("/") else target
        scopes = (_scope(reference, actions), *(f"repository:{name}:pull" for name in also))
        own = _origin(url) == _origin(self.endpoint.url)
        for attempt in (1, 2):
            given = await self._authorization(scopes) if own else {}
            answer = await self._transport.fetch(method, url, limit, {**(headers or {}), **given}, body, retry=retry)
            if answer.status != 401 or attempt == 2 or not own:
                break
            if not self._renew(answer, given, reference, actions, url):
                break
        if answer.status == 401 and self._tokens and not self._has_credentials():
            raise faults.denied(reference, actions=actions)
        return answer

    def location(self, answer: Answer, value: str = "") -> str:
        """Where an answer's Location header (or `value`) points, as a target for `request`.

        Raises RegistryFailure when there is none, or when it is not a place that a registry may send us to.
        """
        value = value or answer.headers.get("location", "")
        if not value:
            raise faults.RegistryFailure(f'"{answer.url}" answers without a Location')
        target = urljoin(answer.url, value)
        check_redirect(answer.url, target)
        return target

    def _renew(self, answer: Answer, given: Mapping[str, str], reference: Reference, actions: str, url: str) -> bool:
        """After a 401: forget the tokens that were refused. False when another try makes no sense."""
        found = challenge.parse(answer.challenges)
        if any(item.parameters.get("error") == "insufficient_scope" for item in found) and self._tokens:
            raise faults.denied(reference, actions=actions)
        if given and not self._tokens:
            return False
        self._challenges = found or self._challenges
        self._tokens.clear()
        if not self._has_credentials() and self._challenge("bearer") is None:
            where = f'Head "{url}": ' if actions == "pull" else ""
            raise faults.RegistryFailure(f"{where}no basic auth credentials")
        return True

    async def _authorization(self, scopes: tuple[str, ...]) -> dict[str, str]:
        """The Authorization header for requests that need these scopes; empty when none is wanted."""
        credentials = self._credentials
        if credentials.registry_token:
            return {"Authorization": f"Bearer {credentials.registry_token}"}
        bearer = self._challenge("bearer")
        if bearer is not None:
            key = " ".join(scopes)
            known = self._tokens.get(key)
            if known is None or not known.valid:
                known = await token.request(self._transport, self.endpoint, bearer.parameters, scopes, credentials)
                self._tokens[key] = known
            return {"Authorization": f"Bearer {known.text}"}
        if self._challenge("basic") is not None and credentials.password:
            return {"Authorization": token.basic(credentials)}
        return {}

    def _challenge(self, scheme: str) -> challenge.Challenge | None:
        return next((item for item in self._challenges if item.scheme == scheme), None)

    def _has_credentials(self) -> bool:
        return bool(self._credentials.password or self._credentials.identity_token or self._credentials.registry_token)


def _scope(reference: Reference, actions: str) -> str:
    return f"repository:{reference.path}:{actions}"


def _origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what credentials are bound to."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        raise InvalidArgument(f"{url[:200]!r} is no URL") from None


async def find_manifest(
    reference: Reference, settings: RegistrySettings, credentials: Credentials | None
) -> tuple[RegistryClient, bytes, str]:
    """(client that answered, manifest bytes, Content-Type) for a reference; the caller closes the client."""
    client, (data, content_type) = await _ask_any(
        reference, settings, credentials, lambda client: client.manifest(reference)
    )
    return client, data, content_type


async def find_tags(
    reference: Reference, settings: RegistrySettings, credentials: Credentials | None
) -> tuple[RegistryClient, list[str]]:
    """(client that answered, tags) for a repository; the caller closes the client."""
    return await _ask_any(reference, settings, credentials, lambda client: client.tags(reference))


async def _ask_any(
    reference: Reference,
    settings: RegistrySettings,
    credentials: Credentials | None,
    ask: Callable[[RegistryClient], Awaitable[T]],
) -> tuple[RegistryClient, T]:
    """Mirrors are asked first, get no credentials, and whatever is wrong with them, the registry itself is asked next. Of
    several ways to one registry (loopback, insecure) the first that connects counts.
    """
    candidates = endpoints(reference.domain, settings)
    for endpoint in (candidate for candidate in candidates if candidate.mirror):
        client = RegistryClient(endpoint, settings, None)
        try:
            await client.connect()
            return client, await ask(client)
        except ScowError as error:
            await client.close()
            _log.info("mirror %s: %s", endpoint.authority, error.message)
        except BaseException:
            await client.close()
            raise
    client = await _first_of(tuple(c for c in candidates if not c.mirror), settings, credentials)
    try:
        return client, await ask(client)
    except BaseException:
        await client.close()
        raise


async def connect_to(address: str, settings: RegistrySettings, credentials: Credentials | None) -> RegistryClient:
    """A connected client for what users give to login: a host, host:port or URL."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    authority = parts.netloc.rpartition("@")[2]
    if authority in ("", "index.docker.io", "docker.io", "registry-1.docker.io"):
        return await _first_of(endpoints("docker.io", RegistrySettings()), settings, credentials)
    return await _first_of(own_endpoints(authority, settings), settings, credentials)


async def _first_of(
    candidates: tuple[Endpoint, ...], settings: RegistrySettings, credentials: Credentials | None
) -> RegistryClient:
    last: ScowError | None = None
    for endpoint in candidates:
        client = RegistryClient(endpoint, settings, credentials)
        try:
            await client.connect()
        except faults.RegistryFailure as error:
            await client.close()
            last = last if endpoint.scheme == "https" and last is not None else error
            continue
        except BaseException:
            await client.close()
            raise
        return client
    raise last or faults.RegistryFailure("no registry endpoint")


def manifest_digest(data: bytes, reference: Reference) -> Digest:
    """The digest of a manifest's bytes, which must be the reference's when it has one (CVE-2014-8179)."""
    wanted = reference.digest
    actual = digest_of(data, wanted.algorithm if wanted else "sha256")
    if wanted is not None and actual != wanted:
        raise DataLoss(f"manifest verification failed for digest {wanted}: got {actual}")
    return actual
