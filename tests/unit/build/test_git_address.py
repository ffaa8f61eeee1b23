"""Words that name git repositories, and words that only try to (CVE-2019-13139, CVE-2017-1000117, CVE-2018-17456)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.build import git_address
from scow.build.git_address import Repository, parse
from scow.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://h/r.git", Repository("https://h/r.git")),
        ("https://h/r.git#", Repository("https://h/r.git")),
        ("https://h/r.git#main", Repository("https://h/r.git", "main")),
        ("https://h/r.git#v1.0:a/b", Repository("https://h/r.git", "v1.0", "a/b")),
        ("https://h/r.git#:a", Repository("https://h/r.git", "", "a")),
        ("git://h:99/r", Repository("git://h:99/r")),
        ("ssh://git@h/r#x", Repository("ssh://git@h/r", "x")),
        ("git@h:o/r.git#x:y", Repository("git@h:o/r.git", "x", "y")),
        ("github.com/o/r", Repository("https://github.com/o/r")),
        ("https://h/r.tar.gz", None),
        ("https://h/r", None),
        ("http://h/r.git?x", Repository("http://h/r.git?x")),
        ("a/b", None),
        ("/x.git", None),
        ("https://h/r.tar#.git", None),
    ],
)
def test_repositories(text: str, found: Repository | None) -> None:
    assert parse(text, short=True) == found


@pytest.mark.parametrize(
    "text",
    [
        "git://-x/r", "ssh://-oProxyCommand=x/r", "ssh://-x@h/r", "git@-oProxyCommand=x:r", "git@h:-r", "ssh://h/-r",
        "git://h/r#-x", "git://h/r#--upload-pack=x", "git://h/r#a b", "git://h/r#a..b", "git://h/r#a@{1}", "git://h/r#a^",
        "git://h/r#x:../y", "git://h/r r", "git://h/r\n", "git://h", "git:///r", "git://h:x/r", "https://h/\x1br.git",
        "git://h/r#x:a\nb", "git://h/r#*", "git://h/r#+a", "ssh://h`x`/r", "git@h$x:r",
    ],
)  # fmt: skip
def test_options_and_tricks_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(text)


@given(st.text(max_size=40), st.sampled_from(["", "git://", "ssh://", "https://h/", "git@h:", "git://h/r#", "git@"]))
def test_nothing_becomes_an_option(text: str, start: str) -> None:
    with contextlib.suppress(InvalidArgument):
        found = parse(start + text, short=True)
        if found is not None:
            assert not any(word.startswith("-") for word in (found.url, found.ref))
            assert found.url.startswith(("git://", "ssh://", "http://", "https://")) or "@" in found.url
            assert not any(
                part.startswith("-") for part in found.url.replace("@", "/").replace(":", "/").split("/")[:4]
            )
            assert found.url.isprintable() and " " not in found.url + found.ref


def test_passwords_are_not_shown() -> None:
    assert git_address.redacted("x https://u:p@h/r.git y") == "x https://u:xxxxx@h/r.git y"
    assert Repository("https://t@h/r.git").shown == "https://t@h/r.git"
