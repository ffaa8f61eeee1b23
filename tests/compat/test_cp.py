"""cp by the docker CLI and by scow's own: one expectation for both."""

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.clients import ROOT, Clients

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
SETUP = "mkdir -p /s/d/sub; echo 1 >/s/f; echo 2 >/s/d/a; ln /s/d/a /s/d/h; ln -s d /s/dl; ln -s f /s/fl; ln -s gone /s/dang"


@pytest.fixture(params=["docker", "scow"])
def cp(request: pytest.FixtureRequest, clean: Clients, tmp_path: Path) -> Run:
    """cp(source, destination, …) in `tmp_path` with a container c1 that has run SETUP and does not run any more."""
    if request.param == "docker":
        request.getfixturevalue("needs_docker")
    program = "docker" if request.param == "docker" else str(ROOT / "bin/scow")
    clean.launch("c1", Cmd=["sh", "-c", SETUP])
    assert clean.wait("c1") == 0
    (tmp_path / "in/dir/sub").mkdir(parents=True)
    (tmp_path / "in/file").write_text("file")
    (tmp_path / "in/dir/a").write_text("a")
    os.link(tmp_path / "in/dir/a", tmp_path / "in/dir/hard")
    os.symlink("dir", tmp_path / "in/dlink")
    os.symlink("file", tmp_path / "in/flink")
    (tmp_path / "out").mkdir()

    def run(*args: str, input: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        command = [program, "-H", clean.host, "cp", *args]
        return subprocess.run(command, cwd=tmp_path, input=input, capture_output=True, env=clean.env, timeout=60)

    return run


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def inside(cp: Run, path: str) -> dict[str, tarfile.TarInfo]:
    done = cp(f"c1:{path}", "-")
    assert done.returncode == 0, done
    return {item.name: item for item in tarfile.open(fileobj=io.BytesIO(done.stdout)).getmembers()}


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (("c1:/s/d", "out"), ["d", "d/a", "d/h", "d/sub"]), (("c1:/s/d/.", "out"), ["a", "h", "sub"]),
        (("c1:/s/d", "out/new"), ["new", "new/a", "new/h", "new/sub"]), (("c1:/s/f", "out/g"), ["g"]),
        (("c1:/s/dl", "out"), ["dl"]), (("-L", "c1:/s/dl", "out"), ["dl", "dl/a", "dl/h", "dl/sub"]),
        (("c1:/s/fl", "out"), ["fl"]), (("-L", "c1:/s/fl", "out"), ["fl"]),
        (("c1:/s/dl/", "out"), ["dl", "dl/a", "dl/h", "dl/sub"]),
        (("-a", "c1:/s/dang", "out"), ["dang"]),
    ],
)  # fmt: skip
def test_from_a_container(cp: Run, tmp_path: Path, args: tuple[str, ...], wanted: list[str]) -> None:
    done = cp(*args)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert names(tmp_path / "out") == wanted
    made = tmp_path / "out" / wanted[0]
    assert made.is_symlink() is (len(wanted) == 1 and wanted[0] in ("dl", "fl", "dang") and "-L" not in args)


@pytest.mark.parametrize(
    ("args", "where", "wanted"),
    [
        (("in/dir", "c1:/t"), "/t", ["t", "t/a", "t/hard", "t/sub"]),
        (("in/dir", "c1:/s"), "/s/dir", ["dir", "dir/a", "dir/hard", "dir/sub"]),
        (("in/dir/.", "c1:/s/d/sub"), "/s/d/sub", ["sub", "sub/a", "sub/hard", "sub/sub"]),
        (("in/file", "c1:/s/f"), "/s/f", ["f"]),
        (("in/file", "c1:/s/dl/x"), "/s/d/x", ["x"]), (("in/file", "c1:/s/dl"), "/s/d/file", ["file"]),
        (("in/flink", "c1:/s/new"), "/s/new", ["new"]), (("-L", "in/flink", "c1:/s"), "/s/flink", ["flink"]),
        (("in/file", "c1:/s/fl"), "/s/f", ["f"]),
    ],
)  # fmt: skip
def test_to_a_container(cp: Run, args: tuple[str, ...], where: str, wanted: list[str]) -> None:
    done = cp(*args)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    found = inside(cp, where)
    assert sorted(found) == wanted
    assert found[wanted[0]].issym() is (args[0] == "in/flink")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("in/dir", "c1:/s/f"), "cannot copy directory"), (("in/file", "c1:/new/"), "no such directory"),
        (("in/nosuch", "c1:/"), "no such file or directory"),
        (("in/file", "in/x"), "must specify at least one container source"),
        (("c1:/a", "c1:/b"), "copying between containers is not supported"),
        (("c1:/nosuch", "out"), "Could not find the file /nosuch in container c1"),
        (("in/file", "c1:/no/where"), "Could not find the file /no in container c1"),
        (("c1:/s/f", "out/no/f"), "does not exist"),
        (("c1:/s/f", "out/no/"), "no such directory"),
        (("in/file", "nosuch:/x"), "No such container: nosuch"),
        (("-", "c1:/s/f"), 'destination "c1:/s/f" must be a directory'),
    ],
)  # fmt: skip
def test_refusals(cp: Run, args: tuple[str, ...], sentence: str) -> None:
    done = cp(*args)
    assert done.returncode == 1 and sentence in done.stderr.decode(), done


def test_streams(cp: Run, tmp_path: Path) -> None:
    done = cp("c1:/s/d", "-")
    assert done.returncode == 0
    assert cp("-", "c1:/tmp", input=done.stdout).returncode == 0
    assert sorted(inside(cp, "/tmp/d")) == ["d", "d/a", "d/h", "d/sub"]


def test_owners_and_modes(cp: Run, tmp_path: Path) -> None:
    os.chmod(tmp_path / "in/file", 0o4751)
    os.chown(tmp_path / "in/file", 77, 88)
    os.chmod(tmp_path / "in/file", 0o4751)
    assert cp("in/file", "c1:/s").returncode == 0
    made = inside(cp, "/s/file")["file"]
    assert (made.uid, made.gid, made.mode) == (77, 88, 0o4751)
    assert cp("c1:/s/file", "out/file").returncode == 0
    there = (tmp_path / "out/file").stat()
    assert (there.st_uid, stat.S_IMODE(there.st_mode)) == (0, 0o4751)  # this user's


def test_a_hostile_container_cannot_write_beside_the_destination(cp: Run, tmp_path: Path) -> None:
    """What stands in the destination already is replaced, not followed."""
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "out/d")
    done = cp("c1:/s/d", "out")
    assert done.returncode == 1 and not names(tmp_path / "elsewhere")
