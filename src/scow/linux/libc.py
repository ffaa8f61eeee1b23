"""Kernel and library calls that Python's standard library lacks. The only module of scow that imports ctypes.

Every wrapper raises `OSError` with the errno and a text from a table made at import: a wrapper never asks the C library
for a message, which could open locale files of whatever root the process is in. Paths may be str or bytes; a NUL byte
in one is refused. New file descriptors are always close-on-exec.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_LETTERS: dict[str, Any] = {
    "v": None,
    "i": ctypes.c_int,
    "u": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "Q": ctypes.c_uint64,
    "p": ctypes.c_void_p,
    "s": ctypes.c_char_p,
}
ERROR_TEXT: dict[int, str] = {number: os.strerror(number) for number in errno.errorcode}
"""What each errno means, in the C library's words of the C locale."""

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EACCESS = 0x200
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
O_PATH = 0o10000000

CLONE_NEWTIME = 0x80
CLONE_PIDFD = 0x1000
CLONE_PARENT = 0x8000
CLONE_FS = 0x200
CLONE_FILES = 0x400
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x00
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_NOSYMFOLLOW = 0x200000
MOUNT_ATTR_IDMAP = 0x100000
MS_REC = 0x4000
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

CLOSE_RANGE_CLOEXEC = 4
SECCOMP_SET_MODE_FILTER = 1

_OLD_NUMBERS = {  # calls older than 424, which every architecture numbers in its own way
    "x86_64": (155, 250, 317, 321, 126, 79, 116, 117, 119, 13),
    "aarch64": (41, 219, 277, 280, 91, 17, 159, 147, 149, 134),
}
_OLD_NAMES = tuple("pivot_root keyctl seccomp bpf capset getcwd setgroups setresuid setresgid rt_sigaction".split())
_MACHINE = os.uname().machine
_OLD = dict(zip(_OLD_NAMES, _OLD_NUMBERS.get(_MACHINE, ()), strict=False))


def load(name: str) -> Any:
    """A handle of the shared library `name` (libseccomp.so.2, …) for `function`. OSError when it is not installed."""
    return ctypes.CDLL(name, use_errno=True)


def function(handle: Any, name: str, result: str, arguments: str) -> Callable[..., Any]:
    """The function `name` of a library, typed by letters: v void, i int, u unsigned, l long, L unsigned long,
    Q 64 bits unsigned, p pointer, s bytes (or None)."""
    found = handle[name]
    found.restype = _LETTERS[result]
    found.argtypes = [_LETTERS[letter] for letter in arguments]
    return found  # type: ignore[no-any-return]


def bytes_at(address: int, size: int) -> bytes:
    """Memory that a library returned by pointer."""
    return ctypes.string_at(address, size)


def _syscall(name: str, number: int, arguments: str) -> Callable[..., int]:
    number = _OLD.get(name, -1) if number < 0 else number
    call = function(_libc, "syscall", "l", "l" + arguments)

    def invoke(*values: Any) -> int:
        result: int = call(number, *values)
        if result == -1:
            raise failure(ctypes.get_errno(), name)
        return result

    return invoke


def _checked(name: str, arguments: str) -> Callable[..., int]:
    call = function(_libc, name, "i", arguments)

    def invoke(*values: Any) -> int:
        result: int = call(*values)
        if result == -1:
            raise failure(ctypes.get_errno(), name)
        return result

    return invoke


def failure(number: int, what: str) -> OSError:
    """The OSError of an errno; `what` names the call or the object."""
    return OSError(number, ERROR_TEXT.get(number, f"error {number}"), what)


def path_bytes(path: str | bytes) -> bytes:
    """The path as bytes for the kernel; one with a NUL byte would silently name another file and is refused."""
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    if b"\0" in raw:
        raise failure(errno.EINVAL, "path with a NUL byte")
    return raw


# ---------------------------------------------------------------- files

_openat = _checked("openat", "isiu")
_openat2 = _syscall("openat2", 437, "lspL")
_mkdirat = _checked("mkdirat", "isu")
_mknodat = _checked("mknodat", "isuL")
_symlinkat = _checked("symlinkat", "sis")
_fstatfs = _checked("fstatfs", "ip")
_faccessat2 = _syscall("faccessat2", 439, "lsll")
_getcwd = _syscall("getcwd", -1, "pL")
_close_range = _syscall("close_range", 436, "LLL")
_fchownat = _checked("fchownat", "isuui")
_ioctl = _checked("ioctl", "iLp")
_syncfs = _checked("syncfs", "i")
fchdir = _checked("fchdir", "i")


