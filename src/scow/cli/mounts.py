"""`--volume`, `--mount`, `--tmpfs` and `--device` specifications."""

from __future__ import annotations

import posix

from scow.cli.flags import boolean
from scow.cli.values import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


# -- --volume


def absolute(path: str) -> str:
    """The path below the working directory, without `.` and `..`."""
    if not path.startswith("/"):
        path = f"{posix.getcwd()}/{path}"
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def parse_volume(spec: str) -> tuple[str, str]:
    """(bind, anonymous volume) of one `-v` option: one of the two is empty. Raises ValueError."""
    if not spec:
        raise ValueError("invalid empty volume spec")
    if len(spec) < 3:
        return "", spec
    fields = _volume_fields(spec)
    if len(fields) == 1:
        return "", fields[0]
    source, colon, rest = spec.partition(":")
    if fields[0][0] in "./~" and source.startswith("."):
        return absolute(source) + colon + rest, ""
    return spec, ""


def _volume_fields(spec: str) -> list[str]:
    """The parts between colons; one letter before a colon belongs to what follows (a Windows drive)."""
    fields: list[str] = []
    part = ""
    for char in spec + "\0":
        if char == ":" and len(part) == 1 and part.isalpha():
            part += char
        elif char in ":\0":
            if not part:
                raise ValueError(f"invalid spec: {spec}: empty section between colons")
            if len(fields) == 2 and char == ":":
                raise ValueError(f"invalid spec: {spec}: too many colons")
            fields.append(part)
            part = ""
        else:
            part += char
    return fields


# -- --mount

_KEYS = {
    "source": "source", "src": "source", "target": "target", "dst": "target", "destination": "target",
    "readonly": "readonly", "ro": "readonly",
}  # fmt: skip
_FLAGS = frozenset(("readonly", "bind-nonrecursive", "volume-nocopy"))
_RECURSIVE = ("enabled", "disabled", "writable", "readonly")


def parse_mount(text: str) -> dict[str, Any]:
    """One `--mount` option as the API's Mount. Raises ValueError."""
    mount: dict[str, Any] = {"Type": "volume"}
    groups: dict[str, dict[str, Any]] = {"bind": {}, "volume": {}, "tmpfs": {}, "image": {}}
    recursive = ""
    for field in csv_fields(text):
        given, equals, value = field.partition("=")
        given = given.lower()
        key = _KEYS.get(given, given)
        if not equals:
            if key not in _FLAGS:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        if key == "bind-recursive":
            recursive = value
        _set_field(mount, groups, key, given, value, field)
    if not mount["Type"]:
        raise ValueError("type is required")
    if not mount.get("Target"):
        raise ValueError("target is required")
    for kind, options in groups.items():
        if options and mount["Type"] != kind:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{mount['Type']}'")
        if options:
            mount[f"{kind.capitalize()}Options"] = options
    if recursive == "readonly":
        _check_recursive_readonly(mount)
    return mount


def _check_recursive_readonly(mount: dict[str, Any]) -> None:
    if not mount.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
    if mount.get("BindOptions", {}).get("Propagation") != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def _set_field(
    mount: dict[str, Any], groups: dict[str, dict[str, Any]], key: str, given: str, value: str, field: str
) -> None:
    setter = _SETTERS.get(key)
    if key in ("type", "consistency"):
        mount[key.capitalize()] = value.lower()
    elif key == "source":
        mount["Source"] = absolute(value) if value == "." or value.startswith("./") else value
    elif key == "target":
        mount["Target"] = value
    elif key == "readonly":
        mount["ReadOnly"] = _flag(given, value)
    elif setter is not None:
        setter(groups[key.partition("-")[0]], given, value)
    else:
        raise ValueError(f"unexpected key '{given}' in '{field}'")


