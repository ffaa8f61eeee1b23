"""An archive from a URL, for `import`: plain GET, at most a few redirects, no credentials, nothing kept."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiohttp

from scow.errors import InvalidArgument, Unavailable
from scow.model.transfer import PullProgress

_CHUNK = 1 << 20
_REDIRECTS = 10
_ERROR_TEXT = 4096
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=120)


async def fetch(url: str, progress: Callable[[PullProgress], None]) -> AsyncIterator[bytes]:
    """The body in pieces. A URL without a scheme is http, as for Docker. Unavailable for what the network or server did."""
    address = url if "://" in url else f"http://{url}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgument(f"cannot import from {url!r}: not an http or https URL")
    try:
        # identity: what comes is the archive, and only our bounded decompressors take it apart
        headers = {"Accept-Encoding": "identity"}
        async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True, auto_decompress=False) as session:
            async with session.get(address, headers=headers, max_redirects=_REDIRECTS) as response:
                if response.status >= 400:
                    text = (await response.content.read(_ERROR_TEXT)).decode("utf-8", "replace")
                    raise Unavailable(f"failed to GET {url} with status {response.status} {response.reason}: {text}")
                progress(PullProgress(f"Downloading from {url}"))
                async for chunk in _pieces(response, progress):
                    yield chunk
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"cannot import from {url}: {error}") from error


async def _pieces(response: aiohttp.ClientResponse, progress: Callable[[PullProgress], None]) -> AsyncIterator[bytes]:
    total = response.content_length or 0
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        progress(PullProgress("Importing", "", size, total))
        yield chunk