def open_at(dirfd: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """openat(2): follows links as the kernel does; for trusted paths only, others go through scow.linux.paths."""
    return _openat(dirfd, path_bytes(path), flags | os.O_CLOEXEC, mode)


def openat2(dirfd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2). A rename or mount beside it makes the kernel answer EAGAIN: tried again, a bounded number of times."""
    how = ctypes.create_string_buffer(struct.pack("QQQ", flags | os.O_CLOEXEC, mode, resolve), 24)
    raw = path_bytes(path)
    for _ in range(64):
        try:
            return _openat2(dirfd, raw, ctypes.addressof(how), 24)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                raise
    raise failure(errno.EAGAIN, "openat2")


def mkdir_at(dirfd: int, name: str | bytes, mode: int) -> None:
    _mkdirat(dirfd, path_bytes(name), mode)


def mknod_at(dirfd: int, name: str | bytes, mode: int, device: int) -> None:
    _mknodat(dirfd, path_bytes(name), mode, device)


def symlink_at(target: str | bytes, dirfd: int, name: str | bytes) -> None:
    _symlinkat(path_bytes(target), dirfd, path_bytes(name))


def chown_fd(fd: int, uid: int, gid: int) -> None:
    """Change the owner of what `fd` refers to, O_PATH or not. -1 leaves a part as it is."""
    _fchownat(fd, b"", uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, AT_EMPTY_PATH)


def sync_filesystem(fd: int) -> None:
    """Write all of the filesystem that holds `fd` to disk (syncfs(2)); OSError when a write failed since its opening."""
    _syncfs(fd)


def filesystem_magic(fd: int) -> int:
    """The magic number of the filesystem that holds `fd`."""
    buffer = ctypes.create_string_buffer(256)
    _fstatfs(fd, ctypes.addressof(buffer))
    magic: int = struct.unpack_from("l", buffer)[0]
    return magic


def access_at(dirfd: int, path: bytes, mode: int) -> None:
    """Raise unless the effective user may access `path` with `mode` (os.X_OK, …)."""
    _faccessat2(dirfd, path, mode, AT_EACCESS)


def current_directory() -> bytes:
    """The kernel's name of the working directory; it does not start with / when it lies outside the root."""
    buffer = ctypes.create_string_buffer(4097)
    _getcwd(ctypes.addressof(buffer), 4096)
    return buffer.value


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    if first <= last:
        _close_range(first, last, flags)


def ioctl(fd: int, request: int, argument: bytes | int) -> int:
    """ioctl(2) with an input buffer or, for an int, the value itself as argument."""
    if isinstance(argument, int):
        return _ioctl(fd, request, argument)
    buffer = ctypes.create_string_buffer(argument, len(argument))
    return _ioctl(fd, request, ctypes.addressof(buffer))


# ---------------------------------------------------------------- mounts

_mount = _checked("mount", "sssLs")
_umount2 = _checked("umount2", "si")
_pivot_root = _syscall("pivot_root", -1, "ss")
_open_tree = _syscall("open_tree", 428, "lsL")
_move_mount = _syscall("move_mount", 429, "lslsL")
_fsopen = _syscall("fsopen", 430, "sL")
_fsconfig = _syscall("fsconfig", 431, "lLssl")
_fsmount = _syscall("fsmount", 432, "lLL")
_mount_setattr = _syscall("mount_setattr", 442, "lsLpL")


def mount(source: str | bytes, target: str | bytes, kind: str, flags: int = 0, data: bytes = b"") -> None:
    _mount(path_bytes(source), path_bytes(target), kind.encode(), flags, path_bytes(data) or None)


def umount2(target: str | bytes, flags: int = 0) -> None:
    _umount2(path_bytes(target), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    _pivot_root(path_bytes(new_root), path_bytes(put_old))


def open_tree(dirfd: int, path: str | bytes, flags: int) -> int:
    """A mount as an fd; with OPEN_TREE_CLONE a detached copy (AT_RECURSIVE: with what is mounted below)."""
    return _open_tree(dirfd, path_bytes(path), flags | os.O_CLOEXEC)


def move_mount(source: int, target: int, path: str | bytes = "") -> None:
    """Attach the mount behind `source` at `path` below `target`, or at `target` itself when path is empty."""
    to = MOVE_MOUNT_T_EMPTY_PATH if not path else 0
    _move_mount(source, b"", target, path_bytes(path), MOVE_MOUNT_F_EMPTY_PATH | to)


def fsopen(kind: str) -> int:
    return _fsopen(kind.encode(), 1)  # FSOPEN_CLOEXEC


def fsconfig_flag(fd: int, key: str) -> None:
    _fsconfig(fd, 0, path_bytes(key), None, 0)


def fsconfig_string(fd: int, key: str, value: str | bytes) -> None:
    _fsconfig(fd, 1, path_bytes(key), path_bytes(value), 0)


def fsconfig_create(fd: int) -> None:
    _fsconfig(fd, 6, None, None, 0)


def fsmount(fd: int, attributes: int = 0) -> int:
    return _fsmount(fd, 1, attributes)  # FSMOUNT_CLOEXEC


def mount_setattr(
    fd: int, *, set: int = 0, clear: int = 0, propagation: int = 0, recursive: bool = False, userns: int = 0
) -> None:
    """Change attributes of the mount behind `fd` (and of those below it); `userns` is an fd for MOUNT_ATTR_IDMAP."""
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", set, clear, propagation, userns), 32)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _mount_setattr(fd, b"", flags, ctypes.addressof(attributes), 32)


# ---------------------------------------------------------------- signals and sockets

_sigmask = _checked("pthread_sigmask", "ipp")
_rt_sigaction = function(_libc, "syscall", "l", "llppL")
_socketpair = _checked("socketpair", "iiip")
_EVERY_SIGNAL = ctypes.create_string_buffer(b"\xff" * 128, 128)
_NO_SIGNAL = ctypes.create_string_buffer(128)


def block_signals() -> Any:
    """Block every signal of this thread; returns the mask before, for `restore_signals`.

    The signal module's own call turns each number into an enum member, which touches a hundred pages of memory.
    """
    before = ctypes.create_string_buffer(128)
    _sigmask(2, ctypes.addressof(_EVERY_SIGNAL), ctypes.addressof(before))
    return before


def restore_signals(mask: Any = _NO_SIGNAL) -> None:
    """Set the signal mask; without one nothing is blocked."""
    _sigmask(2, ctypes.addressof(mask), None)


def default_signals() -> None:
    """Give every signal its default action, those that are ignored too: ignoring is inherited through execve.

    By the plain system call, because the C library does not let go of the two signals that it uses itself.
    """
    default = ctypes.create_string_buffer(32)
    address = ctypes.addressof(default)
    for number in range(1, 65):
        _rt_sigaction(_OLD["rt_sigaction"], number, address, None, 8)  # KILL and STOP answer EINVAL, which is fine


def socket_pair() -> tuple[int, int]:
    """Two connected SOCK_SEQPACKET sockets as plain fds."""
    fds = ctypes.create_string_buffer(8)
    _socketpair(1, 5 | 0o2000000, 0, ctypes.addressof(fds))  # AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC
    first, second = struct.unpack("ii", fds.raw)
    return first, second


# ---------------------------------------------------------------- processes and namespaces

_pythonapi = ctypes.pythonapi
_clone3 = function(ctypes.PyDLL(None, use_errno=True), "syscall", "l", "lpL")
_before_fork = function(_pythonapi, "PyOS_BeforeFork", "v", "")
_after_fork_parent = function(_pythonapi, "PyOS_AfterFork_Parent", "v", "")
_after_fork_child = function(_pythonapi, "PyOS_AfterFork_Child", "v", "")
_prctl = _checked("prctl", "iLLLL")
_setgroups = _syscall("setgroups", -1, "lp")
_setresgid = _syscall("setresgid", -1, "lll")
_setresuid = _syscall("setresuid", -1, "lll")
_capset = _syscall("capset", -1, "pp")
_seccomp = _syscall("seccomp", -1, "LLp")
_keyctl = _syscall("keyctl", -1, "lslll")
_bpf = _syscall("bpf", -1, "lpL")
_sethostname = _checked("sethostname", "sL")
_setdomainname = _checked("setdomainname", "sL")
_prlimit = _checked("prlimit", "iipp")
_pidfd_open = _syscall("pidfd_open", 434, "lL")
setns = _checked("setns", "ii")
unshare = _checked("unshare", "i")


def clone(flags: int, *, cgroup: int = -1) -> tuple[int, int]:
    """Fork with namespace flags. Returns (pid, pidfd) in the parent and (0, -1) in the child.

    The process must have one thread. The fork handlers of the C library do not run: the child may call into Python and
    the kernel until it executes another program, but must not use the C library's threads. With `cgroup`, an fd of a
    cgroup v2 directory, the child is born in that cgroup.
    """
    fd_slot = ctypes.c_int(-1)
    parent = flags & CLONE_PARENT  # the kernel takes no exit signal then: the child dies as its sibling does
    arguments = struct.pack(
        "QQQQQQQQQQQ",
        (flags | CLONE_PIDFD | (CLONE_INTO_CGROUP if cgroup >= 0 else 0)),
        ctypes.addressof(fd_slot),
        0,
        0,
        0 if parent else 17,  # SIGCHLD
        0,
        0,
        0,
        0,
        0,
        cgroup if cgroup >= 0 else 0,
    )
    buffer = ctypes.create_string_buffer(arguments, len(arguments))
    _before_fork()
    pid = _clone3(435, ctypes.addressof(buffer), len(arguments))
    if pid == 0:
        _after_fork_child()
        return 0, -1
    number = ctypes.get_errno()
    _after_fork_parent()
    if pid == -1:
        raise failure(number, "clone3")
    return pid, fd_slot.value


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    return _prctl(option, value, third, 0, 0)


def become(uid: int, gid: int, groups: Sequence[int]) -> None:
    """Set all user and group ids of this thread, supplementary groups included.

    By plain system calls: the C library's functions first signal every thread that it ever knew of, and in a child of
    `clone` they would wait for ever for one that was not copied.
    """
    packed = struct.pack(f"{len(groups)}I", *groups)
    buffer = ctypes.create_string_buffer(packed, max(len(packed), 1))
    _setgroups(len(groups), ctypes.addressof(buffer))
    _setresgid(gid, gid, gid)
    _setresuid(uid, uid, uid)


def become_mapped_root() -> None:
    """In a user namespace that was just entered or mapped: be its user and group 0."""
    _setresgid(0, 0, 0)
    _setresuid(0, 0, 0)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set this thread's capability sets, given as bit masks."""
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0), 8)  # _LINUX_CAPABILITY_VERSION_3
    low = 0xFFFFFFFF
    words = (effective & low, permitted & low, inheritable & low, effective >> 32, permitted >> 32, inheritable >> 32)
    data = ctypes.create_string_buffer(struct.pack("6I", *words), 24)
    _capset(ctypes.addressof(header), ctypes.addressof(data))


