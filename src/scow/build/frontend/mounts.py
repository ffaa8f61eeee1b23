"""The value of RUN --mount."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scow.build.frontend.commands import Mount
from scow.build.frontend.errors import did_you_mean
from scow.errors import InvalidArgument

_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_NAMES = {
    "from": "origin",
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_KEYS = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "mode", "uid", "gid", "src", "dst", "ro",
    "rw", "readwrite", "size", "env", "destination",
)  # fmt: skip
_ONLY = {"required": ("secret", "ssh"), "size": ("tmpfs",), "env": ("secret",)}
_OWNED = ("cache", "secret", "ssh")
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)


def read(written: str, expand: Callable[[str], str] | None = None) -> Mount:
    """The mount that a flag describes. Without `expand`, what holds a variable is left out and not checked."""
    try:
        fields = next(csv.reader([written], strict=True), [])
    except csv.Error as error:
        raise InvalidArgument(f"failed to parse csv mounts: {error}") from None
    if any('"' in field for field in fields) and '""' not in written:
        place = written.index('"') + 1
        raise InvalidArgument(
            f'failed to parse csv mounts: parse error on line 1, column {place}: bare " in non-quoted-field'
        )
    values: dict[str, Any] = {}
    deferred = False
    for field in fields or [""]:
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals and key not in ("readonly", "ro", "readwrite", "rw", "required"):
            raise InvalidArgument(f"invalid field '{field}' must be a key=value pair")
        if key not in _KEYS:
            raise InvalidArgument(f"unexpected key '{key}' in '{field}'{did_you_mean(key, _KEYS)}")
        if key == "from" and re.search(r"\$.", value):
            raise InvalidArgument("'from' doesn't support variable expansion, define alias stage instead")
        if "$" in value and expand is None:
            deferred = True
            continue
        value = expand(value) if expand is not None and key != "from" else value
        name = _NAMES.get(key, key)
        values[name] = _VALUES.get(name, _same)(key, value if equals else "true")
    return _checked(values, written, deferred)


def _checked(values: dict[str, Any], written: str, deferred: bool) -> Mount:
    kind = values.pop("type", "bind")
    for key, kinds in _ONLY.items():
        if key in values and kind not in kinds:
            raise InvalidArgument(f"unexpected key '{key}' for mount type '{kind}'")
    for key in ("mode", "uid", "gid"):
        if key in values and kind not in _OWNED:
            raise InvalidArgument(f'{key} not allowed for "{kind}" type mounts')
    if "readwrite" in values:
        values["readonly"] = not values.pop("readwrite")
    mount = Mount(kind=kind, written=written, **values)
    if "readonly" not in values:
        mount = replace(mount, readonly=kind not in ("cache", "tmpfs"))
    if mount.kind == "secret":
        _check_secret(mount, deferred)
    elif mount.sharing and mount.kind != "cache":
        raise InvalidArgument(f"invalid cache sharing set for {mount.kind} mount")
    if mount.kind in ("bind", "cache", "tmpfs") and not mount.target and not deferred:
        raise InvalidArgument(f"invalid {mount.kind} mount: target required")
    return mount


def _check_secret(mount: Mount, deferred: bool) -> None:
    if mount.origin:
        raise InvalidArgument("secret mount should not have a from")
    if mount.sharing:
        raise InvalidArgument("secret mount should not define sharing")
    if not (mount.source or mount.target or mount.id or mount.env or deferred):
        raise InvalidArgument("invalid secret mount. one of source, target required")
    if mount.source and mount.id:
        raise InvalidArgument("both source and id can't be set")


def _same(key: str, value: str) -> str:
    return value


def _kind(key: str, value: str) -> str:
    if value.lower() not in _KINDS:
        raise InvalidArgument(f'unsupported mount type "{value}"{did_you_mean(value, _KINDS)}')
    return value.lower()


def _sharing(key: str, value: str) -> str:
    if value.lower() not in _SHARING:
        raise InvalidArgument(f'unsupported sharing value "{value}"{did_you_mean(value, _SHARING)}')
    return value.lower()


def _truth(key: str, value: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise InvalidArgument(f"invalid value for {key}: {value}")
    return value in _TRUE


def _number(key: str, value: str) -> int:
    base = 8 if key == "mode" else 10
    digits = "01234567" if base == 8 else "0123456789"
    if not value or len(value) > 16 or value.strip(digits) or int(value, base) >= 1 << 32:
        raise InvalidArgument(f"invalid value {value} for {key}")
    return int(value, base)


def _size(key: str, value: str) -> int:
    match = _SIZE.fullmatch(value)
    if match is None or len(match[1]) > 19:
        raise InvalidArgument(f"invalid value for {key}: {value}")
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


_VALUES: dict[str, Callable[[str, str], object]] = {
    "type": _kind,
    "sharing": _sharing,
    "readonly": _truth,
    "readwrite": _truth,
    "required": _truth,
    "mode": _number,
    "uid": _number,
    "gid": _number,
    "size": _size,
}
