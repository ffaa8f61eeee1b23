"""What a default container looks like from the inside: as strict as Docker's, or stricter."""

import pytest

from tests.harness import streams
from tests.harness.clients import Clients
from tests.harness.engine import Engine

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write setfcap
DEFAULT_CAPABILITIES = "00000000a80425fb"

MASKED = [
    "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug",
    "/proc/scsi", "/sys/firmware",
]  # fmt: skip
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys"]


def inside(engine: Clients, script: str, **config: object) -> str:
    identity = engine.launch(Cmd=["sh", "-c", script], **config)
    engine.wait(identity)
    out, err = streams.logs(engine, identity)
    return (out + err).decode()


def status(engine: Clients, **host: object) -> dict[str, str]:
    text = inside(engine, "cat /proc/self/status", HostConfig=host)
    return {line.partition(":")[0]: line.partition(":")[2].strip() for line in text.splitlines()}


def test_capabilities_seccomp_and_privileges(clean: Clients) -> None:
    found = status(clean)
    assert found["CapBnd"] == found["CapPrm"] == found["CapEff"] == DEFAULT_CAPABILITIES
    assert int(found["CapInh"], 16) == 0
    assert int(found["CapAmb"], 16) == 0
    assert found["Seccomp"] == "2"
    assert found["NoNewPrivs"] == "0"


def test_no_new_privileges_on_request(clean: Clients) -> None:
    assert status(clean, SecurityOpt=["no-new-privileges"])["NoNewPrivs"] == "1"


def test_dropped_and_added_capabilities(clean: Clients) -> None:
    assert int(status(clean, CapDrop=["ALL"])["CapEff"], 16) == 0
    one = int(status(clean, CapDrop=["ALL"], CapAdd=["NET_BIND_SERVICE"])["CapEff"], 16)
    assert one == 1 << 10


def test_a_user_has_no_effective_capabilities(clean: Clients) -> None:
    text = inside(clean, "cat /proc/self/status; id -u", User="1000")
    found = {line.partition(":")[0]: line.partition(":")[2].strip() for line in text.splitlines()}
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
    assert text.splitlines()[-1] == "1000"


def test_only_the_three_descriptors_are_open(clean: Clients) -> None:
    # the fourth is ls's own, on the folder it reads
    assert inside(clean, "ls /proc/self/fd").split() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("path", MASKED)
def test_masked_paths_show_nothing(clean: Clients, path: str) -> None:
    script = f"test -e {path} || exit 0; if test -d {path}; then ls -A {path}; else head -c 20 {path}; fi"
    assert inside(clean, script) == ""


@pytest.mark.parametrize("path", READ_ONLY)
def test_read_only_paths_refuse_writes(clean: Clients, path: str) -> None:
    script = (
        f"test -e {path} || exit 0; if test -d {path}; then touch {path}/scow-probe; else echo h > {path}; fi "
        "&& echo WRITTEN"
    )
    assert "WRITTEN" not in inside(clean, script)


def test_the_cgroup_tree_is_read_only(scratch: Engine) -> None:
    # stricter than Docker on cgroup v1, where the tmpfs above the controllers can be written
    script = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/probe 2>/dev/null && echo $d; done; true"
    assert inside(scratch, script) == ""


def test_no_mount_shows_a_path_of_the_host_writable(clean: Clients) -> None:
    lines = inside(clean, "cat /proc/self/mountinfo").splitlines()
    writable = {line.split()[4] for line in lines if line.split()[5].split(",")[0] == "rw"}
    allowed = {"/", "/proc", "/dev", "/dev/pts", "/dev/mqueue", "/dev/shm"}
    if not isinstance(clean, Engine):
        allowed.add("/sys/fs/cgroup")
    allowed |= {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
    masks = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/latency_stats", "/proc/sched_debug"}
    assert writable <= allowed | masks, writable - allowed - masks


def test_namespaces_are_its_own(clean: Clients) -> None:
    identity = clean.launch(Cmd=["sleep", "60"])
    pid = clean.inspect(identity)["State"]["Pid"]
    kinds = ["mnt", "pid", "net", "uts", "ipc"]
    found = clean.run(["sh", "-c", f"cd /proc; for k in {' '.join(kinds)}; do readlink {pid}/ns/$k self/ns/$k; done"])
    lines = found.stdout.split()
    assert all(a != b for a, b in zip(lines[::2], lines[1::2], strict=True)), lines


def test_cgroup_namespace_is_private(clean: Clients) -> None:
    text = inside(clean, "cat /proc/self/cgroup", HostConfig={"CgroupnsMode": "private"})
    assert all(line.split(":", 2)[2] == "/" for line in text.splitlines()), text


def test_hostname_is_the_short_id(clean: Clients) -> None:
    identity = clean.launch(Cmd=["hostname"])
    clean.wait(identity)
    assert streams.logs(clean, identity)[0].decode().strip() == identity[:12]


def test_devices_are_the_default_ones(clean: Clients) -> None:
    found = set(inside(clean, "ls -A /dev").split()) - {"core"}  # there when the kernel has /proc/kcore
    assert found == {
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    }  # fmt: skip
    # a device that the container makes itself cannot be opened
    assert "not permitted" in inside(clean, "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk")


@pytest.mark.parametrize(
    "call",
    [
        "mount -t tmpfs none /mnt",
        "umount /proc",
        "unshare -m true",
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo b > /proc/sysrq-trigger",
        "adjtimex -t 10001",
        "hostname changed",
        "chroot / sh -c 'mount -o remount,rw /sys'",
    ],
)
def test_powerful_calls_are_refused(clean: Clients, call: str) -> None:
    assert inside(clean, f"mkdir -p /mnt; {call} && echo DONE").find("DONE") == -1
