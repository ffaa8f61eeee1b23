"""Registries that misbehave: typed errors, bounded work, nothing left, no credential elsewhere."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from scow.errors import ScowError
from scow.images.registry import faults as registry_faults
from scow.model.transfer import Credentials
from scow.oci.reference import Reference
from tests.harness.faultreg import (
    INDEX,
    Fault,
    FaultRegistry,
    Handler,
    cut,
    instead,
    reset,
    status,
)
from tests.harness.registry import SCHEMA2, Image, digest
from tests.integration.images.world import QUICK, World
from tests.unit.images.craft import archive, file, header

DATA = archive(file(b"data", bytes((number * 7919) % 251 for number in range(200_000))))
SECRET = Credentials("someone", "hunter2-secret")


@pytest.fixture
def app(faulty: FaultRegistry) -> str:
    faulty.add("app", Image([DATA], compress="none"))
    return f"{faulty.address}/app"


@pytest.fixture
def other() -> Iterator[FaultRegistry]:
    """A second server, which must never see a credential."""
    registry = FaultRegistry()
    yield registry
    assert not any("authorization" in headers for _, _, headers in registry.requests)
    registry.close()


def fails(world: World, name: str, words: str = "", credentials: Credentials | None = None) -> ScowError:
    """The pull fails in time with an error of ours, and leaves nothing."""
    started = time.monotonic()
    with pytest.raises(ScowError, match=words) as caught:
        world.pull(name, "", credentials)
    assert time.monotonic() - started < 8
    assert world.store.images() == () and world.leftovers() == ([], [])
    assert "hunter2-secret" not in caught.value.message and "Traceback" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_broken_layer_is_resumed_where_it_broke(world: World, faulty: FaultRegistry, app: str, share: float) -> None:
    faulty.faults["layer"] = [cut(share)]
    assert world.pull(app).size == 200_000
    ranges = [headers.get("range") for _, path, headers in faulty.requests if faulty.kind_of(path) == "layer"]
    assert ranges == [None, f"bytes={int(len(DATA) * share)}-" if share else None]
    assert faulty.sent < len(DATA) * 1.05


def test_each_try_that_brings_something_counts_as_progress(world: World, faulty: FaultRegistry, app: str) -> None:
    faulty.faults["layer"] = [cut(0.3) for _ in range(12)]
    assert world.pull(app).size == 200_000


def test_a_registry_that_ignores_range(world: World, faulty: FaultRegistry, app: str) -> None:
    faulty.faults["layer"] = [cut(0.5), lambda handler: handler.answer(200, handler.blob())]
    assert world.pull(app).size == 200_000


def test_after_a_wrong_range_the_whole_is_asked_for(world: World, faulty: FaultRegistry, app: str) -> None:
    def wrong(handler: Handler) -> None:
        handler.answer(206, handler.blob()[5:], {"Content-Range": f"bytes 5-{len(DATA) - 1}/{len(DATA)}"})

    faulty.faults["layer"] = [cut(0.5), wrong]
    assert world.pull(app).size == 200_000
    ranges = [headers.get("range") for _, path, headers in faulty.requests if faulty.kind_of(path) == "layer"]
    assert ranges == [None, f"bytes={len(DATA) // 2}-", None]


@pytest.mark.parametrize("kind", ["ping", "manifest", "config", "layer"])
@pytest.mark.parametrize("fault", [status(500), status(502), status(503), status(429, Retry_After="0"), reset])
def test_what_goes_away_is_tried_again(world: World, faulty: FaultRegistry, app: str, kind: str, fault: Fault) -> None:
    faulty.faults[kind] = [fault, fault]
    assert world.pull(app).size == 200_000


@pytest.mark.parametrize("kind", ["ping", "manifest", "config", "layer"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (status(500), "500"),
        (status(503, b'{"errors":[{"code":"UNAVAILABLE","message":"try later"}]}'), "unavailable: try later|503"),
        (reset, "EOF|reset"),
    ],
)
def test_what_stays_is_given_up(
    world: World, faulty: FaultRegistry, app: str, kind: str, fault: Fault, words: str
) -> None:
    faulty.faults[kind] = [fault]
    faulty.always.add(kind)
    fails(world, app, words)
    assert faulty.count(kind) <= 10


def test_rate_limit(world: World, faulty: FaultRegistry, app: str) -> None:
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit"}]}'
    faulty.faults["manifest"] = [status(429, body)]
    faulty.always.add("manifest")
    fails(world, app, "toomanyrequests: You have reached your pull rate limit")


@pytest.mark.parametrize(
    ("kind", "fault", "words"),
    [
        ("layer", instead(DATA[:-1] + b"x"), "filesystem layer verification failed for digest sha256:"),
        ("layer", instead(DATA[:-512]), "descriptor says"),
        ("layer", instead(DATA + b"x"), "descriptor says"),
        ("layer", status(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}'), "blob unknown"),
        ("layer", status(200, b"x", Content_Encoding="gzip"), "content encoding"),
        ("config", instead(b"{}"), "descriptor says"),
        ("manifest", instead(b"{}"), "schemaVersion|media type"),
        ("manifest", instead(b"[" * 100_000), "nested|JSON"),
        ("manifest", instead(b"\xff"), "JSON"),
        ("manifest", instead(b" " * (5 << 20)), "more than"),
        ("manifest", status(200, b"x", Content_Encoding="gzip", Content_Type=SCHEMA2), "content encoding"),
        ("manifest", status(200, b"<html>", Content_Type="text/html"), "JSON|media type"),
        ("manifest", status(200, b"{}", X_Large="x" * (1 << 20)), "malformed|bytes|header"),
        ("manifest", status(403), "pull access denied for .*/app, repository does not exist or may require"),
        ("manifest", status(404), "manifest for .*/app:latest not found: manifest unknown: manifest unknown"),
        ("ping", status(404), "404"),
        ("ping", status(302, Location="/v2/"), "stopped after 10 redirects"),
        ("ping", status(302, Location="http://169.254.169.254/"), "link-local|private"),
        ("ping", status(302, Location="file:///etc/passwd"), "not an http"),
    ],
)  # fmt: skip
def test_wrong_answers(world: World, faulty: FaultRegistry, app: str, kind: str, fault: Fault, words: str) -> None:
    """Among them CVE-2020-1702: documents without a bound."""
    faulty.faults[kind] = [fault]
    faulty.always.add(kind)
    fails(world, app, words)


def test_cve_2014_8178_a_layer_that_is_not_the_configs(world: World, faulty: FaultRegistry) -> None:
    manifest, config, (layer,) = Image([DATA], compress="none").parts()
    wrong = archive(file(b"data", b"other"))
    parsed = json.loads(manifest)
    parsed["layers"][0].update(digest=digest(wrong), size=len(wrong))
    faulty.put_manifest("app", "latest", json.dumps(parsed).encode(), SCHEMA2)
    faulty.blobs |= {digest(config): config, digest(wrong): wrong}
    fails(world, f"{faulty.address}/app", "not the diff id")


def test_cve_2014_8179_a_pinned_manifest_is_verified(world: World, faulty: FaultRegistry, app: str) -> None:
    pinned = digest(faulty.manifests["app", "latest"][1])
    faulty.faults["manifest"] = [instead(faulty.manifests["app", "latest"][1] + b" ")]
    fails(world, f"{app}@{pinned}", "manifest verification failed for digest sha256:")


def test_cve_2014_9358_layers_and_config_must_match(world: World, faulty: FaultRegistry) -> None:
    manifest, config, layers = Image([DATA, DATA], compress="none").parts()
    parsed = json.loads(manifest)
    parsed["layers"].pop()
    faulty.put_manifest("app", "latest", json.dumps(parsed).encode(), SCHEMA2)
    faulty.blobs[digest(config)] = config
    fails(world, f"{faulty.address}/app", "1 layers, its config 2 diff ids")


def test_an_index_in_an_index_is_refused(world: World, faulty: FaultRegistry) -> None:
    def index(entries: list[dict[str, Any]]) -> bytes:
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()

    inner = index([])
    entry = {
        "mediaType": SCHEMA2,
        "digest": digest(inner),
        "size": len(inner),
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    faulty.put_manifest("app", "inner", inner, INDEX)
    faulty.put_manifest("app", "latest", index([entry]), INDEX)
    fails(world, f"{faulty.address}/app", "media types disagree|index within")


def test_cve_2017_14992_a_bomb(world: World, faulty: FaultRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    from scow.images.archive.limits import Limits

    monkeypatch.setattr(world.store.parts, "limits", Limits(ratio_floor=1 << 20))
    plain = archive(header(b"x", size=64 << 20) + bytes(64 << 20))
    image = Image([plain])
    manifest, config, _ = image.parts()
    packed = gzip.compress(plain, 9)
    parsed = json.loads(manifest)
    parsed["layers"][0].update(digest=digest(packed), size=len(packed))
    faulty.put_manifest("app", "latest", json.dumps(parsed).encode(), SCHEMA2)
    faulty.blobs |= {digest(config): config, digest(packed): packed}
    fails(world, f"{faulty.address}/app", "400-fold")


def test_a_stalled_registry(world: World, faulty: FaultRegistry, app: str) -> None:
    stop: list[bool] = []

    def stall(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:1000])
        while not stop:
            time.sleep(0.05)
        handler.close_connection = True

    faulty.faults["layer"] = [stall]
    try:
        assert world.pull(app).size == 200_000  # the second try brings the rest
    finally:
        stop.append(True)


def test_one_byte_a_second(world: World, faulty: FaultRegistry, app: str) -> None:
    world.be(replace(QUICK, patience=0.2, slowest=100_000))

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        for byte in DATA[:100]:
            try:
                handler.wfile.write(bytes([byte]))
            except OSError:
                break
            time.sleep(0.02)
        handler.close_connection = True

    faulty.faults["layer"] = [drip]
    assert world.pull(app).size == 200_000


def test_cancelling_leaves_nothing(world: World, faulty: FaultRegistry, app: str) -> None:
    started = []

    def stall(handler: Handler) -> None:
        started.append(True)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:50_000])
        time.sleep(0.4)
        handler.close_connection = True

    faulty.faults["layer"] = [stall]

    async def work() -> None:
        pull = asyncio.ensure_future(world.store.pull(Reference.parse(app), "", None, world.progress.append))
        while not started:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pull

    world.run(work())
    assert world.store.images() == () and world.leftovers() == ([], [])
    assert world.pull(app).size == 200_000


def test_one_of_two_sharing_pulls_is_cancelled(world: World, faulty: FaultRegistry, app: str) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.3)
        handler.serve()

    faulty.faults["layer"] = [slow]

    async def work() -> None:
        one, two = (
            asyncio.ensure_future(world.store.pull(Reference.parse(app), "", None, world.progress.append))
            for _ in range(2)
        )
        inflight = world.store.parts.inflight
        while [inflight.waiters(key) for key in world.store.parts.progress] != [2]:
            await asyncio.sleep(0.001)
        one.cancel()
        assert (await two).size == 200_000

    world.run(work())
    assert faulty.count("layer") == 1


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05, 0.1, 0.2])
def test_a_pull_that_comes_while_another_is_cancelled(
    world: World, faulty: FaultRegistry, app: str, delay: float
) -> None:
    async def work() -> None:
        one, two = (
            asyncio.ensure_future(world.store.pull(Reference.parse(app), "", None, world.progress.append))
            for _ in range(2)
        )
        await asyncio.sleep(delay)
        one.cancel()
        image = await two
        await asyncio.wait([one])
        assert image.size == 200_000 and len(world.leftovers()[1]) == 1

    world.run(work())


def challenge(scheme: str, **parameters: str) -> str:
    return f"{scheme} " + ",".join(f'{key}="{value}"' for key, value in parameters.items())


def protect(registry: FaultRegistry, header_value: str, accepted: str, kinds: tuple[str, ...]) -> None:
    """Ask for an Authorization header on requests of some kinds."""

    def gate(handler: Handler) -> None:
        if handler.headers.get("Authorization") == accepted:
            handler.serve()
        else:
            body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
            handler.answer(401, body, {"WWW-Authenticate": header_value})

    for kind in kinds:
        registry.faults[kind] = [gate]
        registry.always.add(kind)


def basic(credentials: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def test_basic(world: World, faulty: FaultRegistry, app: str) -> None:
    protect(faulty, challenge("Basic", realm="x"), basic(SECRET), ("ping", "manifest", "config", "layer"))
    fails(world, app, "no basic auth credentials")
    fails(world, app, "unauthorized: authentication required", Credentials("someone", "wrong"))
    assert world.pull(app, credentials=SECRET).size == 200_000


def test_login(world: World, faulty: FaultRegistry) -> None:
    protect(faulty, challenge("Basic", realm="x"), basic(SECRET), ("ping",))
    good = Credentials(SECRET.username, SECRET.password, server_address=faulty.address)
    assert world.run(world.store.check_credentials(good)) == ""
    bad = Credentials("someone", "nope", server_address=f"http://{faulty.address}/v2/")
    with pytest.raises(registry_faults.RegistryFailure) as caught:
        world.run(world.store.check_credentials(bad))
    url = f"http://{faulty.address}/v2/"
    assert caught.value.message == f"login attempt to {url} failed with status: 401 Unauthorized"


def bearer(registry: FaultRegistry, realm: str = "", **token: Any) -> None:
    """Token flow; the token server is the registry itself unless `realm` says otherwise."""
    registry.faults["token"] = [status(200, json.dumps({"token": "T0K", **token}).encode())]
    registry.always.add("token")
    realm = realm or f"http://{registry.address}/token"
    protect(
        registry, challenge("Bearer", realm=realm, service="s"), "Bearer T0K", ("ping", "manifest", "config", "layer")
    )


def test_token_flow(world: World, faulty: FaultRegistry, app: str) -> None:
    bearer(faulty)
    assert world.pull(app).size == 200_000
    (path,) = [path for _, path, _ in faulty.requests if path.startswith("/token")]
    assert path == "/token?service=s&scope=repository%3Aapp%3Apull"
    world.pull(app, credentials=SECRET)
    sent = [headers.get("authorization") for _, path, headers in faulty.requests if path.startswith("/token")]
    assert sent == [None, basic(SECRET)]


def test_identity_token_is_posted(world: World, faulty: FaultRegistry, app: str) -> None:
    bearer(faulty)
    world.pull(app, credentials=Credentials(identity_token="refresh-me"))
    assert [method for method, path, _ in faulty.requests if path.startswith("/token")] == ["POST"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (status(500), "500"),
        (status(401), "unauthorized: incorrect username or password"),
        (status(200, b"{}"), "did not include a token"),
        (status(200, b'{"token":"a\\nb"}'), "did not include a token"),
        (status(200, b"x" * (2 << 20)), "more than"),
        (status(200, b"{"), "JSON"),
    ],
)
def test_token_servers_that_misbehave(world: World, faulty: FaultRegistry, app: str, fault: Fault, words: str) -> None:
    bearer(faulty)
    faulty.faults["token"] = [fault]
    fails(world, app, words, SECRET)


def test_a_token_that_is_never_accepted(world: World, faulty: FaultRegistry, app: str) -> None:
    bearer(faulty, token="other")
    fails(world, app, "pull access denied")
    assert faulty.count("manifest") <= 2


def test_insufficient_scope_is_access_denied(world: World, faulty: FaultRegistry, app: str) -> None:
    bearer(faulty)
    value = challenge("Bearer", realm=f"http://{faulty.address}/token", error="insufficient_scope")
    faulty.faults["manifest"] = [status(401, b"", WWW_Authenticate=value)]
    fails(
        world, app,
        "pull access denied for .*, repository does not exist or may require 'docker login': denied: requested access",
    )  # fmt: skip


@pytest.mark.parametrize("realm", ["http://{}/token", "http://127.0.0.2:1/token", "https://example.org/token"])
def test_cve_2026_33540_no_credentials_for_a_foreign_realm(
    world: World, faulty: FaultRegistry, other: FaultRegistry, app: str, realm: str
) -> None:
    """The second server is another port of this machine at most; example.org is refused before a name is looked up."""
    bearer(faulty, realm.format(other.address.replace("127.0.0.1", "localhost")))
    fails(world, app, "token server", SECRET)
    assert other.requests == []


def test_cve_2020_15157_redirected_blobs_get_no_credentials(
    world: World, faulty: FaultRegistry, other: FaultRegistry, app: str
) -> None:
    protect(faulty, challenge("Basic", realm="x"), basic(SECRET), ("ping", "manifest", "config"))
    other.blobs = faulty.blobs
    faulty.faults["layer"] = [
        lambda handler: handler.answer(307, b"", {"Location": f"http://{other.address}{handler.path}"})
    ]
    assert world.pull(app, credentials=SECRET).size == 200_000
    assert other.count("layer") == 1


def test_cve_2020_15157_urls_of_foreign_layers_are_not_asked(
    world: World, faulty: FaultRegistry, other: FaultRegistry
) -> None:
    manifest, config, (layer,) = Image([DATA], compress="none").parts()
    parsed = json.loads(manifest)
    parsed["layers"][0].update(
        mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar", urls=[f"http://{other.address}/blob"]
    )
    faulty.put_manifest("app", "latest", json.dumps(parsed).encode(), SCHEMA2)
    faulty.blobs |= {digest(config): config, digest(layer): layer}
    assert world.pull(f"{faulty.address}/app").size == 200_000
    assert other.requests == []


def test_nobody_there(world: World) -> None:
    fails(world, "127.0.0.1:1/x", 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused')


def test_identity_encoding_is_asked_for(world: World, faulty: FaultRegistry, app: str) -> None:
    world.pull(app)
    assert {headers.get("accept-encoding") for _, _, headers in faulty.requests} == {"identity"}
