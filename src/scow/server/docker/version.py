"""API versions: 1.24 to 1.45, by path prefix; none means the newest."""

from scow.errors import InvalidArgument

Version = tuple[int, int]
MINIMUM: Version = (1, 24)
MAXIMUM: Version = (1, 45)
MINIMUM_TEXT = "1.24"
MAXIMUM_TEXT = "1.45"

_DIGITS = frozenset("0123456789.")
_KNOWN = {f"v{major}.{minor}": (major, minor) for major, minor in ((1, m) for m in range(MINIMUM[1], MAXIMUM[1] + 1))}


class UnsupportedVersion(InvalidArgument):
    """The client wants a version that is not spoken here."""


def split(path: str) -> tuple[Version, str]:
    """("/v1.41/info") -> ((1, 41), "/info"); a path without a version prefix has the newest. UnsupportedVersion."""
    if path[:2] != "/v":
        return MAXIMUM, path
    end = path.find("/", 1)
    word = path[1:end] if end > 0 else path[1:]
    known = _KNOWN.get(word)
    if known is not None:
        return known, path[end:] if end > 0 else "/"
    text = word[1:]
    if not text or end < 0 or not _DIGITS.issuperset(text):
        return MAXIMUM, path
    wanted = tuple(int(part[:9] or "0") for part in text.split("."))
    if wanted < MINIMUM:
        raise UnsupportedVersion(
            f"client version {text} is too old. Minimum supported API version is {MINIMUM_TEXT}, "
            "please upgrade your client to a newer version"
        )
    if wanted > MAXIMUM:
        raise UnsupportedVersion(f"client version {text} is too new. Maximum supported API version is {MAXIMUM_TEXT}")
    return (wanted[0], wanted[1]), path[end:]
