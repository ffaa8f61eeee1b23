"""Where a build's files come from: the client's directory, of which only what has changed is sent."""

import os
import socket
import struct
from pathlib import Path

import pytest

from scow.build import manifest
from scow.build.manifest import Stated
from tests.harness.clients import Clients
from tests.harness.contexts import run
from tests.harness.engine import Engine

pytestmark = pytest.mark.root


def _made(root: Path, files: dict[str, str]) -> Path:
    """Files that have been as they are for a while."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _sent(clean: Clients, root: Path, *more: str) -> float:
    """Bytes that a build of `root` has sent."""
    said = clean.scow("build", "-t", "b/context", *more, str(root), check=True).stdout
    text = said.splitlines()[0].removeprefix("Sending build context to Docker daemon  ")
    units = {"kB": 1e3, "MB": 1e6}
    unit = next((unit for unit in units if text.endswith(unit)), "B")
    return float(text.removesuffix(unit)) * units.get(unit, 1)


def _age(root: Path) -> None:
    """A file counts as settled two seconds after its last change: the change time cannot be set, so it is waited for."""
    import time

    newest = max(path.lstat().st_ctime for path in [root, *root.rglob("*")])
    time.sleep(max(0.0, newest + 2.3 - time.time()))


def test_only_what_is_needed_and_has_changed_is_sent(clean: Clients, tmp_path: Path) -> None:
    root = _made(tmp_path, {f"d/{number}": f"{number}" * 5000 for number in range(10)})
    _made(root, {"unused": "u" * 1_000_000, "Dockerfile": "FROM busybox\nCOPY d /d\n"})
    _age(root)
    assert 50_000 < _sent(clean, root) < 60_000
    assert _sent(clean, root) < 2_000
    (root / "d/3").write_text("3" * 4999 + "x")
    assert 5_000 < _sent(clean, root) < 7_000
    assert (
        run(clean, "b/context", "tail -c 2 /d/3; cat /d/* | wc -c; ls -ld /d/1 | cut -c1-10") == "3x50000\n-rw-r--r--\n"
    )
    os.chmod(root / "d/4", 0o755)
    clean.scow("build", "-t", "b/context", str(root), check=True)
    assert run(clean, "b/context", "test -x /d/4 && echo yes") == "yes\n"
    os.utime(root / "d/5", ns=(1, 1))
    assert (
        "Using cache" in clean.scow("build", str(root), check=True).stdout
    )  # asked for again, and found to be the same


def test_the_files_are_part_of_the_cache(clean: Clients, tmp_path: Path) -> None:
    root = _made(tmp_path, {"a": "a" * 100_000, "Dockerfile": "FROM busybox\nCOPY a /a\n"})
    _age(root)
    clean.scow("build", str(root), check=True)
    kept = [item for item in clean.api("GET", "/system/df").json()["BuildCache"] if item["Type"] == "source.local"]
    mine = [item for item in kept if str(root) in item["Description"]]
    assert len(mine) == 1 and mine[0]["Size"] >= 100_000
    pruned = clean.api("POST", "/build/prune", query={"filters": '{"type": ["source.local"]}'}).json()
    assert mine[0]["ID"] in pruned["CachesDeleted"] and pruned["SpaceReclaimed"] >= 100_000
    assert _sent(clean, root) > 100_000


def _propose(clean: Clients, files: list[Stated]) -> tuple[str, list[int]]:
    body = manifest.MAGIC + b"".join(file.encoded() for file in files)
    answer = clean.api("POST", "/scow/build/contexts", body, query={"name": "/x"}).json()
    return answer["Id"], answer["Missing"]


def test_the_daemon_hashes_for_itself_and_refuses_what_is_wrong(clean: Clients) -> None:
    dockerfile = Stated(manifest.INLINE, 0o644, b"Dockerfile", b"FROM busybox\nCOPY a /\n", 0, 0, 0, 0, 0)
    id_, missing = _propose(clean, [dockerfile, Stated(manifest.FILE, 0o644, b"a", b"", 3, 1, 1, 1, 1)])
    assert missing == [1]
    cut = clean.api("POST", "/scow/build/contexts/files", b"\3\0\0", query={"id": id_})
    assert (cut.status, cut.message) == (500, "the context was cut off")
    gone = clean.api("POST", "/build", b"", query={"context": id_})
    assert (gone.status, gone.message) == (404, f"no such build context: {id_}")
    for body in (b"", b"SCOWCTX1\1", manifest.MAGIC + Stated(manifest.FILE, 0, b"../a", b"", 0, 0, 0, 0, 0).encoded()):
        assert clean.api("POST", "/scow/build/contexts", body).status == 400


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user")
def test_another_user_cannot_take_a_context(scratch: Engine) -> None:
    id_, _ = _propose(scratch, [Stated(manifest.INLINE, 0o644, b"Dockerfile", b"FROM busybox\n", 0, 0, 0, 0, 0)])
    os.chmod(scratch.socket, 0o666)
    with socket.socket(socket.AF_UNIX) as client:
        os.seteuid(65534)
        try:
            client.connect(str(scratch.socket))
        finally:
            os.seteuid(0)
            os.chmod(scratch.socket, 0o660)
        client.sendall(f"POST /build?context={id_} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 404 ")
    assert scratch.api("POST", "/build", b"", query={"context": id_}).status == 200


def test_a_daemon_that_is_killed_leaves_a_context_as_it_was(fresh_daemon: Engine, tmp_path: Path) -> None:
    root = _made(tmp_path, {"a": "1" * 50_000, "Dockerfile": "FROM busybox\nCOPY a /a\nRUN sleep 30\n"})
    _age(root)
    id_, missing = _propose(fresh_daemon, [Stated(manifest.FILE, 0o644, b"a", b"", 9, 1, 1, 1, 1)])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(fresh_daemon.socket))
        head = f"POST /scow/build/contexts/files?id={id_} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + b"c\r\n" + struct.pack("<Q", 9) + b"half\r\n")
        assert missing == [0]
        fresh_daemon.kill9()
    fresh_daemon.start()
    (root / "Dockerfile").write_text("FROM busybox\nCOPY a /a\n")
    assert _sent(fresh_daemon, root) > 50_000
    assert _sent(fresh_daemon, root) < 2_000
    assert [path.name for path in (fresh_daemon.data_root / "tmp").glob("context-*")] == []
