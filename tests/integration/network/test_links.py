"""Links, on the default bridge and on networks of the user. The same is true of dockerd 26 (SCOW_TEST_HOST)."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import load_busybox
from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine
from tests.harness.registry import Registry
from tests.integration.network.test_names import World

pytestmark = pytest.mark.root


class Linked(World):
    """Containers beside each other on the default bridge."""

    def run(self, name: str, *flags: str) -> str:
        return self.cli("run", "-d", "--name", name, *flags, "busybox", "sleep", "600")

    def shell(self, name: str, script: str) -> str:
        return self.cli("exec", name, "sh", "-c", script)

    def refusal(self, *args: str) -> str:
        done = self.engine.scow(*args)
        assert done.returncode != 0
        return done.stderr.strip().splitlines()[0].removeprefix("docker: ").removeprefix("scow: ")

    def where(self, name: str) -> str:
        return self.address(name, "bridge")


@pytest.fixture
def world(clean: Clients) -> Iterator[Linked]:
    with contextlib.closing(Linked(clean)) as made:
        yield made


def test_a_link_on_the_default_bridge(world: Linked) -> None:
    world.run("lkdb", "-h", "dbhost", "-e", "PASS=secret", "--expose", "80", "--expose", "53/udp")
    world.run("lkweb", "--link", "lkdb:the-db", "--link", "lkdb", "-e", "LKDB_NAME=mine")
    address = world.where("lkdb")
    lines = world.shell("lkweb", "cat /etc/hosts").splitlines()
    assert lines[6:8] == [f"{address}\tthe-db dbhost lkdb", f"{address}\tlkdb dbhost"] and len(lines) == 9
    told = [word for word in world.cli("exec", "lkweb", "env").splitlines() if word.startswith("THE_DB")]
    assert told == [
        f"THE_DB_PORT=udp://{address}:53",
        f"THE_DB_PORT_53_UDP=udp://{address}:53",
        f"THE_DB_PORT_53_UDP_ADDR={address}",
        "THE_DB_PORT_53_UDP_PORT=53",
        "THE_DB_PORT_53_UDP_PROTO=udp",
        f"THE_DB_PORT_80_TCP=tcp://{address}:80",
        f"THE_DB_PORT_80_TCP_ADDR={address}",
        "THE_DB_PORT_80_TCP_PORT=80",
        "THE_DB_PORT_80_TCP_PROTO=tcp",
        "THE_DB_NAME=/lkweb/the-db",
        "THE_DB_ENV_PASS=secret",
    ]
    assert world.shell("lkweb", "echo $LKDB_NAME $LKDB_ENV_PASS") == "mine secret"
    links = world.cli("inspect", "-f", "{{json .HostConfig.Links}}", "lkweb")
    assert sorted(links.strip("[]").split(",")) == ['"/lkdb:/lkweb/lkdb"', '"/lkdb:/lkweb/the-db"']
    assert world.cli("ps", "--filter", "name=lkdb", "--format", "{{.Names}}") == "lkdb"
    whole = world.cli("ps", "--filter", "name=lkdb", "--no-trunc", "--format", "{{.Names}}")
    assert whole == "lkdb,lkweb/lkdb,lkweb/the-db"
    assert world.cli("exec", "lkweb/the-db", "hostname") == "dbhost"


def test_the_hosts_file_follows(world: Linked) -> None:
    world.run("lkdb")
    world.run("lkweb", "--link", "lkdb:db")
    before = world.where("lkdb")
    world.shell("lkweb", "echo '10.1.1.1 mine' >> /etc/hosts")
    world.cli("stop", "-t", "0", "lkdb")
    sentence = "Error response from daemon: Cannot link to a non running container: /lkdb AS /lkweb/db"
    assert world.refusal("exec", "lkweb", "true") == sentence
    for number in range(20):
        world.run(f"lkother{number}")
        if world.where(f"lkother{number}") == before:
            break
    world.cli("start", "lkdb")
    after = world.where("lkdb")
    lines = world.shell("lkweb", "cat /etc/hosts").splitlines()
    assert (
        lines[6].split("\t")[0] == after and lines[6].split("\t")[1].startswith("db ") and lines[8] == "10.1.1.1 mine"
    )
    assert after != before
    world.cli("rm", "--link", "lkweb/db")
    assert "db" not in world.shell("lkweb", "cat /etc/hosts")
    assert world.cli("inspect", "-f", "{{json .HostConfig.Links}}", "lkweb") == "null"
    assert world.cli("ps", "-q", "--filter", "name=lkdb")


def test_what_is_refused(world: Linked) -> None:
    world.run("lkdb")
    world.run("lkfar", "--network", "none")
    for target, sentence in (
        ("nosuch", "could not get container for nosuch: No such container: nosuch"),
        ("lkfar", "Cannot link to /lkfar, as it does not belong to the default network"),
    ):
        assert world.refusal("run", "--name", "lkweb", "--link", target, "busybox", "true").endswith(sentence)
        world.engine.scow("rm", "lkweb")
    own = world.refusal("rm", "--link", "lkdb")
    assert own == "Error response from daemon: Conflict, cannot remove the default link name of the container"
    assert world.refusal("rm", "--link", "lkdb/x") == "Error response from daemon: No such container: lkdb/x"


def test_links_on_networks_of_the_user(world: Linked) -> None:
    net, more = world.network("lknet"), world.network("lknet2")
    world.container("lkdb", net)
    world.container("lkother", net)
    world.container("lkweb", net, "--link", "lkdb:db", "--link", "lklater:later", "--link", "lkdb:lkother")
    there = {world.address("lkdb", net)}
    assert (
        world.lookup("lkweb", "db") == world.lookup("lkweb", f"db.{net}") == world.lookup("lkweb", "lkother") == there
    )
    assert not world.lookup("lkother", "db") & there and not world.lookup("lkdb", "db") & there
    assert not world.lookup("lkweb", "later") & there
    world.container("lklater", net)
    assert world.lookup("lkweb", "later") == {world.address("lklater", net)}
    assert world.cli("inspect", "-f", "{{json .HostConfig.Links}}", "lkweb") == "null"
    world.cli("network", "connect", "--link", "lkdb:x1", more, "lkweb")
    world.cli("network", "connect", more, "lkdb")
    assert world.lookup("lkweb", "x1") == {world.address("lkdb", more)}
    shown = f'{{{{json (index .NetworkSettings.Networks "{more}").Links}}}}'
    assert world.cli("inspect", "-f", shown, "lkweb") == '["lkdb:x1"]'
    world.cli("network", "disconnect", more, "lkweb")
    assert not world.lookup("lkweb", "x1") & {world.address("lkdb", more)}
    world.cli("restart", "-t", "0", "lkweb")
    assert world.lookup("lkweb", "db") == there


SERVER = "for port in 80 81; do while true; do nc -l -p $port -e echo hello; done & done; sleep 600"


def served(engine: Clients, name: str, address: str, port: int = 80) -> bool:
    return engine.scow("exec", name, "nc", "-w", "1", address, str(port)).stdout == "hello\n"


def _ways(engine: Engine) -> str:
    return subprocess.run(
        ["nft", "list", "set", "inet", f"scow_{engine.bridge}", "links"], check=True, capture_output=True, text=True
    ).stdout


def test_links_where_containers_are_kept_apart(new_engine: Callable[..., Engine], registry: Registry) -> None:
    """--icc=false: what is linked reaches what is exposed, also after restarts of either and of the daemon; nobody else does."""
    engine = new_engine(config={"icc": False})
    engine.start()
    load_busybox(engine, registry)
    world = Linked(engine)
    world.cli("run", "-d", "--name", "lkdb", "--expose", "80", "busybox", "sh", "-c", SERVER)
    world.run("lkweb", "--link", "lkdb:db")
    world.run("lkother")
    address = world.where("lkdb")
    await_true("an answer", lambda: served(engine, "lkweb", address))
    assert served(engine, "lkdb", "127.0.0.1", 81)
    assert not served(engine, "lkweb", address, 81) and not served(engine, "lkother", address)
    assert address in _ways(engine)
    world.cli("stop", "-t", "0", "lkdb")
    await_true("no way to an address that may be another's", lambda: address not in _ways(engine))
    world.run("lkmore")
    world.run("lkmost")
    world.cli("start", "lkdb")
    await_true("an answer", lambda: served(engine, "lkweb", world.where("lkdb")))
    engine.kill9()
    engine.start()
    assert served(engine, "lkweb", world.where("lkdb")) and not served(engine, "lkother", world.where("lkdb"))
    world.cli("rm", "--link", "lkweb/db")
    assert not served(engine, "lkweb", world.where("lkdb"))
    world.close()


def test_a_network_of_the_user_keeps_its_containers_apart(world: Linked) -> None:
    net = world.network("lkapart", "-o", "com.docker.network.bridge.enable_icc=false")
    world.cli("run", "-d", "--name", "lkdb", "--network", net, "busybox", "sh", "-c", SERVER)
    world.container("lkweb", net, "--link", "lkdb:db")
    await_true("the server", lambda: served(world.engine, "lkdb", "127.0.0.1"))
    assert world.lookup("lkweb", "db") == {world.address("lkdb", net)}
    assert not served(world.engine, "lkweb", world.address("lkdb", net))
