"""Compiled filters, run by a small interpreter of classic BPF."""

import os
import struct
from pathlib import Path
from typing import Any

import pytest

from scow.errors import InvalidArgument, Unsupported
from scow.oci.seccomp_default import default_profile
from scow.runtime import seccomp

X86_64, I386 = 0xC000003E, 0x40000003
ALLOW, ERRNO = 0x7FFF0000, 0x50000
pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")


def verdict(program: bytes, number: int, arguments: tuple[int, ...] = (), audit: int = X86_64) -> int:
    """What the filter answers to one system call."""
    data = struct.pack("<iIQ6Q", number, audit, 0, *(arguments + (0,) * 6)[:6])
    code = list(struct.iter_unpack("<HBBI", program))
    accumulator, memory, at = 0, [0] * 16, 0
    while True:
        opcode, yes, no, value = code[at]
        at += 1
        if opcode == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif opcode == 0x06:
            return int(value)
        elif opcode == 0x05:
            at += value
        elif opcode == 0x54:
            accumulator &= value
        elif opcode == 0x02:
            memory[value] = accumulator
        elif opcode == 0x60:
            accumulator = memory[value]
        else:
            tests = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}
            tests[0x45] = bool(accumulator & value)
            at += yes if tests[opcode] else no


@pytest.fixture(scope="module")
def default() -> bytes:
    return seccomp.compile_profile(default_profile(set(), "amd64"))


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (0, (), ALLOW),  # read
        (165, (), ERRNO | 1),  # mount
        (435, (), ERRNO | 38),  # clone3
        (56, (0x11,), ALLOW),  # clone, a plain fork
        (56, (0x10000000,), ERRNO | 1),  # clone with a user namespace
        (41, (2,), ALLOW),  # socket: AF_INET
        (41, (38,), ERRNO | 1),  # AF_ALG
        (41, (40,), ERRNO | 1),  # AF_VSOCK
        (41, (39,), ALLOW),
        (135, (0,), ALLOW),  # personality
        (135, (1,), ERRNO | 1),
        (425, (), ERRNO | 1),  # io_uring_setup
        (452, (), ALLOW),  # fchmodat2, unknown to libseccomp 2.5
        (462, (), ALLOW),  # mseal
        (461, (), ERRNO | 1),  # lsm_list_modules without CAP_SYS_ADMIN
        (500, (), ERRNO | 38),  # newer than the profile: a C library falls back
        (0x40000000, (), ALLOW),  # read of the x32 ABI
    ],
)
def test_default_profile(default: bytes, number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict(default, number, arguments) == expected


def test_other_architectures(default: bytes) -> None:
    assert verdict(default, 3, audit=I386) == ALLOW  # read
    assert verdict(default, 21, audit=I386) == ERRNO | 1  # mount
    assert verdict(default, 500, audit=I386) == ERRNO | 38
    assert verdict(default, 0, audit=0xC00000B7) == 0  # arm64 on x86: killed


def test_cache_is_used_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_cache_directory", "")
    seccomp.configure(str(tmp_path / "cache"))
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]}
    first = seccomp.compiled(profile)
    (cached,) = (tmp_path / "cache").iterdir()
    assert cached.parent.stat().st_mode & 0o077 == 0
    with monkeypatch.context() as patch:
        patch.setattr(seccomp, "compile_profile", lambda profile: pytest.fail("compiled again"))
        assert seccomp.compiled(dict(reversed(profile.items()))) == first
    raw = bytearray(cached.read_bytes())
    raw[-1] ^= 1
    cached.write_bytes(bytes(raw))
    assert seccomp.compiled(profile) == first
    assert verdict(first, 169) == ERRNO | 1 and verdict(first, 0) == ALLOW
    annotated = {
        "annotations": {seccomp.PROGRAM: str(cached)},
        "linux": {"seccomp": {"flags": ["SECCOMP_FILTER_FLAG_LOG"]}},
    }
    assert seccomp.program_of(annotated) == (first, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"defaultAction": "SCMP_ACT_FOO"},
        {"architectures": ["SCMP_ARCH_FOO"]},
        {"syscalls": [{"names": ["read"], "action": "nope"}]},
        {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5000}]},
        {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]},
        {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "op": "x"}]}]},
    ],
)
def test_bad_profiles(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        seccomp.compile_profile({"defaultAction": "SCMP_ACT_ALLOW", **change})


def test_what_is_not_supported_says_so() -> None:
    with pytest.raises(Unsupported, match="NOTIFY"):
        seccomp.compile_profile({"defaultAction": "SCMP_ACT_NOTIFY"})
    with pytest.raises(Unsupported, match="WAIT"):
        seccomp.filter_flags({"flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]})


def test_a_missing_program_without_a_profile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"gone\.bpf"):
        seccomp.program_of({"annotations": {seccomp.PROGRAM: str(tmp_path / "gone.bpf")}})


def test_a_program_that_is_not_there_yet_is_written(tmp_path: Path) -> None:
    path = str(tmp_path / "key.bpf")
    spec = {"annotations": {seccomp.PROGRAM: path}, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}
    program, _ = seccomp.program_of(spec)
    assert seccomp.program_of({"annotations": {seccomp.PROGRAM: path}})[0] == program


def test_unknown_names_are_skipped() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_KILL"}]}
    assert verdict(seccomp.compile_profile(profile), 0) == ALLOW
