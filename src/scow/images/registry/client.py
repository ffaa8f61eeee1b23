"""One registry, as one user sees it, for the time of one operation."""

import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Self
from urllib.parse import urlsplit

from scow.errors import DataLoss, ScowError
from scow.images.registry import challenge, faults, token
from scow.images.registry.certificates import context_for
from scow.images.registry.endpoint import Endpoint, RegistrySettings, endpoints, own_endpoints
from scow.images.registry.token import LoginRefused
from scow.images.registry.transport import ATTEMPTS, Answer, Broken, Transport
from scow.model.transfer import Credentials
from scow.oci import media
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.documents import MANIFEST_LIMIT
from scow.oci.reference import Reference

_log = logging.getLogger("scow.images")
_SMALL = 64 << 10
_SLOWEST = 512  # bytes a second, looked at after _PATIENCE seconds
_PATIENCE = 60.0


class RegistryClient:
    """Lifecycle: `connect`, then any requests, then `close`.

    Credentials go to the registry's own origin and to its trusted token server, nowhere else.
    """

    def __init__(self, endpoint: Endpoint, settings: RegistrySettings, credentials: Credentials | None) -> None:
        self.endpoint = endpoint
        self._credentials = credentials or Credentials()
        self._transport = Transport(lambda: context_for(endpoint, settings))
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
            raise faults.from_answer(answer.status, answer.body, answer.reason, None)

    async def login(self) -> str:
        """Check the credentials. Returns an identity token or ""; LoginRefused when they are not accepted."""
        bearer = self._challenge("bearer")
        url = f"{self.endpoint.url}/v2/"
        if bearer is not None:
            granted = await token.request(
                self._transport, self.endpoint, bearer.parameters, (), self._credentials, offline=True
            )
            headers = {"Authorization": f"Bearer {granted.text}"}
        else:
            granted = None
            headers = {"Authorization": token.basic(self._credentials)}
        answer = await self._transport.fetch("GET", url, _SMALL, headers)
        if answer.status != 200:
            raise LoginRefused(f"login attempt to {url} failed with status: {answer.status} {answer.reason}")
        return granted.refresh if granted else ""

    async def manifest(self, reference: Reference) -> tuple[bytes, str]:
        """(bytes, Content-Type) of a manifest or index, verified when the reference has a digest."""
        wanted = reference.digest or reference.tag or "latest"
        url = f"{self.endpoint.url}/v2/{reference.path}/manifests/{wanted}"
        answer = await self._authorized("GET", url, MANIFEST_LIMIT, reference, {"Accept": ", ".join(media.ACCEPT)})
        if answer.status != 200:
            raise faults.from_answer(answer.status, answer.body, answer.reason, reference)
        return answer.body, answer.headers.get("content-type", "")

    async def blob(self, reference: Reference, descriptor: Descriptor, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from `start` on, never more than its size. A broken connection is taken up again where it
        broke, at most ATTEMPTS times in a row without progress. The caller verifies the digest.
        """
        position = start
        failures = 0
        while position < descriptor.size or position == start == 0:
            before = position
            try:
                async with aclosing(self._blob_once(reference, descriptor, position)) as chunks:
                    async for chunk in chunks:
                        position += len(chunk)
                        yield chunk
                if position == descriptor.size:
                    return
                raise Broken(f"blob {descriptor.digest.short}: unexpected EOF", True)
            except Broken as error:
                failures = 1 if position > before else failures + 1
                if not error.temporary or failures >= ATTEMPTS:
                    raise faults.RegistryFailure(error.message) from error
                await self._transport.pause(failures)

    async def _blob_once(self, reference: Reference, descriptor: Descriptor, start: int) -> AsyncGenerator[bytes, None]:
        url = f"{self.endpoint.url}/v2/{reference.path}/blobs/{descriptor.digest}"
        headers = await self._authorization(reference)
        if start:
            headers["Range"] = f"bytes={start}-"
        async with self._transport.open("GET", url, headers) as response:
            if response.status == 401:
                self._tokens.clear()
                raise Broken(f'Get "{url}": unauthorized: authentication required', True)
            if response.status in (429, 500, 502, 503, 504):
                raise Broken(f'Get "{url}": received unexpected HTTP status: {response.status}', True)
            if response.status not in (200, 206):
                body = await response.content.read(_SMALL)
                raise faults.from_answer(response.status, body, response.reason or "", None)
            skip = _skip(response.status, response.headers, start, descriptor)
            left = descriptor.size - start
            began, received = time.monotonic(), 0
            async for chunk in response.content.iter_any():
                received += len(chunk)
                waited = time.monotonic() - began
                if waited > _PATIENCE and received < waited * _SLOWEST:
                    raise Broken(f'Get "{url}": only {received} bytes in {waited:.0f} seconds', True)
                if skip:
                    skip, chunk = max(0, skip - len(chunk)), chunk[skip:]
                left -= len(chunk)
                if left < 0:
                    raise DataLoss(
                        f"blob {descriptor.digest.short} is longer than the {descriptor.size} bytes announced"
                    )
                if chunk:
                    yield chunk

    async def _authorized(
        self, method: str, url: str, limit: int, reference: Reference, headers: Mapping[str, str]
    ) -> Answer:
        """A request with what the registry wants as authorization; a refused token is renewed once."""
        for attempt in (1, 2):
            sent = {**headers, **await self._authorization(reference)}
            answer = await self._transport.fetch(method, url, limit, sent)
            if answer.status != 401 or attempt == 2:
                break
            found = challenge.parse(answer.challenges)
            if any(item.parameters.get("error") == "insufficient_scope" for item in found) and self._tokens:
                raise faults.denied(reference)
            if "Authorization" in sent and not self._tokens:
                break
            self._challenges = found or self._challenges
            self._tokens.clear()
            if not self._has_credentials() and self._challenge("bearer") is None:
                raise faults.RegistryFailure(f'Head "{url}": no basic auth credentials')
        if answer.status == 401 and self._tokens and not self._has_credentials():
            raise faults.denied(reference)
        return answer

    async def _authorization(self, reference: Reference, actions: str = "pull") -> dict[str, str]:
        """The Authorization header for requests about a repository; empty when none is wanted."""
        credentials = self._credentials
        if credentials.registry_token:
            return {"Authorization": f"Bearer {credentials.registry_token}"}
        bearer = self._challenge("bearer")
        if bearer is not None:
            scope = f"repository:{reference.path}:{actions}"
            known = self._tokens.get(scope)
            if known is None or not known.valid:
                known = await token.request(self._transport, self.endpoint, bearer.parameters, (scope,), credentials)
                self._tokens[scope] = known
            return {"Authorization": f"Bearer {known.text}"}
        if self._challenge("basic") is not None and credentials.password:
            return {"Authorization": token.basic(credentials)}
        return {}

    def _challenge(self, scheme: str) -> challenge.Challenge | None:
        return next((item for item in self._challenges if item.scheme == scheme), None)

    def _has_credentials(self) -> bool:
        return bool(self._credentials.password or self._credentials.identity_token or self._credentials.registry_token)


def _skip(status: int, headers: Mapping[str, str], start: int, descriptor: Descriptor) -> int:
    """How many bytes at the beginning of an answer were received before; a registry may ignore Range."""
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise DataLoss(f"blob {descriptor.digest.short} comes with a content encoding that was not asked for")
    if status == 200:
        length = headers.get("Content-Length", "")
        if length.isdigit() and int(length) != descriptor.size:
            raise DataLoss(f"blob {descriptor.digest.short} has {length} bytes, its descriptor says {descriptor.size}")
        return start
    offset = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if not offset.isdigit() or int(offset) != start:
        raise DataLoss(f"blob {descriptor.digest.short}: asked for bytes from {start}, got {offset[:20] or 'none'}")
    return 0


async def find_manifest(
    reference: Reference, settings: RegistrySettings, credentials: Credentials | None
) -> tuple[RegistryClient, bytes, str]:
    """(client that answered, manifest bytes, Content-Type) for a reference; the caller closes the client.

    Mirrors are asked first, get no credentials, and whatever is wrong with them, the registry itself is asked next. Of
    several ways to one registry (loopback, insecure) the first that connects counts.
    """
    candidates = endpoints(reference.domain, settings)
    for endpoint in (candidate for candidate in candidates if candidate.mirror):
        client = RegistryClient(endpoint, settings, None)
        try:
            await client.connect()
            return (client, *await client.manifest(reference))
        except ScowError as error:
            await client.close()
            _log.info("mirror %s: %s", endpoint.authority, error.message)
        except BaseException:
            await client.close()
            raise
    client = await _first_of(tuple(c for c in candidates if not c.mirror), settings, credentials)
    try:
        return (client, *await client.manifest(reference))
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
    from scow.images.blobs import digest_of

    wanted = reference.digest
    actual = digest_of(data, wanted.algorithm if wanted else "sha256")
    if wanted is not None and actual != wanted:
        raise DataLoss(f"manifest verification failed for digest {wanted}: got {actual}")
    return actual
