"""The archive endpoints: what cp reads and writes in containers that run, stand still or do not run; and hostile ones."""

import base64
import io
import json
import os
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.clients import Clients, Response, await_true
from tests.harness.engine import Engine

FILE, LINK, DIRECTORY = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE
SETUP = (
    "mkdir -p /d/sub; echo hi >/d/f; ln /d/f /d/hard; ln -s f /d/l; mkfifo /d/p; chmod 4755 /d/f; "
    "ln -s /etc /dlink; ln -s /nosuch /dang; ln -s loop /loop; echo v >/vol/v; touch /ready; exec sleep 600"
)


def get(clients: Clients, name: str, path: str, method: str = "GET") -> Response:
    return clients.api(method, f"/containers/{name}/archive", query={"path": path})


def put(clients: Clients, name: str, path: str, data: bytes, **more: Any) -> Response:
    headers = {"Content-Type": "application/x-tar"}
    return clients.api("PUT", f"/containers/{name}/archive", data, query={"path": path, **more}, headers=headers)


def path_stat(answer: Response) -> Any:
    return json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))


def members(answer: Response) -> dict[str, tarfile.TarInfo]:
    assert answer.status == 200, answer
    return {item.name: item for item in tarfile.open(fileobj=io.BytesIO(answer.body)).getmembers()}


def content(answer: Response) -> bytes:
    assert answer.status == 200, answer
    archive = tarfile.open(fileobj=io.BytesIO(answer.body))
    stream = archive.extractfile(archive.getmembers()[0])
    assert stream is not None
    return stream.read()


def tar(*items: tuple[str, bytes, str, bytes], uid: int = 12, compressed: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compressed}") as made:  # type: ignore[call-overload]
        for name, kind, target, data in items:
            item = tarfile.TarInfo(name)
            item.type, item.linkname, item.size, item.uid, item.gid = kind, target, len(data), uid, 34
            made.addfile(item, io.BytesIO(data))
    return stream.getvalue()


def container(clients: Clients, state: str) -> None:
    clients.launch("c1", Cmd=["sh", "-c", SETUP], HostConfig={"Binds": ["archive1:/vol", "archive2:/ro:ro"]})
    await_true("the files", lambda: get(clients, "c1", "/ready", "HEAD").status == 200)
    if state == "paused":
        clients.api("POST", "/containers/c1/pause")
    elif state == "stopped":
        clients.api("POST", "/containers/c1/kill")
        clients.wait("c1")


@pytest.fixture
def volumes(clean: Clients) -> Any:
    yield clean
    clean.remove_all()
    for name in ("archive1", "archive2"):
        clean.api("DELETE", f"/volumes/{name}")


