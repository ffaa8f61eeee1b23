"""Mount words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.linux import libc, mounts


def test_attributes_of_a_new_mount() -> None:
    options = mounts.parse(["nosuid", "noexec", "nodev", "ro", "mode=755", "newinstance"])
    expected = libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NOEXEC | libc.MOUNT_ATTR_NODEV | libc.MOUNT_ATTR_RDONLY
    assert options.attributes == expected
    assert options.data == (("mode", "755"), ("newinstance", None))


@pytest.mark.parametrize(
    ("words", "read_only", "recursive"),
    [
        (["rbind", "ro"], True, True),
        (["bind", "ro"], True, False),
        (["rbind", "ro", "rrw"], True, False),
        (["rbind", "rro"], True, True),
        (["rbind", "ro", "rw"], False, False),
        (["rbind", "rw", "ro"], True, True),
        (["rbind"], False, False),
    ],
)
def test_read_only_binds(words: list[str], read_only: bool, recursive: bool) -> None:
    options = mounts.parse(words)
    assert bool((options.set | options.recursive_set) & libc.MOUNT_ATTR_RDONLY) is read_only
    assert bool(options.recursive_set & libc.MOUNT_ATTR_RDONLY) is recursive


@pytest.mark.parametrize("word", ["private", "shared", "slave", "unbindable"])
def test_propagation(word: str) -> None:
    assert not mounts.parse([word]).propagation_recursive
    assert mounts.parse([f"r{word}"]).propagation_recursive
    assert mounts.parse([word]).propagation == mounts.parse([f"r{word}"]).propagation != 0


@given(st.lists(st.text(alphabet="ab:\\/ ,", min_size=1, max_size=5), min_size=1, max_size=5))
def test_lowerdir_parts_survive_escaping(parts: list[str]) -> None:
    text = ":".join(part.replace("\\", "\\\\").replace(":", "\\:") for part in parts)
    assert mounts.split_paths(text) == parts
