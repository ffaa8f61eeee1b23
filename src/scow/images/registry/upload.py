"""Uploads: blobs and manifests into one repository of a registry.

The protocol is https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#push. A blob goes up in one
session: opened, filled (by one request or by chunks), closed with its digest. What breaks on the way is taken up where
the registry says that it broke; a session that is lost begins anew. No more failures in a row without progress than the
policy has attempts.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol
from urllib.parse import quote, urlsplit

from scow.errors import DataLoss, ScowError
from scow.images.registry import faults
from scow.images.registry.policy import DEFAULT_POLICY, Policy
from scow.images.registry.transport import Answer, Body, Broken, Content
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.reference import Reference

MONOLITHIC = 1 << 20
"""Up to this size a blob goes up with the request that closes its session: one round trip less."""
_SESSIONS = 256
_LEAST_CHUNK = 1 << 20
_LARGEST_CHUNK = 1 << 40
_SUCCESS = frozenset({200, 201, 202, 204})
_TEMPORARY = frozenset({408, 416, 429, 500, 502, 503, 504})
_ACTIONS = "pull,push"

Read = Callable[[int, int], AsyncIterator[bytes]]
"""`read(start, end)`: the bytes of a blob from start to end (exclusive), as often as asked."""
Told = Callable[[int], None]


class Requests(Protocol):
    """What an upload needs of a RegistryClient."""

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
        limit: int = 0,
        retry: bool = True,
    ) -> Answer: ...

    def location(self, answer: Answer, value: str = "") -> str: ...


class DigestRefused(DataLoss):
    """The registry has received other bytes than the digest's, several times."""


class MissingBlob(faults.RegistryFailure):
    """The registry does not have a blob that it said it had."""


@dataclass(frozen=True, slots=True)
class Session:
    """An upload on its way: `offset` bytes are with the registry. `chunk` is the most that one request may carry."""

    location: str
    offset: int = 0
    chunk: int = _LARGEST_CHUNK


@dataclass(slots=True)
class _Upload:
    """One blob on its way up: its session as the last answer left it, None while there is none."""

    key: str
    descriptor: Descriptor
    session: Session | None = None


class _Lost(Exception):
    """The registry no longer knows the session."""


class _Again(Exception):
    """Something after which another attempt may succeed; `error` says what when none does."""

    def __init__(self, error: ScowError, retry_after: str = "") -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after


