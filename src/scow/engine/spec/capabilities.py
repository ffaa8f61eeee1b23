"""Linux capabilities as Docker's users write them, turned into the exact set of a container."""

from collections.abc import Sequence

from scow.errors import InvalidArgument

# capabilities(7), by number
ALL = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP "
    "CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER "
    "CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE "
    "CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE "
    "CAP_AUDIT_CONTROL CAP_SETFCAP "
    "CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF "
    "CAP_CHECKPOINT_RESTORE"
).split()

DEFAULT = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_MKNOD CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SETFCAP "
    "CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL CAP_AUDIT_WRITE"
).split()


def normalise(names: Sequence[str], field: str) -> tuple[str, ...]:
    """Upper-case names with the CAP_ prefix; ALL stays ALL. `field` (CapAdd, CapDrop) is named in the error."""
    known = frozenset(ALL)
    result = []
    for name in names:
        word = name.strip().upper()
        if word != "ALL":
            word = word if word.startswith("CAP_") else f"CAP_{word}"
            if word not in known:
                raise InvalidArgument(f'invalid {field}: unknown capability: "{word}"')
        result.append(word)
    return tuple(result)


def resolve(add: Sequence[str], drop: Sequence[str], privileged: bool) -> list[str]:
    """The container's capabilities in kernel order. A drop of ALL goes first, an add of ALL wins but for named
    drops.
    """
    if privileged:
        return _possible(ALL)
    add, drop = normalise(add, "CapAdd"), normalise(drop, "CapDrop")
    if "ALL" in add:
        chosen = set(ALL) - set(drop)
    elif "ALL" in drop:
        chosen = set(add)
    else:
        chosen = (set(DEFAULT) - set(drop)) | set(add)
    return _possible([name for name in ALL if name in chosen])


def _possible(names: Sequence[str]) -> list[str]:
    """Without those that this process does not have itself: nobody can give what he has not (as Docker 26 does)."""
    have = _bounding()
    return [name for name in names if have >> ALL.index(name) & 1]


_bounding_cache: list[int] = []


def _bounding() -> int:
    if not _bounding_cache:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("CapBnd:"):
                    _bounding_cache.append(int(line.split()[1], 16))
    return _bounding_cache[0]
