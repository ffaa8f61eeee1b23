"""Limits that the kernel really keeps, asked for over the API and the command line, on the cgroups that are there."""

import os
from pathlib import Path
from typing import Any

import pytest

from scow.linux import cgroup
from tests.harness import streams
from tests.harness.clients import Clients, await_true

MB = 1 << 20
V2 = cgroup.is_v2()
KMSG = "1 11"
"""/dev/kmsg: whoever may write to a device may open it for writing, and nothing comes of it."""
OPENS = "{ : > /dev/odd; } 2>&1 && echo opened"


def stats(clients: Clients, name: str) -> Any:
    """One sample."""
    answer = clients.api("GET", f"/containers/{name}/stats", query={"stream": 0, "one-shot": 1})
    assert answer.status == 200, answer.body
    return answer.json()


def group(clients: Clients, name: str, controller: str) -> Path:
    """The container's directory of a controller."""
    pid = clients.inspect(name)["State"]["Pid"]
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    fields = [line.split(":", 2) for line in lines]
    if V2:
        return Path("/sys/fs/cgroup" + next(path for _, names, path in fields if not names))
    return Path(
        f"/sys/fs/cgroup/{controller}" + next(path for _, names, path in fields if controller in names.split(","))
    )


def weight_file() -> str:
    """The file of the weight of block I/O in a cgroup; "" where the kernel has none."""
    names = ("io.bfq.weight", "io.weight") if V2 else ("blkio.bfq.weight", "blkio.weight")
    made = cgroup.create(f"scowtest-weight-{os.getpid()}", {})
    try:
        (_, place) = next(view for view in made.views() if view[0] in ("", "blkio"))
        return next((name for name in names if os.path.exists(f"{place}/{name}")), "")
    except StopIteration:
        return ""
    finally:
        made.remove()


def said(clients: Clients, *args: str) -> str:
    """What `scow run --rm` of such a container says on both streams."""
    done = clients.scow("run", "--rm", *args)
    return done.stdout + done.stderr


# ---------------------------------------------------------------- memory


def test_more_memory_than_allowed_ends_in_a_kill(clean: Clients) -> None:
    done = clean.scow("run", "--name", "c1", "-m", "16m", "--memory-swap", "16m", "busybox", "tail", "/dev/zero")
    assert done.returncode == 137
    assert clean.out("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}", "c1") == (
        "true 137 exited"
    )


def test_as_much_memory_as_allowed_is_had_and_shown(clean: Clients) -> None:
    clean.launch(
        "c1",
        Cmd=["sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 && sleep 600"],
        HostConfig={"Memory": 64 * MB, "MemorySwap": 64 * MB},
    )
    kind = "shmem" if V2 else "total_cache"
    await_true("40 MB in use", lambda: stats(clean, "c1")["memory_stats"]["stats"][kind] >= 40 * MB)
    found = stats(clean, "c1")["memory_stats"]
    assert 40 * MB < found["usage"] < 64 * MB == found["limit"]


def test_more_memory_by_an_update(clean: Clients) -> None:
    """What was too much is not, once the limit is higher; and the other way round."""
    clean.launch("c1", Cmd=["sleep", "600"], HostConfig={"Memory": 16 * MB, "MemorySwap": 16 * MB, "ShmSize": 1 << 30})
    fill = ["dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=40"]
    for size, killed in ((64, False), (16, True)):
        clean.out("update", "-m", f"{size}m", "--memory-swap", f"{size}m", "c1")
        code, _, err = streams.execute(clean, "c1", fill)
        assert (code == 137) == killed, (size, code, err)
        streams.execute(clean, "c1", ["rm", "-f", "/dev/shm/x"])


# ---------------------------------------------------------------- processes


def test_a_bomb_of_forks_stops_at_its_limit(clean: Clients) -> None:
    clean.out("run", "-d", "--name", "c1", "--pids-limit", "12", "busybox", "sh", "-c", "sleep 600; true")
    bomb = "b() { b | b & }; b; for i in $(seq 99); do sleep 600 & done"
    code, _, err = streams.execute(clean, "c1", ["sh", "-c", bomb])
    assert code and b"can't fork" in err, (code, err)
    found = stats(clean, "c1")["pids_stats"]
    assert 2 <= found["current"] <= found["limit"] == 12
    assert (group(clean, "c1", "pids") / "pids.events").read_text() != "max 0\n"


def test_a_limit_of_processes_is_changed_while_it_runs(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "600"], HostConfig={"PidsLimit": 3})
    script = ["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 0.1 & done; wait"]
    assert b"can't fork" in streams.execute(clean, "c1", script)[2]
    clean.out("update", "--pids-limit", "40", "c1")
    assert streams.execute(clean, "c1", script)[::2] == (0, b"")


# ---------------------------------------------------------------- processors


def periods(clients: Clients, name: str) -> tuple[int, int, int]:
    """(periods, those in which it was held back, nanoseconds of a processor) so far."""
    found = stats(clients, name)["cpu_stats"]
    throttling = found["throttling_data"]
    return throttling["periods"], throttling["throttled_periods"], found["cpu_usage"]["total_usage"]


def test_a_quota_of_a_processor_is_kept(clean: Clients) -> None:
    """Counted in the kernel's own periods, so that a busy machine makes no difference."""
    clean.out("run", "-d", "--name", "c1", "--cpus", "0.2", "busybox", "sh", "-c", "while :; do :; done")
    for share in (0.2, 0.4):
        clean.out("update", "--cpus", str(share), "c1")
        first = periods(clean, "c1")
        await_true("ten periods", lambda first=first: periods(clean, "c1")[0] >= first[0] + 10)  # type: ignore[misc]
        passed, held, used = (now - before for now, before in zip(periods(clean, "c1"), first, strict=True))
        assert held > 0
        # a period and the slices of a processor that were handed out before count as well
        assert 0 < used <= (passed + 2) * share * 100_000_000 * 1.1, (share, passed, used)


