"""Capabilities: their names, the sets of a spec, and how a process lowers itself to them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scow.errors import InvalidArgument
from scow.linux import libc

NAMES: tuple[str, ...] = tuple(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
        "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)
"""Every capability, in the order of the kernel's numbers."""

_BIT = {name: 1 << number for number, name in enumerate(NAMES)}
SYS_ADMIN = _BIT["CAP_SYS_ADMIN"]
MKNOD = _BIT["CAP_MKNOD"]
SYS_RESOURCE = _BIT["CAP_SYS_RESOURCE"]


@dataclass(frozen=True, slots=True)
class CapabilitySets:
    """The five sets as bit masks."""

    bounding: int = 0
    effective: int = 0
    permitted: int = 0
    inheritable: int = 0
    ambient: int = 0


def mask(names: Iterable[str]) -> int:
    """The bits of capability names (CAP_CHOWN). InvalidArgument for a name that does not exist."""
    bits = 0
    for name in names:
        bit = _BIT.get(name)
        if bit is None:
            raise InvalidArgument(f"unknown capability {name!r}")
        bits |= bit
    return bits


def names(bits: int) -> list[str]:
    """The names of a mask, in the kernel's order."""
    return [name for name, bit in _BIT.items() if bits & bit]


def from_spec(spec: Mapping[str, list[str]] | None) -> CapabilitySets:
    """The sets of a spec's process.capabilities; an absent set is empty, an absent object drops everything.

    What this machine does not grant us is left out: Docker 26 does the same for --privileged.
    """
    spec = spec or {}
    have = granted()
    wanted = [
        mask(spec.get(key) or ()) & have for key in ("bounding", "effective", "permitted", "inheritable", "ambient")
    ]
    return CapabilitySets(*wanted)


_granted = -1


def granted() -> int:
    """The bounding set of this process at first use, which is before any container lowers it."""
    global _granted
    if _granted < 0:
        bits = 0
        for number in range(len(NAMES)):
            try:
                present = libc.prctl(libc.PR_CAPBSET_READ, number)
            except OSError:  # a kernel older than this capability
                break
            bits |= present << number
        _granted = bits
    return _granted


def drop_bounding(keep: int) -> None:
    """Take everything but `keep` out of the bounding set. Needs CAP_SETPCAP."""
    for number in range(granted().bit_length()):
        if granted() & ~keep & (1 << number):
            libc.prctl(libc.PR_CAPBSET_DROP, number)


def apply(sets: CapabilitySets, *, extra_effective: int = 0) -> None:
    """Make the sets of this thread exactly `sets`, plus `extra_effective` for a later step that still needs it."""
    libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_CLEAR_ALL)
    libc.capset(sets.effective | extra_effective, sets.permitted | extra_effective, sets.inheritable)
    bits = sets.ambient & sets.permitted & sets.inheritable
    for number in range(bits.bit_length()):
        if bits & (1 << number):
            libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_RAISE, number)
