"""Nothing of an image is ever loaded by the engine's process (CVE-2019-14271, CVE-2026-41567): 0 opens of decoys."""

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scow.errors import StartFailure
from scow.linux import libc
from scow.runtime import lookup
from tests.integration.runtime.harness import Area, build_rootfs, default_spec

_NSS = (
    "nsswitch.conf",
    "locale.alias",
    "ld.so.preload",
    "ld.so.cache",
    "ld.so.conf",
    "host.conf",
    "gai.conf",
    "localtime",
)
_IN_ACCESS, _IN_OPEN = 1, 0x20
_STDLIB = os.path.dirname(os.__file__)


def plant(root: str) -> list[str]:
    """Decoys at every place where Python or the C library could look, all in one tree used as it is."""
    decoys = []
    library = _STDLIB.lstrip("/")
    for module in (
        "traceback",
        "linecache",
        "encodings/idna",
        "encodings/utf_8",
        "locale",
        "pwd",
        "grp",
        "random",
        "threading",
    ):
        decoys.append(f"{library}/{module}.py")
    for entry in sys.path:
        if entry.startswith("/"):
            decoys.append(f"{entry.lstrip('/')}/sitecustomize.py")
            decoys.append(f"{entry.lstrip('/')}/scow/runtime/child.py")
    decoys += [f"etc/{name}" for name in _NSS]
    decoys += [
        f"usr/lib/x86_64-linux-gnu/{name}"
        for name in ("libnss_files.so.2", "libnss_compat.so.2", "gconv/gconv-modules")
    ]
    decoys += [
        "usr/lib/locale/locale-archive",
        "usr/share/locale/de/LC_MESSAGES/libc.mo",
        "lib/x86_64-linux-gnu/libc.so.6",
    ]
    for name in decoys:
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise SystemExit('decoy')\n")
    return [f"{root}/{name}" for name in dict.fromkeys(decoys)]


@contextmanager
def watched(paths: list[str]) -> Iterator[list[str]]:
    """Collects which of the files are opened meanwhile, by whomever."""
    handle = libc.load("libc.so.6")
    fd = libc.function(handle, "inotify_init1", "i", "i")(os.O_NONBLOCK | os.O_CLOEXEC)
    add = libc.function(handle, "inotify_add_watch", "i", "isu")
    names = {add(fd, path.encode(), _IN_ACCESS | _IN_OPEN): path for path in paths}
    assert -1 not in names
    opened: list[str] = []
    try:
        yield opened
        try:
            data = os.read(fd, 1 << 20)
        except BlockingIOError:
            data = b""
        while data:
            number, _, _, length = struct.unpack_from("iIII", data)
            opened.append(names[number])
            data = data[16 + length :]
    finally:
        os.close(fd)


@pytest.fixture
def decoyed(area: Area) -> tuple[str, list[str]]:
    root = build_rootfs(f"{area.path}/decoyed")
    return root, plant(root)


def test_the_watch_sees_an_open(decoyed: tuple[str, list[str]]) -> None:
    root, decoys = decoyed
    with watched(decoys) as opened:
        open(decoys[0]).close()
    assert opened


def test_no_decoy_is_opened(area: Area, decoyed: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts, execs and every kind of failure inside: user, command, directory, format."""
    root, decoys = decoyed
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    Path(f"{root}/bin/noformat").write_text("x")
    os.chmod(f"{root}/bin/noformat", 0o755)
    with watched(decoys) as opened:
        for process in (
            {},
            {"user": {"username": "app"}},
            {"user": {"username": "nosuch"}},
            {"args": ["nosuch"]},
            {"args": ["/etc"]},
            {"args": ["noformat"]},
            {"cwd": "/proc/self/fd/3"},
            {"cwd": "/etc/passwd"},
            {"env": ["LANG=de_DE.UTF-8", "PYTHONPATH=/decoy", "LD_PRELOAD=/x.so", "PATH=/bin"]},
        ):
            spec = default_spec(["true"])
            spec["process"].update(process)
            try:
                area.run(spec, root=area.bind(root))
            except StartFailure:
                pass
        running = area.start(default_spec(["sleep", "100"]), root=area.bind(root))
        changes: list[tuple[str, dict[str, Any]]] = [
            ("true", {}),
            ("true", {"user": {"username": "daemon"}}),
            ("true", {"user": {"username": "x"}}),
            ("y", {}),
            ("true", {"cwd": "/z"}),
        ]
        for command, change in changes:
            try:
                running.execute([command], **change)
            except StartFailure:
                pass
        running.kill()
    assert opened == []


def test_a_lazy_import_inside_is_stopped(
    area: Area, decoyed: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that would import (here planted into the last stretch) ends the start with a clear word, not with a load."""
    root, decoys = decoyed

    def careless(*arguments: Any) -> None:
        __import__("this")

    monkeypatch.setattr(lookup, "find_executable", careless)
    with watched(decoys) as opened, pytest.raises(StartFailure, match="stopped by the guard: import this"):
        area.run(default_spec(["true"]), root=area.bind(root))
    assert opened == []


def test_a_defect_inside_is_told_without_a_traceback(area: Area, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise ValueError("defect")

    monkeypatch.setattr(lookup, "find_executable", broken)
    with pytest.raises(StartFailure, match="ValueError: defect"):
        area.run(default_spec(["true"]))
    monkeypatch.undo()
    assert area.run(default_spec(["true"])).code == 0


def test_the_parent_is_untouched(area: Area) -> None:
    before = (list(sys.path), list(sys.meta_path), os.getcwd(), os.umask(0o22))
    area.run(default_spec(["true"]))
    assert (list(sys.path), list(sys.meta_path), os.getcwd(), os.umask(before[3])) == before
