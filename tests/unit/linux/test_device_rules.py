"""Device rules: their normal form, and the eBPF program that says the same."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.linux import device_rules
from scow.linux.device_rules import DeviceRule

_NAMES = {"b": 1, "c": 2}
_BITS = {"m": 1, "r": 2, "w": 4}


def execute(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Run a device filter on one access. Jumps go forward only, so that it ends."""
    bits = sum(_BITS[letter] for letter in access)
    context = {0: bits << 16 | _NAMES[kind], 4: major, 8: minor}
    code = [struct.unpack_from("<BBhI", program, offset) for offset in range(0, len(program), 8)]
    registers = [0] * 11
    at = 0
    while True:
        opcode, pair, offset, value = code[at]
        destination, source = pair & 15, pair >> 4
        at += 1
        if opcode == 0x61:
            registers[destination] = context[offset]
        elif opcode == 0xB7:
            registers[destination] = value
        elif opcode == 0xBF:
            registers[destination] = registers[source]
        elif opcode == 0x57:
            registers[destination] &= value
        elif opcode == 0x77:
            registers[destination] >>= value
        elif opcode == 0x95:
            return bool(registers[0])
        elif opcode == 0x05 or (opcode == 0x55 and registers[destination] != value):
            assert offset >= 0
            at += offset
        elif opcode == 0x45:
            at += offset if registers[destination] & value else 0
        else:
            assert opcode == 0x55, f"unknown instruction {opcode:#x}"


_numbers = st.sampled_from([-1, 0, 1, 3, 136])
_access = st.sets(st.sampled_from("rwm"), min_size=1).map(lambda letters: "".join(sorted(letters)))
_rules = st.lists(
    st.one_of(
        st.builds(DeviceRule, st.booleans()),
        st.builds(DeviceRule, st.booleans(), st.sampled_from("bc"), _numbers, _numbers, _access),
    ),
    max_size=8,
)


@given(_rules, st.sampled_from("bc"), st.sampled_from([0, 1, 3, 136, 9]), st.sampled_from([0, 1, 3, 9]), _access)
def test_program_says_what_the_rules_say(
    rules: Sequence[DeviceRule], kind: str, major: int, minor: int, access: str
) -> None:
    expected = all(device_rules.allowed(rules, kind, major, minor, letter) for letter in access)
    assert execute(device_rules.program(rules), kind, major, minor, access) == expected


def test_the_default_of_a_container() -> None:
    rules = device_rules.from_spec(
        [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 5, "minor": 1}]
    )
    program = device_rules.program(rules)
    for kind, major, minor, access, verdict in (
        ("c", 1, 3, "rw", True),
        ("c", 5, 1, "rwm", True),
        ("c", 136, 7, "rw", True),
        ("b", 254, 0, "m", True),
        ("b", 254, 0, "r", False),
        ("b", 254, 0, "rwm", False),
        ("c", 10, 229, "rw", False),
        ("c", 1, 1, "r", False),
    ):
        assert execute(program, kind, major, minor, access) is verdict, (kind, major, minor, access)


def test_rules_before_a_rule_for_all_are_void() -> None:
    twice = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    ] * 2
    assert device_rules.from_spec(twice) == device_rules.from_spec(twice[:2])


def test_allow_all_restricts_nothing() -> None:
    assert device_rules.from_spec([]) == []
    assert device_rules.from_spec([{"allow": False, "access": "rwm"}, {"allow": True, "access": "rwm"}]) == []


def test_text_form() -> None:
    assert str(DeviceRule(True, "c", 136, -1, "rw")) == "c 136:* rw"
    assert str(DeviceRule(False)) == "a"


@pytest.mark.parametrize(
    "rule",
    [{"type": "x"}, {"type": "c", "access": "rx"}, {"type": "c", "major": 2**31}, {"type": "b", "minor": -2}],
)
def test_bad_rules_are_refused(rule: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        device_rules.from_spec([rule])
