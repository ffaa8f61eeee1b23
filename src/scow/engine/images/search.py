"""Search a hub for repositories, or a registry for a repository's tags."""

from scow.engine.context import Engine
from scow.engine.images.filters import Filters, check_names, truth
from scow.engine.ports import Credentials
from scow.errors import InvalidArgument
from scow.model.transfer import Found
from scow.oci.reference import Reference

DEFAULT_LIMIT = 25
_MOST = 100
_FILTERS = frozenset({"is-automated", "is-official", "stars"})


async def search(
    engine: Engine, term: str, limit: int, filters: Filters, credentials: Credentials | None
) -> list[Found]:
    """The repositories that fit. `limit` 0 means DEFAULT_LIMIT."""
    check_names(filters, _FILTERS)
    automated, official = truth(filters, "is-automated", False), truth(filters, "is-official", None)
    stars = max((_stars(text) for text in filters.get("stars", ())), default=0)
    limit = limit or DEFAULT_LIMIT
    if not 1 <= limit <= _MOST:
        raise InvalidArgument(f"limit {limit} is outside the range of [1, {_MOST}]")
    if automated:
        return []  # hubs no longer tell, and nothing is automated since
    found = await engine.images.search(term, limit, credentials)
    return [item for item in found if item.stars >= stars and official in (None, item.official)]


async def tags(engine: Engine, reference: Reference, credentials: Credentials | None) -> list[str]:
    """The tags that a registry has of a repository."""
    return await engine.images.remote_tags(reference, credentials)


def _stars(text: str) -> int:
    if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 19:
        return int(text)
    raise InvalidArgument(f"invalid filter 'stars={text}': strconv.Atoi: parsing \"{text}\": invalid syntax")
