"""JSON for small messages, without json.dumps and json.loads.

Those build an encoder object and run a regular expression for every call, which writes to some hundred pages that an idle
monitor otherwise shares with the zygote. The pieces below are json's own.
"""

from json.decoder import JSONDecoder
from json.encoder import encode_basestring_ascii

_scan = JSONDecoder().scan_once  # type: ignore[attr-defined]


def dumps(value: object) -> str:
    """Compact ASCII JSON of None, bool, int, str, list, tuple and dict with text keys. TypeError for anything else."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, dict):
        return "{" + ",".join([f"{_key(key)}:{dumps(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([dumps(item) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} is no part of a message")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError("a key is no text")
    return encode_basestring_ascii(key)


def loads(text: str) -> object:
    """The value of a whole JSON text that has no white space around it. ValueError when it is none."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("not JSON") from None
    if end != len(text):
        raise ValueError("not JSON alone")
    result: object = value
    return result