@pytest.mark.parametrize("state", ["running", "paused", "stopped"])
def test_what_is_read_and_written_in_every_state(volumes: Clients, state: str) -> None:
    clients = volumes
    container(clients, state)
    found = path_stat(get(clients, "c1", "/d/f", "HEAD"))
    assert (found["name"], found["size"], found["mode"], found["linkTarget"]) == ("f", 3, 1 << 23 | 0o755, "")
    assert path_stat(get(clients, "c1", "/dlink", "HEAD"))["linkTarget"] == "/etc"
    assert path_stat(get(clients, "c1", "/dang", "HEAD"))["linkTarget"] == "/nosuch"
    assert path_stat(get(clients, "c1", "/dlink/.", "HEAD"))["name"] == "."
    tree = members(get(clients, "c1", "/d"))
    assert sorted(tree) == ["d", "d/f", "d/hard", "d/l", "d/p", "d/sub"]
    assert tree["d/hard"].linkname == "d/f" and tree["d/l"].linkname == "f" and tree["d/f"].mode == 0o4755
    assert sorted(members(get(clients, "c1", "/d/."))) == [".", "./f", "./hard", "./l", "./p", "./sub"]
    assert content(get(clients, "c1", "/vol/v")) == b"v\n"  # what is mounted is seen
    assert b"localhost" in content(get(clients, "c1", "/etc/hosts"))
    assert list(members(get(clients, "c1", "/dlink"))) == ["dlink"]
    assert put(clients, "c1", "/d/sub", tar(("n/m", FILE, "", b"new"), compressed="gz")).status == 200
    assert put(clients, "c1", "/dlink", tar(("through", FILE, "", b"x"))).status == 200
    assert put(clients, "c1", "/vol", tar(("w", FILE, "", b"x"))).status == 200
    made = members(get(clients, "c1", "/d/sub/n"))["n/m"]
    assert (made.uid, made.gid, made.size) == (12, 34, 3)
    assert content(get(clients, "c1", "/etc/through")) == content(get(clients, "c1", "/vol/w")) == b"x"
    refusals = {
        ("GET", "/nosuch"): (404, "Could not find the file /nosuch in container c1"),
        ("GET", "/dang/"): (404, "Could not find the file /dang/ in container c1"),
        ("GET", "/d/f/"): (500, "lstat /d/f/: not a directory"),
        ("GET", "/loop"): (500, "evalSymlinksInScope: too many links in /loop"),
        ("GET", "/loop/x"): (500, "lstat /loop/x: too many levels of symbolic links"),
        ("GET", "/proc/1"): (404, "Could not find the file /proc/1 in container c1"),
        ("GET", ""): (400, "bad parameter: pathcannot be empty"),
        ("PUT", "/nosuch"): (404, "Could not find the file /nosuch in container c1"),
        ("PUT", "/d/f"): (500, "extraction point is not a directory"),
        ("PUT", "/ro"): (500, "mounted volume is marked read-only"),
    }
    for (method, path), wanted in refusals.items():
        answer = get(clients, "c1", path) if method == "GET" else put(clients, "c1", path, tar(("x", FILE, "", b"")))
        assert (answer.status, answer.message) == wanted, (method, path)
    answer = put(clients, "c1", "/etc", tar(("hosts", FILE, "", b"mine")))
    assert (answer.status, answer.message) == (500, "unlinkat /etc/hosts: device or resource busy")
    if state == "stopped":  # nothing of the mounts is left in the way
        clients.start_container("c1")


def test_before_the_first_start_with_a_read_only_root_and_a_user(clean: Clients) -> None:
    clean.create("c1", Cmd=["cat", "/tmp/f"], User="daemon")
    assert put(clean, "c1", "/tmp", tar(("f", FILE, "", b"early")), copyUIDGID=1).status == 200
    made = members(get(clean, "c1", "/tmp/f"))["f"]
    assert (made.uid, made.gid) == (1, 1)
    clean.create("c2", Cmd=["true"], HostConfig={"ReadonlyRootfs": True, "Binds": ["archive1:/vol"]})
    answer = put(clean, "c2", "/tmp", tar(("f", FILE, "", b"")))
    assert (answer.status, answer.message) == (500, "container rootfs is marked read-only")
    assert put(clean, "c2", "/vol", tar(("f", FILE, "", b""))).status == 200
    clean.start_container("c1")
    assert clean.wait("c1") == 0
    clean.remove_all()
    clean.api("DELETE", "/volumes/archive1")


def test_a_directory_and_a_file_do_not_take_each_others_place_unasked(clean: Clients) -> None:
    clean.create("c1")
    assert put(clean, "c1", "/", tar(("d/f", FILE, "", b""))).status == 200
    answer = put(clean, "c1", "/", tar(("d", FILE, "", b"")), noOverwriteDirNonDir="true")
    assert (answer.status, answer.message) == (500, 'cannot overwrite directory "/d" with non-directory "/"')
    answer = put(clean, "c1", "/d", tar(("f", DIRECTORY, "", b"")), noOverwriteDirNonDir="1")
    assert (answer.status, answer.message) == (500, 'cannot overwrite non-directory "/d/f" with directory "/d"')
    assert put(clean, "c1", "/", tar(("d", FILE, "", b"x"))).status == 200
    assert content(get(clean, "c1", "/d")) == b"x"


