"""Fixtures of every suite that needs a daemon, a registry or an image. Unit tests use none of them."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.harness import registry as registries
from tests.harness.clients import Clients
from tests.harness.engine import Engine
from tests.harness.programs import ps_works

# no test fails because the machine is busy
settings.register_profile("scow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("scow")


@pytest.fixture(scope="session")
def needs_docker() -> None:
    """Ask for this in a test that runs the docker CLI: it is skipped where there is none."""
    if not shutil.which("docker"):
        pytest.skip("no docker client on this machine")


@pytest.fixture(scope="session")
def needs_nftables() -> None:
    """Ask for this in a test that publishes ports or makes tables: it is skipped where the kernel has no nftables."""
    if not nftables():
        pytest.skip("the kernel of this machine has no nftables (ip and inet tables)")


@pytest.fixture(scope="session")
def needs_ps() -> None:
    """Ask for this in a test of `top`: it is skipped where the machine's own ps fails, which `top` executes."""
    if not ps_works():
        pytest.skip("ps -ef fails on this machine")


@cache
def nftables() -> bool:
    """Tried in a network namespace that ends with the trial."""
    script = "nft add table ip trial && nft add table inet trial"
    return subprocess.run(["unshare", "--net", "sh", "-c", script], stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture(scope="session")
def registry() -> Iterator[registries.Registry]:
    """A registry without a password that holds library/busybox:latest."""
    server = registries.Registry()
    try:
        server.push("library/busybox", registries.busybox())
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def password_registry() -> Iterator[registries.Registry]:
    """A registry that asks for registry.USER and registry.PASSWORD, with library/busybox:latest."""
    server = registries.Registry(auth=True)
    try:
        server.push("library/busybox", registries.busybox())
        yield server
    finally:
        server.close()


def load_busybox(engine: Clients, registry: registries.Registry) -> None:
    """Give a daemon the image busybox:latest by a pull from the test registry."""
    source = f"{registry.address}/library/busybox"
    pulled = engine.api("POST", "/images/create", query={"fromImage": source, "tag": "latest"}, timeout=60)
    assert pulled.status == 200 and b"errorDetail" not in pulled.body, pulled.body[-500:].decode() + engine.tail()
    tagged = engine.api("POST", f"/images/{source}:latest/tag", query={"repo": "busybox", "tag": "latest"})
    assert tagged.status == 201, tagged.body


@pytest.fixture(scope="session")
def daemon(registry: registries.Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """One scratch daemon for the session, with busybox:latest. Tests clean up after themselves (see `clean`).

    SCOW_TEST_HOST=unix:///PATH runs the tests on another engine, whose containers are all removed: a scratch dockerd
    shows whether a test asks for what Docker does. Tests that need scow itself use `scratch`.
    """
    if host := os.environ.get("SCOW_TEST_HOST"):
        home: Path = tmp_path_factory.mktemp("home")
        other = Clients(host, {}, home)
        load_busybox(other, registry)
        yield other
        return
    engine = Engine()
    try:
        engine.start()
        load_busybox(engine, registry)
        yield engine
    finally:
        engine.close()


@pytest.fixture
def clean(daemon: Clients) -> Iterator[Clients]:
    """The session's daemon, empty of containers before and after the test."""
    daemon.remove_all()
    yield daemon
    daemon.remove_all()


@pytest.fixture
def scratch(clean: Clients) -> Engine:
    """As `clean`, for tests that look behind the API: never another engine."""
    if not isinstance(clean, Engine):
        pytest.skip("looks behind the API of scow itself")
    return clean


@pytest.fixture
def fresh_daemon(registry: registries.Registry) -> Iterator[Engine]:
    """A daemon of the test's own, with busybox:latest, to kill and restart."""
    engine = Engine()
    try:
        engine.start()
        load_busybox(engine, registry)
        yield engine
    finally:
        engine.close()


@pytest.fixture
def new_engine() -> Iterator[Callable[..., Engine]]:
    """A factory: `new_engine(*daemon_flags, config={...})` gives an engine that is not started yet and has no image."""
    made: list[Engine] = []

    def make(*flags: str, config: dict[str, Any] | None = None, netns: str = "", hostname: str = "") -> Engine:
        engine = Engine(*flags, config=config, netns=netns, hostname=hostname)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()