def seccomp_filter(program: bytes, flags: int) -> None:
    """Install a compiled filter (an array of struct sock_filter) on this thread."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    buffer = ctypes.create_string_buffer(header, len(header))
    _seccomp(SECCOMP_SET_MODE_FILTER, flags, ctypes.addressof(buffer))


def join_session_keyring(name: str) -> None:
    _keyctl(1, path_bytes(name), 0, 0, 0)  # KEYCTL_JOIN_SESSION_KEYRING


def sethostname(name: str) -> None:
    raw = path_bytes(name)
    _sethostname(raw, len(raw))


def setdomainname(name: str) -> None:
    raw = path_bytes(name)
    _setdomainname(raw, len(raw))


def set_limit(resource: int, soft: int, hard: int) -> None:
    """Set a resource limit of this process; all ones is unlimited."""
    new = ctypes.create_string_buffer(struct.pack("QQ", soft, hard), 16)
    _prlimit(0, resource, ctypes.addressof(new), None)


def get_limit(resource: int) -> tuple[int, int]:
    old = ctypes.create_string_buffer(16)
    _prlimit(0, resource, None, ctypes.addressof(old))
    soft, hard = struct.unpack("QQ", old.raw)
    return soft, hard


def pidfd_open(pid: int) -> int:
    return _pidfd_open(pid, 0)


def pidfd_send_signal(pidfd: int, number: int) -> None:
    _pidfd_send_signal(pidfd, number, None, 0)


_pidfd_send_signal = _syscall("pidfd_send_signal", 424, "llpL")


# ---------------------------------------------------------------- bpf


def bpf_load_device_filter(instructions: bytes) -> int:
    """Load an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE; returns its fd."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"Apache")
    attributes = struct.pack(
        "IIQQIIQ", 15, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0
    )
    buffer = ctypes.create_string_buffer(attributes, 128)
    return _bpf(5, ctypes.addressof(buffer), len(attributes))


def bpf_attach_device_filter(cgroup: int, program: int) -> None:
    """Attach a device filter to a cgroup directory fd; several may be attached, all must allow."""
    attributes = ctypes.create_string_buffer(struct.pack("IIII", cgroup, program, 6, 2), 64)
    _bpf(8, ctypes.addressof(attributes), 16)