def test_copies_are_told(clean: Clients) -> None:
    clean.create("c1")
    since = time.time()
    put(clean, "c1", "/", tar(("f", FILE, "", b"")))
    get(clean, "c1", "/f")
    query = {"since": f"{since:.9f}", "until": f"{time.time():.9f}", "filters": json.dumps({"container": ["c1"]})}
    found = [json.loads(line)["Action"] for line in clean.api("GET", "/events", query=query).body.splitlines()]
    assert found == ["extract-to-dir", "archive-path"]


def test_a_copy_from_a_stopped_container_holds_its_start_and_nothing_else(clean: Clients) -> None:
    """A client that reads slowly: the container itself waits, everything else goes on."""
    clean.launch("c1", Cmd=["sh", "-c", "dd if=/dev/zero of=/big bs=1M count=80 2>/dev/null"])
    assert clean.wait("c1") == 0
    connection = clean.connect()
    connection.request("GET", "/v1.45/containers/c1/archive?path=/big")
    answer = connection.getresponse()
    assert answer.read(1000)
    started = threading.Thread(target=clean.api, args=("POST", "/containers/c1/start"))
    started.start()
    clean.launch("c2", Cmd=["true"])
    assert clean.wait("c2") == 0 and clean.inspect("c1")["State"]["Status"] == "exited"
    assert len(clean.api("GET", "/containers/json", query={"all": 1}).json()) == 2
    connection.close()  # a client that leaves
    started.join(20)
    assert not started.is_alive()
    clean.wait("c1")


# ---------------------------------------------------------------- hostile containers


def test_cve_2018_15664_a_link_swapped_under_a_copy_never_leads_to_the_host(clean: Clients, tmp_path: Path) -> None:
    """CVE-2018-15664: a process exchanges a directory and a link to the host's path while the engine resolves it."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "host").write_text("host's")
    here = str(secret)
    race = (
        f"mkdir -p /a{here}; echo container >/a{here}/host; ln -s / /b; mkdir -p {here}; echo container >{here}/host; "
    )
    swap = "while :; do mv /a /c; mv /b /a; mv /a /b; mv /c /a; done"
    clean.launch("c1", Cmd=["sh", "-c", race + swap])
    seen = set()
    for number in range(60):
        answer = get(clean, "c1", f"/a{here}/host")
        if answer.status == 200:
            seen.add(content(answer))
        put(clean, "c1", f"/a{here}", tar((f"written{number}", FILE, "", b"x")))
    assert seen <= {b"container\n"} and seen
    assert os.listdir(secret) == ["host"] and (secret / "host").read_text() == "host's"


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_links_to_the_host_are_links_into_the_container(clean: Clients, tmp_path: Path, state: str) -> None:
    (tmp_path / "host").write_text("host's")
    where = str(tmp_path)
    script = f"ln -s {where} /abs; ln -s ../../../../../..{where} /rel; ln -s /proc/1/root{where} /magic; touch /ready; sleep 600"
    clean.launch("c1", Cmd=["sh", "-c", script])
    await_true("the links", lambda: get(clean, "c1", "/ready", "HEAD").status == 200)
    if state == "stopped":
        clean.api("POST", "/containers/c1/kill")
        clean.wait("c1")
    for name in ("abs", "rel", "magic"):
        assert get(clean, "c1", f"/{name}/host").status in (404, 500)
        assert put(clean, "c1", f"/{name}/", tar(("evil", FILE, "", b"x"))).status in (404, 500)
        assert put(clean, "c1", "/", tar((f"{name}/evil", FILE, "", b"x"))).status in (200, 404, 500)
    for data in (tar(("../../evil", FILE, "", b"x")), tar(("s", LINK, "../../..", b""), ("s/evil", FILE, "", b"x"))):
        assert put(clean, "c1", "/tmp", data).status == 500
    assert os.listdir(tmp_path) == ["host"]


def test_the_kernel_is_no_place_to_write_to(clean: Clients) -> None:
    """An archive for / with proc/sys in it would otherwise be written with the engine's rights."""
    clean.launch("c1", Cmd=["sleep", "600"], HostConfig={"Privileged": True})
    before = Path("/proc/sys/kernel/domainname").read_text()
    assert put(clean, "c1", "/", tar(("proc", DIRECTORY, "", b""), ("f", FILE, "", b""))).status == 200
    for path in ("proc/sys/kernel/domainname", "sys/kernel/x", "dev/pts/x"):
        assert put(clean, "c1", "/", tar((path, FILE, "", b"evil"))).status == 500
    assert put(clean, "c1", "/proc/sys/kernel", tar(("domainname", FILE, "", b"evil"))).status == 404
    assert Path("/proc/sys/kernel/domainname").read_text() == before


