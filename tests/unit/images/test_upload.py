"""Uploads against a registry of a few lines: what is sent again, what is not, and when it ends."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from scow.errors import ScowError
from scow.images.registry import upload
from scow.images.registry.faults import RegistryFailure
from scow.images.registry.policy import Policy
from scow.images.registry.transport import Answer, Broken, Content
from scow.images.registry.upload import DigestRefused, MissingBlob, Uploader
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.reference import Reference

DATA = bytes(range(256)) * 40
BLOB = Descriptor("application/octet-stream", Digest.of(DATA), len(DATA))
REFERENCE = Reference.parse("registry.test/app:1")


async def no_wait(_: float) -> None:
    await asyncio.sleep(0)


class Registry:
    """Answers from `script` by method, in order; then as a registry should. `sent` is (method, target, bytes). The session
    moves to another location (/s1, /s2, …) with every request that it takes; at an earlier one it is unknown.
    """

    def __init__(self, **script: list[Any]) -> None:
        self.script = script
        self.sent: list[tuple[str, str, int]] = []
        self.data = bytearray()
        self.there = False
        self.at = 0

    async def request(
        self, method: str, target: str, reference: Reference, *, headers: Mapping[str, str] | None = None,
        body: bytes | Content | None = None, **_: Any,
    ) -> Answer:  # fmt: skip
        content = b"".join([data async for data in body.open()]) if isinstance(body, Content) else body or b""
        self.sent.append((method, target, len(content)))
        step = self.script[method].pop(0) if self.script.get(method) else None
        if isinstance(step, float):  # so much of the body, then silence
            self.data += content[: int(len(content) * step)]
            step = Broken("reset", True)
        if isinstance(step, Broken):
            raise RegistryFailure(step.message) from step
        if step is not None:
            return answer(*step)
        if target.startswith("/s") and target.partition("?")[0] != f"/s{self.at}":
            return answer(404, {})
        self.data += content
        self.at += method in ("POST", "PATCH")
        held = {"location": f"/s{self.at}", "range": f"0-{max(0, len(self.data) - 1)}"}
        if method == "HEAD":
            return answer(200 if self.there else 404, {})
        if method == "PUT":
            same = bytes(self.data) == DATA or "manifests" in target
            return (
                answer(201, {}) if same else answer(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
            )
        return answer({"GET": 204}.get(method, 202), held)

    def location(self, answer: Answer, value: str = "") -> str:
        return answer.headers["location"]

    def count(self, method: str) -> int:
        return sum(1 for name, _, _ in self.sent if name == method)


def answer(status: int, headers: dict[str, str], body: bytes = b"") -> Answer:
    return Answer(status, "", headers, (), body)


async def read(start: int, end: int) -> AsyncIterator[bytes]:
    for at in range(start, end, 1000):
        yield DATA[at : min(end, at + 1000)]


def push(registry: Registry, sessions: dict[str, str] | None = None) -> list[int]:
    told: list[int] = []
    uploader = Uploader(
        registry, "https://registry.test", REFERENCE, Policy(sleep=no_wait), {} if sessions is None else sessions
    )
    asyncio.run(uploader.blob(BLOB, read, told.append))
    return told


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MONOLITHIC", 1000)


def test_a_blob_goes_up_in_one_piece() -> None:
    registry = Registry()
    assert push(registry)[-1] == len(DATA)
    assert [(method, size) for method, _, size in registry.sent] == [("POST", 0), ("PATCH", len(DATA)), ("PUT", 0)]
    assert registry.sent[-1][1] == f"/s2?digest=sha256%3A{BLOB.digest.hex}"


def test_a_small_one_goes_with_the_closing_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MONOLITHIC", len(DATA))
    registry = Registry()
    push(registry)
    assert [(method, size) for method, _, size in registry.sent] == [("POST", 0), ("PUT", len(DATA))]


def test_the_missing_part_is_sent_after_a_break() -> None:
    registry = Registry(PATCH=[0.5, 0.5])
    push(registry)
    assert [size for method, _, size in registry.sent if method == "PATCH"] == [10240, 5120, 2560]


def test_a_broken_upload_is_taken_up_at_its_last_location(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_LEAST_CHUNK", 100)
    sessions: dict[str, str] = {}
    registry = Registry(PATCH=[(413, {}), None, None, 0.5])
    push(registry, sessions)
    assert [target for method, target, _ in registry.sent if method == "GET"] == ["/s3"]
    assert registry.count("POST") == 1 and bytes(registry.data) == DATA and not sessions
    sizes = [size for method, _, size in registry.sent if method == "PATCH"]
    assert set(sizes[1:-1]) == {1280}  # what a proxy takes is not asked again
    registry = Registry(PATCH=[(413, {}), None, *[Broken("reset", True)] * 9])
    with pytest.raises(RegistryFailure, match="reset"):
        push(registry, sessions)
    assert list(sessions.values()) == ["/s2"]


def test_a_session_is_kept_for_the_next_push() -> None:
    sessions: dict[str, str] = {}
    registry = Registry(PATCH=[0.5, *[Broken("reset", True)] * 9])
    with pytest.raises(RegistryFailure, match="reset"):
        push(registry, sessions)
    assert registry.count("PATCH") == Policy().attempts and list(sessions.values()) == ["/s1"]
    registry.script.clear()
    registry.sent.clear()
    push(registry, sessions)
    assert [method for method, _, _ in registry.sent] == ["GET", "PATCH", "PUT"] and not sessions


@pytest.mark.parametrize(
    "step", [(404, {}), (400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}'), (503, {})]
)
def test_attempts_are_bounded(step: Any) -> None:
    registry = Registry(PUT=[step] * 99)
    with pytest.raises(ScowError):
        push(registry)
    assert registry.count("PUT") <= Policy().attempts


def test_what_will_never_work_is_tried_once() -> None:
    for step in ((401, {}), (403, {}), (413, {}), Broken("tls", False)):
        registry = Registry(POST=[step])
        with pytest.raises(RegistryFailure):
            push(registry)
        assert registry.count("POST") == 1, step


def test_a_lost_last_answer_is_no_second_upload() -> None:
    registry = Registry(PUT=[Broken("reset", True)], GET=[(404, {})])
    registry.there = True
    push(registry)
    assert registry.count("PATCH") == 1 and registry.count("HEAD") == 1


def test_chunks_become_smaller_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_LEAST_CHUNK", 100)
    registry = Registry(PATCH=[(413, {})])
    push(registry)
    sizes = [size for method, _, size in registry.sent if method == "PATCH"]
    assert sizes[0] == 10240 and set(sizes[1:]) == {1280}


def test_what_was_stored_must_be_what_was_sent() -> None:
    registry = Registry(PUT=[(201, {"docker-content-digest": "sha256:" + "0" * 64})])
    with pytest.raises(DigestRefused, match="the registry stored blob"):
        push(registry)


def test_sessions_are_bounded() -> None:
    sessions = {str(number): "/x" for number in range(1000)}
    push(Registry(), sessions)
    assert len(sessions) < 256


def test_a_manifest_without_its_blobs() -> None:
    registry = Registry(PUT=[(400, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"gone"}]}')])
    with pytest.raises(MissingBlob, match="manifest blob unknown: gone"):
        asyncio.run(Uploader(registry, "", REFERENCE).manifest(b"{}", "x", "1"))
