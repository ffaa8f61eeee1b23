"""Times of archives that say nothing of when they were written."""

import io
import os
import py_compile
import struct
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.images.archive.bound import Bound
from scow.images.differ import TreeTooDeep, newest, write_upper

SECOND = 1_000_000_000


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62), st.integers(0, 1 << 62), st.booleans())
def test_a_time(mtime: int, stamp: int, since: int, strict: bool) -> None:
    found = Bound(stamp, since, strict).of(mtime)
    assert found in (mtime, stamp)
    assert found == stamp or mtime < since
    assert not strict or found <= stamp


@given(st.binary(max_size=64))
def test_what_is_no_bytecode_stays(data: bytes) -> None:
    found = Bound(5 * SECOND, 0).bytecode(data)
    assert len(found) == len(data)
    if data[2:4] != b"\r\n" or len(data) < 16:
        assert found == data
    assert found[:8] + found[12:] == data[:8] + data[12:]


def test_bytecode_fits_its_source(tmp_path: Path) -> None:
    """What Python has compiled now is valid beside a source that gets the bound's time; what is checked by hash is left."""
    source = tmp_path / "m.py"
    source.write_text("x = 1\n")
    now = 1_700_000_000
    os.utime(source, (now, now))
    py_compile.compile(str(source), str(tmp_path / "m.pyc"), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    py_compile.compile(
        str(source), str(tmp_path / "h.pyc"), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
    )
    for name in ("m.pyc", "h.pyc"):
        os.utime(tmp_path / name, (now, now))
    out = io.BytesIO()
    write_upper(str(tmp_path), out.write, bound=Bound(1_600_000_000 * SECOND, now * SECOND))
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        assert {member.mtime for member in archive} == {1_600_000_000}
        packed = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert struct.unpack("<I", packed["m.pyc"][8:12]) == (1_600_000_000,)
    assert packed["h.pyc"] == (tmp_path / "h.pyc").read_bytes()
    assert packed["m.pyc"][12:] == (tmp_path / "m.pyc").read_bytes()[12:]


def test_the_newest_time_before_a_moment(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    for name, time in (("d/e/old", 5), ("d/new", 20), ("d/e", 7), ("d", 9)):
        path = tmp_path / name
        if not path.exists():
            path.write_text("")
        os.utime(path, ns=(time, time))
    assert [newest(str(tmp_path), before) for before in (5, 8, 20, 21)] == [0, 7, 9, 20]


def test_a_tree_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / Path(*["d"] * 300)).mkdir(parents=True)
    with pytest.raises(TreeTooDeep):
        newest(str(tmp_path), 1)
