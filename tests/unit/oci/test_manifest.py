"""Manifests, indexes and configs: one reading only, bounded, never a crash (CVE-2021-41190, CVE-2021-21285)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import ScowError
from scow.oci import documents, image, manifest, media
from scow.oci.digest import Digest
from scow.oci.documents import InvalidDocument
from scow.oci.manifest import Index, Manifest
from scow.oci.platform import Platform

DIGEST = str(Digest.of(b"x"))


def config_descriptor(**changes: Any) -> dict[str, Any]:
    return {"mediaType": media.OCI_CONFIG, "digest": DIGEST, "size": 1, **changes}


def document(**changes: Any) -> dict[str, Any]:
    layer = {"mediaType": media.OCI_LAYER + "+gzip", "digest": DIGEST, "size": 2}
    return {"schemaVersion": 2, "config": config_descriptor(), "layers": [layer], **changes}


def parse(value: dict[str, Any], content_type: str = media.OCI_MANIFEST, expected: str = "") -> Manifest | Index:
    return manifest.parse(json.dumps(value).encode(), content_type, expected)


def test_reads_an_oci_manifest() -> None:
    parsed = parse(document(mediaType=media.OCI_MANIFEST), media.OCI_MANIFEST + "; charset=utf-8")
    assert isinstance(parsed, Manifest) and [layer.size for layer in parsed.layers] == [2]


def test_docker_manifest_becomes_oci() -> None:
    layer = {"mediaType": media.DOCKER_LAYER + ".gzip", "digest": DIGEST, "size": 2}
    value = document(
        mediaType=media.DOCKER_MANIFEST, config=config_descriptor(mediaType=media.DOCKER_CONFIG), layers=[layer]
    )
    parsed = parse(value, media.DOCKER_MANIFEST)
    assert isinstance(parsed, Manifest)
    again = manifest.parse(manifest.as_oci(parsed, b""), media.OCI_MANIFEST)
    assert isinstance(again, Manifest)
    assert again.layers[0].media_type == media.OCI_LAYER + "+gzip" and again.config.media_type == media.OCI_CONFIG


@pytest.mark.parametrize(
    ("value", "content_type", "expected"),
    [
        (document(manifests=[]), media.OCI_MANIFEST, ""),
        (document(manifests=[]), media.OCI_INDEX, ""),
        (document(mediaType=media.OCI_INDEX), media.OCI_MANIFEST, ""),
        (document(mediaType=media.OCI_MANIFEST), media.DOCKER_MANIFEST, ""),
        (document(), media.OCI_MANIFEST, media.OCI_INDEX),
        ({"schemaVersion": 2, "manifests": []}, media.OCI_MANIFEST, ""),
        (document(), "text/html", ""),
        (document(mediaType="application/x-unknown"), media.OCI_MANIFEST, ""),
        (document(schemaVersion=1), media.OCI_MANIFEST, ""),
        ({"schemaVersion": 1, "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+prettyjws", ""),
        (document(config=config_descriptor(mediaType="application/vnd.wasm.config")), media.OCI_MANIFEST, ""),
        (document(config=config_descriptor(digest="sha256:../../x")), media.OCI_MANIFEST, ""),
        (document(config=config_descriptor(size=-1)), media.OCI_MANIFEST, ""),
        (document(config=config_descriptor(size=True)), media.OCI_MANIFEST, ""),
        (document(config=config_descriptor(size="1")), media.OCI_MANIFEST, ""),
        (document(layers=[{"mediaType": "x", "digest": DIGEST, "size": 1}]), media.OCI_MANIFEST, ""),
        (document(layers=document()["layers"] * 128), media.OCI_MANIFEST, ""),
        (document(layers={"a": 1}), media.OCI_MANIFEST, ""),
    ],
)
def test_cve_2021_41190_refuses_what_is_ambiguous_or_wrong(
    value: dict[str, Any], content_type: str, expected: str
) -> None:
    with pytest.raises(InvalidDocument):
        parse(value, content_type, expected)


def test_cve_2021_41190_refuses_repeated_keys() -> None:
    text = json.dumps(document())[:-1] + ',"layers":[]}'
    with pytest.raises(InvalidDocument, match="twice"):
        manifest.parse(text.encode(), media.OCI_MANIFEST)


def test_index_chooses_by_platform() -> None:
    def entry(size: int, architecture: str, variant: str = "", os: str = "linux") -> dict[str, Any]:
        platform = {"os": os, "architecture": architecture, "variant": variant}
        return {"mediaType": media.OCI_MANIFEST, "digest": DIGEST, "size": size, "platform": platform}

    entries = [entry(1, "unknown", os="unknown"), entry(2, "arm", "v6"), entry(3, "arm", "v7"), entry(4, "amd64")]
    index = parse({"schemaVersion": 2, "manifests": entries}, media.OCI_INDEX)
    assert isinstance(index, Index)

    def size(platform: str) -> int | None:
        chosen = index.choose(Platform.parse(platform))
        return chosen.size if chosen else None

    assert [size(p) for p in ("linux/amd64", "linux/arm/v7", "linux/arm/v6", "linux/arm64", "linux/s390x")] == [
        4, 3, 2, 3, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"a":1}\xff',
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
    ],
)
def test_documents_refuse(data: bytes) -> None:
    with pytest.raises(InvalidDocument):
        documents.load(data, "document")


def test_documents_are_bounded() -> None:
    with pytest.raises(InvalidDocument, match="more than"):
        documents.load(b" " * 100, "document", 99)


def test_chain_ids_follow_the_specification() -> None:
    import hashlib

    first, second = Digest.of(b"1"), Digest.of(b"2")
    chain = image.chain_ids([first, second])
    assert chain == (first, "sha256:" + hashlib.sha256(f"{first} {second}".encode()).hexdigest())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([DIGEST, media.OCI_MANIFEST]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["digest", "size", "mediaType", "platform", "os", "annotations", "urls", "x"]), inner
        )
    ),
    max_leaves=12,
)
keys = st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers", "annotations"])


@given(st.dictionaries(keys, json_values), st.sampled_from(sorted(media.MANIFESTS | media.INDEXES)))
def test_cve_2021_21285_any_manifest_is_read_or_refused(value: dict[str, Any], content_type: str) -> None:
    try:
        parse({"schemaVersion": 2, **value}, content_type)
    except ScowError:
        pass


@given(st.dictionaries(st.sampled_from(["rootfs", "history", "config", "os", "architecture", "created"]), json_values))
def test_any_config_is_read_or_refused(value: dict[str, Any]) -> None:
    try:
        image.parse(json.dumps({"rootfs": {"type": "layers", "diff_ids": []}, **value}).encode())
    except ScowError:
        pass
