"""An archive from a URL, for `import`: plain GET, at most a few redirects, no credentials but the URL's own, nothing kept.

It goes by the transport for registries, and so by its rules for redirects, link-local addresses and proxies.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from yarl import URL

from scow.errors import InvalidArgument, Unavailable
from scow.images.registry.certificates import outward
from scow.images.registry.faults import RegistryFailure
from scow.images.registry.policy import DEFAULT_POLICY
from scow.images.registry.transport import Broken, Transport
from scow.model.transfer import PullProgress

if TYPE_CHECKING:
    import aiohttp

_CHUNK = 1 << 20
_ERROR_TEXT = 4096
_POLICY = replace(DEFAULT_POLICY, read_timeout=120.0)


async def fetch(url: str, progress: Callable[[PullProgress], None]) -> AsyncIterator[bytes]:
    """The body in pieces. A URL without a scheme is http, as for Docker. Unavailable for what the network or server did."""
    address = _address(url)
    transport = Transport(outward, _POLICY)
    try:
        # without a content encoding undone: what comes is the archive, and only our bounded decompressors take it apart
        async with transport.open("GET", address) as response:
            if response.status >= 400:
                text = (await response.content.read(_ERROR_TEXT)).decode("utf-8", "replace")
                raise Unavailable(f"failed to GET {url} with status {response.status} {response.reason}: {text}")
            progress(PullProgress(f"Downloading from {url}"))
            async for chunk in _pieces(response, progress):
                yield chunk
    except (Broken, RegistryFailure) as error:
        raise Unreachable(f"cannot import from {url}: {error}") from error
    finally:
        await transport.close()


class Unreachable(Unavailable):
    """What the network or the server did to a transfer; its cause is the sentence without what it was for."""


def _address(url: str) -> str:
    """The URL as it is sent, with what must be quoted quoted."""
    address = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.hostname:
            return str(URL(address))
    except ValueError:
        pass
    raise InvalidArgument(f"cannot import from {url!r}: not an http or https URL")


async def _pieces(response: "aiohttp.ClientResponse", progress: Callable[[PullProgress], None]) -> AsyncIterator[bytes]:
    total = response.content_length or 0
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        progress(PullProgress("Importing", "", size, total))
        yield chunk
