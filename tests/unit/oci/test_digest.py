"""Digests are parsed before they are used in paths and URLs (CVE-2024-3727)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.oci.digest import Digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        ":" + "a" * 64,
        "sha256:../../" + "a" * 58,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "SHA256:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha512:" + "a" * 64,
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "a" * 63 + "\0",
        "sha256:" + "٠" * 64,
    ],
)
def test_cve_2024_3727_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Digest.parse(text)


@given(st.binary(max_size=64))
def test_computed_digests_parse(data: bytes) -> None:
    digest = Digest.of(data)
    assert Digest.parse(digest) == digest
    assert digest.algorithm == "sha256" and len(digest.hex) == 64 and digest.hex.startswith(digest.short)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    try:
        assert "/" not in Digest.parse(text)
    except InvalidArgument:
        pass
