"""One strict reader of JSON from outside: manifests, configs, token answers.

Refused: more than `limit` bytes, text that is not UTF-8, deep nesting, repeated keys (two readers could see two
documents), NaN, and integers of absurd length (their conversion takes quadratic time).
"""

import json
from typing import Any, NoReturn

from scow.errors import DataLoss

MANIFEST_LIMIT = 4 << 20
CONFIG_LIMIT = 4 << 20
_INTEGER_DIGITS = 20


class InvalidDocument(DataLoss):
    """Bytes that should be a JSON document of a known shape are not."""


def load(data: bytes, what: str, limit: int = MANIFEST_LIMIT) -> dict[str, Any]:
    """The JSON object in `data`; `what` names it in errors."""
    value = _value(data, what, limit)
    if not isinstance(value, dict):
        raise InvalidDocument(f"{what} is not a JSON object")
    return value


def load_list(data: bytes, what: str, limit: int = MANIFEST_LIMIT) -> list[dict[str, Any]]:
    """The JSON list of objects in `data`."""
    value = _value(data, what, limit)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidDocument(f"{what} is not a JSON list of objects")
    return value


def _value(data: bytes, what: str, limit: int) -> Any:
    if len(data) > limit:
        raise InvalidDocument(f"{what} has {len(data)} bytes, more than the {limit} allowed")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_int=_integer, parse_constant=_constant)
    except InvalidDocument as error:
        raise InvalidDocument(f"{what}: {error.message}") from None
    except RecursionError:  # the C scanner counts its depth by the interpreter's recursion limit
        raise InvalidDocument(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise InvalidDocument(f"{what} is not JSON: {str(error)[:200]}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidDocument(f"the key {key[:80]!r} is there twice")
            seen.add(key)
    return result


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS:
        raise InvalidDocument(f"an integer has {len(text)} digits")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise InvalidDocument(f"{text} is not a JSON number")


def text_field(document: dict[str, Any], key: str, what: str) -> str:
    """document[key] as text; "" when it is absent or null."""
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidDocument(f"{what}: {key} is not a string")
    return value


def list_field(document: dict[str, Any], key: str, what: str) -> list[Any]:
    """document[key] as a list; empty when it is absent or null."""
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidDocument(f"{what}: {key} is not a list")
    return value


def object_field(document: dict[str, Any], key: str, what: str) -> dict[str, Any]:
    """document[key] as an object; empty when it is absent or null."""
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidDocument(f"{what}: {key} is not an object")
    return value


def strings(value: Any, what: str) -> tuple[str, ...]:
    """A list of strings (null: none)."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidDocument(f"{what} is not a list of strings")
    return tuple(value)
