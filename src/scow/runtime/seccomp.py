"""Seccomp filters: a spec's linux.seccomp as a BPF program, compiled by libseccomp once and kept on disk.

A cached program carries its digest; one that does not match is compiled anew. The directory belongs to root.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from typing import Any

from scow.errors import InvalidArgument, Unsupported
from scow.linux import libc
from scow.oci.runtime import Spec

PROGRAM = "org.scow.seccomp.bpf"
"""Annotation: path of the compiled program. It saves hashing linux.seccomp; a program that is not there yet is compiled
from it and written to that path, whose name must therefore stand for the profile's content."""

_MAGIC = b"SCOWBPF1"
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_ALLOW = _ACTIONS["SCMP_ACT_ALLOW"]
_OPERATORS = {
    name: number
    for number, name in enumerate(
        (
            "",
            "SCMP_CMP_NE",
            "SCMP_CMP_LT",
            "SCMP_CMP_LE",
            "SCMP_CMP_EQ",
            "SCMP_CMP_GE",
            "SCMP_CMP_GT",
            "SCMP_CMP_MASKED_EQ",
        )
    )
}
_FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 1, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4}
_AUDIT = {"x86_64": 0xC000003E, "x86": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028, "riscv64": 0xC00000F3}
_ENOSYS = 38
_X32_BIT = 0x40000000
_NEW_CALLS = {  # numbered alike on every architecture; libseccomp 2.5 does not know them
    name: number
    for number, name in enumerate(
        (
            "cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount "
            "lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat "
            "open_tree_attr file_getattr file_setattr listns"
        ).split(),
        451,
    )
}

_cache_directory = ""
_library: "_Library | None" = None


def configure(cache_dir: str) -> None:
    """Where compiled programs are kept. Made 0700 when it is missing."""
    global _cache_directory
    os.makedirs(cache_dir, 0o700, exist_ok=True)
    _cache_directory = cache_dir


def program_of(spec: Spec) -> tuple[bytes, int]:
    """(program, flags of the seccomp call) for a spec; an empty program when it asks for no filter."""
    seccomp = (spec.get("linux") or {}).get("seccomp")
    path = (spec.get("annotations") or {}).get(PROGRAM)
    if path:
        program = _read(str(path))
        if program:
            return program, filter_flags(seccomp or {})
        if not seccomp:
            raise InvalidArgument(f"seccomp program {path} is missing or damaged")
        program = compile_profile(seccomp)
        _write(str(path), program)
        return program, filter_flags(seccomp)
    if not seccomp:
        return b"", 0
    return compiled(seccomp), filter_flags(seccomp)


def filter_flags(seccomp: Mapping[str, Any]) -> int:
    """The flags of a profile. Without any, speculation mitigations stay as they are, as with runc."""
    names = seccomp.get("flags")
    if names is None:
        return _FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    bits = 0
    for name in names:
        if name not in _FLAGS:
            raise Unsupported(f"unsupported seccomp flag {name!r}")
        bits |= _FLAGS[name]
    return bits & ~1  # one thread: nothing to synchronise


def cached_path(seccomp: Mapping[str, Any]) -> str:
    """Where the program of this profile is kept ("" when no directory is configured); for the annotation."""
    if not _cache_directory:
        return ""
    library = _open_library()
    text = json.dumps(seccomp, sort_keys=True, separators=(",", ":"))
    key = f"3\0{os.uname().machine}\0{library.version}\0{text}".encode("utf-8", "surrogateescape")
    return f"{_cache_directory}/{hashlib.sha256(key).hexdigest()}.bpf"


def compiled(seccomp: dict[str, Any]) -> bytes:
    """The BPF program of a profile, from the cache when it is there."""
    path = cached_path(seccomp)
    program = _read(path) if path else b""
    if not program:
        program = compile_profile(seccomp)
        if path:
            _write(path, program)
    return program


