"""Natural order: runs of digits compare as numbers."""

from __future__ import annotations


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """A sort key under which `8/tcp` comes before `80/tcp` and `a9` before `a10`."""
    key: list[tuple[int, int, str]] = []
    at = 0
    while at < len(text):
        end = at
        while end < len(text) and text[end] in "0123456789":
            end += 1
        if end > at:
            key.append((0, int(text[at:end]), text[at:end]))
        else:
            end = at + 1
            key.append((1, ord(text[at]), ""))
        at = end
    return key
