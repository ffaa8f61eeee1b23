"""Contexts of changed files: what is kept, for whom, and what a crash leaves."""

import errno
import os
from pathlib import Path

import pytest

from scow.build import manifest, reach
from scow.build.context_store import ContextStore
from scow.build.frontend import parser
from scow.build.graph import plan
from scow.build.manifest import Stated, frame
from scow.build.scope import Arguments, outer
from scow.build.synced import Synced
from scow.errors import DataLoss, ResourceExhausted
from scow.oci.platform import host_platform


def _files(contents: dict[str, bytes], time: int = 1) -> list[Stated]:
    return [
        Stated(manifest.FILE, 0o644, name.encode(), b"", len(data), time, time, number, 1)
        for number, (name, data) in enumerate(contents.items())
    ]


def _build(
    store: ContextStore, contents: dict[str, bytes], *, time: int = 1, uid: int = 0, settled: bytes = b"\1"
) -> set[str]:
    """One build's context; which files it was sent."""
    context = Synced(store, uid, "/app", _files(contents, time))
    try:
        asked = [path.decode() for path in context.ask(None)]
        sent = b"".join(frame(len(contents[name])) + contents[name] + settled for name in asked)
        pieces = [sent]
        context.receive(lambda: pieces.pop() if pieces else b"", 1 << 20)
        for name, data in contents.items():
            assert b"".join(context.content(tuple(name.encode().split(b"/")))) == data
        context.save()
    finally:
        context.close()
    return set(asked)


def test_only_what_has_changed_is_asked_for(tmp_path: Path) -> None:
    store = ContextStore(str(tmp_path))
    files = {"a": b"A", "d/b": b"B" * 3000, "d/c": b""}
    assert _build(store, files) == {"a", "d/b", "d/c"}
    assert _build(store, files) == set()
    assert _build(store, {**files, "new": b"N"}) == {"new"}
    assert _build(store, files, time=2) == {"a", "d/b", "d/c"}
    (kept,) = store.all()
    assert (kept.name, kept.in_use) == ("/app", False)
    assert store.remove(kept.key)
    assert not store.remove(kept.key)
    assert _build(store, files) == {"a", "d/b", "d/c"}


def test_a_list_is_made_while_contexts_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ContextStore(str(tmp_path))
    _build(store, {"a": b"A"})
    (kept,) = store.all()
    stat = os.stat

    def late(path: str) -> os.stat_result:
        assert store.remove(kept.key)
        return stat(path)

    monkeypatch.setattr("scow.build.context_store.os.stat", late)
    assert list(store.all()) == []


def test_nobody_gets_what_another_user_has_sent(tmp_path: Path) -> None:
    store = ContextStore(str(tmp_path))
    assert _build(store, {"a": b"evil"}, uid=1000) == {"a"}
    assert _build(store, {"a": b"good"}, uid=0) == {"a"}


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_file_that_is_a_directory_too_is_no_trouble(tmp_path: Path, names: tuple[str, str]) -> None:
    context = Synced(ContextStore(str(tmp_path)), 0, "/app", _files(dict.fromkeys(names, b"1")))
    asked = context.ask(None)
    assert asked == [names[1].encode()]
    sent = [frame(1) + b"1" + b"\1"]
    context.receive(lambda: sent.pop() if sent else b"", 1 << 20)
    assert b"".join(context.content(tuple(names[1].encode().split(b"/")))) == b"1"
    context.save()
    context.close()


def test_what_may_still_change_is_not_remembered(tmp_path: Path) -> None:
    store = ContextStore(str(tmp_path))
    assert _build(store, {"a": b"1"}, settled=b"\0") == {"a"}
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 0
    assert _build(store, {"a": b"2"}) == {"a"}


def test_old_contents_are_given_up(tmp_path: Path) -> None:
    store = ContextStore(str(tmp_path))
    for time in range(60):
        _build(store, {"a": b"x" * 4096, "b": bytes([time])}, time=time)
    (kept,) = store.all()
    assert kept.size < 10 * 4096 + 3 * 4096
    assert len(os.listdir(tmp_path / kept.key)) < 30


