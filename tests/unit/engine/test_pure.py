"""Pure parts of the engine: tables, names, signals, filters, diff, spec."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.engine.containers import attach, names, signals, start, top
from scow.engine.spec import build, capabilities, devices, resources, security
from scow.errors import Conflict, InvalidArgument
from scow.model import transitions
from scow.model.container import Container, ContainerConfig, HostConfig, Resources, Status, Ulimit
from scow.model.mounts import MountPoint

CONTAINER = Container(
    "1" * 64,
    "c",
    1,
    "sha256:" + "a" * 64,
    "busybox",
    ContainerConfig(hostname="h", env=("A=1",)),
    HostConfig(),
    path="sh",
)
AROUND = build.Surroundings("/data/containers/x", "/run/rootfs", "/scow/x")


def test_every_transition_leads_to_a_state_that_can_be_left_or_is_final() -> None:
    states = {state for state, _ in transitions.TRANSITIONS} | set(transitions.TRANSITIONS.values())
    assert states == {"created", "running", "paused", "restarting", "exited", "dead", "removing"}
    for state in states:
        assert any(origin == state for origin, _ in transitions.TRANSITIONS), state
    with pytest.raises(Conflict):
        transitions.advance(Status("created"), "pause")


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("SIGTERM", 15), ("sigkill", 9), ("1", 1), ("RTMIN+3", 37), ("RTMAX", 64), ("64", 64)],
)
def test_signals(text: str, number: int) -> None:
    assert signals.number(text) == number


@pytest.mark.parametrize(
    "text", ["", " ", "0", "FOO", "SIG", "SIG9", "RTMIN+40", "RTMAX+1", "99999999999999999999", "９"]
)
def test_bad_signals(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid signal: {re.escape(text)}$"):
        signals.number(text)


@pytest.mark.parametrize("value", [65, 99, -1, 32, 33, 10**17])
def test_numbers_that_are_no_signal(value: int) -> None:
    with pytest.raises(InvalidArgument, match=f"^the linux daemon does not support signal {value}$"):
        signals.number(str(value))


@given(st.text(max_size=12))
def test_signals_never_break(text: str) -> None:
    try:
        assert 0 < signals.number(text) <= 64
    except InvalidArgument:
        pass


def test_generated_names_are_valid() -> None:
    for _ in range(200):
        assert names.check(names.generate())


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", b"\x10\x11"), ("ctrl-a", b"\x01"), ("ctrl-p,ctrl-q", b"\x10\x11"), ("a,b", b"ab"), ("ctrl-@", b"\0")],
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert attach.detach_sequence(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A1", "abc", "ctrl-é"])
def test_bad_detach_keys(text: str) -> None:
    with pytest.raises(InvalidArgument):
        attach.detach_sequence(text)


def test_capabilities() -> None:
    have = capabilities.resolve((), (), True)
    assert set(capabilities.resolve((), (), False)) == set(capabilities.DEFAULT) & set(have)
    assert "CAP_SYS_ADMIN" in capabilities.resolve(("sys_admin",), (), False) or "CAP_SYS_ADMIN" not in have
    assert capabilities.resolve(("NET_ADMIN",), ("ALL",), False) in (["CAP_NET_ADMIN"], [])
    assert "CAP_CHOWN" not in capabilities.resolve(("ALL",), ("CHOWN",), False)


def test_spec_of_a_default_container() -> None:
    spec = build.build(CONTAINER, AROUND)
    assert spec["process"]["env"][-1] == "A=1"
    assert spec["process"]["env"][1] == "HOSTNAME=h"
    kinds = {item["type"] for item in spec["linux"]["namespaces"]}
    assert kinds == {"mount", "pid", "ipc", "uts", "cgroup", "network"}
    assert "inheritable" not in spec["process"]["capabilities"]
    assert spec["linux"]["maskedPaths"] == list(security.MASKED)
    assert spec["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    targets = [mount["destination"] for mount in spec["mounts"]]
    assert targets[:5] == ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup"]
    assert {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm", "/dev/mqueue"} <= set(targets)


def test_spec_of_a_privileged_container() -> None:
    spec = build.build(replace(CONTAINER, host=HostConfig(privileged=True)), AROUND)
    assert "seccomp" not in spec["linux"]
    assert spec["linux"]["maskedPaths"] == [] and spec["linux"]["readonlyPaths"] == []
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert next(m for m in spec["mounts"] if m["destination"] == "/sys")["options"][-1] == "rw"


def test_a_users_mount_replaces_the_engines() -> None:
    points = (MountPoint("bind", "/etc/hosts", "/h"), MountPoint("tmpfs", "/dev/shm"), MountPoint("bind", "/a", "/1"))
    spec = build.build(replace(CONTAINER, mount_points=points), AROUND)
    targets = [mount["destination"] for mount in spec["mounts"]]
    assert targets.count("/etc/hosts") == 1 and targets.count("/dev/shm") == 1
    assert targets.index("/a") < targets.index("/etc/hosts")  # parents first


def test_a_mount_on_etc_does_not_cover_the_files_of_names() -> None:
    spec = build.build(replace(CONTAINER, mount_points=(MountPoint("tmpfs", "/etc"),)), AROUND)
    targets = [mount["destination"] for mount in spec["mounts"]]
    assert targets[-4:] == ["/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]


def test_host_modes_leave_out_namespaces() -> None:
    host = HostConfig(pid_mode="host", ipc_mode="host", uts_mode="host", network_mode="host", cgroupns_mode="host")
    spec = build.build(replace(CONTAINER, host=host), replace(AROUND, shm_source="/dev/shm"))
    assert {item["type"] for item in spec["linux"]["namespaces"]} == {"mount"}
    assert spec["linux"]["sysctl"] == {}


def test_limits() -> None:
    found = resources.runtime_resources(
        Resources(memory=1 << 24, nano_cpus=1_500_000_000, pids_limit=-1, cpuset_cpus="0")
    )
    assert found == {
        "memory": {"limit": 1 << 24, "swap": 1 << 25},
        "cpu": {"period": 100000, "quota": 150000, "cpus": "0"},
        "pids": {"limit": -1},
    }
    entries, explicit = resources.rlimits(HostConfig(ulimits=(Ulimit("nofile", 1, 2),)), ("nofile=5:6", "core=0"))
    assert entries == [
        {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]
    assert explicit == ["RLIMIT_NOFILE"]


@pytest.mark.parametrize("text", ["c 1:3", "x 1:3 r", "c a:b r", "c 1:3 q", "c 1 r", ""])
def test_bad_device_rules(text: str) -> None:
    with pytest.raises(InvalidArgument):
        devices.rule(text)


def test_device_rule() -> None:
    assert devices.rule("c 10:* rw") == {"allow": True, "type": "c", "major": 10, "access": "rw"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), security.SecurityOptions()),
        (("no-new-privileges",), security.SecurityOptions(no_new_privileges=True)),
        (("no-new-privileges:false",), security.SecurityOptions()),
        (("seccomp=unconfined",), security.SecurityOptions(seccomp="unconfined")),
        (("systempaths=unconfined",), security.SecurityOptions(unmask_all=True)),
        (("apparmor=unconfined", "label=disable"), security.SecurityOptions()),
    ],
)
def test_security_options(options: tuple[str, ...], expected: security.SecurityOptions) -> None:
    assert security.parse(options) == expected


@pytest.mark.parametrize(
    "word", ["apparmor=docker-default", "label=type:x", "seccomp={", "seccomp=[]", "no-new-privileges=maybe", "x=y"]
)
def test_security_options_that_cannot_be_met_are_refused(word: str) -> None:
    with pytest.raises(InvalidArgument):
        security.parse((word,))


def test_exit_codes_of_start_failures() -> None:
    assert start.exit_code('exec: "x": executable file not found in $PATH') == 127
    assert start.exit_code('exec: "x": permission denied') == 126
    assert start.exit_code("something else") == 128


def test_top_reads_ps() -> None:
    text = "UID        PID  PPID CMD\nroot        10     1 sleep  60\nroot        11     1 other\n"
    assert top.parse(text, {"10"}) == top.TopResult(["UID", "PID", "PPID", "CMD"], [["root", "10", "1", "sleep  60"]])
    with pytest.raises(InvalidArgument, match="Couldn't find PID field in ps output"):
        top.parse("UID CMD\nroot x\n", {"10"})
