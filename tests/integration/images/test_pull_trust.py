"""TLS, certificates and secrets against living servers: rows of the CVE table about registry clients."""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scow.errors import InvalidArgument, ScowError
from scow.model.transfer import Credentials
from tests.harness import faults
from tests.harness.faultreg import FaultRegistry
from tests.harness.registry import Image
from tests.integration.images.world import World
from tests.unit.images.craft import archive, file

DATA = archive(file(b"data", b"x" * 100_000))
SECRET = Credentials("someone", "hunter2-secret")


@pytest.fixture(scope="module")
def authority() -> Iterator[faults.Authority]:
    with tempfile.TemporaryDirectory() as folder:
        yield faults.Authority(Path(folder) / "authority")


@pytest.fixture
def trusted(world: World, authority: faults.Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """certs.d of the store; the registry's name leads here."""
    faults.names(monkeypatch)
    folder = tmp_path / "certs.d"
    folder.mkdir()
    world.store.parts.settings = replace(world.store.parts.settings, certificates=(str(folder),))
    return folder


def serve(registry: FaultRegistry) -> str:
    registry.add("app", Image([DATA]))
    return f"{registry.address}/app"


def trust(folder: Path, registry: FaultRegistry, authority: faults.Authority) -> Path:
    own = folder / registry.address
    own.mkdir()
    (own / "ca.crt").write_bytes(authority.certificate.read_bytes())
    return own


def test_certificates_of_a_registry_of_ones_own(world: World, trusted: Path, authority: faults.Authority) -> None:
    registry = FaultRegistry(authority.server(), faults.NAME)
    name = serve(registry)
    trust(trusted, registry, authority)
    try:
        assert world.pull(name).size == 100_000
    finally:
        registry.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("unknown authority", "x509: certificate signed by unknown authority"),
        ("expired", "x509: certificate has expired"),
        ("wrong name", "tls: failed to verify certificate"),
        ("ends after the handshake", "EOF|reset"),
    ],
)
def test_cve_2014_5277_bad_tls_is_an_error_and_nothing_goes_in_the_clear(
    world: World, trusted: Path, authority: faults.Authority, kind: str, words: str
) -> None:
    days = -1 if kind == "expired" else 9
    context = authority.server("other.test" if kind == "wrong name" else faults.NAME, days)
    registry = faults.hang_up_after_handshake(context)
    name = serve(registry)
    if kind != "unknown authority":
        trust(trusted, registry, authority)
    try:
        with pytest.raises(ScowError, match=words):
            world.pull(name, "", SECRET)
        handshakes = registry.connections
        assert handshakes <= 5 and not any("authorization" in headers for _, _, headers in registry.requests)
        assert kind.startswith("ends") or not registry.requests  # nothing of HTTP was understood: no plain request came
    finally:
        registry.close()
    assert world.store.images() == () and world.leftovers() == ([], [])


def test_cve_2014_5277_a_server_without_tls_gets_no_request(world: World, trusted: Path) -> None:
    registry = FaultRegistry(host=faults.NAME)
    try:
        with pytest.raises(ScowError, match="http: server gave HTTP response to HTTPS client|tls:|reset|EOF"):
            world.pull(serve(registry), "", SECRET)
        assert registry.requests == []
    finally:
        registry.close()


def test_client_certificates(world: World, trusted: Path, authority: faults.Authority) -> None:
    registry = FaultRegistry(authority.server(client=True), faults.NAME)
    name = serve(registry)
    own = trust(trusted, registry, authority)
    certificate, key = authority.issue("me", usage="clientAuth")
    try:
        with pytest.raises(ScowError):
            world.pull(name)
        (own / "client.cert").write_bytes(certificate.read_bytes())
        with pytest.raises(InvalidArgument, match="missing key client.key for client certificate client.cert"):
            world.pull(name)
        (own / "client.key").write_bytes(key.read_bytes())
        assert world.pull(name).size == 100_000
        (own / "client.cert").unlink()
        with pytest.raises(InvalidArgument, match="missing client certificate client.cert for key client.key"):
            world.pull(name)
    finally:
        registry.close()


