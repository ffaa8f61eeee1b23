"""JSON for a program that lives for 20 ms: the C scanner and encoder of `_json`, without the `json` package.

`import json` also imports `re` and `enum`, which costs more than everything else that `scow run` imports.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SPACE = " \t\n\r"


class _Context:
    """What `_json.make_scanner` reads its settings from."""

    strict = False  # Docker's answers may carry raw control characters; Go's decoder is as lenient in what matters here
    object_hook: type | None = None
    object_pairs_hook = None
    parse_float: type = float
    parse_int: type = int

    @staticmethod
    def parse_constant(name: str) -> object:
        raise ValueError(f"{name} is not JSON")

    memo: dict[str, str] = {}


_scan = _json.make_scanner(_Context())  # type: ignore[arg-type]


def decoder(number: type, mapping: type) -> Callable[[str], Any]:
    """A decoder that keeps numbers as `number(text)` and objects as `mapping(dict)`."""

    class Kinds(_Context):
        object_hook = mapping
        parse_float = number
        parse_int = number
        memo: dict[str, str] = {}

    scan = _json.make_scanner(Kinds())  # type: ignore[arg-type]

    def run(text: str) -> Any:
        try:
            return scan(text, len(text) - len(text.lstrip(_SPACE)))[0]
        except StopIteration:
            raise ValueError("not JSON") from None

    return run


def _refuse(value: object) -> object:
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


_encode = _json.make_encoder(None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False)


def decode(text: str | bytes) -> Any:
    """The value of one JSON text. Raises ValueError for anything else, also for a second value after the first."""
    if not isinstance(text, str):
        text = text.decode("utf-8", "replace")
    value, end = decode_one(text, 0)
    if text[end:].strip(_SPACE):
        raise ValueError("more than one JSON value")
    return value


def decode_one(text: str, at: int) -> tuple[Any, int]:
    """The value that starts at `at` (after white space), and the index of what follows it."""
    end = len(text)
    while at < end and text[at] in _SPACE:
        at += 1
    try:
        return _scan(text, at)
    except StopIteration:
        raise ValueError(f"not JSON at character {at}") from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except SystemError:  # the scanner looks for json.decoder's exception, which nobody has imported
        raise ValueError(f"not JSON after character {at}") from None


def encode(value: object) -> bytes:
    """The compact JSON text of str, int, float, bool, None, list, tuple and dict with string keys.

    A byte of the command line that is not UTF-8 (a lone surrogate in Python) becomes U+FFFD, as Go writes it.
    """
    text = "".join(_encode(value, 0))
    if "\\udc" in text:
        text = _mend(text)
    return text.encode("ascii")


def _mend(text: str) -> str:
    """Replaces low surrogates that no high one precedes."""
    out: list[str] = []
    at = 0
    while True:
        hit = text.find("\\udc", at)
        if hit < 0:
            out.append(text[at:])
            return "".join(out)
        lead = text[hit - 6 : hit]
        paired = lead[:3] == "\\ud" and lead[3:4] in "89ab" and not _escaped(text, hit - 6)
        if _escaped(text, hit) or paired:
            out.append(text[at : hit + 4])
            at = hit + 4
        else:
            out.append(text[at:hit] + "\\ufffd")
            at = hit + 6


def _escaped(text: str, at: int) -> bool:
    """Whether the backslash at `at` is itself escaped."""
    count = 0
    while at - count > 0 and text[at - count - 1] == "\\":
        count += 1
    return count % 2 == 1
