"""In what the files of two archives differ."""

import io
import tarfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scow.images.archive.deviation import deviations, facts
from scow.images.archive.reader import TarReader


def archive(files: dict[str, dict[str, Any]]) -> TarReader:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as written:
        for name, fields in files.items():
            member = tarfile.TarInfo(name)
            data = fields.get("content", b"")
            member.size = len(data)
            for key, value in fields.items():
                if key != "content":
                    setattr(member, key, value)
            written.addfile(member, io.BytesIO(data))
    pieces = iter([out.getvalue(), b"", b""])
    return TarReader(lambda: next(pieces, b""))


def found(
    expected: dict[str, dict[str, Any]], built: dict[str, dict[str, Any]]
) -> dict[str, list[tuple[str, str, str]]]:
    compared = deviations(facts(archive(expected)), facts(archive(built)))
    return {file.path: [(one.what, one.expected, one.built) for one in file.deviations] for file in compared}


def test_every_kind() -> None:
    expected = {
        "same": {"content": b"x", "mtime": 5},
        "content": {"content": b"x"},
        "mode": {"mode": 0o644},
        "owner": {"uid": 1, "gid": 2},
        "mtime": {"mtime": 1.5},
        "gone": {},
        "kind": {},
        "link": {"type": tarfile.SYMTYPE, "linkname": "a"},
        "device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        "attributes": {"pax_headers": {"SCHILY.xattr.user.a": "b"}},
    }
    built = {
        "same": {"content": b"x", "mtime": 5},
        "content": {"content": b"yy"},
        "mode": {"mode": 0o4755},
        "owner": {"uid": 3, "gid": 2},
        "mtime": {"mtime": 2},
        "new": {},
        "kind": {"type": tarfile.DIRTYPE},
        "link": {"type": tarfile.SYMTYPE, "linkname": "b"},
        "device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        "attributes": {},
    }
    seen = found(expected, built)
    content = seen.pop("/content")
    assert [(what, one.split()[-2:], other.split()[-2:]) for what, one, other in content] == [
        ("content", ["(1", "bytes)"], ["(2", "bytes)"])
    ]
    assert seen == {
        "/attributes": [("attributes", "user.a=62", "")],
        "/device": [("device", "1:3", "1:5")],
        "/gone": [("missing", "", "")],
        "/kind": [("kind", "file", "directory")],
        "/link": [("target", "a", "b")],
        "/mode": [("mode", "0644", "4755")],
        "/mtime": [("mtime", "1.5", "2")],
        "/new": [("extra", "", "")],
        "/owner": [("owner", "1:2", "3:2")],
    }


trees = st.dictionaries(
    st.sampled_from("abcdef"),
    st.fixed_dictionaries({"content": st.binary(max_size=3), "mode": st.sampled_from([0o600, 0o755])}),
)


@given(trees, trees)
def test_nothing_is_found_between_equals_and_all_else_is(
    one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]
) -> None:
    assert found(one, one) == {}
    assert set(found(one, other)) == {
        f"/{name}" for name in one.keys() | other.keys() if one.get(name) != other.get(name)
    }
