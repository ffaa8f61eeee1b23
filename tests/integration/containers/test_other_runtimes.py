"""Containers under runc and crun: by the same requests, with the same results."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import load_busybox
from tests.harness import contexts, streams
from tests.harness import registry as registries
from tests.harness.clients import await_true
from tests.harness.engine import Engine
from tests.harness.programs import ps_works

MB = 1 << 20
NAMES = ("runc", "crun")


def installed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module", params=NAMES)
def other(request: pytest.FixtureRequest, registry: registries.Registry) -> Iterator[Engine]:
    """A daemon whose default runtime is the external one."""
    path = installed(request.param)
    runtimes = {"mine": {"path": path, "runtimeArgs": ["--debug"]}, "gone": {"path": "/nosuch/runtime"}}
    engine = Engine(config={"runtimes": runtimes, "default-runtime": "mine"})
    try:
        engine.start()
        load_busybox(engine, registry)
        yield engine
    finally:
        engine.close()


@pytest.fixture(autouse=True)
def nothing_left(other: Engine) -> Iterator[None]:
    yield
    other.remove_all()
    await_true("no task is left", lambda: not list((other.exec_root / "tasks").iterdir()))


def test_what_the_daemon_tells_of_runtimes(other: Engine) -> None:
    info = other.api("GET", "/info").json()
    assert info["DefaultRuntime"] == "mine" and {"scow", "mine", "gone"} <= set(info["Runtimes"])
    assert info["Runtimes"]["mine"]["runtimeArgs"] == ["--debug"]
    for name in NAMES:
        assert (name in info["Runtimes"]) == bool(shutil.which(name))
    assert ("io.containerd.runc.v2" in info["Runtimes"]) == bool(shutil.which("runc"))
    answer = other.api("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Runtime": "nosuch"}})
    assert (answer.status, answer.message) == (400, "unknown or invalid runtime name: nosuch")
    identity = other.create(HostConfig={"Runtime": "gone"})
    answer = other.api("POST", f"/containers/{identity}/start")
    assert "OCI runtime create failed: unable to retrieve OCI runtime error" in answer.message
    assert 'exec: "/nosuch/runtime": no such file or directory' in answer.message
    assert other.inspect(identity)["State"]["ExitCode"] == 127
    for name in ("scow", "mine"):
        assert other.inspect(other.create(HostConfig={"Runtime": name}))["HostConfig"]["Runtime"] == name
    assert other.inspect(other.create())["HostConfig"]["Runtime"] == "mine"


def test_options_of_all_kinds(other: Engine) -> None:
    (other.base / "shared").mkdir(exist_ok=True)
    script = (
        "id -u; id -G; hostname; cat /proc/sys/kernel/domainname; ulimit -n; grep -E 'CapEff|NoNewPrivs|Seccomp:' "
        "/proc/self/status; touch /x /shared/x /new/x; wc -c < /proc/kcore; ls -l /dev/fuse | cut -c1; "
        "env | grep ^A=; pwd; exit 5"
    )
    identity = other.launch(
        Cmd=["sh", "-c", script],
        Hostname="hh",
        Domainname="example.org",
        User="1000:8",
        Env=["A=b c"],
        WorkingDir="/made/dir",
        HostConfig={
            "GroupAdd": ["55"],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Binds": [f"{other.base}/shared:/shared:ro"],
            "Tmpfs": {"/new": ""},
            "Ulimits": [{"Name": "nofile", "Soft": 99, "Hard": 99}],
            "Memory": 64 * MB,
            "PidsLimit": 30,
            "NanoCpus": 5 * 10**8,
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
            "Init": True,
        },
    )
    assert other.wait(identity) == 5
    out, err = streams.logs(other, identity)
    lines = out.decode().split("\n")
    assert lines[:5] == ["1000", "8 55", "hh", "example.org", "99"]
    assert {"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "A=b c", "/made/dir", "c"} <= set(lines[5:])
    assert b"/x: Permission denied" in err and b"/shared/x: Read-only file system" in err and b"/new/x" not in err


def test_a_life(other: Engine) -> None:
    """exec, terminal, pause, top, stats, update, copy, kill, start again, commit."""
    identity = other.launch("life", Cmd=["sh", "-c", "echo up; sleep 100"], Tty=True)
    assert streams.execute(other, "life", ["sh", "-c", "cat; id -u; exit 7"], User="1000")[0] == 7
    assert streams.execute(other, "life", ["no-such-command"])[0] == 126
    assert other.api("POST", "/containers/life/resize", query={"h": 21, "w": 43}).status == 200
    assert other.api("POST", "/containers/life/pause").status == 204
    assert other.inspect("life")["State"]["Paused"]
    assert other.api("POST", "/containers/life/unpause").status == 204
    assert not ps_works() or other.api("GET", "/containers/life/top").json()["Processes"]
    found = other.api("GET", "/containers/life/stats", query={"stream": "0", "one-shot": "1"}).json()
    assert found["memory_stats"]["usage"] and found["pids_stats"]["current"] >= 1
    body = {"Memory": 32 * MB, "MemorySwap": 32 * MB}
    assert other.api("POST", "/containers/life/update", body).status == 200
    assert streams.execute(other, "life", ["touch", "/made"])[0] == 0
    assert other.api("GET", "/containers/life/archive", query={"path": "/made"}).status == 200
    assert {"Path": "/made", "Kind": 1} in other.api("GET", "/containers/life/changes").json()
    assert other.api("POST", "/commit", {}, query={"container": "life", "repo": "made"}).status == 201
    other.api("POST", "/containers/life/kill")
    assert other.inspect("life")["State"]["ExitCode"] == 137  # it has ended when the kill is answered
    assert other.api("POST", "/containers/life/start").status == 204
    assert other.api("POST", "/containers/life/stop", query={"t": 0}).status == 204
    assert other.inspect(identity)["State"]["Status"] == "exited"
    assert other.wait(other.launch(image="made", Cmd=["test", "-e", "/made"])) == 0
    other.remove_all()
    other.api("DELETE", "/images/made")


def test_out_of_memory_health_and_restarts(other: Engine) -> None:
    hungry = other.launch(Cmd=["tail", "/dev/zero"], HostConfig={"Memory": 16 * MB, "MemorySwap": 16 * MB})
    assert other.wait(hungry) == 137 and other.inspect(hungry)["State"]["OOMKilled"]
    check = {"Test": ["CMD", "true"], "Interval": 50 * 10**6}
    other.launch("checked", Cmd=["sleep", "100"], Healthcheck=check)
    await_true("it is healthy", lambda: other.inspect("checked")["State"]["Health"]["Status"] == "healthy")
    other.launch("again", Cmd=["false"], HostConfig={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
    await_true("it has been tried", lambda: other.inspect("again")["State"]["Status"] == "exited")
    assert other.inspect("again")["RestartCount"] == 2
    gone = other.launch(Cmd=["true"], HostConfig={"AutoRemove": True})
    await_true("it is removed", lambda: other.api("GET", f"/containers/{gone}/json").status == 404)


def test_namespaces_of_another_container(other: Engine) -> None:
    other.launch("first", Cmd=["sleep", "77"], HostConfig={"IpcMode": "shareable"})
    modes = {f"{kind}Mode": "container:first" for kind in ("Network", "Pid", "Ipc")}
    assert streams.execute(other, "first", ["touch", "/dev/shm/shared"])[0] == 0
    address = other.inspect("first")["NetworkSettings"]["IPAddress"]
    script = "tr '\\0' ' ' < /proc/1/cmdline; ip addr show eth0; ls /dev/shm"
    for runtime in ("", "scow"):
        second = other.launch(Cmd=["sh", "-c", script], HostConfig={**modes, "Runtime": runtime})
        assert other.wait(second) == 0
        text = streams.logs(other, second)[0].decode()
        assert text.startswith("sleep 77 ") and address in text and text.endswith("\nshared\n")


@pytest.mark.usefixtures("needs_nftables")
def test_a_published_port(other: Engine) -> None:
    bindings: dict[str, Any] = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
    other.launch("web", Cmd=["httpd", "-f", "-h", "/etc"], ExposedPorts={"80/tcp": {}}, HostConfig=bindings)
    port = int(other.inspect("web")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])

    def answered() -> bool:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)):
                return False
            client.sendall(b"GET /passwd HTTP/1.0\r\n\r\n")
            return b"200 OK" in client.recv(4096)

    await_true("the server answers", answered)


def test_the_next_daemon_goes_on_with_it(other: Engine) -> None:
    other.launch("lives", Cmd=["sh", "-c", "while :; do echo tick; sleep 0.05; done"])
    pid = other.inspect("lives")["State"]["Pid"]
    other.kill9()
    before = Path(f"/proc/{pid}/stat").read_text().split()[21]  # when it was started
    other.start()
    assert other.inspect("lives")["State"]["Pid"] == pid
    assert Path(f"/proc/{pid}/stat").read_text().split()[21] == before
    code, out, _ = streams.execute(other, "lives", ["echo", "adopted"])
    assert (code, out) == (0, b"adopted\n")
    assert other.api("POST", "/containers/lives/stop", query={"t": 0}).status == 204
    assert other.inspect("lives")["State"]["ExitCode"] == 137


def test_a_build_uses_the_default_runtime(other: Engine) -> None:
    image = contexts.build(other, "FROM busybox\nRUN echo made > /made\n").image
    assert other.wait(other.launch(image=image, Cmd=["grep", "made", "/made"])) == 0
    other.remove_all()
    assert other.api("DELETE", f"/images/{image}").status == 200