def _flag(key: str, value: str) -> bool:
    try:
        return boolean(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _propagation(options: dict[str, Any], _: str, value: str) -> None:
    options["Propagation"] = value.lower()


def _non_recursive(options: dict[str, Any], key: str, value: str) -> None:
    options["NonRecursive"] = _flag(key, value)


def _recursive(options: dict[str, Any], key: str, value: str) -> None:
    if value not in _RECURSIVE:
        choice = 'must be "enabled", "disabled", "writable", or "readonly"'
        raise ValueError(f"invalid value for {key}: {value} ({choice})")
    if value == "disabled":
        options["NonRecursive"] = True
    elif value == "writable":
        options["ReadOnlyNonRecursive"] = True
    elif value == "readonly":
        options["ReadOnlyForceRecursive"] = True


def _no_copy(options: dict[str, Any], key: str, value: str) -> None:
    options["NoCopy"] = _flag(key, value)


def _subpath(options: dict[str, Any], _: str, value: str) -> None:
    options["Subpath"] = value


def _volume_label(options: dict[str, Any], _: str, value: str) -> None:
    name, _, text = value.partition("=")
    options.setdefault("Labels", {})[name] = text


def _volume_driver(options: dict[str, Any], _: str, value: str) -> None:
    options.setdefault("DriverConfig", {})["Name"] = value


def _volume_option(options: dict[str, Any], _: str, value: str) -> None:
    name, _, text = value.partition("=")
    options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = text


def _tmpfs_size(options: dict[str, Any], key: str, value: str) -> None:
    try:
        options["SizeBytes"] = size(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _tmpfs_mode(options: dict[str, Any], key: str, value: str) -> None:
    if not value or not set(value) <= set("01234567") or int(value, 8) >= 1 << 32:
        raise ValueError(f"invalid value for {key}: {value}")
    options["Mode"] = int(value, 8)


_SETTERS: dict[str, Callable[[dict[str, Any], str, str], None]] = {
    "bind-propagation": _propagation,
    "bind-nonrecursive": _non_recursive,
    "bind-recursive": _recursive,
    "volume-nocopy": _no_copy,
    "volume-subpath": _subpath,
    "volume-label": _volume_label,
    "volume-driver": _volume_driver,
    "volume-opt": _volume_option,
    "image-subpath": _subpath,
    "tmpfs-size": _tmpfs_size,
    "tmpfs-mode": _tmpfs_mode,
}


def csv_fields(text: str) -> list[str]:
    """One record of comma-separated values with quotes, read as Go's encoding/csv reads it. Raises ValueError."""
    if not text.strip("\r\n"):
        raise ValueError("EOF")
    if '"' not in text:
        return text.split(",")
    fields: list[str] = []
    at, column = 0, 1
    while True:
        if text[at : at + 1] == '"':
            value, at = _quoted_field(text, at, column)
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            value = text[at:end]
            if '"' in value:
                raise ValueError(
                    f'parse error on line 1, column {at + value.index(chr(34)) + 1}: bare " in non-quoted-field'
                )
            at = end
        fields.append(value)
        if at >= len(text):
            return fields
        at += 1
        column = at + 1


def _quoted_field(text: str, at: int, column: int) -> tuple[str, int]:
    out = []
    at += 1
    while True:
        end = text.find('"', at)
        if end < 0:
            raise ValueError(f'parse error on line 1, column {len(text) + 1}: extraneous or missing " in quoted-field')
        out.append(text[at:end])
        follows = text[end + 1 : end + 2]
        if follows == '"':
            out.append('"')
            at = end + 2
        elif follows in (",", ""):
            return "".join(out), end + 1
        else:
            raise ValueError(f'parse error on line 1, column {end + 1}: extraneous or missing " in quoted-field')


# -- --device and --tmpfs


def parse_device(text: str) -> dict[str, str]:
    """`source[:target][:rwm]` as a DeviceMapping. Raises ValueError."""
    parts = text.split(":")
    if not parts[0] or len(parts) > 3:
        raise ValueError(f"bad format for path: {text}" if not parts[0] else f"invalid device specification: {text}")
    mode = "rwm"
    source = target = parts[0]
    if len(parts) == 3:
        target, mode = parts[1] or source, parts[2]
    elif len(parts) == 2:
        if device_mode(parts[1]):
            mode = parts[1]
        else:
            target = parts[1]
    if not device_mode(mode):
        raise ValueError(f"bad mode specified: {mode}")
    for path in (source, target):
        if not path.startswith("/"):
            raise ValueError(f"{path} is not an absolute path")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": mode}


def device_mode(text: str) -> bool:
    """Whether this is a set of the letters r, w and m."""
    return bool(text) and len(set(text)) == len(text) and set(text) <= set("rwm")


def parse_tmpfs(text: str) -> tuple[str, str]:
    """`path[:options]`."""
    path, _, options = text.partition(":")
    return path, options


def is_cdi(text: str) -> bool:
    """Whether a device is named as `vendor/class=name` of the Container Device Interface."""
    kind, equals, name = text.partition("=")
    vendor, slash, what = kind.partition("/")
    return bool(equals and name and slash and vendor and what) and not text.startswith("/")
