"""The fault matrix of security.md section 6.5 for pushes, fresh and gone on with.

Whatever happens: the registry gets no corrupt object and no manifest without its blobs, a bounded number of requests
is made, the error names what failed, the local image stays, no credential goes elsewhere. The push that works afterwards
sends what is missing only.
"""

import random
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scow.errors import ScowError
from scow.images.registry import upload
from scow.model.transfer import Credentials, PullProgress, PushedTag
from scow.oci.digest import Digest
from scow.oci.reference import Reference
from tests.harness import faults
from tests.harness.faultreg import FaultRegistry, Handler
from tests.harness.registry import Image, digest
from tests.integration.images.test_pull_matrix import SECRET, intact, matches
from tests.integration.images.world import QUICK, World
from tests.unit.images.craft import archive, file

SIZE = 150_000
DATA = archive(file(b"data", random.Random(2).randbytes(SIZE)))
KEPT = 0.4
MOST_REQUESTS = 60


@dataclass
class Stage:
    """One case's surroundings. `name` is pushed; `other` must never see a credential."""

    world: World
    registry: FaultRegistry
    other: FaultRegistry
    monkeypatch: pytest.MonkeyPatch
    name: str
    layer: str
    credentials: Credentials | None = None

    def called(self, name: str) -> None:
        """The image is pushed under another name."""
        image = self.world.store.images()[0]
        self.world.run(self.world.store.tag(image.id, Reference.parse(name).with_default_tag()))
        self.name = name

    def push(self, name: str = "") -> list[PullProgress | PushedTag]:
        told: list[PullProgress | PushedTag] = []
        reference = Reference.parse(name or self.name).with_default_tag()
        self.world.run(self.world.store.push(reference, False, "", self.credentials, told.append))
        return told

    def refused(self) -> None:
        self.called(f"127.0.0.1:{faults.unused_port()}/app")

    def no_name(self) -> None:
        faults.names(self.monkeypatch)
        self.called("registry.invalid:5000/app")

    def with_tokens(self, realm: str = "", *kinds: str) -> None:
        self.credentials = SECRET
        for kind in kinds or ("ping", "layer"):
            self.registry.ever(kind, faults.bearer(realm or f"{self.registry.url}/token"))

    def slow(self, fault: Callable[[Handler], None], kind: str) -> None:
        self.world.be(replace(QUICK, read_timeout=0.1, connect_timeout=0.2))
        self.registry.ever(kind, fault)

    def mountable(self) -> None:
        """The registry is known to have the layer in another repository: from there it may be mounted."""
        image = self.world.store.images()[0]
        other = Reference.parse(f"{self.registry.address}/other@sha256:{'1' * 64}")
        self.world.run(self.world.store.parts.catalog.add_digest(image.id, other))

    def damage(self) -> None:
        path = self.world.store.parts.blobs.path(Digest.parse(self.layer))
        _flip(Path(path))


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def elsewhere(other: FaultRegistry) -> faults.Fault:
    """Sessions are at another host, as the registries of clouds have it."""

    def fault(handler: Handler) -> None:
        session = f"{len(other.uploads):04x}"
        other.uploads[session] = bytearray()
        handler.answer(202, b"", {"Location": f"{other.url}{handler.path}{session}"})

    return fault


def stored_as(name: str) -> faults.Fault:
    return lambda handler: handler.answer(201, b"", {"Docker-Content-Digest": name})


def lies(handler: Handler) -> None:
    """Says to have a blob."""
    handler.answer(200, bytes(len(DATA)))


def kept_then_reset(handler: Handler) -> None:
    """Takes everything, and breaks off before the answer."""
    handler.wfile = _Nowhere()  # type: ignore[assignment]
    handler.serve()
    handler.hang_up()


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass


def nothing_taken(handler: Handler) -> None:
    handler.body  # noqa: B018
    handler.progress(202, "app", handler.path.partition("?")[0].rpartition("/")[2])


