"""The fault matrix of security.md section 6.5 for pulls, fresh and gone on with.

Whatever happens: no corrupt object and nothing half-made, a bounded number of requests, an error that names what
failed, no credential elsewhere. What has come stays, and the pull that works afterwards asks for the rest only.
"""

import gzip
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scow.errors import ScowError
from scow.images.archive.limits import Limits
from scow.model.transfer import Credentials
from tests.harness import faults
from tests.harness.faultreg import FaultRegistry
from tests.harness.registry import Image, digest
from tests.integration.images.world import QUICK, World
from tests.unit.images.craft import archive, file, header

DATA = archive(file(b"data", random.Random(1).randbytes(150_000)))
SECRET = Credentials("someone", "hunter2-secret")
MOST_REQUESTS = 30


@dataclass
class Stage:
    """One case's surroundings. `name` is pulled; `other` must never see a credential."""

    world: World
    registry: FaultRegistry
    other: FaultRegistry
    monkeypatch: pytest.MonkeyPatch
    name: str = ""
    layer: str = ""
    credentials: Credentials | None = None

    def ever(self, fault: Callable[..., None], *kinds: str) -> None:
        for kind in kinds:
            self.registry.ever(kind, fault)

    def layer_is(self, plain: bytes, packed: bytes) -> None:
        faults.layer_instead(self.registry, "app", plain, packed)
        self.layer = digest(packed)

    def refused(self) -> None:
        self.name = f"127.0.0.1:{faults.unused_port()}/app"

    def no_name(self) -> None:
        faults.names(self.monkeypatch)
        self.name = "registry.invalid:5000/app"

    def with_tokens(self, realm: str = "") -> None:
        self.credentials = SECRET
        self.ever(faults.bearer(realm or f"{self.registry.url}/token"), "ping", "manifest")

    def bomb(self) -> None:
        self.world.store.parts.limits = Limits(ratio_floor=1 << 20)
        plain = archive(header(b"x", size=32 << 20) + bytes(32 << 20))
        self.layer_is(plain, gzip.compress(plain, 9))

    def slow(self, fault: Callable[..., None], kind: str) -> None:
        self.world.be(replace(QUICK, patience=0.1, slowest=1000, read_timeout=0.1))
        self.ever(fault, kind)


@dataclass(frozen=True)
class Case:
    """`words`: what the error says; "" when the pull works all the same. `costs`: more than the missing part is fetched."""

    name: str
    arm: Callable[[Stage], object]
    words: str = ""
    costs: bool = False


def _redirected(stage: Stage) -> None:
    stage.other.blobs = stage.registry.blobs
    stage.with_tokens()
    stage.registry.heal()
    stage.ever(faults.redirect(stage.other.url + "{path}"), "layer")


