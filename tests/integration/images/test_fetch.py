"""An archive from a URL: whole, by the rules of registries, and without anybody's credentials."""

import gzip
from pathlib import Path

import pytest

from scow.errors import InvalidArgument, Unavailable
from scow.model.transfer import PullProgress
from tests.harness import faults
from tests.harness.faultreg import FaultRegistry, Handler
from tests.integration.images.world import World

DATA = gzip.compress(bytes(range(256)) * 1000)


def fetched(world: World, url: str) -> tuple[bytes, list[PullProgress]]:
    said: list[PullProgress] = []

    async def work() -> bytes:
        return b"".join([chunk async for chunk in world.store.fetch(url, said.append)])

    return world.run(work()), said


def served(registry: FaultRegistry) -> None:
    registry.ever("ping", lambda handler: handler.answer(200, DATA, {"Content-Encoding": "gzip"}))


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_what_comes_is_the_archive_as_it_is(world: World, faulty: FaultRegistry, scheme: str) -> None:
    served(faulty)
    data, said = fetched(world, f"{scheme}{faulty.address}/a tär?x=1 2")
    assert data == DATA
    assert said[0].status.startswith("Downloading from") and (said[-1].current, said[-1].total) == (len(DATA),) * 2
    assert faulty.requests[-1][1] == "/a%20t%C3%A4r?x=1+2"


def test_no_passwords_of_the_machine(
    world: World, faulty: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # and loopback goes by no proxy
    served(faulty)
    assert fetched(world, f"{faulty.url}/a")[0] == DATA
    assert not any("authorization" in headers for _, _, headers in faulty.requests)


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "file:///etc/passwd"])
def test_redirects_that_lead_where_none_should(world: World, faulty: FaultRegistry, target: str) -> None:
    faulty.ever("ping", faults.redirect(target))
    with pytest.raises(Unavailable, match=f"^cannot import from {faulty.url}/a: redirect to"):
        fetched(world, f"{faulty.url}/a")


def test_a_redirect_is_followed(world: World, faulty: FaultRegistry) -> None:
    moved = faults.redirect("/other")
    faulty.ever("ping", lambda handler: moved(handler) if handler.path == "/a" else handler.answer(200, DATA))
    assert fetched(world, f"{faulty.url}/a")[0] == DATA
    assert [path for _, path, _ in faulty.requests] == ["/a", "/other"]


def test_what_the_server_says(world: World, faulty: FaultRegistry) -> None:
    faulty.ever("ping", lambda handler: handler.answer(404, b"not here"))
    with pytest.raises(Unavailable, match="^failed to GET .*/a with status 404 Not Found: not here$"):
        fetched(world, f"{faulty.url}/a")


def _cut(handler: Handler) -> None:
    handler.answer(200, DATA[:100], length=len(DATA))
    handler.close_connection = True


def test_a_body_that_breaks_off(world: World, faulty: FaultRegistry) -> None:
    faulty.ever("ping", _cut)
    with pytest.raises(Unavailable, match="^cannot import from .*EOF$"):
        fetched(world, f"{faulty.url}/a")


@pytest.mark.parametrize("url", ["ftp://host/a", "http://", "http://[::1/a", "http://host:99999/a"])
def test_what_is_no_url(world: World, url: str) -> None:
    with pytest.raises(InvalidArgument, match="not an http or https URL"):
        fetched(world, url)
