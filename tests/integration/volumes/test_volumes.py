"""Local volumes: records, directories, copy-up of image data."""

import asyncio
import os
import stat
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from scow.errors import InvalidArgument, NotFound
from scow.metadata import images
from scow.metadata import volumes as tables
from scow.metadata.database import Database
from scow.volumes import fill as filling
from scow.volumes.local import LocalVolumes

Open = Callable[[], LocalVolumes]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Open]:
    """Opens the same root again, as a new daemon does."""
    databases: list[Database] = []

    def again() -> LocalVolumes:
        for database in databases:
            database.close()
        databases[:] = [Database(str(tmp_path / "db"), ((1, (*images.SCHEMA, *tables.SCHEMA)),))]
        return LocalVolumes(str(tmp_path / "volumes"), databases[0])

    yield again
    for database in databases:
        database.close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def layers(tmp_path: Path) -> list[str]:
    """Two layers, top first: the top one hides a file and adds one."""
    base, top = tmp_path / "base", tmp_path / "top"
    (base / "srv/data/sub").mkdir(parents=True)
    (base / "srv/data/old").write_bytes(b"old")
    (base / "srv/data/hidden").write_bytes(b"x")
    os.link(base / "srv/data/old", base / "srv/data/sub/linked")
    os.setxattr(base / "srv/data/old", "user.note", b"n")
    os.chown(base / "srv/data", 101, 102)
    os.chmod(base / "srv/data", 0o2750)
    (base / "link").symlink_to("/srv/data")
    (base / "out").symlink_to("../../../../../../../etc")
    (top / "srv/data").mkdir(parents=True)
    os.chown(top / "srv/data", 101, 102)
    os.chmod(top / "srv/data", 0o2750)
    (top / "srv/data/new").write_bytes(b"new")
    os.mknod(top / "srv/data/hidden", stat.S_IFCHR, 0)
    (top / "file").write_bytes(b"f")
    return [str(top), str(base)]


def test_create_get_list_remove(reopen: Open, tmp_path: Path) -> None:
    volumes = reopen()
    named = run(volumes.create("data", {"a": "b"}))
    anonymous = run(volumes.create("", anonymous=True))
    assert named.path == f"{tmp_path}/volumes/data/_data" and os.path.isdir(named.path)
    assert len(anonymous.name) == 64 and anonymous.anonymous and not named.anonymous
    assert run(volumes.create("data", {"other": "label"})) == named
    volumes = reopen()
    assert volumes.get("data") == named
    assert sorted(volume.name for volume in volumes.list()) == sorted(["data", anonymous.name])
    run(volumes.remove("data"))
    assert not os.path.exists(f"{tmp_path}/volumes/data")
    with pytest.raises(NotFound) as caught:
        volumes.get("data")
    assert caught.value.message == "get data: no such volume"
    assert [volume.name for volume in reopen().list()] == [anonymous.name]


def test_names_cannot_leave_the_root(reopen: Open, tmp_path: Path) -> None:
    volumes = reopen()
    for name in ("../x", "a/b", "..", "x\0y"):
        with pytest.raises(InvalidArgument):
            run(volumes.create(name))
    assert os.listdir(tmp_path / "volumes") == []


@pytest.mark.parametrize("target", ["/srv/data", "/link", "srv/../srv/data/."])
def test_copy_up(reopen: Open, tmp_path: Path, target: str) -> None:
    volumes = reopen()
    volume = run(volumes.create("data"))
    run(volumes.copy_up("data", layers(tmp_path), target))
    data = Path(volume.path)
    assert {str(path.relative_to(data)) for path in data.rglob("*")} == {"old", "new", "sub", "sub/linked"}
    assert (data / "old").stat().st_ino == (data / "sub/linked").stat().st_ino
    assert os.getxattr(data / "old", "user.note") == b"n"
    there = data.stat()
    assert (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)) == (101, 102, 0o2750)
    assert run(volumes.usage("data")) == 6
    assert os.listdir(data.parent) == ["_data"]


def test_cve_2020_1726_data_is_never_overwritten(reopen: Open, tmp_path: Path) -> None:
    volumes = reopen()
    volume = run(volumes.create("data"))
    Path(volume.path, "mine").write_bytes(b"mine")
    lowers = layers(tmp_path)
    run(volumes.copy_up("data", lowers, "/srv/data"))
    assert os.listdir(volume.path) == ["mine"]

    async def race() -> None:
        await volumes.create("new")
        await asyncio.gather(*(volumes.copy_up("new", lowers, "/srv/data") for _ in range(8)))

    run(race())
    assert sorted(os.listdir(volumes.path("new"))) == ["new", "old", "sub"]


@pytest.mark.parametrize("target", ["/nothing/there", "/file", "/out", "/../../../../../../../etc", "/"])
def test_cve_2022_23648_nothing_of_the_host_gets_in(reopen: Open, tmp_path: Path, target: str) -> None:
    volumes = reopen()
    run(volumes.create("data"))
    run(volumes.copy_up("data", layers(tmp_path), target))
    found = os.listdir(volumes.path("data"))
    assert "passwd" not in found and "hostname" not in found
    assert found == [] if target != "/" and not target.startswith("/..") else True


@pytest.mark.parametrize("state", ["copying", "copied", "between"])
def test_a_crash_while_copying(reopen: Open, tmp_path: Path, state: str) -> None:
    volumes = reopen()
    volume = run(volumes.create("data"))
    directory = Path(volume.path).parent
    (directory / ("_copying" if state == "copying" else "_copied")).mkdir()
    for name in ("_copying", "_copied"):
        if (directory / name).exists():
            (directory / name / "file").write_bytes(b"f")
    if state == "between":
        os.rmdir(volume.path)
    volumes = reopen()
    assert os.listdir(volumes.path("data")) == ([] if state == "copying" else ["file"])
    assert os.listdir(directory) == ["_data"]


def test_an_error_leaves_the_volume_empty(reopen: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: int, target: int) -> None:
        os.close(os.open("half", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=target))
        raise OSError(28, "No space left on device")

    volumes = reopen()
    volume = run(volumes.create("data"))
    monkeypatch.setattr(filling, "copy_tree", broken)
    with pytest.raises(filling.CopyUpFailed):
        run(volumes.copy_up("data", layers(tmp_path), "/srv/data"))
    assert os.listdir(volume.path) == [] and os.listdir(Path(volume.path).parent) == ["_data"]


def test_the_way_of_old_kernels(tmp_path: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    root = filling._open_old(layers(tmp_path), str(tmp_path / "scratch"))
    try:
        fd = os.open("srv/data", os.O_RDONLY, dir_fd=root)
        assert sorted(os.listdir(fd)) == ["new", "old", "sub"]
        os.close(fd)
    finally:
        os.close(root)
    assert Path("/proc/self/mountinfo").read_text() == mounts
