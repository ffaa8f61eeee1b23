"""Texts of option values to values, with the reasons that Docker's CLI gives when they are wrong.

Everything here raises ValueError; the flag parser puts the option's name before it.
"""

from __future__ import annotations

from scow.cli.command import environment
from scow.cli.flags import boolean, go_quote, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def convert(kind: str, name: str, text: str) -> Any:
    """The value of `text` for an option of this kind and name; a list for options that can be given several times."""
    if kind == "list":
        check = LIST_CHECKS.get(name)
        return [text if check is None else check(text)]
    if kind == "mount":
        from scow.cli.mounts import parse_mount

        return [parse_mount(text)]
    if kind == "network":
        from scow.cli.networks import parse_network

        return [parse_network(text)]
    return _SCALARS[kind](text)


# -- sizes, decimals, durations

_NOT_NUMBER_OR_SPACE = "".join(chr(code) for code in range(33, 127) if chr(code) not in "0123456789.")
_NUMBER = frozenset("0123456789.+-eE")


def size(text: str) -> int:
    """A byte count with a binary unit: 512m, 1.5GiB, "1 k"."""
    cut = len(text.rstrip(_NOT_NUMBER_OR_SPACE))
    if not cut:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = text[:cut].removesuffix(" "), text[cut:].lower()
    try:
        if not number or not set(number) <= _NUMBER:
            raise ValueError
        value = float(number)
    except ValueError:
        raise ValueError(f"strconv.ParseFloat: parsing {go_quote(number)}: invalid syntax") from None
    if value < 0:
        raise ValueError(f"invalid size: '{text}'")
    if not suffix or suffix == "b":
        return int(value)
    exponent = " kmgtp".find(suffix[0])
    if exponent < 1 or suffix[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{suffix}'")
    return min(int(value * 1024**exponent), (1 << 63) - 1)


def swap(text: str) -> int:
    """A size, or -1."""
    return -1 if text == "-1" else size(text)


def decimal(text: str) -> int:
    """A number of CPUs (also `1/2` or `5e-1`) in billionths."""
    from fractions import Fraction

    try:
        if not text.isascii() or text != text.strip() or "_" in text:
            raise ValueError
        billionths = Fraction(text) * 10**9
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if billionths.denominator != 1:
        raise ValueError("value is too precise")
    return int(billionths)


_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def duration(text: str) -> int:
    """Go's time.ParseDuration, in nanoseconds: 1h2m3.5s."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    wrong = f"time: invalid duration {go_quote(text)}"
    if not rest:
        raise ValueError(wrong)
    total = 0
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµμmsh"))] if rest else ""
        whole, _, fraction = number.partition(".")
        if not (whole + fraction).isdigit():
            raise ValueError(wrong)
        if not unit:
            bad = rest[: len(rest) - len(rest.lstrip("".join(c for c in rest if c not in "0123456789.")))]
            reason = f"unknown unit {go_quote(bad)} in" if bad else "missing unit in"
            raise ValueError(f"time: {reason} duration {go_quote(text)}")
        if unit not in _UNITS:
            raise ValueError(f"time: unknown unit {go_quote(unit)} in duration {go_quote(text)}")
        rest = rest[len(unit) :]
        scale = _UNITS[unit]
        total += int(whole or "0") * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)
    if total >= 1 << 63:
        raise ValueError(wrong)
    return -total if text[0] == "-" else total


# -- ulimits and GPUs

_LIMITS = frozenset(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)


def ulimit(text: str) -> list[dict[str, Any]]:
    """`name=soft[:hard]` as the API wants it."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _LIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    soft = _limit(parts[0])
    hard = _limit(parts[1]) if len(parts) == 2 else soft
    if hard != -1 and (soft > hard or soft == -1):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return [{"Name": name, "Hard": hard, "Soft": soft}]


def _limit(text: str) -> int:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isdigit() or not digits.isascii():
        raise ValueError(f"strconv.ParseInt: parsing {go_quote(text)}: invalid syntax")
    return int(text)


def gpus(text: str) -> list[dict[str, Any]]:
    """`all`, a count, or `key=value,…`."""
    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key == "count":
            request["Count"] = -1 if value == "all" else _gpu_count(value)
        elif key == "device":
            request["DeviceIDs"] = [*(request["DeviceIDs"] or []), value]
        elif key == "driver":
            request["Driver"] = value
        elif key == "capabilities":
            request["Capabilities"] = [["gpu", *value.split(",")]]
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if not request["Count"] and not request["DeviceIDs"]:
        request["Count"] = 1
    return [request]


def _gpu_count(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: invalid syntax')
    return int(text)


# -- checks of list items


def _env(text: str) -> str:
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if equals:
        return text
    import posix

    return f"{text}={environment(text)}" if text.encode("utf-8", "surrogateescape") in posix.environ else text


def _label(text: str) -> str:
    name = text.partition("=")[0]
    if not name.strip():
        raise ValueError(f"invalid label '{text}': empty name")
    if any(char in name for char in " \t\n\r\v\f"):
        raise ValueError(f"label '{name}' contains whitespaces")
    return text


def _attach(text: str) -> str:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def is_address(text: str) -> bool:
    """Whether this is an IPv4 or IPv6 address."""
    import _socket

    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
            return True
        except (OSError, ValueError):
            continue
    return False


def _add_host(text: str) -> str:
    colon, equals = text.find(":"), text.find("=")
    at = equals if 0 <= equals and (colon < 0 or equals < colon) else colon
    if at < 1:
        raise ValueError(f"bad format for add-host: {go_quote(text)}")
    name, address = text[:at], text[at + 1 :]
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != "host-gateway" and not is_address(address):
        raise ValueError(f"invalid IP address in add-host: {go_quote(address)}")
    return f"{name}:{address}"


def _dns(text: str) -> str:
    address = text.strip()
    if not is_address(address):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return address


def _dns_search(text: str) -> str:
    domain = text.strip()
    if domain == ".":
        return domain
    letters = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    labels = domain.removesuffix(".").split(".")
    if len(domain) > 254 or not all(part and len(part) < 64 and letters.issuperset(part) for part in labels):
        raise ValueError(f"{text} is not a valid domain")
    if not any(char.isalpha() for char in domain):
        raise ValueError(f"{text} is not a valid domain")
    return domain


def _link(text: str) -> str:
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


_SYSCTLS = frozenset(
    "kernel." + name for name in "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split()
)


def _sysctl(text: str) -> str:
    name, equals, _ = text.partition("=")
    if not equals or (name not in _SYSCTLS and not name.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text


def _cgroup_rule(text: str) -> str:
    kind, _, rest = text.partition(" ")
    numbers, _, access = rest.partition(" ")
    major, colon, minor = numbers.partition(":")
    right = all(part == "*" or part.isdigit() for part in (major, minor))
    right = right and 0 < len(access) < 4 and set("rwm") >= set(access)
    if kind not in ("a", "b", "c") or not colon or not right:
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def device_weight(text: str) -> dict[str, Any]:
    """`path:weight`."""
    path, weight = _device_value(text)
    if not weight.isdigit() or not (int(weight) == 0 or 10 <= int(weight) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(weight)}


def device_rate(text: str) -> dict[str, Any]:
    """`path:bytes`, with a unit."""
    path, rate = _device_value(text)
    try:
        return {"Path": path, "Rate": size(rate)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def device_operations(text: str) -> dict[str, Any]:
    """`path:operations a second`."""
    path, rate = _device_value(text)
    if not rate.isdigit():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(rate)}


def _device_value(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon or not path:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


def filter_item(text: str) -> str:
    """`name=value` of `--filter`; the name in lower case."""
    if not text:
        return text
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return f"{name.strip().lower()}={value.strip()}"


LIST_CHECKS: dict[str, Callable[[str], Any]] = {
    "add-host": _add_host,
    "attach": _attach,
    "blkio-weight-device": device_weight,
    "device-cgroup-rule": _cgroup_rule,
    "device-read-bps": device_rate,
    "device-read-iops": device_operations,
    "device-write-bps": device_rate,
    "device-write-iops": device_operations,
    "dns": _dns,
    "dns-search": _dns_search,
    "env": _env,
    "filter": filter_item,
    "label": _label,
    "link": _link,
    "sysctl": _sysctl,
}

_SCALARS: dict[str, Callable[[str], Any]] = {
    "bool": boolean,
    "bytes": size,
    "decimal": decimal,
    "duration": duration,
    "gpu-request": gpus,
    "int": integer,
    "swap": swap,
    "ulimit": ulimit,
}
