"""Volumes of another file system or of a directory of the host: docker volume create -o type=… -o device=… -o o=…"""

from pathlib import Path

import pytest

from scow.volumes.attached import mounted
from tests.harness.clients import Clients, await_true
from tests.harness.contexts import context
from tests.harness.engine import Engine

TMPFS = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000"}
SLEEP = ["sleep", "1000"]


def make(engine: Engine, name: str, options: dict[str, str]) -> str:
    answer = engine.api("POST", "/volumes/create", {"Name": name, "DriverOpts": options})
    assert answer.status == 201, answer.body
    return str(engine.api("GET", f"/volumes/{name}").json()["Mountpoint"])


def using(name: str) -> dict[str, object]:
    return {"Binds": [f"{name}:/m"], "NetworkMode": "none"}


def test_a_tmpfs_is_shared_limited_and_gone_with_its_last_user(clean: Clients) -> None:
    place = make(clean, "t1", TMPFS)
    assert clean.api("GET", "/volumes/t1").json()["Options"] == TMPFS
    assert not mounted(place)
    clean.launch("c1", Cmd=["sh", "-c", "echo hey > /m/f; sleep 1000"], HostConfig=using("t1"))
    clean.launch("c2", Cmd=SLEEP, HostConfig=using("t1"))
    await_true("c1's file in c2", lambda: clean.out("exec", "c2", "cat", "/m/f") == "hey")
    assert clean.out("exec", "c2", "sh", "-c", "df -P /m | tail -1 | tr -s ' ' | cut -d' ' -f2") == "1024"
    assert clean.out("exec", "c2", "stat", "-c", "%u", "/m") == "1000"
    clean.api("POST", "/containers/c1/kill")
    clean.wait("c1")
    assert mounted(place)
    clean.api("DELETE", "/containers/c2", query={"force": "1"})
    assert not mounted(place)
    assert list(Path(place).iterdir()) == []


def test_a_directory_of_the_host_is_written_to_and_outlives_the_volume(clean: Clients, tmp_path: Path) -> None:
    place = make(clean, "b1", {"type": "none", "device": str(tmp_path), "o": "bind"})
    clean.launch("c1", Cmd=["sh", "-c", "echo hey > /m/f"], HostConfig=using("b1"))
    clean.wait("c1")
    assert (tmp_path / "f").read_text() == "hey\n"
    assert not mounted(place)
    clean.api("DELETE", "/containers/c1")
    assert clean.api("DELETE", "/volumes/b1").status == 204
    assert (tmp_path / "f").read_text() == "hey\n"


def test_a_read_only_directory_stays_so(clean: Clients, tmp_path: Path) -> None:
    make(clean, "b1", {"type": "none", "device": str(tmp_path), "o": "bind,ro"})
    clean.launch("c1", Cmd=["sh", "-c", "echo hey > /m/f"], HostConfig=using("b1"))
    assert clean.wait("c1") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"foo": "bar"}, 'create v1: invalid option: "foo"'),
        ({"type": "tmpfs"}, 'create v1: missing required option: "device"'),
        ({"device": "/x"}, 'create v1: missing required option: "type"'),
        ({"size": "1m"}, "create v1: quota size requested but no quota support"),
    ],
)
def test_options_that_make_no_sense(clean: Clients, options: dict[str, str], text: str) -> None:
    answer = clean.api("POST", "/volumes/create", {"Name": "v1", "DriverOpts": options})
    assert (answer.status, answer.json()["message"]) == (400, text)
    assert clean.api("GET", "/volumes/v1").status == 404


def test_what_cannot_be_mounted_fails_the_start_and_leaves_nothing(clean: Clients) -> None:
    place = make(clean, "v1", {"type": "none", "device": "/nosuchdir", "o": "bind"})
    clean.create("c1", Cmd=SLEEP, HostConfig=using("v1"))
    answer = clean.api("POST", "/containers/c1/start")
    assert answer.status == 500
    assert answer.json()["message"] == (
        f"error while mounting volume '{place}': failed to mount local volume: "
        f"mount /nosuchdir:{place}, flags: 0x1000: no such file or directory"
    )
    assert not mounted(place)


def test_a_daemon_that_was_killed_leaves_no_mount_in_the_end(fresh_daemon: Engine) -> None:
    place = make(fresh_daemon, "t1", TMPFS)
    fresh_daemon.launch("c1", Cmd=SLEEP, HostConfig=using("t1"))
    fresh_daemon.launch("c2", Cmd=["sleep", "2"], HostConfig=using("t1"))
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert mounted(place)
    fresh_daemon.wait("c2")
    assert mounted(place)
    fresh_daemon.api("POST", "/containers/c1/kill")
    fresh_daemon.wait("c1")
    assert not mounted(place)


def test_what_is_copied_into_a_container_that_does_not_run_is_in_the_volume(clean: Clients, tmp_path: Path) -> None:
    place = make(clean, "b2", {"type": "none", "device": str(tmp_path), "o": "bind"})
    clean.create("c1", Cmd=["cat", "/m/a"], HostConfig=using("b2"))
    sent = clean.api("PUT", "/containers/c1/archive", context({"a": "A\n"}), query={"path": "/m"})
    assert sent.status == 200, sent.body
    assert (tmp_path / "a").read_text() == "A\n"
    assert not mounted(place)
    clean.start_container("c1")
    assert clean.wait("c1") == 0
