"""Device access rules of a spec: their normal form, and the eBPF filter that enforces them on cgroup version 2."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scow.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """Allow or deny `access` (out of "rwm") to devices. kind: a, b or c; major and minor -1 for any."""

    allow: bool
    kind: str = "a"
    major: int = -1
    minor: int = -1
    access: str = "rwm"

    def __str__(self) -> str:
        if self.kind == "a":
            return "a"
        numbers = ":".join("*" if number < 0 else str(number) for number in (self.major, self.minor))
        return f"{self.kind} {numbers} {self.access}"


ALWAYS_ALLOWED = (
    DeviceRule(True, "c", -1, -1, "m"),
    DeviceRule(True, "b", -1, -1, "m"),
    DeviceRule(True, "c", 1, 3),  # null
    DeviceRule(True, "c", 1, 5),  # zero
    DeviceRule(True, "c", 1, 7),  # full
    DeviceRule(True, "c", 1, 8),  # random
    DeviceRule(True, "c", 1, 9),  # urandom
    DeviceRule(True, "c", 5, 0),  # tty
    DeviceRule(True, "c", 5, 2),  # ptmx
    DeviceRule(True, "c", 136, -1),  # pts
)
"""What every container needs for its own /dev: the runtime makes these nodes, so it allows them, as other runtimes do."""


def from_spec(devices: Iterable[Mapping[str, Any]]) -> list[DeviceRule]:
    """The rules of linux.resources.devices, without what a later rule for everything makes void; ours come last.

    An empty list means that nothing is restricted.
    """
    rules: list[DeviceRule] = []
    for item in devices:
        rule = _rule(item)
        if rule.kind == "a":
            rules = []
        if rule in rules:
            rules.remove(rule)
        rules.append(rule)
    if not rules or (len(rules) == 1 and rules[0].allow and rules[0].kind == "a"):
        return []
    return [*rules, *(rule for rule in ALWAYS_ALLOWED if rule not in rules)]


def _rule(item: Mapping[str, Any]) -> DeviceRule:
    kind = str(item.get("type") or "a")
    if kind == "u":  # an unbuffered character device
        kind = "c"
    access = str(item.get("access") or "rwm")
    if kind not in "abc" or not set(access) <= set("rwm"):
        raise InvalidArgument(f"invalid device rule {dict(item)!r}")
    numbers = [-1 if item.get(key) is None else int(item[key]) for key in ("major", "minor")]
    if any(not -1 <= number < 2**31 for number in numbers):
        raise InvalidArgument(f"invalid device number in rule {dict(item)!r}")
    if kind == "a":
        return DeviceRule(bool(item.get("allow")))
    return DeviceRule(bool(item.get("allow")), kind, numbers[0], numbers[1], "".join(sorted(set(access))))


def allowed(rules: Iterable[DeviceRule], kind: str, major: int, minor: int, access: str) -> bool:
    """What the rules say about one access ("r", "w" or "m"): the last rule that covers it decides, none denies."""
    verdict = False
    for rule in rules:
        if rule.kind not in ("a", kind) or access not in rule.access:
            continue
        if rule.major in (-1, major) and rule.minor in (-1, minor):
            verdict = rule.allow
    return verdict


# An eBPF instruction: opcode, registers (source << 4 | destination), offset, immediate.
_LDX_W, _MOV_IMM, _MOV_REG, _AND_IMM, _RSH_IMM = 0x61, 0xB7, 0xBF, 0x57, 0x77
_JNE_IMM, _JSET_IMM, _EXIT, _JA = 0x55, 0x45, 0x95, 0x05
_BITS = {"m": 1, "r": 2, "w": 4}
_KINDS = {"b": 1, "c": 2}


def program(rules: Iterable[DeviceRule]) -> bytes:
    """The eBPF device filter of the rules.

    The kernel asks about an access of one or more bits; it is granted when each bit is. So the rules are walked from the
    last to the first and every rule that covers the device takes its bits away from those still undecided: a denied one
    among them ends it with 0, and when none is left the answer is 1.
    """
    code = [
        _instruction(_LDX_W, 2, 1, 0),  # r2 = access << 16 | kind
        _instruction(_MOV_REG, 3, 2),
        _instruction(_RSH_IMM, 3, immediate=16),  # r3 = undecided access bits
        _instruction(_AND_IMM, 2, immediate=0xFFFF),  # r2 = kind
        _instruction(_LDX_W, 4, 1, 4),  # r4 = major
        _instruction(_LDX_W, 5, 1, 8),  # r5 = minor
    ]
    for rule in reversed(list(rules)):
        block = _decide(rule)
        for register, value in ((5, rule.minor), (4, rule.major), (2, _KINDS.get(rule.kind, -1))):
            if value >= 0:
                block.insert(0, _instruction(_JNE_IMM, register, offset=len(block), immediate=value))
        code += block
    code += [_instruction(_MOV_IMM, 0, immediate=0), _instruction(_EXIT)]
    return b"".join(code)


def _decide(rule: DeviceRule) -> list[bytes]:
    bits = sum(_BITS[letter] for letter in rule.access)
    if not rule.allow:  # any undecided bit that this rule denies ends it
        return [
            _instruction(_JSET_IMM, 3, offset=1, immediate=bits),
            _instruction(_JA, offset=2),
            _instruction(_MOV_IMM, 0, immediate=0),
            _instruction(_EXIT),
        ]
    return [
        _instruction(_AND_IMM, 3, immediate=7 & ~bits),
        _instruction(_JNE_IMM, 3, offset=2, immediate=0),
        _instruction(_MOV_IMM, 0, immediate=1),
        _instruction(_EXIT),
    ]


def _instruction(opcode: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhI", opcode, source << 4 | destination, offset, immediate & 0xFFFFFFFF)
