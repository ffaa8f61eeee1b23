"""/etc/subuid and /etc/subgid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.linux import userns
from scow.linux.subids import Range, mappings, ranges

_TEXT = b"# comment\nada:100000:65536\n1000:300000:10\nada:200000:5\nbob:7:0\nbob:x:5\nbob:-3:5\n\n:1:1\nbob:1\n"


def test_ranges_of_a_name_lowest_first() -> None:
    assert ranges(_TEXT, ["ada"]) == (Range(100000, 65536), Range(200000, 5))


def test_the_first_owner_that_has_any() -> None:
    assert ranges(_TEXT, ["nobody", "1000", "ada"]) == (Range(300000, 10),)


def test_lines_that_are_none_do_not_count() -> None:
    assert ranges(_TEXT, ["bob", ""]) == ()
    assert ranges(b"a:1:1:1\na:4294967295:1\na:4294967294:2\na:99999999999:1\n" + b"a" * 2000 + b":5:5\n", ["a"]) == ()


@pytest.mark.parametrize(
    "text", [b"a:10:5\na:14:2\n", b"a:0:5\n", b"".join(b"a:%d:1\n" % (n * 2 + 1) for n in range(341))]
)
def test_what_cannot_be_mapped_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument):
        ranges(text, ["a"])


def test_a_map_has_no_holes_inside() -> None:
    mapped = mappings(ranges(_TEXT, ["ada"]))
    assert mapped == [
        {"containerID": 0, "hostID": 100000, "size": 65536},
        {"containerID": 65536, "hostID": 200000, "size": 5},
    ]
    assert [userns.host_id(mapped, number) for number in (0, 65535, 65536, 65540)] == [100000, 165535, 200000, 200004]
    with pytest.raises(InvalidArgument, match="65541"):
        userns.host_id(mapped, 65541)


@given(st.binary(max_size=400), st.text(max_size=5))
def test_any_text_gives_ranges_or_a_typed_error(text: bytes, owner: str) -> None:
    try:
        found = ranges(text, [owner])
    except InvalidArgument:
        return
    assert all(one.first > 0 and one.count > 0 and one.end <= 2**32 - 1 for one in found)


@given(st.lists(st.tuples(st.integers(1, 2**31), st.integers(1, 70000)), max_size=20))
def test_never_the_hosts_root_and_no_id_twice(given: list[tuple[int, int]]) -> None:
    text = b"".join(b"ada:%d:%d\n" % pair for pair in given)
    try:
        found = ranges(text, ["ada"])
    except InvalidArgument:
        ordered = sorted(given)
        assert any(a + n > b for (a, n), (b, _) in zip(ordered, ordered[1:], strict=False))
        return
    assert [(one.first, one.count) for one in found] == sorted(given)
    assert sum(item["size"] for item in mappings(found)) == sum(count for _, count in given)
