"""Platforms: spellings and what runs what."""

import pytest

from scow.errors import InvalidArgument
from scow.oci.platform import Platform, host_platform


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AArch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("s390x", "linux/s390x"),
    ],
)
def test_one_spelling(text: str, canonical: str) -> None:
    assert str(Platform.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
        ("foo", '"foo": unknown operating system or architecture: invalid argument'),
        ("linux/", '"linux/": cannot parse platform specifier: invalid argument'),
    ],
)
def test_refuses_in_dockers_words(text: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Platform.parse(text)
    assert caught.value.message == sentence


def test_what_runs_what() -> None:
    def runs(host: str, image: str) -> int | None:
        return Platform.parse(host).runs(Platform.parse(image))

    assert runs("linux/amd64", "linux/amd64") == 0
    assert runs("linux/amd64", "linux/arm64") is None
    assert runs("linux/amd64", "windows/amd64") is None
    assert runs("linux/arm/v7", "linux/arm/v6") == 1
    assert runs("linux/arm/v6", "linux/arm/v7") is None
    arm64 = [runs("linux/arm64", image) for image in ("linux/arm64", "linux/arm/v7")]
    assert arm64[0] == 0 and arm64[1] is not None and arm64[1] > 0
    assert host_platform().runs(host_platform()) == 0
