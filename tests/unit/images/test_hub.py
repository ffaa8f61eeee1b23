"""Search answers of hubs, whatever they hold; and whom a term asks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import ScowError
from scow.images.registry import hub
from scow.model.transfer import Found


@pytest.mark.parametrize(
    ("term", "host", "wanted"),
    [
        ("nginx", "index.docker.io", "nginx"),
        ("library/nginx", "index.docker.io", "nginx"),
        ("someone/app", "index.docker.io", "someone/app"),
        ("docker.io/library/nginx", "index.docker.io", "nginx"),
        ("registry.test/a/b", "registry.test", "a/b"),
        ("host:5000/x", "host:5000", "x"),
        ("localhost/x", "localhost", "x"),
        ("", "index.docker.io", ""),
    ],
)
def test_whom_a_term_asks(term: str, host: str, wanted: str) -> None:
    assert hub.split(term) == (host, wanted)


def test_an_answer() -> None:
    body = {"results": [{"name": "a", "description": "b\x1b[31m", "star_count": 3, "is_official": True, "x": {}}, {}]}
    found = hub._results(json.dumps(body).encode())
    assert found == [Found("a", "b[31m", 3, True), Found("", "", 0, False)]


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["results", "name", "star_count", "description", "is_official"]), inner), max_leaves=12)  # fmt: skip


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_answer_breaks_it(body: bytes) -> None:
    try:
        found: Any = hub._results(body)
    except ScowError:
        return
    assert all(isinstance(item, Found) for item in found)
