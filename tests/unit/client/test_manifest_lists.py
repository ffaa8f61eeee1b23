"""Manifest lists in files: where they lie, and what is refused."""

import json
from pathlib import Path

import pytest

from scow.client.manifest_lists import ManifestLists, NoSuchList
from scow.errors import InvalidArgument
from scow.oci.reference import Reference

LIST = Reference.parse("127.0.0.1:5000/a/list:1")
ENTRY = {"Ref": "x", "Raw": "e30=", "Descriptor": {"mediaType": "m", "digest": "d", "size": 2}}


def test_files_lie_where_dockers_cli_has_them(tmp_path: Path) -> None:
    lists = ManifestLists(str(tmp_path))
    lists.put(LIST, Reference.parse("docker.io/library/b:2"), ENTRY)
    lists.put(LIST, Reference.parse("127.0.0.1:5000/a/b:2@sha256:" + "a" * 64), ENTRY)
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    folder = "manifests/127.0.0.1-5000_a_list-1"
    assert names == [f"{folder}/127.0.0.1-5000_a_b-2@sha256-{'a' * 64}", f"{folder}/docker.io_library_b-2"]
    assert lists.entries(LIST) == [ENTRY, ENTRY] and lists.has(LIST)
    lists.remove(LIST)
    assert not lists.has(LIST) and not (tmp_path / folder).exists()


def test_what_is_not_there(tmp_path: Path) -> None:
    lists = ManifestLists(str(tmp_path))
    for ask in (lists.entries, lists.remove):
        with pytest.raises(NoSuchList, match="No such manifest: 127.0.0.1:5000/a/list:1"):
            ask(LIST)
    lists.put(LIST, Reference.parse("b:2"), ENTRY)
    with pytest.raises(NoSuchList, match="No such manifest: docker.io/library/c:2"):
        lists.entry(LIST, Reference.parse("c:2"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        json.dumps({**ENTRY, "Raw": 1}),
        json.dumps({**ENTRY, "Descriptor": {"size": "2"}}),
        "[" * 9999,
    ],
)
def test_damaged_files(tmp_path: Path, text: str) -> None:
    lists = ManifestLists(str(tmp_path))
    lists.put(LIST, Reference.parse("b:2"), ENTRY)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_text(text)
    with pytest.raises(InvalidArgument, match="error parsing"):
        lists.entries(LIST)