@dataclass(slots=True)
class Uploader:
    """Uploads into the repository of `reference`.

    `sessions` outlives the uploader: locations of broken uploads by registry, repository and digest, to be taken up.
    """

    client: Requests
    registry: str
    reference: Reference
    policy: Policy = DEFAULT_POLICY
    sessions: dict[str, str] = field(default_factory=dict)

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether the repository has the blob, with its size."""
        answer = await self._ask("HEAD", self._path(f"blobs/{descriptor.digest}"))
        if answer.status == 404:
            return False
        _check(answer)
        length = answer.headers.get("content-length", "")
        return not length.isdigit() or int(length) == descriptor.size

    async def mount(self, descriptor: Descriptor, source: str) -> Session | None:
        """Take the blob over from the repository `source`. None when that worked, else a session to upload it by."""
        query = f"?mount={quote(descriptor.digest, safe='')}&from={quote(source, safe='')}"
        answer = await self._ask("POST", self._path("blobs/uploads/") + query, also=(source,))
        if answer.status in (401, 403):
            return await self.begin()  # not from there; whether at all, this will tell
        return None if answer.status == 201 else self._opened(answer)

    async def begin(self) -> Session:
        """Open a session."""
        return self._opened(await self._ask("POST", self._path("blobs/uploads/")))

    async def blob(self, descriptor: Descriptor, read: Read, told: Told, session: Session | None = None) -> None:
        """Bring a blob there. `told` hears how many bytes are on their way (it may go back). `read` verifies: it raises
        DataLoss when the bytes are not the digest's.
        """
        upload = _Upload(f"{self.registry}/{self.reference.path}@{descriptor.digest}", descriptor, session)
        if known := self.sessions.pop(upload.key, ""):
            upload.session = await self._taken_up(Session(known), descriptor) or session
        failures, best = 0, upload.session.offset if upload.session else 0
        while True:
            try:
                at = self._stands(upload, upload.session or await self.begin())
                told(at.offset)
                await self._through(upload, at, read, told)
                self.sessions.pop(upload.key, None)
                return
            except _Lost:
                again = _Again(faults.RegistryFailure(f"blob upload unknown: the upload of {descriptor.digest.short}"))
                upload.session = None
            except _Again as error:
                again = error
                upload.session = None if isinstance(error.error, DigestRefused) else upload.session
            if upload.session is not None:
                upload.session = await self._taken_up(upload.session, descriptor)
            if upload.session is None:
                self.sessions.pop(upload.key, None)
                if await self.exists(descriptor):
                    return  # only the answer to the last request was lost
            progress = upload.session.offset if upload.session else 0
            failures = 1 if progress > best else failures + 1
            best = max(best, progress)
            delay = self.policy.delay(failures, again.retry_after)
            if failures >= self.policy.attempts or delay is None:
                raise again.error
            await self.policy.sleep(delay)

    async def manifest(self, data: bytes, media_type: str, name: str) -> None:
        """Put a manifest under a tag or digest. MissingBlob when the registry lacks one of its blobs after all."""
        headers = {"Content-Type": media_type}
        answer = await self._ask("PUT", self._path(f"manifests/{name}"), headers=headers, body=data)
        if answer.status not in _SUCCESS:
            error = error_of(answer)
            raise MissingBlob(error.message) if b"BLOB_UNKNOWN" in answer.body else error
        _check_digest(answer, Digest.of(data), f"manifest {Digest.of(data)}")

    # ------------------------------------------------------------ one session

    async def _through(self, upload: _Upload, session: Session, read: Read, told: Told) -> None:
        """Send what is missing and close the session, which moves on with every answer."""
        descriptor, size = upload.descriptor, upload.descriptor.size
        while size - session.offset > (0 if session.offset else MONOLITHIC):
            start, end = session.offset, min(size, session.offset + session.chunk)
            headers = {"Content-Range": f"{start}-{end - 1}"}
            answer = await self._send(
                "PATCH", session.location, headers, partial(_counted, read, start, end, told), end - start
            )
            if answer.status == 413 and session.chunk > _LEAST_CHUNK:
                session = self._stands(upload, replace(session, chunk=max(_LEAST_CHUNK, (end - start) // 8)))
                continue
            session = self._stands(upload, self._opened(answer, session, end))
            if session.offset <= start:
                raise _Again(faults.RegistryFailure(f"upload of {descriptor.digest.short}: the registry took nothing"))
        start = session.offset
        mark = "&" if urlsplit(session.location).query else "?"
        target = f"{session.location}{mark}digest={quote(descriptor.digest, safe='')}"
        answer = await self._send("PUT", target, {}, partial(_counted, read, start, size, told), size - start)
        if answer.status not in _SUCCESS:
            raise _failure(answer)
        _check_digest(answer, descriptor.digest, f"blob {descriptor.digest}")

    async def _send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Callable[[], AsyncIterator[bytes]],
        length: int,
    ) -> Answer:
        """One request of a session, tried once: what arrived of it, its caller must find out."""
        failed: list[ScowError] = []

        async def kept() -> AsyncIterator[bytes]:
            try:
                async for data in body():
                    yield data
            except ScowError as error:  # a request turns it into a broken connection
                failed.append(error)
                raise

        try:
            return await self.client.request(
                method,
                target,
                self.reference,
                actions=_ACTIONS,
                headers={"Content-Type": "application/octet-stream", **headers},
                body=Content(length, kept) if length else b"",
                limit=_ANSWER,
                retry=False,
            )
        except faults.RegistryFailure as error:
            if failed:
                raise failed[0] from None
            if isinstance(error.__cause__, Broken) and error.__cause__.temporary:
                raise _Again(error) from error
            raise

    async def _taken_up(self, session: Session, descriptor: Descriptor) -> Session | None:
        """Where a broken session stands; None when it must begin anew."""
        answer = await self._ask("GET", session.location)
        if answer.status not in _SUCCESS:
            return None
        found = self._opened(answer, session)
        # "0-0" is what registries say of no byte and of one
        return found if 1 < found.offset <= descriptor.size else None

    def _opened(self, answer: Answer, before: Session | None = None, sent: int = 0) -> Session:
        """The session that an answer tells of; `sent` is where it stands when the answer does not say."""
        if answer.status not in _SUCCESS:
            raise _failure(answer) if before else error_of(answer)
        has_location = before is None or "location" in answer.headers
        location = self.client.location(answer) if has_location else before.location if before else ""
        held = answer.headers.get("range", "").removeprefix("bytes=").partition("-")[2]
        offset = int(held) + 1 if held.isdigit() and len(held) < 19 and int(held) else sent
        chunk = before.chunk if before else _LARGEST_CHUNK
        least = answer.headers.get("oci-chunk-min-length", "")
        return Session(location, offset, max(chunk, int(least) if least.isdigit() and len(least) < 12 else 0))

    def _stands(self, upload: _Upload, session: Session) -> Session:
        """Where an upload stands now, also for the next push: a session is at its last location, and at no earlier."""
        upload.session = session
        self.sessions.pop(upload.key, None)
        while len(self.sessions) >= _SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        self.sessions[upload.key] = session.location
        return session

    def _path(self, rest: str) -> str:
        return f"/v2/{self.reference.path}/{rest}"

    async def _ask(
        self,
        method: str,
        target: str,
        also: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """A small request, which may be repeated."""
        return await self.client.request(
            method, target, self.reference, actions=_ACTIONS, also=also, headers=headers, body=body, limit=_ANSWER
        )


_ANSWER = 64 << 10


def _failure(answer: Answer) -> Exception:
    """The exception that an answer to a request of a session is."""
    error = error_of(answer)
    if b"DIGEST_INVALID" in answer.body or b"SIZE_INVALID" in answer.body:
        return _Again(DigestRefused(error.message))
    if answer.status in (404, 410):
        return _Lost()
    if answer.status in _TEMPORARY:
        return _Again(error, answer.headers.get("retry-after", ""))
    return error


def _check(answer: Answer) -> None:
    if answer.status not in _SUCCESS:
        raise error_of(answer)


def _check_digest(answer: Answer, digest: Digest, what: str) -> None:
    """What a registry says to have stored must be what was sent."""
    stored = answer.headers.get("docker-content-digest", "")
    if stored.startswith(f"{digest.algorithm}:") and stored != digest:
        raise DigestRefused(f"the registry stored {what} as {stored[:80]!r}")


def error_of(answer: Answer) -> ScowError:
    """The error of a refused upload."""
    error = faults.from_answer(answer.status, answer.body, answer.reason, None, answer.headers)
    if answer.status == 403 and not error.message.startswith("denied: "):
        return faults.RegistryFailure("denied: requested access to the resource is denied")
    return error


async def _counted(read: Read, start: int, end: int, told: Told) -> AsyncIterator[bytes]:
    async for data in read(start, end):
        yield data
        start += len(data)
        told(start)