def _read(path: str) -> bytes:
    """A cached program; b"" when there is none, or when its digest does not match."""
    try:
        fd = libc.open_at(libc.AT_FDCWD, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        raw = os.read(fd, 1 << 20)
    except OSError:
        return b""
    finally:
        os.close(fd)
    program = raw[40:]
    if raw[:8] != _MAGIC or len(program) % 8 or hashlib.sha256(program).digest() != raw[8:40]:
        return b""
    return program


def _write(path: str, program: bytes) -> None:
    """Publish by rename. Not fsynced: a torn file does not match its digest. A full disk only costs the cache."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(program).digest() + program)
        os.rename(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            return


# ---------------------------------------------------------------- compiling


class _Library:
    """The calls of libseccomp that are needed."""

    def __init__(self) -> None:
        try:
            handle = libc.load("libseccomp.so.2")
        except OSError as error:
            raise Unsupported("seccomp needs the library libseccomp.so.2, which is not installed") from error

        def bind(name: str, result: str, arguments: str) -> Callable[..., Any]:
            return libc.function(handle, name, result, arguments)

        self.init = bind("seccomp_init", "p", "u")
        self.release = bind("seccomp_release", "v", "p")
        self.arch_add = bind("seccomp_arch_add", "i", "pu")
        self.arch_native = bind("seccomp_arch_native", "u", "")
        self.arch_resolve = bind("seccomp_arch_resolve_name", "u", "s")
        self.resolve = bind("seccomp_syscall_resolve_name", "i", "s")
        self.resolve_arch = bind("seccomp_syscall_resolve_name_arch", "i", "us")
        self.rule_add = bind("seccomp_rule_add_array", "i", "puius")
        self.attr_set = bind("seccomp_attr_set", "i", "piu")
        self.export = bind("seccomp_export_bpf", "i", "pi")
        raw = libc.function(handle, "seccomp_version", "p", "")()
        numbers = struct.unpack("III", libc.bytes_at(raw, 12))
        self.version = ".".join(map(str, numbers))


def _open_library() -> _Library:
    global _library
    if _library is None:
        _library = _Library()
    return _library


def action_value(name: str, errno_ret: int | None) -> int:
    """The kernel's number of an action. InvalidArgument for an unknown one; Unsupported for SCMP_ACT_NOTIFY."""
    if name == "SCMP_ACT_NOTIFY":
        raise Unsupported("seccomp action SCMP_ACT_NOTIFY is not supported")
    base = _ACTIONS.get(name)
    if base is None:
        raise InvalidArgument(f"unknown seccomp action {name!r}")
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        value = 1 if errno_ret is None else errno_ret  # EPERM is the specification's default
        if not 0 <= value <= 4095:
            raise InvalidArgument(f"invalid seccomp errnoRet {value}")
        return base | value
    return base


def compile_profile(seccomp: Mapping[str, Any]) -> bytes:
    """The BPF program of a linux.seccomp object."""
    library = _open_library()
    default = action_value(seccomp.get("defaultAction", ""), seccomp.get("defaultErrnoRet"))
    context = library.init(default)
    if not context:
        raise InvalidArgument(f"libseccomp refuses the default action {seccomp.get('defaultAction')!r}")
    try:
        architectures = _add_architectures(library, context, seccomp.get("architectures") or ())
        _checked(library.attr_set(context, 3, 0), "no_new_privs attribute")  # SCMP_FLTATR_CTL_NNP: ours to decide
        library.attr_set(context, 8, 2)  # SCMP_FLTATR_CTL_OPTIMIZE: a tree is checked faster; before 2.5 there is none
        extra: dict[int, int] = {}
        for rule in seccomp.get("syscalls") or ():
            _add_rule(library, context, rule, default, extra)
        program = _export(library, context)
    finally:
        library.release(context)
    return _prelude(library, seccomp, default, architectures, extra) + program


def _add_architectures(library: _Library, context: int, names: Any) -> list[str]:
    found = []
    for name in names:
        short = str(name).removeprefix("SCMP_ARCH_").lower()
        token = library.arch_resolve(short.encode())
        if not token:
            raise InvalidArgument(f"unknown seccomp architecture {name!r}")
        if token != library.arch_native():
            _checked(library.arch_add(context, token), f"architecture {name}", ignore=17)  # EEXIST
        found.append(short)
    return found or [os.uname().machine]


def _checked(result: int, what: str, ignore: int = 0) -> None:
    if result < 0 and -result != ignore:
        raise InvalidArgument(f"libseccomp refuses {what}: {libc.ERROR_TEXT.get(-result, str(result))}")


def _add_rule(library: _Library, context: int, rule: Mapping[str, Any], default: int, extra: dict[int, int]) -> None:
    action = action_value(rule.get("action", ""), rule.get("errnoRet"))
    if action == default:  # says nothing, and libseccomp refuses it
        return
    arguments = rule.get("args") or ()
    for name in rule.get("names") or ():
        number = library.resolve(str(name).encode())
        if number == -1:  # __NR_SCMP_ERROR: libseccomp does not know it
            if name in _NEW_CALLS and not arguments:
                extra[_NEW_CALLS[name]] = action
            continue
        for group in _comparisons(arguments):
            packed = b"".join(group)
            result = library.rule_add(context, action, number, len(group), packed or None)
            _checked(result, f"the rule for {name}", ignore=17)


def _comparisons(arguments: Any) -> list[list[bytes]]:
    """Argument conditions as struct scmp_arg_cmp. All of a rule must hold; two on the same argument are alternatives."""
    packed = []
    for argument in arguments:
        operator = _OPERATORS.get(str(argument.get("op")))
        index, value = int(argument.get("index", 0)), int(argument.get("value", 0))
        second = int(argument.get("valueTwo", 0) or 0)
        if not operator or not 0 <= index <= 5 or not all(0 <= number < 2**64 for number in (value, second)):
            raise InvalidArgument(f"invalid seccomp argument condition {dict(argument)!r}")
        packed.append((index, struct.pack("IIQQ", index, operator, value, second)))
    indexes = [index for index, _ in packed]
    if len(set(indexes)) != len(indexes):
        return [[one] for _, one in packed]
    return [[one for _, one in packed]]


def _export(library: _Library, context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        _checked(library.export(context, fd), "the export")
        size = os.fstat(fd).st_size
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def _prelude(
    library: _Library, seccomp: Mapping[str, Any], default: int, architectures: list[str], extra: Mapping[int, int]
) -> bytes:
    """Instructions before libseccomp's: calls that it does not know, and ENOSYS for calls newer than the profile.

    A C library tries a new system call and falls back to older ones on ENOSYS only: EPERM would break it.
    """
    newest: dict[str, int] = {}
    for rule in seccomp.get("syscalls") or ():
        for name in rule.get("names") or ():
            for architecture in architectures:
                token = library.arch_resolve(architecture.encode())
                number = _NEW_CALLS.get(name) or library.resolve_arch(token, str(name).encode())
                newest[architecture] = max(newest.get(architecture, 0), number)
    deny_newer = default >> 16 == 0x0005 and default != _ACTIONS["SCMP_ACT_ERRNO"] | _ENOSYS
    code = b""
    for architecture, last in newest.items():
        audit = _AUDIT.get(architecture)
        if audit is None or last <= 0 or not (deny_newer or extra):
            continue
        body = [_op(0x20, 0, 0, 0)]  # load the call's number
        tail = [pair for number, action in extra.items() for pair in (_op(0x15, 0, 1, number), _op(0x06, 0, 0, action))]
        if deny_newer:
            tail += [_op(0x25, 0, 1, last), _op(0x06, 0, 0, _ACTIONS["SCMP_ACT_ERRNO"] | _ENOSYS)]
        if architecture == "x86_64":  # calls of the x32 ABI come under the same audit architecture
            body.append(_op(0x35, len(tail), 0, _X32_BIT))
        body += tail
        code += _op(0x20, 0, 0, 4) + _op(0x15, 0, len(body), audit) + b"".join(body)
    return code


def _op(code: int, yes: int, no: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)
