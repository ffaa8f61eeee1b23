"""Where a path leads, for people to read."""

import os
from pathlib import Path

import pytest

from scow.linux import views


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/plain", "/plain"), ("/link", "/d/f"), ("/up", "/d"), ("/chain", "/d/f"), ("/loop", ""),
        ("/self/self/d", "/d"), ("/dangling", "/gone/x"), ("/d/back", "/plain"), ("/gone/../plain", "/plain"), ("/", "/"),
    ],
)  # fmt: skip
def test_real_path(tmp_path: Path, path: str, wanted: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("")
    (tmp_path / "plain").write_text("")
    for name, target in {
        "link": "d/f", "up": "../../../../d", "chain": "/link", "loop": "loop", "self": ".", "dangling": "/gone/x",
        "d/back": "../plain",
    }.items():  # fmt: skip
        os.symlink(target, tmp_path / name)
    root = os.open(tmp_path, os.O_RDONLY)
    try:
        assert views.real_path(root, path.encode()) == wanted.encode()
    finally:
        os.close(root)


def test_the_kernels_file_systems_are_known(tmp_path: Path) -> None:
    for path, wanted in (("/proc/self", True), ("/sys", True), (str(tmp_path), False)):
        fd = os.open(path, os.O_RDONLY)
        try:
            assert views.is_kernel(fd) is wanted
        finally:
            os.close(fd)
