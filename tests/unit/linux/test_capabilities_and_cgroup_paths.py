"""Capability names and masks; cgroup paths and values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument, Unsupported
from scow.linux import capabilities, cgroup, cgroup_files, cgroup_v2


def test_names_are_the_kernels() -> None:
    assert len(capabilities.NAMES) == 41
    assert capabilities.NAMES[0] == "CAP_CHOWN" and capabilities.NAMES[21] == "CAP_SYS_ADMIN"
    assert capabilities.NAMES[40] == "CAP_CHECKPOINT_RESTORE"


@given(st.sets(st.sampled_from(capabilities.NAMES)))
def test_masks_and_names_are_inverse(names: set[str]) -> None:
    assert set(capabilities.names(capabilities.mask(names))) == names


def test_unknown_capability() -> None:
    with pytest.raises(InvalidArgument, match="CAP_FOO"):
        capabilities.mask(["CAP_FOO"])


def test_an_absent_object_drops_everything() -> None:
    assert capabilities.from_spec(None) == capabilities.CapabilitySets()


@pytest.mark.parametrize("path", ["", "/", "..", "a/../b", "a/./b", "a\0b", "x" * 300, "/a/" + "y" * 256])
def test_paths_that_could_leave_are_refused(path: str) -> None:
    with pytest.raises(InvalidArgument):
        cgroup_files.clean(path)


def test_paths() -> None:
    assert cgroup_files.clean("/scow//id/") == "scow/id"


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**40])
def test_absurd_numbers_name_the_value(value: int) -> None:
    """CVE-2018-20699: also deep inside."""
    for resources in ({"memory": {"limit": value}}, {"blockIO": {"x": [{"rate": value}]}}):
        with pytest.raises(InvalidArgument, match=str(value)):
            cgroup.create("scowtest/absurd", resources)


def test_shares_to_weight() -> None:
    assert [cgroup_v2.weight_of_shares(n) for n in (0, 2, 1024, 262144, 10**9)] == [1, 1, 39, 10000, 10000]


@pytest.mark.parametrize("resources", [{"rdma": {"x": {}}}, {"memory": {"kernel": 1}}, {"blockIO": {"leafWeight": 1}}])
def test_limits_that_scow_does_not_know_are_refused(resources: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="scow does not support the limit"):
        cgroup.create("scowtest/unsupported", resources)
