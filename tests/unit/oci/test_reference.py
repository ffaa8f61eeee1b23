"""The reference grammar, against Docker's sentences (recorded from dockerd 26.1) and by properties."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.oci.digest import Digest
from scow.oci.reference import Reference

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("nginx", "docker.io/library/nginx", "nginx"),
        ("nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"),
        ("docker.io/nginx", "docker.io/library/nginx", "nginx"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx", "nginx"),
        ("someone/app", "docker.io/someone/app", "someone/app"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("127.0.0.1:5055/x:t", "127.0.0.1:5055/x:t", "127.0.0.1:5055/x:t"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("FOO/x", "FOO/x", "FOO/x"),
        ("a.b/c/d__e/f-g--h.i", "a.b/c/d__e/f-g--h.i", "a.b/c/d__e/f-g--h.i"),
        (f"x@sha256:{HEX}", f"docker.io/library/x@sha256:{HEX}", f"x@sha256:{HEX}"),
        (f"x:t@sha256:{HEX}", f"docker.io/library/x:t@sha256:{HEX}", f"x:t@sha256:{HEX}"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
    ],
)
def test_normalises(text: str, full: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert (str(reference), reference.familiar) == (full, familiar)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "invalid reference format"),
        ("Nginx", "invalid reference format: repository name (library/Nginx) must be lowercase"),
        ("localhost/X", "invalid reference format: repository name (X) must be lowercase"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("a_-b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("x:", "invalid reference format"),
        ("x@", "invalid reference format"),
        ("x:t@", "invalid reference format"),
        ("a@b", "invalid reference format"),
        ("x:" + "t" * 129, "invalid reference format"),
        ("x:-t", "invalid reference format"),
        ("host:port/x", "invalid reference format"),
        ("x\n", "invalid reference format"),
        ("../../etc", "invalid reference format"),
        ("x@sha256:abc", "invalid reference format"),
        (f"x@sha256:{'A' * 64}", "invalid checksum digest format"),
        (f"x@sha256:{'a' * 63}", "invalid checksum digest length"),
        (f"x@foo:{HEX}", "unsupported digest algorithm"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("b/" * 127 + "x", "repository name must not be more than 255 characters"),
    ],
)
def test_refuses_in_dockers_words(text: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Reference.parse(text)
    assert caught.value.message == sentence


def test_default_tag() -> None:
    assert Reference.parse("x").with_default_tag().familiar == "x:latest"
    assert Reference.parse("x:t").with_default_tag().familiar == "x:t"
    assert Reference.parse(f"x@sha256:{HEX}").with_default_tag().tag is None


def test_is_a_value() -> None:
    assert Reference.parse("nginx") == Reference.parse("docker.io/library/nginx")
    assert len({Reference.parse("nginx"), Reference.parse("library/nginx")}) == 1
    with pytest.raises(AttributeError):
        Reference.parse("nginx").tag = "other"


component = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
# A first component that looks like a host (0.0_0) is taken for one, and then refused for what it is.
names = st.lists(component, min_size=1, max_size=4).filter(lambda parts: "." not in parts[0]).map("/".join)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,30}", fullmatch=True)
domains = st.sampled_from(["", "localhost/", "127.0.0.1:5000/", "example.com/", "a.b.example.com:443/", "[fe80::1]/"])


@given(domains, names, st.none() | tags, st.booleans())
def test_what_is_valid_reads_back(domain: str, name: str, tag: str | None, digest: bool) -> None:
    text = domain + name + (f":{tag}" if tag is not None else "") + (f"@{Digest.of(b'x')}" if digest else "")
    reference = Reference.parse(text)
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference
    assert reference.tag == tag


@given(st.text(alphabet=string.printable + "ü\0", max_size=400))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(str(reference)) == reference
    assert ".." not in reference.path and "\0" not in str(reference) and "//" not in reference.path
