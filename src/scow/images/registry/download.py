"""The bytes of one blob: taken up where they broke off, bounded, in parts where the peer is slow."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from scow.errors import DataLoss
from scow.images.registry import faults
from scow.images.registry.ranges import WORTH, Pace, in_order
from scow.images.registry.transport import RETRIED, Broken, Transport, check_encoding
from scow.oci.descriptor import Descriptor

_SMALL = 64 << 10
_WORTHWHILE = 256 << 10


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a blob comes from. `authorization` gives the headers for a request, `renew` is told that they were
    refused.
    """

    transport: Transport
    url: str
    authorization: Callable[[], Awaitable[dict[str, str]]]
    renew: Callable[[], None]


class Download:
    """One blob from `start` on. Iterate `chunks`; never more than the descriptor's size comes out.

    A broken connection is taken up again where it broke, with at most policy.attempts tries in a row that bring
    (almost) nothing. The caller verifies the digest.
    """

    def __init__(self, origin: Origin, descriptor: Descriptor, start: int = 0) -> None:
        self._origin = origin
        self._transport = origin.transport
        self._descriptor = descriptor
        self._start = start
        self._ranges = True  # false once the registry has answered a Range with something else
        self._in_parts = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        size = self._descriptor.size
        position, failures = self._start, 0
        while position < size or (not size and not failures):
            before = position
            try:
                async with aclosing(self._some(position)) as chunks:
                    async for chunk in chunks:
                        position += len(chunk)
                        yield chunk
                if position == size:
                    return
                if self._in_parts:
                    continue
                raise Broken(f"blob {self._descriptor.digest.short}: unexpected EOF", True)
            except Broken as error:
                failures = 1 if _progress(position - before, size - before) else failures + 1
                await self._again(error, failures)

    async def _again(self, error: Broken, failures: int) -> None:
        """Wait for another attempt, or raise what stands in its way."""
        if error.temporary and failures < self._transport.policy.attempts:
            if await self._transport.pause(failures, error.retry_after):
                return
        raise faults.RegistryFailure(error.message) from error

    def _some(self, position: int) -> AsyncGenerator[bytes, None]:
        if self._in_parts and self._ranges:
            return in_order(self._part, position, self._descriptor.size)
        return self._once(position, self._descriptor.size)

    async def _part(self, start: int, end: int) -> bytes:
        """A piece in the middle, whole, with retries of its own."""
        parts: list[bytes] = []
        failures = 0
        while start < end:
            before = start
            try:
                async with aclosing(self._once(start, end)) as chunks:
                    async for chunk in chunks:
                        parts.append(chunk)
                        start += len(chunk)
                if start < end:
                    raise Broken(f"blob {self._descriptor.digest.short}: unexpected EOF", True)
            except Broken as error:
                if not self._ranges:
                    raise  # all of it comes over one connection again
                failures = 1 if _progress(start - before, end - before) else failures + 1
                await self._again(error, failures)
        return b"".join(parts)

    async def _once(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """One request. Ends early, with `_in_parts` set, when the peer is slow and much is left."""
        descriptor, url, policy = self._descriptor, self._origin.url, self._transport.policy
        headers = await self._origin.authorization()
        partial = end < descriptor.size
        if (start or partial) and self._ranges:
            headers["Range"] = f"bytes={start}-{end - 1 if partial else ''}"
        pace = Pace(policy.clock)
        async with self._transport.open("GET", url, headers) as response:
            await self._check_status(response.status, response.reason or "", response.headers, response.content.read)
            skip = self._skip(response.status, response.headers, start, partial)
            left = end - start
            pace.wait()
            async for chunk in response.content.iter_any():
                pace.got(len(chunk))
                if pace.waited > policy.patience and pace.received < pace.waited * policy.slowest:
                    raise Broken(f'Get "{url}": only {pace.received} bytes in {pace.waited:.0f} seconds', True)
                if skip:
                    skip, chunk = max(0, skip - len(chunk)), chunk[skip:]
                left -= len(chunk)
                if left < 0:
                    raise DataLoss(
                        f"blob {descriptor.digest.short} is longer than the {descriptor.size} bytes announced"
                    )
                if chunk:
                    yield chunk
                if pace.slow and self._ranges and not self._in_parts and left >= WORTH:
                    self._in_parts = True
                    return
                pace.wait()

    async def _check_status(
        self, status: int, reason: str, headers: Mapping[str, str], read: Callable[[int], Awaitable[bytes]]
    ) -> None:
        if status in (200, 206):
            return
        url = self._origin.url
        if status == 401:
            self._origin.renew()
            raise Broken(f'Get "{url}": unauthorized: authentication required', True)
        if status == 416 and self._ranges:
            self._ranges = False
            raise Broken(f'Get "{url}": received unexpected HTTP status: 416 {reason}'.rstrip(), True)
        error = faults.from_answer(status, await read(_SMALL), reason, None, headers)
        if status in RETRIED:
            raise Broken(f'Get "{url}": {error.message}', True, headers.get("Retry-After", ""))
        raise error

    def _skip(self, status: int, headers: Mapping[str, str], start: int, partial: bool) -> int:
        """How many bytes at the beginning of an answer are not wanted; a registry may ignore Range."""
        descriptor = self._descriptor
        check_encoding(headers, self._origin.url)
        if status == 200:
            length = headers.get("Content-Length", "")
            if length.isdigit() and int(length) != descriptor.size:
                raise DataLoss(
                    f"blob {descriptor.digest.short} has {length} bytes, its descriptor says {descriptor.size}"
                )
            self._ranges = self._ranges and not (start or partial)
            if partial:
                raise Broken(f"blob {descriptor.digest.short}: the registry does not give parts", True)
            return start
        if not self._ranges:
            raise DataLoss(f"blob {descriptor.digest.short}: a part came that was not asked for")
        came, total = _content_range(headers.get("Content-Range", ""))
        if total is not None and total != descriptor.size:
            raise DataLoss(f"blob {descriptor.digest.short} has {total} bytes, its descriptor says {descriptor.size}")
        if came != start:
            self._ranges = False  # from the start, over one connection: that cannot be got wrong
            raise Broken(f"blob {descriptor.digest.short}: asked for bytes from {start}, got {came}", True)
        return 0


def _progress(brought: int, wanted: int) -> bool:
    """Whether a try was worth another one: a crumb each time would make for endless tries."""
    return brought >= min(_WORTHWHILE, wanted // 20 + 1)


def _content_range(text: str) -> tuple[int | None, int | None]:
    """(first byte, size of the whole) of `bytes FIRST-LAST/SIZE`; None for what cannot be read."""
    span, _, total = text.removeprefix("bytes ").partition("/")
    first = span.partition("-")[0]
    return _number(first), _number(total)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
