"""Searching a hub: the old index API, which Docker Hub still has: GET /v1/search?q=TERM&n=NUMBER."""

from functools import partial
from typing import Any
from urllib.parse import quote

from scow.errors import ScowError
from scow.images.registry import faults, token
from scow.images.registry.certificates import context_for
from scow.images.registry.endpoint import RegistrySettings, own_endpoints
from scow.images.registry.transport import Transport
from scow.model.transfer import Credentials, Found
from scow.oci.documents import InvalidDocument, load

INDEX = "index.docker.io"
_ANSWER_LIMIT = 4 << 20
_MOST = 1000
_TEXT = 8192


def split(term: str) -> tuple[str, str]:
    """(host, what to search for): `HOST/term` searches HOST, everything else Docker Hub."""
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return (INDEX, rest.removeprefix("library/")) if first in ("docker.io", INDEX) else (first, rest)
    return INDEX, term.removeprefix("library/")


async def search(term: str, limit: int, settings: RegistrySettings, credentials: Credentials | None) -> list[Found]:
    """What a hub finds, in its order. RegistryFailure when it cannot be asked."""
    host, wanted = split(term)
    headers = {"Authorization": token.basic(credentials)} if credentials and credentials.password else {}
    last: ScowError | None = None
    for endpoint in own_endpoints(host, settings):
        transport = Transport(partial(context_for, endpoint, settings), settings.policy)
        try:
            url = f"{endpoint.url}/v1/search?q={quote(wanted, safe='')}&n={limit}"
            answer = await transport.fetch("GET", url, _ANSWER_LIMIT, headers)
        except faults.RegistryFailure as error:
            last = last or error
            continue
        finally:
            await transport.close()
        if answer.status != 200:
            raise faults.RegistryFailure(f"Unexpected status code {answer.status}")
        return _results(answer.body)
    raise last or faults.RegistryFailure(f"no way to {host}")


def _results(body: bytes) -> list[Found]:
    results = load(body, "search answer", _ANSWER_LIMIT).get("results") or []
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        raise InvalidDocument("search answer: results are not a list of objects")
    return [_result(item) for item in results[:_MOST]]


def _result(item: dict[str, Any]) -> Found:
    stars = item.get("star_count")
    return Found(
        name=_text(item.get("name")),
        description=_text(item.get("description")),
        stars=stars if isinstance(stars, int) and not isinstance(stars, bool) else 0,
        official=item.get("is_official") is True,
    )


def _text(value: Any) -> str:
    """Text of a hub: bounded, without control characters but line ends."""
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value[:_TEXT] if character.isprintable() or character in "\n\r\t")
