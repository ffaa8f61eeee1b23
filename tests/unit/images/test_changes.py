"""Docker's rules for what a container has changed."""

import os
from pathlib import Path

import pytest

from scow.images import changes
from scow.images.differ import Placeholders


def tree(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_diff_rules(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    tree(lower, etc__passwd="x", etc__keep="x", usr__bin__a="x", link="x")
    tree(upper, etc__passwd="new", usr__bin__git="new", opt__new__file="x")
    (upper / "etc/hosts").write_text("")
    (upper / "to-lower").symlink_to(tmp_path)
    found = [
        (path.decode(), kind)
        for path, kind in changes.upper_changes(str(upper), [str(lower)], Placeholders([b"etc/hosts"]))
    ]
    assert found == [
        ("/etc", changes.MODIFIED),
        ("/etc/passwd", changes.MODIFIED),
        ("/opt", changes.ADDED),
        ("/opt/new", changes.ADDED),
        ("/opt/new/file", changes.ADDED),
        ("/to-lower", changes.ADDED),
        ("/usr", changes.MODIFIED),
        ("/usr/bin", changes.MODIFIED),
        ("/usr/bin/git", changes.ADDED),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts are device nodes: needs root")
def test_diff_of_deletions(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    tree(lower, etc__gone="x")
    (upper / "etc").mkdir(parents=True)
    os.mknod(upper / "etc/gone", 0o020600, os.makedev(0, 0))
    found = [(path.decode(), kind) for path, kind in changes.upper_changes(str(upper), [str(lower)])]
    assert found == [("/etc", changes.MODIFIED), ("/etc/gone", changes.DELETED)]
