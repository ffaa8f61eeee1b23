"""What a hostile container, image or request could make the engine do during a container's life; named by its CVE."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine
from tests.harness.programs import ps_works


def run(clients: Clients, script: str, **config: object) -> str:
    """What a container's shell says."""
    identity = clients.launch("", Cmd=["sh", "-c", script], Tty=True, **config)
    clients.wait(identity)
    return clients.api("GET", f"/containers/{identity}/logs", query={"stdout": 1}).body.decode()


def copy_in(clients: Clients, name: str, *files: tuple[str, bytes]) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        for path, data in files:
            item = tarfile.TarInfo(path)
            item.size, item.mode = len(data), 0o755
            made.addfile(item, io.BytesIO(data))
    headers = {"Content-Type": "application/x-tar"}
    answer = clients.api("PUT", f"/containers/{name}/archive", stream.getvalue(), query={"path": "/"}, headers=headers)
    assert answer.status == 200, answer


def test_cve_2022_1227_no_helper_comes_out_of_the_container(clean: Clients) -> None:
    """CVE-2022-1227: `top` executed what lies in the container."""
    clean.create("c1", Cmd=["sleep", "600"], Env=["PATH=/evil:/bin"])
    decoy = b"#!/bin/sh\necho ran >>/ran\n"
    copy_in(
        clean, "c1", *((f"{place}/{name}", decoy) for place in ("evil", "usr/bin") for name in ("ps", "nsenter", "du"))
    )
    clean.start_container("c1")
    for path in ("stats?stream=0&one-shot=1", "changes", "json?size=1"):
        assert clean.api("GET", f"/containers/c1/{path}").status == 200
    top = clean.api("GET", "/containers/c1/top")
    assert top.json()["Processes"][0][-1] == "sleep 600" if ps_works() else top.status == 400
    assert clean.api("HEAD", "/containers/c1/archive", query={"path": "/ran"}).status == 404


def test_cve_2015_3629_links_in_a_stopped_container_lead_nowhere(clean: Clients, tmp_path: Path) -> None:
    """CVE-2015-3629: what a container has put in the place of mount points is followed at its next start."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "file").write_text("host's")
    swap = f"mv /m /gone; ln -s {tmp_path} /m; rm -rf /w; ln -s {tmp_path} /w; touch /swapped; exec sleep 600"
    clean.launch("c1", Cmd=["sh", "-c", f"[ -e /swapped ] || {{ {swap}; }}"], WorkingDir="/w/new/dir",
                 HostConfig={"Binds": ["hostile1:/m/a/b"], "Tmpfs": {"/m/t": ""}})  # fmt: skip
    await_true(
        "the links", lambda: clean.api("HEAD", "/containers/c1/archive", query={"path": "/swapped"}).status == 200
    )
    clean.api("POST", "/containers/c1/kill")
    clean.wait("c1")
    clean.api("POST", "/containers/c1/start")
    clean.wait("c1")
    assert sorted(os.listdir(tmp_path)) == ["etc", "file"] and (tmp_path / "file").read_text() == "host's"
    clean.remove_all()
    clean.api("DELETE", "/volumes/hostile1")


def test_cve_2026_42306_mount_points_of_a_copy_are_made_inside(clean: Clients, tmp_path: Path) -> None:
    """CVE-2026-42306, GHSA-vp62-88p7-qqf5: the volumes that cp mounts into a stopped container land on the host."""
    clean.launch("c1", Cmd=["sh", "-c", f"echo v >/m/a/v; mv /m /gone; ln -s {tmp_path} /m; ln -s /gone /inside"],
                 HostConfig={"Binds": ["hostile1:/m/a", "hostile2:/m/b/c"]})  # fmt: skip
    assert clean.wait("c1") == 0
    for path, status in (("/m/a/v", 404), ("/inside", 200), ("/etc/hosts", 200)):
        assert clean.api("GET", "/containers/c1/archive", query={"path": path}).status == status
    copy_in(clean, "c1", ("inside/w", b"x"))
    assert os.listdir(tmp_path) == []
    clean.remove_all()
    for name in ("hostile1", "hostile2"):
        clean.api("DELETE", f"/volumes/{name}")


def test_cve_2024_3154_labels_reach_nothing_that_executes(scratch: Engine) -> None:
    """CVE-2024-3154: text of annotations became properties of systemd's."""
    labels = {
        "org.systemd.property.ExecStartPre": "marker-of-a-label",
        "io.kubernetes.cri-o.Devices": "marker-of-a-label",
    }
    identity = scratch.launch("c1", Cmd=["sleep", "600"], Labels=labels)
    spec = Path(scratch.exec_root) / "tasks" / identity / "config.json"
    assert b"marker-of-a-label" not in spec.read_bytes() and b"hooks" not in spec.read_bytes()


