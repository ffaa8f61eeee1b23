"""What a process finds inside a default container."""

import os

import pytest

from scow.errors import InvalidArgument, ScowError
from scow.linux import capabilities, cgroup, libc
from scow.oci.seccomp_default import default_profile
from tests.integration.runtime.harness import DEFAULT_CAPABILITIES, Area, default_spec


def status(text: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def test_capabilities_seccomp_and_signals(area: Area) -> None:
    """CVE-2022-24769 and its family: no inheritable or ambient set, ever."""
    spec = default_spec(["cat", "/proc/self/status"])
    spec["linux"]["seccomp"] = default_profile(set(DEFAULT_CAPABILITIES), "amd64")
    found = status(area.run(spec).out)
    mask = f"{capabilities.mask(DEFAULT_CAPABILITIES):016x}"
    assert (found["CapBnd"], found["CapPrm"], found["CapEff"]) == (mask, mask, mask) == ("00000000a80425fb",) * 3
    assert found["CapInh"] == found["CapAmb"] == "0" * 16
    assert (found["Seccomp"], found["Seccomp_filters"], found["NoNewPrivs"]) == ("2", "1", "0")
    assert found["Umask"] == "0022"
    assert found["SigIgn"] == found["SigBlk"] == "0" * 16
    assert (found["Pid"], found["PPid"]) == ("1", "0")


@pytest.mark.parametrize("user", ["0", "app", "1000:0", "4000"])
@pytest.mark.parametrize("names", [[], ["CAP_NET_ADMIN"], list(capabilities.NAMES)])
@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_capability_matrix(area: Area, user: str, names: list[str], no_new_privileges: bool) -> None:
    """CVE-2016-8867, CVE-2018-10856: only root holds capabilities, only in three sets, in init and exec alike."""
    spec = default_spec(["cat", "/proc/self/status"])
    spec["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), names)
    spec["process"]["user"] = {"username": user}
    spec["process"]["noNewPrivileges"] = no_new_privileges
    spec["linux"]["seccomp"] = default_profile(set(names), "amd64")
    texts = [area.run(spec).out]
    spec["process"]["args"] = ["sleep", "100"]
    running = area.start(spec)
    texts.append(running.execute(["cat", "/proc/self/status"]).out)
    running.kill()
    bounding = capabilities.mask(names) & capabilities.granted()
    held = bounding if user == "0" else 0
    for text in texts:
        found = status(text)
        assert int(found["CapBnd"], 16) == bounding
        assert (int(found["CapEff"], 16), int(found["CapPrm"], 16)) == (held, held)
        assert found["CapInh"] == found["CapAmb"] == "0" * 16
        assert found["Seccomp"] == "2" and found["NoNewPrivs"] == str(int(no_new_privileges))


def test_ambient_when_the_spec_asks(area: Area) -> None:
    spec = default_spec(["cat", "/proc/self/status"])
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    spec["process"]["capabilities"] = {
        key: ["CAP_NET_BIND_SERVICE"] for key in ("bounding", "effective", "permitted", "inheritable", "ambient")
    }
    found = status(area.run(spec).out)
    assert found["CapAmb"] == found["CapEff"] == f"{1 << 10:016x}"


def test_only_three_fds(area: Area) -> None:
    """CVE-2024-21626: no fd of the engine's, in init and in exec."""
    leak = os.open("/", os.O_RDONLY)
    os.set_inheritable(leak, True)
    high = os.open("/etc", os.O_RDONLY)
    os.dup2(high, 200, inheritable=True)
    try:
        running = area.start(default_spec(["sleep", "100"]))
        for pid in (running.pid,):
            assert sorted(os.listdir(f"/proc/{pid}/fd"), key=int) == ["0", "1", "2"]
        seen = running.execute(["sh", "-c", "ls -l /proc/$$/fd"]).out
        assert seen.count("->") == 3, seen
        running.kill()
    finally:
        for fd in (leak, high, 200):
            os.close(fd)


def test_namespaces_and_names(area: Area) -> None:
    running = area.start(default_spec(["sleep", "100"], domainname="example.test"))
    for name in "mnt net uts pid ipc cgroup".split():
        assert os.stat(f"/proc/{running.pid}/ns/{name}").st_ino != os.stat(f"/proc/self/ns/{name}").st_ino
    assert os.stat(f"/proc/{running.pid}/ns/user").st_ino == os.stat("/proc/self/ns/user").st_ino
    out = running.execute(["sh", "-c", "hostname; cat /proc/sys/kernel/domainname; cat /proc/1/cgroup; echo $$"]).out
    running.kill()
    lines = out.splitlines()
    assert lines[:2] == ["scowtest", "example.test"]
    assert {line.rpartition(":")[2] for line in lines[2:-1]} == {"/"}


def test_absent_namespaces_are_the_hosts(area: Area) -> None:
    spec = default_spec(["sleep", "100"])
    spec["hostname"] = ""
    spec["linux"]["sysctl"] = {}
    spec["linux"]["namespaces"] = [{"type": "mount"}]
    running = area.start(spec)
    for name in "net uts pid ipc cgroup".split():
        assert os.stat(f"/proc/{running.pid}/ns/{name}").st_ino == os.stat(f"/proc/self/ns/{name}").st_ino
    running.kill()


def test_joined_namespaces(area: Area) -> None:
    first = area.start(default_spec(["sleep", "100"]))
    spec = default_spec(["sh", "-c", "ps; sleep 100"])
    del spec["hostname"]
    spec["linux"]["sysctl"] = {}
    for item in spec["linux"]["namespaces"]:
        if item["type"] in ("pid", "network", "ipc", "uts"):
            item["path"] = f"/proc/{first.pid}/ns/{item['type'].replace('network', 'net')}"
    second = area.start(spec)
    for name in "net uts pid ipc".split():
        assert os.stat(f"/proc/{first.pid}/ns/{name}").st_ino == os.stat(f"/proc/{second.pid}/ns/{name}").st_ino
    assert os.stat(f"/proc/{first.pid}/ns/mnt").st_ino != os.stat(f"/proc/{second.pid}/ns/mnt").st_ino
    assert "sleep 100" in second.execute(["ps"]).out
    seen = second.execute(
        ["cat", "/proc/self/status", "/proc/1/cmdline"]
    ).out  # its own namespace's procfs, not the host's
    assert seen.endswith("sleep\x00100\x00") and "NSpid:\t" in seen
    assert str(os.getpid()) not in second.execute(["ls", "/proc"]).out.split()
    assert int(open(f"/proc/{second.pid}/status").read().split("PPid:")[1].split()[0]) == os.getpid()
    second.kill()
    first.kill()


def test_netns_by_fd(area: Area) -> None:
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc.unshare(libc.CLONE_NEWNET)
    made = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc.setns(own, libc.CLONE_NEWNET)
    running = area.start(default_spec(["sleep", "100"]), netns=made)
    assert os.stat(f"/proc/{running.pid}/ns/net").st_ino == os.fstat(made).st_ino
    assert running.execute(["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]).out == "0\n"
    running.kill()
    os.close(own)
    os.close(made)


def test_masked_and_read_only_paths(area: Area) -> None:
    """CVE-2025-31133, CVE-2015-3630: from the engine's own source, empty, and nothing below is writable."""
    spec = default_spec(["sleep", "100"])
    running = area.start(spec)
    for path in spec["linux"]["maskedPaths"]:
        script = f"[ -e {path} ] || exit 0; if [ -d {path} ]; then ls -A {path}; else cat {path}; echo x > {path}; fi"
        result = running.execute(["sh", "-c", script])
        assert result.out == "", (path, result)
        assert not os.path.isfile(path) or "Read-only file system" in result.err
    for path in spec["linux"]["readonlyPaths"]:
        result = running.execute(["sh", "-c", f"[ -e {path} ] && mkdir {path}/x"])
        assert result.code != 0 and result.out == "", (path, result)
    out = running.execute(["cat", "/proc/self/mountinfo"]).out
    read_only = {line.split()[4] for line in out.splitlines() if "ro" in line.split()[5].split(",")}
    assert {path for path in spec["linux"]["readonlyPaths"] if os.path.exists(path)} <= read_only
    result = running.execute(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
    assert "Read-only file system" in result.err
    running.kill()


def test_cgroupfs_is_read_only(area: Area) -> None:
    """CVE-2023-25809, CVE-2022-0492."""
    script = "cd /sys/fs/cgroup; mkdir x; for d in . *; do mkdir $d/x; echo 0 > $d/cgroup.procs; echo 1 > $d/release_agent; done"
    result = area.sh(script)
    assert result.out == "" and "File exists" not in result.err
    assert area.sh("ls /sys/fs/cgroup/*/x /sys/fs/cgroup/x 2>/dev/null").out == ""
    listing = area.sh("ls /sys/fs/cgroup").out.split()
    assert ("cgroup.procs" in listing) if cgroup.is_v2() else ("memory" in listing and "unified" not in listing)


def test_devices(area: Area) -> None:
    running = area.start(default_spec(["sleep", "100"]))
    out = running.execute(["sh", "-c", "cd /dev; stat -c '%n %F %a %t:%T' null zero full random urandom tty; ls"]).out
    assert "null character special file 666 1:3" in out and "tty character special file 666 5:0" in out
    assert set(out.splitlines()[6:]) == set(
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    )
    script = "mknod /tmp/disk b 254 0 && dd if=/tmp/disk of=/dev/null bs=1 count=1"
    assert "Operation not permitted" in running.execute(["sh", "-c", script]).err
    assert running.execute(["sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr"]).out == "out\n"
    running.kill()


def test_devices_of_the_spec(area: Area) -> None:
    spec = default_spec(["stat", "-c", "%n %F %a %t:%T %u:%g", "/dev/sub/fuse", "/dev/pipe"])
    spec["linux"]["devices"] = [
        {"path": "/dev/sub/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
        {"path": "/dev/pipe", "type": "p"},
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3},
    ]
    assert area.run(spec).out == "/dev/sub/fuse character special file 640 a:e5 5:6\n/dev/pipe fifo 666 0:0 0:0\n"


def test_not_dumpable_and_new_session(area: Area) -> None:
    running = area.start(default_spec(["sleep", "100"]))
    fields = open(f"/proc/{running.pid}/stat").read().rpartition(")")[2].split()
    assert fields[2] == fields[3] == str(running.pid)  # group and session of its own
    running.kill()


def test_sysctls(area: Area) -> None:
    spec = default_spec(["cat", "/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_forward"])
    spec["linux"]["sysctl"] = {"kernel.msgmax": "4321", "net.ipv4.ip_forward": "1"}
    assert area.run(spec).out == "4321\n1\n"


@pytest.mark.parametrize("key", ["net.ipv4.nosuch", "net.ipv4/../../kernel/x", "", "/etc/x", "kernel.hostname\0x"])
def test_bad_sysctls(area: Area, key: str) -> None:
    """CVE-2022-0811: one file each, below /proc/sys, or nothing."""
    spec = default_spec(["true"])
    spec["linux"]["sysctl"] = {key: "1"}
    with pytest.raises(ScowError, match="/proc/sys|NUL|not in a separate kernel namespace"):
        area.run(spec)


@pytest.mark.parametrize("key", ["net.ipv4.ip_forward", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"])
@pytest.mark.parametrize("form", ["absent", "path"])
def test_settings_of_the_host_are_refused(area: Area, key: str, form: str) -> None:
    spec = default_spec(["true"], hostname="")
    spec["linux"]["sysctl"] = {key: "1"}
    kinds = {"mount": "", "network": "net", "uts": "uts", "ipc": "ipc"}
    spec["linux"]["namespaces"] = [
        {"type": kind, **({"path": f"/proc/self/ns/{name}"} if name else {})}
        for kind, name in kinds.items()
        if form == "path" or not name
    ]
    with pytest.raises(InvalidArgument, match="not allowed in host"):
        area.run(spec)


def test_user_namespace(area: Area) -> None:
    spec = default_spec(
        ["sh", "-c", "id -u; cat /proc/self/uid_map; ls -l /dev/null; echo x > /dev/null; cat /dev/full | head -c 1"]
    )
    spec["linux"]["namespaces"].append({"type": "user"})
    spec["linux"]["sysctl"] = {}
    for key in ("uidMappings", "gidMappings"):
        spec["linux"][key] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for directory, _, _ in os.walk(area.path):
        os.chmod(directory, 0o755)
    root, mounts = area.rootfs()
    for name in ("upper", "work"):
        os.chown(f"{os.path.dirname(root)}/{name}", 100000, 100000)
    result = area.run(spec, root=(root, mounts))
    assert result.out.splitlines()[0] == "0" and "100000" in result.out.splitlines()[1], result
    assert result.code == 0 and "crw" in result.out, result