def test_shares_are_weights(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "600"], HostConfig={"CpuShares": 512})
    file = group(clean, "c1", "cpu") / ("cpu.weight" if V2 else "cpu.shares")
    assert file.read_text().strip() == ("20" if V2 else "512")
    clean.out("update", "--cpu-shares", "2048", "c1")
    assert file.read_text().strip() == ("79" if V2 else "2048")


# ---------------------------------------------------------------- devices


def test_a_device_that_was_not_asked_for_is_denied(clean: Clients) -> None:
    """Also when the container makes its node."""
    assert "Operation not permitted" in said(clean, "busybox", "sh", "-c", f"mknod /dev/odd c {KMSG} && {OPENS}")


@pytest.mark.parametrize(
    ("access", "opened"), [("", True), (":w", True), (":rwm", True), (":r", False), (":rm", False)]
)
def test_a_device_that_was_asked_for(clean: Clients, access: str, opened: bool) -> None:
    text = said(clean, "--device", f"/dev/kmsg:/dev/odd{access}", "busybox", "sh", "-c", OPENS)
    assert ("opened" in text, "Operation not permitted" in text) == (opened, not opened), text


@pytest.mark.parametrize(
    ("rule", "opened"),
    [("c 1:11 w", True), ("c 1:* rwm", True), ("a *:* rwm", True), ("c 1:11 r", False), ("b 1:11 w", False)],
)
def test_a_rule_for_devices(clean: Clients, rule: str, opened: bool) -> None:
    text = said(clean, "--device-cgroup-rule", rule, "busybox", "sh", "-c", f"mknod /dev/odd c {KMSG} && {OPENS}")
    assert ("opened" in text) == opened, text


def test_an_exec_has_the_devices_of_its_container(clean: Clients) -> None:
    clean.out("run", "-d", "--name", "c1", "--device", "/dev/kmsg:/dev/odd:r", "busybox", "sleep", "600")
    assert "Operation not permitted" in clean.scow("exec", "c1", "sh", "-c", OPENS).stdout
    clean.out("run", "-d", "--name", "c2", "--privileged", "busybox", "sleep", "600")
    assert clean.out("exec", "c2", "sh", "-c", f"mknod /dev/odd c {KMSG} && {OPENS}") == "opened"


@pytest.mark.skipif(not V2, reason="cgroup version 1 takes processes in every group")
def test_a_container_that_has_divided_its_own_cgroup(clean: Clients) -> None:
    """As systemd or an engine does inside of one: the cgroup that an exec would join takes no processes any more."""
    divide = "cd /sys/fs/cgroup && mkdir a b && echo 1 >a/cgroup.procs && echo '+memory +pids' >cgroup.subtree_control"
    host = {"Privileged": True, "PidsLimit": 20}
    clean.launch("c1", Cmd=["sh", "-c", f"{divide} && touch /done && sleep 600"], HostConfig=host)
    await_true(
        "the division", lambda: clean.api("HEAD", "/containers/c1/archive", query={"path": "/done"}).status == 200
    )
    assert streams.execute(clean, "c1", ["cat", "/proc/self/cgroup"])[:2] == (0, b"0::/a\n")
    assert stats(clean, "c1")["pids_stats"] == {"current": 1, "limit": 20}
    clean.out("pause", "c1")
    clean.out("unpause", "c1")
    clean.out("kill", "c1")
    assert clean.wait("c1") == 137
    clean.start_container("c1")


# ---------------------------------------------------------------- standing still, block devices


def test_a_paused_container_uses_no_processor(clean: Clients) -> None:
    clean.out("run", "-d", "--name", "c1", "busybox", "sh", "-c", "while :; do :; done")
    clean.out("pause", "c1")
    assert clean.out("inspect", "-f", "{{.State.Status}} {{.State.Paused}}", "c1") == "paused true"
    place = group(clean, "c1", "freezer")
    assert (
        "frozen 1" in (place / "cgroup.events").read_text() if V2 else "FROZEN" in (place / "freezer.state").read_text()
    )
    used = periods(clean, "c1")[2]
    refused = clean.scow("exec", "c1", "true")
    assert refused.returncode == 1 and "is paused, unpause the container before exec" in refused.stderr
    assert periods(clean, "c1")[2] == used
    clean.out("unpause", "c1")
    await_true("work again", lambda: periods(clean, "c1")[2] > used)
    clean.out("pause", "c1")
    clean.out("rm", "-f", "c1")


def test_a_weight_of_block_io(clean: Clients) -> None:
    name = weight_file()
    if not name:
        pytest.skip("the kernel has no weights of block I/O (neither BFQ nor a cost model)")
    clean.launch("c1", Cmd=["sleep", "600"], HostConfig={"BlkioWeight": 300})
    file = group(clean, "c1", "blkio") / name
    assert file.read_text().split()[-1] == (str(1 + 290 * 9999 // 990) if name == "io.weight" else "300")


def test_a_weight_that_the_kernel_does_not_have_is_refused(clean: Clients) -> None:
    if weight_file():
        pytest.skip("the kernel has weights of block I/O")
    clean.create("c1", Cmd=["true"], HostConfig={"BlkioWeight": 300})
    answer = clean.api("POST", "/containers/c1/start")
    assert answer.status == 501 and "block IO weight" in answer.message, answer.body