def test_cve_2019_14271_nothing_of_the_container_is_loaded(clean: Clients) -> None:
    """CVE-2019-14271: the engine loaded libraries from the container whose root it was in. Ours never is: an engine that
    looked for a module or a library there would find these.
    """
    script = (
        "d=/lib/x86_64-linux-gnu; mkdir -p $d; for n in libnss_files.so.2 libc.so.6; do echo x >$d/$n; done; "
        "for d in /usr/lib/python3.11 /usr/lib/python3.13; do mkdir -p $d; for m in tarfile pwd codecs shutil; do "
        'echo \'open("/loaded","w")\' >$d/$m.py; done; done; touch /ready; sleep 600'
    )
    clean.launch("c1", Cmd=["sh", "-c", script], User="root")
    await_true("the decoys", lambda: get(clean, "c1", "/ready", "HEAD").status == 200)
    assert put(clean, "c1", "/tmp", tar(("f", FILE, "", b"x")), copyUIDGID=1).status == 200
    assert content(get(clean, "c1", "/tmp/f")) == b"x"
    assert get(clean, "c1", "/loaded").status == 404
    assert not os.path.exists("/loaded")


def test_cve_2021_41089_a_copy_changes_no_mode_outside(clean: Clients, tmp_path: Path) -> None:
    """CVE-2021-41089: a prepared container made cp change the modes of existing files of the host."""
    target = tmp_path / "f"
    target.write_text("x")
    target.chmod(0o600)
    clean.launch("c1", Cmd=["sh", "-c", f"ln -s {target} /d; ln -s {tmp_path} /t; touch /ready; sleep 600"])
    await_true("the links", lambda: get(clean, "c1", "/ready", "HEAD").status == 200)
    for name, kind in (("d", FILE), ("t", DIRECTORY), ("t/f", FILE)):
        put(clean, "c1", "/", tar((name, kind, "", b"")))
    assert target.stat().st_mode & 0o777 == 0o600 and target.read_text() == "x"


def test_a_process_that_has_moved_its_root_does_not_move_ours(clean: Clients) -> None:
    clean.launch(
        "c1", Cmd=["sh", "-c", "mkdir -p /j/bin; cp /bin/busybox /j/bin/; exec chroot /j /bin/busybox sleep 600"]
    )
    await_true("the files", lambda: get(clean, "c1", "/j/bin/busybox", "HEAD").status == 200)
    assert get(clean, "c1", "/etc/passwd", "HEAD").status == 200


def test_nothing_is_left_open(scratch: Engine) -> None:
    scratch.launch("c1", Cmd=["sleep", "600"])
    scratch.create("c2")
    pid = scratch.pid
    counts = []
    for _ in range(8):
        for name in ("c1", "c2"):
            get(scratch, name, "/etc")
            get(scratch, name, "/nosuch")
            put(scratch, name, "/tmp", tar(("f", FILE, "", b"x")))
            put(scratch, name, "/tmp", tar(("f", FILE, "", b"x"))[:700])
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
    assert counts[-1] < counts[2] + 16  # of 40 requests; what others keep ready comes and goes
