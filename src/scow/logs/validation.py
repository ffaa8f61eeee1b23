"""Log driver options: what Docker accepts, and its sentences for what it does not.

Docker looks at options twice: unknown names and the delivery mode when a container is created (`validate`), values when
it is started (`parse_json_file`). Both are pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scow.errors import InvalidArgument, StartFailure

DRIVERS = ("json-file", "none")
_JSON_FILE_NAMES = frozenset(("max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"))
_COMMON_NAMES = frozenset(("mode", "max-buffer-size"))
_CACHE_NAMES = frozenset(("cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"))
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_FAILED = "failed to create task for container: failed to initialize logging driver: "


@dataclass(frozen=True, slots=True)
class JsonFileOptions:
    """max_size: bytes after which the file is rotated (0: never); max_files counts the current one too."""

    max_size: int = 0
    max_files: int = 1
    compress: bool = False


def validate(driver: str, options: Mapping[str, str]) -> None:
    """What Docker refuses when a container is created. Raises InvalidArgument (or Unsupported by name)."""
    if driver == "none":
        return
    if driver not in DRIVERS:
        raise InvalidArgument(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    _validate_mode(options)
    for name in sorted(options):
        if name not in _JSON_FILE_NAMES and name not in _COMMON_NAMES and name not in _CACHE_NAMES:
            raise InvalidArgument(f"unknown log opt '{name}' for {driver} log driver")
    for name in ("cache-disabled", "cache-compress"):
        if name in options and options[name] not in _TRUE | _FALSE:
            raise InvalidArgument(f"invalid value for option {name}: {options[name]}")


def _validate_mode(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" not in options:
        return
    if mode != "non-blocking":
        raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    try:
        parse_size(options["max-buffer-size"])
    except ValueError as error:
        raise InvalidArgument(f"error parsing option max-buffer-size: {error}") from None


def parse_json_file(options: Mapping[str, str]) -> JsonFileOptions:
    """The values of json-file's options. Raises StartFailure with the sentence of a failing start."""
    try:
        return _parse_json_file(options)
    except ValueError as error:
        raise StartFailure(_FAILED + str(error)) from None


def _parse_json_file(options: Mapping[str, str]) -> JsonFileOptions:
    max_size = 0
    if "max-size" in options:
        max_size = parse_size(options["max-size"])
        if max_size <= 0:
            raise ValueError("max-size must be a positive number")
    max_files = 1
    if "max-file" in options:
        max_files = _parse_int(options["max-file"])
        if max_files < 1:
            raise ValueError("max-file cannot be less than 1")
    compress = False
    if "compress" in options:
        compress = parse_bool(options["compress"])
        if compress and (max_files < 2 or not max_size):
            raise ValueError("compress cannot be true when max-file is less than 2 or max-size is not set")
    return JsonFileOptions(max_size, max_files, compress)


def parse_bool(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {_quote(text)}: invalid syntax")


def parse_size(text: str) -> int:
    """Bytes from Docker's size words: 10, 10k, 1.5m, 2gb, 1KiB (units are binary). ValueError `invalid size: 'x'`."""
    end = 0
    while end < len(text) and text[end] in "0123456789.":
        end += 1
    number, unit = text[:end], text[end:].lstrip(" ").lower()
    for ending in ("ib", "i", "b"):
        if unit.endswith(ending) and (len(unit) > len(ending) or ending == "b"):
            unit = unit[: -len(ending)]
            break
    if unit not in _UNITS or number.count(".") > 1 or not number.strip("."):
        raise ValueError(f"invalid size: '{text}'")
    value = float(number) * _UNITS[unit] if "." in number else int(number[:40]) * _UNITS[unit]
    return int(value) if value < 1 << 63 else -(1 << 63)  # Go's conversion of a float that does not fit


def _parse_int(text: str) -> int:
    """Go's strconv.Atoi."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or not digits.isascii() or not digits.isdigit():
        raise ValueError(f"strconv.Atoi: parsing {_quote(text)}: invalid syntax")
    value = int(text[:40])
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"strconv.Atoi: parsing {_quote(text)}: value out of range")
    return value


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
