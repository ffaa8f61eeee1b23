"""Sizes for people, and shortened identities."""

from __future__ import annotations

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def _scaled(size: float, base: int, names: tuple[str, ...], digits: int) -> str:
    index = 0
    while size >= base and index < len(names) - 1:
        size /= base
        index += 1
    return f"{size:.{digits}g}{names[index]}"


def human_size(size: float, digits: int = 3) -> str:
    """Base 1000, `digits` significant digits: 1.23MB."""
    return _scaled(size, 1000, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Base 1024, four significant digits: 3.842GiB."""
    return _scaled(size, 1024, _BINARY, 4)


def short_id(identity: str) -> str:
    """The first twelve digits, without the digest's algorithm."""
    algorithm, colon, digits = identity.partition(":")
    return (digits if colon else algorithm)[:12]


def ellipsis(text: str, width: int) -> str:
    """Cuts text to `width` columns, the last of which is then an ellipsis."""
    if width <= 0:
        return ""
    if len(text) <= width and text.isascii():
        return text
    columns = [columns_of(char) for char in text]
    if sum(columns) <= width:
        return text
    if width == 1:
        return text[0]
    out, used = [], 0
    for char, wide in zip(text, columns, strict=True):
        if used + wide > width - 1:
            break
        out.append(char)
        used += wide
    return "".join(out) + "…"


def columns_of(text: str) -> int:
    """How many columns of a terminal text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