ANY = ("ping", "manifest", "config", "layer")
CASES = [
    Case("connect refused", Stage.refused, "127.0.0.1:.*: connect: connection refused"),
    Case("no such name", Stage.no_name, "lookup registry.invalid.*: no such host"),
    *(
        Case(f"401 for ever on {kind}", lambda s, k=kind: s.ever(faults.bearer(f"{s.registry.url}/token"), k), words)
        for kind, words in (("manifest", "pull access denied for .*/app|unauthorized"), ("layer", "unauthorized"))
    ),
    Case("token server 500", lambda s: (s.with_tokens(), s.ever(faults.status(500), "token")), "500"),
    Case("endless token", lambda s: (s.with_tokens(), s.ever(faults.endless, "token")), "more than 1048576 bytes"),
    Case("foreign realm", lambda s: s.with_tokens(f"http://localhost:{s.other.port}/token"), "token server .*localhost"),
    *(
        Case(f"{code} on {kind}", lambda s, c=code, k=kind: s.ever(faults.status(c), k), words)
        for code, kind, words in (
            (403, "manifest", "pull access denied for .*/app"),
            (403, "layer", "403"),
            (404, "manifest", "manifest for .*/app:latest not found"),
            (404, "layer", "404"),
            (404, "ping", "404"),
        )
    ),
    *(
        Case(f"429 on {kind}", lambda s, k=kind: s.ever(faults.too_many(), k), "toomanyrequests: .*ratelimit-limit: 100")
        for kind in ("ping", "manifest", "layer")
    ),
    Case(
        "429 with a long Retry-After",
        lambda s: s.ever(faults.too_many("3600"), "layer"),
        "toomanyrequests: .*ratelimit-remaining: 0.*retry-after: 3600",
    ),
    Case("429 with Retry-After once", lambda s: s.registry.once("layer", faults.too_many("30"))),
    *(
        Case(f"{code} once on {kind}", lambda s, c=code, k=kind: s.registry.once(k, faults.status(c)))
        for code in (500, 502, 503)
        for kind in ANY
    ),
    *(
        Case(f"{code} always on {kind}", lambda s, c=code, k=kind: s.ever(faults.status(c), k), str(code))
        for code, kind in ((500, "ping"), (502, "manifest"), (503, "layer"))
    ),
    *(Case(f"503 alternating on {kind}", lambda s, k=kind: s.ever(faults.alternating(503), k)) for kind in ANY),
    *(
        Case(f"large headers on {kind}", lambda s, k=kind: s.ever(faults.large_headers, k), "malformed|more than .* bytes")
        for kind in ANY
    ),
    *(
        Case(f"cut off at {share:.0%} once", lambda s, share=share: s.registry.once("layer", faults.cut(share)))
        for share in (0.0, 0.01, 0.5, 0.99)
    ),
    Case("cut off at 0% always", lambda s: s.ever(faults.cut(0.0), "layer"), "unexpected EOF|EOF"),
    Case("cut off at 1% always", lambda s: s.ever(faults.cut(0.01), "layer"), "unexpected EOF"),
    Case("longer than declared", lambda s: s.ever(faults.longer(), "layer"), "longer than the 15.* announced", True),
    Case("wrong bytes", lambda s: s.ever(faults.wrong_bytes, "layer"), "verification failed for digest sha256", True),
    Case("wrong size", lambda s: s.ever(faults.wrong_size, "layer"), "has 15.* bytes, its descriptor says", True),
    Case("wrong type", lambda s: s.ever(faults.status(200, b"<html>", Content_Type="text/html"), "manifest"), "manifest"),
    Case("ambiguous manifest", lambda s: faults.ambiguous(s.registry, "app"), "ambiguous"),
    Case("no platform of ours", lambda s: faults.other_platform(s.registry, "app"), "no matching manifest for linux/"),
    Case("nested index", lambda s: faults.nested(s.registry, "app"), "no matching manifest for linux/"),
    Case("gzip bomb", Stage.bomb, "400-fold"),
    Case(
        "bad gzip tail",
        lambda s: s.layer_is(DATA, gzip.compress(DATA, 1)[:-4] + b"abcd"),
        "gzip",
    ),
    Case("garbage after gzip", lambda s: s.layer_is(DATA, gzip.compress(DATA, 1) + b"abcd"), "unexpected EOF"),
    Case("content encoding", lambda s: s.ever(faults.encoded, "manifest"), "content encoding"),
    Case("content encoding on a layer", lambda s: s.ever(faults.encoded, "layer"), "content encoding"),
    Case("Range ignored", lambda s: (s.registry.once("layer", faults.cut(0.5)), s.ever(faults.no_ranges, "config"),
         s.registry.faults["layer"].append(faults.no_ranges)), "", True),
    Case("wrong Range", lambda s: s.registry.once("layer", faults.cut(0.5), faults.wrong_range), "", True),
    Case("lying Range", lambda s: s.registry.once("layer", faults.cut(0.5), faults.lying_range), "verification|^$", True),
    *(
        Case(f"redirect to {what}", lambda s, k=kind, u=url: s.ever(faults.redirect(u), k), words)
        for what, kind, url, words in (
            ("itself", "layer", "{path}", "stopped after 10 redirects"),
            ("link-local", "manifest", "http://169.254.169.254/latest", "link-local|private"),
            ("link-local", "layer", "http://[fe80::1]/latest", "link-local|private"),
            ("a file", "layer", "file:///etc/passwd", "not an http"),
            ("credentials", "layer", "http://a:b@127.0.0.1/", "not an http"),
        )
    ),
    Case("redirect to another host", _redirected),
    *(Case(f"a byte at a time on {kind}", lambda s, k=kind: s.slow(faults.drip, k), "bytes in|timeout|Timeout")
      for kind in ("layer",)),
    *(Case(f"{fault.__name__} on {kind}", lambda s, f=fault, k=kind: s.slow(f, k), "Timeout exceeded")
      for fault in (faults.stall, faults.mute) for kind in ("manifest", "layer")),
    *(Case(f"reset on {kind}", lambda s, k=kind: s.ever(faults.reset, k), "EOF|reset") for kind in ANY),
]  # fmt: skip


