"""Our compact table has the effect of Docker's default profile (moby/profiles v0.2.3, fixture beside this file)."""

import json
import os
from typing import Any

import pytest

from scow.linux import capabilities
from scow.oci.seccomp_default import default_profile

with open(os.path.join(os.path.dirname(__file__), "moby-seccomp-default.json")) as file:
    REFERENCE = json.load(file)

Rule = tuple[str, str, int | None, tuple[tuple[int, int, int, str], ...]]
_GO_NAMES = {"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64", "s390x": "SCMP_ARCH_S390X"}
_GO_NAMES |= {"riscv64": "SCMP_ARCH_RISCV64", "loong64": "SCMP_ARCH_LOONGARCH64", "mips64": "SCMP_ARCH_MIPS64"}


def effect(rules: list[dict[str, Any]]) -> set[Rule]:
    """One entry per call name, action and argument condition."""
    found = set()
    for rule in rules:
        conditions = tuple((a["index"], a["value"], a.get("valueTwo", 0), a["op"]) for a in rule.get("args") or ())
        for name in rule["names"]:
            found.add((name, rule["action"], rule.get("errnoRet"), conditions))
    return found


def reference(caps: set[str], arch: str, kernel: tuple[int, int]) -> tuple[set[Rule], list[str]]:
    """The fixture's rules as Docker resolves them: all of includes must hold, none of excludes may."""
    chosen = []
    for rule in REFERENCE["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        least = tuple(int(part) for part in includes.get("minKernel", "0.0").split("."))
        if includes.get("arches") and arch not in includes["arches"] or kernel < least:
            continue
        if not set(includes.get("caps") or ()) <= caps:
            continue
        if arch in (excludes.get("arches") or ()) or set(excludes.get("caps") or ()) & caps:
            continue
        chosen.append(rule)
    for entry in REFERENCE["archMap"]:
        if entry["architecture"] == _GO_NAMES.get(arch):
            return effect(chosen), [entry["architecture"], *(entry["subArchitectures"] or ())]
    return effect(chosen), []


SETS = [set(), set(capabilities.NAMES), *({name} for name in capabilities.NAMES)]


@pytest.mark.parametrize("arch", ["amd64", "arm64", "arm", "x86", "s390x", "ppc64le", "riscv64", "loong64", "mips64"])
def test_same_effect_as_docker(arch: str) -> None:
    for caps in SETS:
        for kernel in ((4, 4), (6, 1)):
            ours = default_profile(caps, arch, kernel)
            rules, architectures = reference(caps, arch, kernel)
            assert effect(ours["syscalls"]) == rules, (caps, kernel)
            assert ours.get("architectures", []) == architectures
            assert (ours["defaultAction"], ours["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)


def test_no_rule_is_lost_by_a_name_in_two_rules() -> None:
    """libseccomp takes one action per call and condition: contradictions must not exist."""
    for caps in SETS:
        seen: dict[tuple[str, Any], str] = {}
        for name, action, _, conditions in effect(default_profile(caps, "amd64")["syscalls"]):
            assert seen.setdefault((name, conditions), action) == action


def test_the_dangerous_families_and_flags_stay_out() -> None:
    rules = effect(default_profile(set(), "amd64")["syscalls"])
    unconditional = {name for name, action, _, conditions in rules if not conditions and action == "SCMP_ACT_ALLOW"}
    assert not unconditional & {
        "mount",
        "unshare",
        "setns",
        "bpf",
        "keyctl",
        "socket",
        "clone",
        "clone3",
        "io_uring_setup",
    }
