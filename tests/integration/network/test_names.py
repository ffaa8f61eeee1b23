"""Names on user-defined networks, as containers see them. The same is true of dockerd 26 (SCOW_TEST_HOST)."""

import contextlib
import re
from collections.abc import Callable, Iterator

import pytest

from tests.harness.clients import Clients
from tests.harness.engine import Engine

pytestmark = pytest.mark.root

_GLIBC = (
    "-v",
    "/usr:/usr:ro",
    "-v",
    "/lib:/lib:ro",
    "-v",
    "/lib64:/lib64:ro",
    "-v",
    "/etc/nsswitch.conf:/etc/nsswitch.conf:ro",
)


class World:
    """Containers and networks of one test; names are made unlike others'."""

    def __init__(self, engine: Clients) -> None:
        self.engine = engine
        self.networks: list[str] = []

    def cli(self, *args: str) -> str:
        return self.engine.scow(*args, check=True).stdout.strip()

    def network(self, name: str, *flags: str) -> str:
        self.cli("network", "create", *flags, name)
        self.networks.append(name)
        return name

    def container(self, name: str, network: str, *flags: str) -> str:
        return self.cli("run", "-d", "--name", name, "--network", network, *flags, "busybox", "sleep", "600")

    def address(self, name: str, network: str) -> str:
        return self.cli("inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', name)

    def lookup(self, container: str, name: str, kind: str = "a") -> set[str]:
        """The addresses that busybox's nslookup prints, or what it says instead."""
        done = self.engine.scow("exec", container, "nslookup", f"-type={kind}", name)
        found = set(re.findall(r"^Address: (\S+)$", done.stdout, re.MULTILINE))
        if found:
            return found
        for word in ("NXDOMAIN", "SERVFAIL", "REFUSED"):
            if word in done.stdout + done.stderr:
                return {word}
        return set()

    def close(self) -> None:
        self.engine.remove_all()
        for name in self.networks:
            self.engine.scow("network", "rm", name)


@pytest.fixture
def world(clean: Clients) -> Iterator[World]:
    with contextlib.closing(World(clean)) as made:
        yield made


UNKNOWN = ({"NXDOMAIN"}, {"SERVFAIL"}, {"REFUSED"})


def test_two_containers_find_each_other_by_every_name(world: World) -> None:
    world.network("names-one")
    first = world.container("names-a", "names-one", "--network-alias", "both", "--hostname", "host-a")
    world.container("names-b", "names-one", "--network-alias", "both", "--network-alias", "only-b")
    a, b = (world.address(name, "names-one") for name in ("names-a", "names-b"))
    for name in ("names-a", "NAMES-A", "names-a.names-one", "host-a", first[:12], f"{first[:12]}.names-one"):
        assert world.lookup("names-b", name) == {a}, name
    assert world.lookup("names-a", "only-b") == {b}
    assert world.lookup("names-a", "both") == {a, b}
    assert world.lookup("names-a", "names-b", "aaaa") == set()
    reverse = world.cli("exec", "names-b", "nslookup", a)
    assert "name = names-a.names-one" in reverse
    assert world.lookup("names-b", "nosuch-of-names") in UNKNOWN


def test_the_c_library_finds_them(world: World) -> None:
    """Debian's own getent, at the files of the host: it asks for both families, and takes no for an answer."""
    world.network("names-one")
    world.container("names-a", "names-one", "--network-alias", "web")
    found = world.cli("run", "--rm", "--network", "names-one", *_GLIBC, "busybox", "/usr/bin/getent", "ahosts", "web")
    assert {line.split()[0] for line in found.splitlines()} == {world.address("names-a", "names-one")}
    reverse = world.cli(
        *("run", "--rm", "--network", "names-one", *_GLIBC, "busybox", "/usr/bin/getent", "hosts"),
        world.address("names-a", "names-one"),
    )
    assert reverse.split()[1] == "names-a.names-one"


def test_other_networks_names_are_not_known(world: World) -> None:
    world.network("names-one")
    world.network("names-two")
    world.container("names-a", "names-one", "--network-alias", "same")
    world.container("names-c", "names-two", "--network-alias", "same")
    assert world.lookup("names-a", "names-c") in UNKNOWN
    assert world.lookup("names-a", "names-c.names-two") in UNKNOWN
    assert world.lookup("names-c", "names-a") in UNKNOWN
    assert world.lookup("names-a", "same") == {world.address("names-a", "names-one")}
    reverse = world.engine.scow("exec", "names-a", "nslookup", world.address("names-c", "names-two"))
    assert "names-c" not in reverse.stdout


def test_answers_follow_connect_disconnect_rename_and_restart(world: World) -> None:
    world.network("names-one")
    world.network("names-two")
    world.container("names-a", "names-one")
    world.container("names-b", "names-two")
    assert world.lookup("names-a", "names-b") in UNKNOWN
    world.cli("network", "connect", "--alias", "second", "names-one", "names-b")
    address = world.address("names-b", "names-one")
    assert world.lookup("names-a", "names-b") == world.lookup("names-a", "second") == {address}
    assert world.lookup("names-b", "names-a") == {world.address("names-a", "names-one")}
    assert world.lookup("names-b", "names-b.names-two") == {world.address("names-b", "names-two")}
    world.cli("rename", "names-b", "names-new")
    assert world.lookup("names-a", "names-new") == {address}
    assert world.lookup("names-a", "names-b") in UNKNOWN
    world.cli("restart", "-t", "0", "names-new")
    assert world.lookup("names-a", "names-new") == {world.address("names-new", "names-one")}
    assert world.lookup("names-new", "names-a") == {world.address("names-a", "names-one")}
    world.cli("network", "disconnect", "names-one", "names-new")
    assert world.lookup("names-a", "names-new") in UNKNOWN
    assert world.lookup("names-new", "names-a") in UNKNOWN
    world.cli("stop", "-t", "0", "names-a")
    world.cli("network", "connect", "names-one", "names-new")
    assert world.lookup("names-new", "names-a") in UNKNOWN  # it does not run


def test_a_container_of_the_default_bridge_gets_names_with_its_first_network(world: World) -> None:
    world.network("names-one")
    world.container("names-a", "names-one")
    world.container("names-d", "bridge")
    assert "127.0.0.11" not in world.cli("exec", "names-d", "cat", "/etc/resolv.conf")
    assert world.lookup("names-d", "names-a") in UNKNOWN
    world.cli("network", "connect", "names-one", "names-d")
    assert "nameserver 127.0.0.11\n" in world.cli("exec", "names-d", "cat", "/etc/resolv.conf")
    assert world.lookup("names-d", "names-a") == {world.address("names-a", "names-one")}
    assert world.lookup("names-a", "names-d") == {world.address("names-d", "names-one")}


def test_files_of_names(world: World) -> None:
    world.network("names-one")
    flags = ("--dns", "192.0.2.53", "--dns-opt", "ndots:2", "--dns-search", "corp.example")
    hosts = ("--add-host", "host.docker.internal:host-gateway", "--add-host", "db.example:192.0.2.9")
    world.container("names-a", "names-one", *flags, *hosts, "--hostname", "host-a")
    resolv = world.cli("exec", "names-a", "cat", "/etc/resolv.conf")
    assert "\nnameserver 127.0.0.11\nsearch corp.example\noptions ndots:2\n" in resolv
    assert "# ExtServers: [192.0.2.53]\n" in resolv
    gateway = world.cli("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    text = world.cli("exec", "names-a", "cat", "/etc/hosts")
    assert f"{gateway}\thost.docker.internal\n192.0.2.9\tdb.example\n" in text
    assert text.endswith(f"{world.address('names-a', 'names-one')}\thost-a")
    assert world.lookup("names-a", "nosuch-of-names") == set()  # ndots: nothing found, go on with the search list


def test_cve_2024_29018_names_on_an_internal_network(world: World) -> None:
    world.network("names-in", "--internal")
    world.container("names-a", "names-in")
    world.container("names-b", "names-in")
    assert world.lookup("names-a", "names-b") == {world.address("names-b", "names-in")}
    assert world.lookup("names-a", "secret.example") == {"SERVFAIL"}


@pytest.fixture
def alone(fresh_daemon: Engine) -> Iterator[World]:
    made = World(fresh_daemon)
    try:
        yield made
    finally:
        made.close()


def _in_container(engine: Engine, pid: str) -> Callable[[str], set[str]]:
    def lookup(name: str) -> set[str]:
        command = ["nsenter", "-t", pid, "-n", "-m", "/bin/busybox", "nslookup", "-type=a", name]
        return set(re.findall(r"^Address: (\S+)$", engine.run(command).stdout, re.MULTILINE))

    return lookup


def test_names_are_answered_while_the_daemon_is_dead(alone: World, fresh_daemon: Engine) -> None:
    alone.network("names-one")
    alone.container("names-a", "names-one")
    alone.container("names-b", "names-one")
    pid = alone.cli("inspect", "-f", "{{.State.Pid}}", "names-a")
    address = alone.address("names-b", "names-one")
    lookup = _in_container(fresh_daemon, pid)
    assert lookup("names-b") == {address}
    fresh_daemon.kill9()
    assert lookup("names-b") == {address}
    fresh_daemon.start()
    assert lookup("names-b") == alone.lookup("names-a", "names-b") == {address}
    alone.container("names-c", "names-one")
    assert lookup("names-c") == {alone.address("names-c", "names-one")}
    alone.cli("rm", "-f", "names-b")
    assert lookup("names-b") == set()