@pytest.fixture
def world() -> Iterator[World]:
    """In memory: some 150 stores are made here, and none is to outlive a power failure."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        world = World(Path(folder) / "data")
        yield world
        world.close()


@pytest.fixture
def stage(world: World, faulty: FaultRegistry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    other = FaultRegistry()
    manifest = faulty.add("app", Image([DATA], compress="none"))
    faulty.ever("token", faults.status(200, b'{"token":"T"}'))
    yield Stage(world, faulty, other, monkeypatch, f"{faulty.address}/app", manifest["layers"][0]["digest"])
    assert not any("authorization" in headers for _, _, headers in other.requests)
    other.close()


@pytest.mark.parametrize("resumed", [False, True], ids=["fresh", "resumed"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_matrix(stage: Stage, case: Case, resumed: bool) -> None:
    case.arm(stage)
    world, blob = stage.world, stage.registry.blobs[stage.layer]
    if resumed:
        keep(world, stage.layer, blob[: len(blob) // 2])
    message = ""
    try:
        image = world.pull(stage.name, "", stage.credentials)
    except ScowError as error:
        message = error.message
    assert bool(message) == bool(case.words) or case.words.endswith("|^$"), message
    assert len(stage.registry.requests) <= MOST_REQUESTS
    if not message:
        assert image.size == 150_000 and not world.partials() and intact(world)
        return
    matches(case.words, message)
    assert world.store.images() == () and world.leftovers() == ([], [])
    for name, size in world.partials().items():
        kept = (world.root / "images/ingest" / f"{name.replace(':', '-')}.partial").read_bytes()
        assert kept == stage.registry.blobs[name][:size] or case.costs
    heals(stage, case)


def heals(stage: Stage, case: Case) -> None:
    """Without the fault the same pull works, and fetches what is missing."""
    if stage.layer not in digests(stage.registry) or not stage.name.startswith(stage.registry.address):
        return
    stage.registry.heal()
    if case.name.startswith(("ambiguous", "no platform", "nested", "gzip", "bad gzip", "garbage")):
        return
    missing = len(DATA) - stage.world.partials().get(stage.layer, 0)
    stage.world.be(QUICK)
    assert stage.world.pull(stage.name).size == 150_000
    assert stage.registry.sent <= missing + 3000 or case.costs
    assert intact(stage.world) and not stage.world.partials()


def digests(registry: FaultRegistry) -> set[str]:
    return set(registry.blobs)


def matches(words: str, message: str) -> None:
    assert re.search(words, message), message
    assert "hunter2" not in message and "Traceback" not in message


def keep(world: World, name: str, data: bytes) -> None:
    """As if an earlier pull had brought so much."""
    (world.root / "images/ingest" / f"{name.replace(':', '-')}.partial").write_bytes(data)


def intact(world: World) -> bool:
    """Whether every stored blob is what its name says."""
    folder: Path = world.root / "images/blobs/sha256"
    return all(digest(path.read_bytes()) == f"sha256:{path.name}" for path in folder.iterdir())
