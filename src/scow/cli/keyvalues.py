"""Environment and label files, and `key=value` lists."""

from __future__ import annotations

import posix

from scow.client.config import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def read_lines(path: str, expand: bool) -> list[str]:
    """The entries of an env or label file. Raises ValueError with Docker's sentence.

    With `expand` a name without a value takes it from our own environment, and is left out when that has none.
    """
    try:
        raw = read_file(path)
    except OSError as error:
        raise ValueError(f"open {path}: {(error.strerror or '').lower()}") from None
    out = []
    for number, data in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = data.rstrip(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"invalid env file ({path}): invalid utf8 bytes at line {number}: {data!r}") from None
        line = line.lstrip()
        if not line or line[0] == "#":
            continue
        name, equals, value = line.partition("=")
        name = name.lstrip()
        if any(char.isspace() for char in name):
            raise ValueError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
        if not name:
            raise ValueError(f"invalid env file ({path}): no variable name on line '{line}'")
        if equals:
            out.append(f"{name}={value}")
        elif expand:
            own = posix.environ.get(name.encode())
            if own is not None:
                out.append(f"{name}={own.decode('utf-8', 'surrogateescape')}")
        else:
            out.append(name)
    return out


def mapping(pairs: Iterable[str]) -> dict[str, str]:
    """`key=value` texts as a map; the last of several wins, a missing value is empty."""
    out = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        out[name] = value
    return out
