"""The manifest of a context and the files that follow it: what is read is what was written, or an error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.build import manifest
from scow.build.manifest import Contents, Stated, frame, parse
from scow.errors import DataLoss, InvalidArgument, ResourceExhausted, ScowError

_name = st.binary(min_size=1, max_size=8).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))
_path = st.lists(_name, min_size=1, max_size=4).map(b"/".join)
_number = st.integers(0, (1 << 64) - 1)
_time = st.integers(-(1 << 63), (1 << 63) - 1)


def _fields(file: Stated) -> tuple[object, ...]:
    return (file.kind, file.mode, file.path, file.extra, file.identity)


@st.composite
def _file(draw: st.DrawFn) -> Stated:
    kind = draw(st.integers(manifest.FILE, manifest.INLINE))
    target = st.binary(min_size=1, max_size=9).filter(lambda text: 0 not in text)
    extra = {manifest.SYMLINK: target, manifest.INLINE: st.binary(max_size=9)}.get(kind, st.just(b""))
    numbers = (draw(_number), draw(_time), draw(_time), draw(_number), draw(_number))
    return Stated(kind, draw(st.integers(0, 0o7777)), draw(_path), draw(extra), *numbers)


@given(st.lists(_file(), max_size=6, unique_by=lambda file: file.path))
def test_what_is_read_is_what_was_written(files: list[Stated]) -> None:
    data = manifest.MAGIC + b"".join(file.encoded() for file in files)
    assert [_fields(file) for file in parse(data, 10)] == [_fields(file) for file in files]
    for end in range(len(manifest.MAGIC) + 1, len(data)):
        with contextlib.suppress(InvalidArgument):
            assert len(parse(data[:end], 10)) < len(files)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_manifest_or_an_error(data: bytes, begun: bool) -> None:
    with contextlib.suppress(InvalidArgument, ResourceExhausted):
        for file in parse(manifest.MAGIC * begun + data, 3):
            assert b".." not in file.path.split(b"/") and not file.path.startswith(b"/")


@pytest.mark.parametrize(
    "path", [b"", b"/a", b"a/", b"a//b", b"../a", b"a/../b", b".", b"a\0b", b"a" * 256, b"a/" * 255 + b"a"]
)
def test_paths_that_lead_elsewhere_are_refused(path: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse(manifest.MAGIC + Stated(manifest.FILE, 0o644, path, b"", 0, 0, 0, 0, 0).encoded(), 9)


def test_files_are_bounded_and_named_once() -> None:
    one = Stated(manifest.FILE, 0o644, b"a", b"", 0, 0, 0, 0, 0).encoded()
    with pytest.raises(InvalidArgument, match="twice"):
        parse(manifest.MAGIC + one + one, 9)
    with pytest.raises(ResourceExhausted):
        parse(manifest.MAGIC + one + Stated(manifest.FILE, 0o644, b"b", b"", 0, 0, 0, 0, 0).encoded(), 1)


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=5), st.integers(1, 30), st.binary(max_size=2)
)
def test_contents_come_in_any_pieces(files: list[tuple[bytes, bool]], piece: int, more: bytes) -> None:
    data = b"".join(frame(len(content)) + content + bytes([settled]) for content, settled in files) + more
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    contents = Contents(lambda: pieces.pop(0) if pieces else b"")
    for content, settled in files:
        assert b"".join(contents.content(contents.size())) == content
        assert contents.settled() == settled
    if more:
        with pytest.raises(DataLoss):
            contents.end()
    else:
        contents.end()


@given(st.binary(max_size=60))
def test_any_bytes_are_contents_or_an_error(data: bytes) -> None:
    pieces = [data]
    contents = Contents(lambda: pieces.pop() if pieces else b"")
    with contextlib.suppress(ScowError):
        while True:
            sum(map(len, contents.content(contents.size())))
            contents.settled()