def too_large(handler: Handler) -> None:
    """As a proxy with a limit for the size of requests."""
    if len(handler.body) > 50_000:
        handler.answer(413, b"")
    else:
        handler.serve()


@dataclass(frozen=True)
class Case:
    """`words`: what the error says; "" when the push works all the same. `costs`: more than what is missing is sent."""

    name: str
    arm: Callable[[Stage], object]
    words: str = ""
    costs: bool = False


STEPS = ("start", "patch", "commit", "manifest-put")
DENIED = "^denied: requested access to the resource is denied$"


def ever(fault: faults.Fault, *kinds: str) -> Callable[[Stage], object]:
    return lambda stage: [stage.registry.ever(kind, fault) for kind in kinds]


def once(kind: str, *armed: faults.Fault) -> Callable[[Stage], object]:
    return lambda stage: stage.registry.once(kind, *armed)


def _token_at(stage: Stage) -> str:
    return f"{stage.registry.url}/token"


CASES = [
    Case("connect refused", Stage.refused, "127.0.0.1:.*: connect: connection refused"),
    Case("no such name", Stage.no_name, "lookup registry.invalid.*: no such host"),
    *(Case(f"401 for ever on {kind}", lambda s, k=kind: s.registry.ever(k, faults.bearer(_token_at(s))),
           "unauthorized: authentication required|denied") for kind in ("layer", *STEPS)),
    Case("token server 500", lambda s: (s.with_tokens(), s.registry.ever("token", faults.status(500))), "500"),
    Case("endless token", lambda s: (s.with_tokens(), s.registry.ever("token", faults.endless)), "more than 1048576 bytes"),
    Case("foreign realm", lambda s: s.with_tokens(f"http://localhost:{s.other.port}/token"), "token server .*localhost"),
    *(Case(f"403 on {kind}", ever(faults.status(403), kind), DENIED) for kind in ("layer", *STEPS)),
    Case("denied in words", ever(faults.mount_denied, "start"), DENIED),
    *(Case(f"404 on {kind}", ever(faults.status(404), kind), words)
      for kind, words in (("ping", "404"), ("start", "404"), ("patch", "blob upload unknown"),
                          ("commit", "blob upload unknown"), ("manifest-put", "404"))),
    *(Case(f"429 on {kind}", ever(faults.too_many(), kind), "toomanyrequests: .*ratelimit-limit: 100|429")
      for kind in ("ping", "layer", *STEPS)),
    *(Case(f"429 with a long Retry-After on {kind}", ever(faults.too_many("3600"), kind), "toomanyrequests: .*3600")
      for kind in STEPS),
    *(Case(f"429 with Retry-After once on {kind}", once(kind, faults.too_many("30"))) for kind in STEPS),
    *(Case(f"{code} once on {kind}", once(kind, faults.status(code))) for code, kind in (
        (500, "ping"), (502, "layer"), (503, "start"), (500, "patch"), (502, "commit"), (503, "manifest-put"))),
    *(Case(f"{code} always on {kind}", ever(faults.status(code), kind), str(code))
      for code, kind in ((500, "start"), (502, "patch"), (503, "commit"), (500, "manifest-put"))),
    *(Case(f"503 alternating on {kind}", ever(faults.alternating(503), kind)) for kind in ("ping", "layer", *STEPS)),
    *(Case(f"large headers on {kind}", ever(faults.large_headers, kind), "malformed|more than .* bytes") for kind in STEPS),
    *(Case(f"broken off at {share:.0%} once", once("patch", faults.swallow(share))) for share in (0.0, 0.01, 0.5, 0.99)),
    Case("broken off at 30% again and again", once("patch", *[faults.swallow(0.3)] * 12)),
    Case("broken off at 0% always", ever(faults.swallow(0.0), "patch"), "EOF|reset|broken pipe"),
    Case("broken off, and no status", lambda s: (once("patch", faults.swallow(0.5))(s), ever(faults.status(404), "status")(s)),
         "", True),
    Case("status 503 once", lambda s: (once("patch", faults.swallow(0.5))(s), once("status", faults.status(503))(s))),
    Case("nothing taken", ever(nothing_taken, "patch"), "the registry took nothing|did not match"),
    Case("too large for a proxy", ever(too_large, "patch"), "", True),
    Case("too large always", ever(faults.status(413), "patch"), "413"),
    Case("blob stored as another", ever(stored_as("sha256:" + "0" * 64), "commit"), "the registry stored blob sha256:", True),
    Case("manifest stored as another", ever(stored_as("sha256:" + "0" * 64), "manifest-put"), "the registry stored manifest"),
    Case("content encoding", ever(faults.encoded, "start"), "content encoding"),
    Case("content encoding of a refusal", ever(faults.encoded, "manifest-put"), "content encoding"),
    *(Case(f"redirect of {kind} to {what}", ever(faults.redirect(url), kind), words) for what, url, words in (
        ("itself", "{path}", "stopped after 10 redirects"), ("link-local", "http://169.254.169.254/latest", "link-local|private"),
        ("a file", "file:///etc/passwd", "not an http")) for kind in STEPS),
    Case("redirect with another method", ever(faults.redirect("{path}", 302), "start"), "redirect with status 302 refused"),
    *(Case(f"{fault.__name__} on {kind}", lambda s, f=fault, k=kind: s.slow(f, k), "Timeout exceeded|timeout")
      for fault in (faults.mute,) for kind in STEPS),
    *(Case(f"reset on {kind}", ever(faults.reset, kind), "EOF|reset|broken pipe") for kind in ("ping", "layer", *STEPS)),
    Case("session lost once", once("patch", faults.session_lost), "", True),
    Case("session lost at the end", once("commit", faults.session_lost), "", True),
    Case("session lost always", ever(faults.session_lost, "commit"), "blob upload unknown", True),
    Case("digest mismatch once", once("commit", faults.digest_invalid), "", True),
    Case("digest mismatch always", ever(faults.digest_invalid, "commit"), "provided digest did not match", True),
    Case("answer to the last request lost", once("commit", kept_then_reset)),
    Case("mounted", Stage.mountable),
    Case("mount denied", lambda s: (s.mountable(), ever(faults.mount_denied, "mount")(s))),
    Case("mount 500", lambda s: (s.mountable(), ever(faults.status(500), "mount")(s)), "500"),
    Case("a blob that is not there", lambda s: once("layer", lies)(s), "", True),
    Case("manifest refused", ever(lambda h: h.refuse(400, "MANIFEST_INVALID", "no such thing"), "manifest-put"),
         "manifest invalid: no such thing"),
    Case("damaged on this side", Stage.damage, "blob sha256:.* is damaged", True),
]  # fmt: skip