def test_cve_2019_13509_no_secret_in_logs_and_errors(
    world: World, faulty: FaultRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Passwords, tokens of every kind, and what a token server tells in its errors."""
    caplog.set_level(logging.DEBUG)
    planted = {word: f"planted-{word}-token" for word in ("password", "identity", "registry", "bearer")}
    serve(faulty)
    name = f"{faulty.address}/app"
    given = [
        Credentials("someone", planted["password"]),
        Credentials("someone", "", planted["identity"]),
        Credentials("", "", "", planted["registry"]),
    ]
    for credentials in given:
        for answer in (faults.status(500), faults.status(401), faults.status(200, b'{"token":"planted-bearer-token"}')):
            faulty.heal()
            faulty.ever("ping", faults.bearer(f"{faulty.url}/token"))
            faulty.ever("manifest", faults.bearer(f"{faulty.url}/token"))
            faulty.ever("token", answer)
            with pytest.raises(ScowError) as caught:
                world.pull(name, "", credentials)
            assert not any(word in caught.value.message for word in planted.values())
    told = caplog.text + " ".join(world.statuses)
    assert not any(word in told for word in planted.values())


@pytest.mark.parametrize("kind", ["ping", "token", "manifest", "config", "layer"])
def test_cve_2025_66471_content_encodings_are_not_undone(world: World, faulty: FaultRegistry, kind: str) -> None:
    """Also CVE-2026-21441, CVE-2026-44432 and CVE-2025-66418: 16 MiB of zeros behind 16 KiB, on each kind of answer."""
    serve(faulty)
    faulty.ever("token", faults.status(200, b'{"token":"T"}'))
    if kind == "token":
        faulty.ever("ping", faults.bearer(f"{faulty.url}/token"))
    faulty.ever(kind, faults.encoded)
    with pytest.raises(ScowError, match="content encoding"):
        world.pull(f"{faulty.address}/app")


def test_cve_2025_66471_the_body_of_a_redirect_is_not_read(world: World, faulty: FaultRegistry) -> None:
    name = serve(faulty)
    faulty.once("layer", lambda handler: handler.answer(
        307, b"\x1f\x8b" + bytes(1 << 20), {"Location": handler.path, "Content-Encoding": "gzip"}
    ))  # fmt: skip
    assert world.pull(name).size == 100_000


def test_a_token_server_that_knows_no_post(world: World, faulty: FaultRegistry) -> None:
    """An identity token is for the OAuth2 form; where there is none, the older form is asked."""
    name = serve(faulty)
    faulty.once("ping", faults.bearer(f"{faulty.url}/token"))
    faulty.once("token", faults.status(405))
    faulty.faults["token"].append(faults.status(200, b'{"token":"T"}'))
    faulty.always.add("token")
    world.pull(name, "", Credentials("someone", "", "identity"))
    assert [method for method, path, _ in faulty.requests if path.startswith("/token")] == ["POST", "GET"]


def test_a_mirror_with_another_manifest_is_passed_over(world: World, faulty: FaultRegistry) -> None:
    """What a digest names is asked of the next one, not taken from the first that answers."""
    bad = FaultRegistry()
    mirrors = (bad.url, faulty.url)
    world.store.parts.settings = replace(world.store.parts.settings, mirrors=mirrors)
    faulty.add("library/app", Image([DATA]))
    bad.ever("manifest", faults.instead(b'{"schemaVersion":2}'))
    (digest,) = [tag for name, tag in faulty.manifests if name == "library/app" and tag.startswith("sha256:")]
    assert world.pull(f"app@{digest}").digests == (f"app@{digest}",)
    assert any("/manifests/" in path for _, path, _ in bad.requests)
    bad.close()
