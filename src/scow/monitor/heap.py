"""Giving memory back after a stream of output, which the C library otherwise keeps for the next one."""

from collections.abc import Callable

from scow.linux import libc


def _find() -> Callable[..., int] | None:
    try:
        return libc.function(libc.load("libc.so.6"), "malloc_trim", "i", "L")
    except (OSError, AttributeError):
        return None  # not glibc: others give back by themselves


_malloc_trim = _find()


def trim() -> None:
    """Give back what is free."""
    if _malloc_trim is not None:
        _malloc_trim(0)