def test_cve_2014_5278_a_name_is_nobody_elses_id(clean: Clients) -> None:
    """CVE-2014-5278: the full id wins, and a name that is one does not take its place."""
    first = clean.create("c1")
    clean.api("POST", "/containers/create", {"Image": "busybox"}, query={"name": first})
    clean.api("POST", "/containers/create", {"Image": "busybox", "Labels": {"other": ""}}, query={"name": first[:12]})
    assert clean.inspect(first)["Name"] == "/c1"


@pytest.mark.parametrize(
    "config",
    [
        {"Hostname": "a\n1.2.3.4 evil"}, {"Domainname": "a\nevil"}, {"HostConfig": {"ExtraHosts": ["a\n1.2.3.4 evil:1.1.1.1"]}},
        {"HostConfig": {"Dns": ["1.1.1.1\nnameserver 6.6.6.6"]}}, {"HostConfig": {"DnsSearch": ["a\nnameserver 6.6.6.6"]}},
        {"HostConfig": {"DnsOptions": ["a\nnameserver 6.6.6.6"]}},
    ],
)  # fmt: skip
def test_cve_2022_4318_no_line_is_smuggled_into_the_files_of_names(clean: Clients, config: dict[str, object]) -> None:
    """CVE-2022-4318: a line break in a value wrote lines of its own."""
    answer = clean.api(
        "POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **config}, query={"name": "c1"}
    )
    assert answer.status == 400, answer


def test_cve_2021_41091_others_cannot_walk_into_the_data_root(scratch: Engine) -> None:
    """CVE-2021-41091, CVE-2021-41103, CVE-2024-25621: set-uid files of layers in directories that everybody may enter."""
    for root in (scratch.data_root, scratch.exec_root / "tasks"):
        assert Path(root).stat().st_mode & 0o007 == 0


def test_cve_2017_16539_and_cve_2018_10892_what_is_masked_is_empty(clean: Clients) -> None:
    """CVE-2017-16539, CVE-2018-10892, CVE-2020-8694: /proc/scsi, /proc/acpi, the power figures and their like."""
    clean.create("c1")
    masked = clean.inspect("c1")["HostConfig"]["MaskedPaths"]
    assert {"/proc/scsi", "/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware"} <= set(masked)
    assert "/sys/devices/virtual/powercap" in masked
    checks = " ".join(masked)
    script = f"for p in {checks}; do [ -d $p ] && ls -A $p; [ -f $p ] && cat $p; echo x >$p; done 2>/dev/null; echo end"
    assert run(clean, script).split() == ["end"]


def test_cve_2022_0185_no_user_namespace_of_its_own(clean: Clients) -> None:
    """CVE-2022-0185: what the kernel lets the root of a new user namespace do."""
    assert "not permitted" in run(clean, "unshare -U true; unshare -m true; mount -t tmpfs x /tmp")
    assert "not permitted" in run(clean, "unshare -U true", User="1000")


def test_cve_2024_3056_shared_memory_is_charged_and_bounded(clean: Clients) -> None:
    """CVE-2024-3056: memory that outlives its process is the container's all the same, and no more than it may have."""
    host = {"Memory": 32 << 20, "MemorySwap": 32 << 20, "ShmSize": 1 << 30, "Tmpfs": {"/t": "size=1g"}}
    for place in ("/dev/shm/x", "/t/x"):
        identity = clean.launch("", Cmd=["dd", "if=/dev/zero", f"of={place}", "bs=1M", "count=60"], HostConfig=host)
        assert clean.wait(identity) == 137 and clean.inspect(identity)["State"]["OOMKilled"]


def test_cve_2022_31030_output_without_end_is_not_kept(scratch: Engine) -> None:
    """CVE-2022-31030: the output of an exec and of a health check, kept in memory until there is none."""
    checks = {
        "Test": ["CMD-SHELL", "head -c 100000000 /dev/zero"],
        "Interval": 10**9,
        "Timeout": 20 * 10**9,
        "Retries": 1,
    }
    scratch.launch("c1", Cmd=["sleep", "600"], Healthcheck=checks)
    await_true("a check", lambda: scratch.inspect("c1")["State"]["Health"]["Log"], timeout=30)
    made = scratch.api("POST", "/containers/c1/exec", {"Cmd": ["head", "-c", "100000000", "/dev/zero"]}).json()["Id"]
    assert scratch.api("POST", f"/exec/{made}/start", {"Detach": True}).status == 200
    await_true("its end", lambda: not scratch.api("GET", f"/exec/{made}/json").json()["Running"], timeout=30)
    assert all(len(entry["Output"]) <= 8192 for entry in scratch.inspect("c1")["State"]["Health"]["Log"])
    high = [line for line in Path(f"/proc/{scratch.pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    assert int(high[0].split()[1]) < 150_000, json.dumps(high)