@pytest.fixture
def stage(faulty: FaultRegistry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(upload, "MONOLITHIC", 1000)
    monkeypatch.setattr(upload, "_LEAST_CHUNK", 1000)
    other, source = FaultRegistry(), FaultRegistry()
    manifest = source.add("app", Image([DATA], compress="none"))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        world = World(Path(folder) / "data")
        world.pull(f"{source.address}/app")
        source.close()
        layer = manifest["layers"][0]["digest"]
        faulty.kinds[manifest["config"]["digest"]] = "config"
        faulty.ever("token", faults.status(200, b'{"token":"T"}'))
        made = Stage(world, faulty, other, monkeypatch, "", layer)
        made.called(f"{faulty.address}/app")
        yield made
        world.close()
    assert not any("authorization" in headers for _, _, headers in other.requests)
    other.close()


@pytest.mark.parametrize("resumed", [False, True], ids=["fresh", "resumed"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_matrix(stage: Stage, case: Case, resumed: bool) -> None:
    registry = stage.registry
    if resumed:
        begin(stage)
    case.arm(stage)
    message = ""
    try:
        told = stage.push()
    except ScowError as error:
        message = error.message
    # an upload that is taken up needs no new session
    expected = bool(case.words) and not (resumed and _on_start(case))
    assert bool(message) == expected, message
    assert len(registry.requests) <= MOST_REQUESTS
    assert registry.corrupt() == [] and intact(stage.world) == ("damaged" not in case.name)
    if not message:
        assert isinstance(told[-1], PushedTag) and ("app", "latest") in registry.manifests
        assert registry.received <= len(DATA) * (1 - KEPT * resumed) + 6000 or costs(case)
        return
    matches(case.words, message)
    assert ("app", "latest") not in registry.manifests
    heals(stage, case)


def costs(case: Case) -> bool:
    """Whether more is sent than what is missing: a body that is refused after it came, a session that is lost."""
    again = re.search(
        r"^(404|429 with Retry-After once|50\d|503 alternating|large headers) .*on (patch|commit)", case.name
    )
    return case.costs or again is not None


def _on_start(case: Case) -> bool:
    return (
        any(words in case.name for words in ("start", "denied in words", "another method"))
        or case.name == "content encoding"
    )


def begin(stage: Stage) -> None:
    """An earlier push got so far."""
    stage.registry.faults["patch"] = [faults.swallow(KEPT), faults.reset]
    stage.registry.always.add("patch")
    with pytest.raises(ScowError):
        stage.push()
    token = stage.registry.faults["token"]
    stage.registry.heal()
    stage.registry.ever("token", token[0])


def heals(stage: Stage, case: Case) -> None:
    """Without the fault the same push works, and sends what is missing."""
    if not stage.name.startswith(stage.registry.address) or "damaged" in case.name:
        return
    stage.registry.heal()
    stage.world.be(QUICK)
    stage.credentials = None
    there = stage.layer in stage.registry.blobs
    have = max((len(data) for data in stage.registry.uploads.values()), default=0)
    stage.push()
    assert ("app", "latest") in stage.registry.manifests and stage.registry.corrupt() == []
    missing = 0 if there else len(DATA) - have
    assert stage.registry.received <= missing + 6000 or costs(case)


def test_an_upload_elsewhere_gets_no_credentials(stage: Stage) -> None:
    """The registry sends us to another host for the bytes: they go there, the password does not (CVE-2020-15157)."""
    stage.with_tokens("", "ping")
    other = stage.other
    stage.registry.ever("start", elsewhere(other))
    with pytest.raises(ScowError):  # for the registry itself never gets the blobs
        stage.push()
    assert other.blobs.get(stage.layer) == DATA
    assert any("authorization" in headers for _, _, headers in stage.registry.requests)


@pytest.mark.parametrize("bad", ["expired", "wrong name", "unknown authority", "hang up"])
def test_tls_that_is_not_right_gets_nothing(stage: Stage, bad: str, tmp_path: Path) -> None:
    """No fall-back to plain HTTP, no byte of the image (CVE-2014-5277)."""
    faults.names(stage.monkeypatch)
    authority = faults.Authority(tmp_path / "ca")
    name = "other.test" if bad == "wrong name" else faults.NAME
    context = authority.server(name, days=-1 if bad == "expired" else 9)
    server = faults.hang_up_after_handshake(context) if bad == "hang up" else FaultRegistry(context, faults.NAME)
    certificates = tmp_path / "certs"
    if bad != "unknown authority":
        folder = certificates / server.address
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    parts = stage.world.store.parts
    parts.settings = replace(parts.settings, certificates=(str(certificates),))
    stage.called(f"{server.address}/app")
    with pytest.raises(ScowError, match="tls|x509|certificate|EOF|reset"):
        stage.push()
    assert server.received == 0 and server.manifests == {}
    server.close()


def test_what_was_mounted_is_not_sent(stage: Stage) -> None:
    stage.mountable()
    stage.registry.blobs[stage.layer] = DATA
    stage.registry.once("layer", faults.status(404))  # not in this repository
    told = stage.push()
    assert PullProgress("Mounted from other", digest(DATA)[7:19]) in told
    assert stage.registry.received < 6000
    mounts = [path for _, path, _ in stage.registry.requests if "mount=" in path]
    assert any("from=other" in path and stage.layer[7:] in path for path in mounts)
