"""linux.seccomp: the default profile, or a user's own in Docker's format resolved for one container."""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from scow.errors import InvalidArgument
from scow.oci.platform import host_platform
from scow.oci.seccomp_default import default_profile

_ARCH_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def kernel_version() -> tuple[int, int]:
    """(major, minor) of the running kernel."""
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int("".join(character for character in minor if character.isdigit()) or 0)


@lru_cache(maxsize=64)
def default(capabilities: frozenset[str]) -> dict[str, Any]:
    """Docker's default; shared between containers with the same capabilities, so never to be changed."""
    return default_profile(capabilities, host_platform().architecture, kernel_version())


def custom(text: str, capabilities: frozenset[str]) -> dict[str, Any]:
    """A profile file's rules that apply to these capabilities, this architecture and this kernel."""
    try:
        profile = json.loads(text)
        return _resolve(profile, capabilities)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from None


def _resolve(profile: Mapping[str, Any], capabilities: frozenset[str]) -> dict[str, Any]:
    result: dict[str, Any] = {"defaultAction": profile["defaultAction"], "syscalls": []}
    if profile.get("defaultErrnoRet") is not None:
        result["defaultErrnoRet"] = int(profile["defaultErrnoRet"])
    architectures = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        native = "SCMP_ARCH_" + os.uname().machine.upper()
        if entry["architecture"] == native:
            architectures = [native, *(entry.get("subArchitectures") or ())]
    if architectures:
        result["architectures"] = architectures
    for rule in profile.get("syscalls") or ():
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if not _all_hold(includes, capabilities) or _any_holds(excludes, capabilities):
            continue
        entry = {"names": rule.get("names") or [rule["name"]], "action": rule["action"]}
        if rule.get("args"):
            entry["args"] = rule["args"]
        if rule.get("errnoRet") is not None:
            entry["errnoRet"] = int(rule["errnoRet"])
        result["syscalls"].append(entry)
    return result


def _conditions(filter_: Mapping[str, Any], capabilities: frozenset[str]) -> list[bool]:
    found = []
    if filter_.get("caps"):
        found.append(capabilities.issuperset(filter_["caps"]))
    if filter_.get("arches"):
        machine = os.uname().machine
        found.append(_ARCH_NAMES.get(machine, machine) in filter_["arches"])
    if filter_.get("minKernel"):
        major, minor = (int(part) for part in filter_["minKernel"].split(".")[:2])
        found.append(kernel_version() >= (major, minor))
    return found


def _all_hold(filter_: Mapping[str, Any], capabilities: frozenset[str]) -> bool:
    return False not in _conditions(filter_, capabilities)


def _any_holds(filter_: Mapping[str, Any], capabilities: frozenset[str]) -> bool:
    """An exclusion by capabilities holds as soon as one of them is there."""
    if filter_.get("caps") and not capabilities.isdisjoint(filter_["caps"]):
        return True
    return True in _conditions({key: value for key, value in filter_.items() if key != "caps"}, capabilities)