@pytest.mark.parametrize("damage", ["half an index", "no segment", "a short segment", "a new segment"])
def test_what_a_crash_leaves_is_no_harm(tmp_path: Path, damage: str) -> None:
    store = ContextStore(str(tmp_path))
    _build(store, {"a": b"A" * 100})
    (kept,) = store.all()
    directory = tmp_path / kept.key
    (segment,) = [path for path in directory.iterdir() if path.name != "index"]
    if damage == "half an index":
        (directory / "index").write_bytes((directory / "index").read_bytes()[:-5])
    elif damage == "no segment":
        segment.unlink()
    elif damage == "a new segment":
        (directory / "beef").write_bytes(b"x")
    else:
        segment.write_bytes(b"A")
        with pytest.raises(DataLoss):
            _build(store, {"a": b"A" * 100})
        return
    ContextStore(str(tmp_path)).sweep()
    assert _build(store, {"a": b"A" * 100}) == (set() if damage == "a new segment" else {"a"})
    assert not (directory / "beef").exists()


def test_a_save_that_fails_loses_only_what_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ContextStore(str(tmp_path))
    _build(store, {"a": b"A"})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("scow.build.context_store.os.fsync", full)
    with pytest.raises(ResourceExhausted):
        _build(store, {"a": b"A", "b": b"B"})
    monkeypatch.undo()
    assert _build(store, {"a": b"A", "b": b"B"}) == {"b"}
    (kept,) = store.all()
    assert len(os.listdir(tmp_path / kept.key)) == 3


def test_more_than_was_allowed_is_refused(tmp_path: Path) -> None:
    context = Synced(ContextStore(str(tmp_path)), 0, "/app", _files({"a": b"12345"}))
    context.ask(None)
    pieces = [frame(1 << 60)]
    with pytest.raises(ResourceExhausted):
        context.receive(lambda: pieces.pop() if pieces else b"", 100)
    context.close()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("COPY a /", {"a"}),
        ("COPY . /", {"a", "d/b", "d/c.txt", "d/e/f"}),
        ("COPY d/*.txt /", {"d/c.txt"}),
        ("COPY link /", {"d/b", "d/c.txt", "d/e/f"}),
        ("COPY link/e /", {"d/e/f"}),
        ("COPY $X /", {"a", "d/b", "d/c.txt", "d/e/f"}),
        ("COPY d/e/$X /", {"d/e/f"}),
        ('COPY ["d/e", "/"]', {"d/e/f"}),
        ("COPY --from=busybox d /", set()),
        ("ADD https://example.com/d /", set()),
        ("ADD d/e /", {"d/e/f"}),
        ("RUN --mount=type=bind,source=d/e,target=/x true", {"d/e/f"}),
        ("RUN --mount=type=bind,target=/x true", {"a", "d/b", "d/c.txt", "d/e/f"}),
        ("RUN --mount=type=bind,from=x,source=d,target=/x true", set()),
        ("COPY nothing /", set()),
        ("FROM scratch AS other\nCOPY d /\nFROM scratch\nCOPY a /", {"a"}),
    ],
)
def test_only_what_the_dockerfile_reaches_is_needed(tmp_path: Path, text: str, wanted: set[str]) -> None:
    files = [*_files(dict.fromkeys(["a", "d/b", "d/c.txt", "d/e/f"], b"x"))]
    files.append(Stated(manifest.SYMLINK, 0o777, b"link", b"d", 0, 0, 0, 0, 0))
    context = Synced(ContextStore(str(tmp_path)), 0, "/app", files)
    dockerfile = parser.parse(f"FROM scratch\n{text}\n", "Dockerfile")
    planned = plan(dockerfile, "", outer(Arguments({}, host_platform()), (), "\\"), ())
    assert {os.fsdecode(b"/".join(path)) for path in reach.needed(context, planned)} == wanted
    context.close()
