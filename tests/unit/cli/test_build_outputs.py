"""`build -o`: its words, the framed answer, and archives that want out of their directory."""

import io
import json
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.cli.build_outputs import STDOUT, Received, Wanted, parse
from scow.cli.command import Exit
from scow.cli.cp_files import unpack
from scow.client.api import Response
from scow.errors import DataLoss, ScowError
from tests.harness import hostile


def shown(wanted: list[Wanted]) -> list[tuple[str, dict[str, str], str, bool]]:
    return [(one.kind, one.attributes, one.place, one.directory) for one in wanted]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-"], [("tar", {}, STDOUT, False)]),
        (["out"], [("local", {}, "out", True)]),
        (["a=b"], [("local", {}, "a=b", True)]),
        (["type=image,name=x/y:1,push=true"], [("image", {"name": "x/y:1", "push": "true"}, "", False)]),
        (["type=registry"], [("registry", {}, "", False)]),
        (["type=docker"], [("image", {}, "", False)]),
        (["type=docker,dest=f"], [("docker", {}, "f", False)]),
        (["type=oci"], [("oci", {}, STDOUT, False)]),
        (["type=oci,tar=false,dest=d"], [("oci", {}, "d", True)]),
        (["type=tar,dest=f", "d"], [("tar", {}, "f", False), ("local", {}, "d", True)]),
        (['type=image,"name=a,b"'], [("image", {"name": "a,b"}, "", False)]),
        (["TYPE=tar, dest=x"], [("tar", {}, "x", False)]),
    ],
)
def test_words(words: list[str], found: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(parse(words, False, False, False)) == found


@pytest.mark.parametrize(
    ("words", "push", "load", "message"),
    [
        (["dest=x,name=y"], False, False, "type is required for output"),
        (["type=tar,x"], False, False, "invalid value x"),
        (["type=local"], False, False, "dest is required for local exporter"),
        (["type=local,dest=file"], False, False, "destination directory file is a file"),
        (["type=tar,dest=."], False, False, "destination file . is a directory"),
        (["type=tar,dest=pipe"], False, False, "destination file pipe is no file"),
        (["type=tar,dest=no/f"], False, False, "the directory of destination file no/f does not exist"),
        (["type=tar"], False, False, "dest file is required for tar exporter. refusing to write to console"),
        (['type=tar,"dest=x'], False, False, 'invalid value type=tar,"dest=x: a quote is not closed'),
        ([], True, True, "push and load may not be set together at the moment"),
        (["out"], True, False, 'push and "local" output can\'t be used together'),
        (["type=registry"], False, True, 'load and "registry" output can\'t be used together'),
    ],
)
def test_wrong_words(
    words: list[str], push: bool, load: bool, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    os.mkfifo("pipe")
    with pytest.raises(Exit) as told:
        parse(words, push, load, True)
    assert told.value.message == message


def test_stdout_takes_one_archive() -> None:
    with pytest.raises(Exit, match="only one output can be written to stdout"):
        parse(["-", "type=oci"], False, False, False)


def test_the_short_forms() -> None:
    assert shown(parse([], True, False, False)) == [("registry", {}, "", False)]
    assert shown(parse([], False, True, False)) == [("image", {}, "", False)]
    assert shown(parse(["type=image"], True, False, False)) == [("image", {"push": "true"}, "", False)]


# ------------------------------------------------------------ the answer


def frame(stream: int, number: int, data: bytes) -> bytes:
    return bytes((stream, number, 0, 0)) + len(data).to_bytes(4, "big") + data


class Answer:
    """A response in pieces of some size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def pieces(self) -> Iterator[bytes]:
        for at in range(0, len(self._data), self._size):
            yield self._data[at : at + self._size]


def receive(data: bytes, wanted: list[Wanted], size: int = 7) -> list[Any]:
    return list(Received(cast(Response, Answer(data, size)), wanted).values())


def archive(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as written:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                written.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                info.mode, info.uid, info.mtime = 0o6755, 1234, 1_600_000_000
                written.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@given(st.integers(1, 400), st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.integers(0, 5))
def test_archives_and_progress_come_apart(
    tmp_path_factory: pytest.TempPathFactory, size: int, pieces: list[bytes], at: int
) -> None:
    place = str(tmp_path_factory.getbasetemp() / "whole")
    line = json.dumps({"stream": "x"}).encode() + b"\r\n"
    frames = [frame(1, 1, piece) for piece in pieces]
    frames[at:at] = [frame(2, 0, line[:5]), frame(2, 0, line[5:])]
    data = frame(2, 0, line) + b"".join(frames) + frame(1, 1, b"") + frame(2, 0, line)
    told = receive(data, [Wanted("image", {}), Wanted("tar", {}, place)], size)
    assert told == [{"stream": "x"}] * 3
    assert not pieces or Path(place).read_bytes() == b"".join(pieces)


def test_a_broken_archive_replaces_nothing(tmp_path: Path) -> None:
    place = tmp_path / "f"
    place.write_text("before")
    wanted = [Wanted("tar", {}, str(place))]
    with pytest.raises(DataLoss, match="the archive of the build is not whole"):
        receive(frame(1, 0, b"half"), wanted)
    said: list[Any] = []
    with pytest.raises(DataLoss):
        for message in Received(
            cast(Response, Answer(frame(1, 0, b"h") + frame(2, 0, b'{"error":"why"}\n'), 9)), wanted
        ).values():
            said.append(message)
    assert said == [{"error": "why"}]
    assert place.read_text() == "before" and os.listdir(tmp_path) == ["f"]


@given(st.binary(max_size=64))
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    try:
        receive(data, [])
    except ScowError:
        pass


# ------------------------------------------------------------ a directory


def test_files_are_this_users(tmp_path: Path) -> None:
    device = tarfile.TarInfo("null")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
    data = archive(
        ("d/f", b"x"),
        device,
        link("copy", "null", tarfile.LNKTYPE),
        link("l", "../../out"),
        link("h", "d/f", tarfile.LNKTYPE),
    )
    assert unpack(iter([data]), str(tmp_path / "new/o")) == ["null", "copy"]
    made = tmp_path / "new/o"
    there = os.stat(made / "d/f")
    assert (stat.S_IMODE(there.st_mode), there.st_uid, there.st_mtime) == (0o755, os.getuid(), 1_600_000_000)
    assert (os.readlink(made / "l"), os.stat(made / "h").st_ino) == ("../../out", there.st_ino)
    assert sorted(os.listdir(made)) == ["d", "h", "l"]


@pytest.mark.parametrize(
    "members",
    [
        (link("l", "{out}"), ("l/f", b"evil")),
        (link("l", "../out"), ("l/f", b"evil")),
        (link("l", "{out}/f"), ("l", b"evil")),
        (("../out/f", b"evil"),),
        (("{out}/f", b"evil"),),
        (link("a", "."), link("a/b", "{out}"), ("a/b/f", b"evil")),
        (link("h", "../out/f", tarfile.LNKTYPE), ("h", b"evil")),
        (("theirs/f", b"evil"),),
        (("kept", b"evil"),),
    ],
)
def test_nothing_outside_the_directory_is_touched(members: tuple[Any, ...], tmp_path: Path) -> None:
    """CVE-2018-15664's and CVE-2024-23652's kin, on the client's side."""
    out, into = tmp_path / "out", tmp_path / "into"
    out.mkdir()
    (out / "f").write_text("safe")
    (into / "kept").mkdir(parents=True)
    (into / "kept/f").write_text("safe")
    (into / "theirs").symlink_to(out)
    made = []
    for member in members:
        if isinstance(member, tarfile.TarInfo):
            made.append(link(member.name, member.linkname.replace("{out}", str(out)), member.type))
        else:
            made.append((member[0].replace("{out}", str(out)), member[1]))
    try:
        unpack(iter([archive(*made)]), str(into))
    except (ScowError, OSError):
        pass
    assert [path.read_text() for path in (out / "f", into / "kept/f")] == ["safe", "safe"]
    assert os.listdir(out) == ["f"] and (into / "theirs").is_symlink()


def test_the_hostile_archives_stay_inside(tmp_path: Path) -> None:
    aim = Path(tempfile.mkdtemp(prefix="aim-", dir="/tmp"))
    try:
        (aim / "dir").mkdir()
        (aim / "file").write_text("safe")
        for number, case in enumerate(hostile.corpus(os.fsencode(aim))):
            (tmp_path / str(number)).mkdir()
            try:
                unpack(iter([case.data]), str(tmp_path / str(number)))
            except (ScowError, OSError):
                pass
            assert (sorted(os.listdir(aim)), os.listdir(aim / "dir")) == (["dir", "file"], []), case.name
            assert (aim / "file").read_text() == "safe", case.name
    finally:
        shutil.rmtree(aim)
