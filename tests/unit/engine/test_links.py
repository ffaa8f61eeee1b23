"""Links on the default bridge: made, shown, followed and removed, on doubles."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from scow.engine.containers import remove, rename, start
from scow.engine.networks import links
from scow.errors import Internal, InvalidArgument, NotFound, ScowError, Unavailable
from scow.model.network import Reach
from scow.model.ports import Port
from tests.unit.engine.doubles import World
from tests.unit.engine.test_lifecycle import made, run, settled


def hosts(world: World, id_: str) -> list[str]:
    return (world.root / "data/containers" / id_ / "hosts").read_text().splitlines()[6:]


async def refused(world: World, sentence: str, **host: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await made(world, "ww", **host)
    assert caught.value.message == sentence


def test_what_a_link_gives(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        child = await made(world, "db", {"env": ("PASS=x",), "hostname": "dbhost", "exposed_ports": (Port(80),)})
        await start.start(world.engine, "db")
        parent = await made(world, "web", links=("db:d", "db", "/db:/x/e", "db:d", "db:"))
        engine, entry = world.engine, world.engine.containers.find("web")
        assert links.shown(engine, entry.container) == ["/db:/web/d", "/db:/web/db", "/db:/web/e"]
        assert links.names_of(engine.containers) == {child: ["/web/d", "/web/db", "/web/e"]}
        await start.start(engine, "web")
        assert hosts(world, parent)[:3] == ["10.9.0.2\td dbhost db", "10.9.0.2\tdb dbhost", "10.9.0.2\te dbhost db"]
        env = world.supervisor.tasks[parent].spec.spec["process"]["env"]
        told = [word for word in env if word.startswith(("D_NAME", "D_ENV", "DB_PORT=", "DB_NAME"))]
        assert told == [
            "D_NAME=/web/d",
            "D_ENV_PASS=x",
            "D_ENV_A=image",
            "DB_PORT=tcp://10.9.0.2:80",
            "DB_NAME=/web/db",
        ]
        assert env[0].startswith("PATH=") and env[1].startswith("HOSTNAME=")
        assert world.engine.containers.find("/web/d") is world.engine.containers.find("web/db")
        await world.engine.containers.find("db").task.signal(9)  # type: ignore[union-attr]
        await settled(world, child, "exited")
        await start.start(engine, "db")
        assert world.networking.reaches == {parent: (Reach("10.9.0.2", Port(80)),)}
        await rename.rename(engine, "db", "db2")
        await rename.rename(engine, "web", "web2")
        assert links.shown(engine, entry.container)[0] == "/db2:/web2/d"

    run(tmp_path, scenario)


@pytest.mark.parametrize("trouble", ["rules", "files", "cancelled"])
def test_what_starts_runs_though_its_links_cannot_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    async def fails(*_: object) -> None:
        raise asyncio.CancelledError if trouble == "cancelled" else Unavailable("no rules")

    async def scenario(world: World) -> None:
        child = await made(world, "db")
        await start.start(world.engine, "db")
        parent = await made(world, "web", links=("db",))
        await start.start(world.engine, "web")
        await world.engine.containers.find("db").task.signal(9)  # type: ignore[union-attr]
        await settled(world, child, "exited")
        if trouble == "files":
            path = world.root / "data/containers" / parent / "hosts"
            path.unlink()
            path.mkdir()
        else:
            monkeypatch.setattr(world.networking, "reach", fails)
        with pytest.raises(asyncio.CancelledError) if trouble == "cancelled" else contextlib.nullcontext():
            await start.start(world.engine, "db")
        entry = world.engine.containers.find("db")
        assert entry.task is not None and entry.container.status.state == "running"
        await entry.task.signal(9)
        await settled(world, child, "exited")

    run(tmp_path, scenario)


def test_one_that_cannot_follow_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise Unavailable("no rules")

    async def scenario(world: World) -> None:
        await made(world, "db")
        await start.start(world.engine, "db")
        first, second = [await made(world, name, links=("db",)) for name in ("web1", "web2")]
        for name in ("web1", "web2"):
            await start.start(world.engine, name)
        directory = world.root / "data/containers"
        (directory / first / "hosts").unlink()
        (directory / first / "hosts").mkdir()
        path = directory / second / "hosts"
        path.write_text(path.read_text().replace("10.9.0.2\tdb ", "10.9.0.77\tdb "))
        await links.moved(world.engine, world.engine.containers.find("db").container)
        assert hosts(world, second)[0].startswith("10.9.0.2\tdb ") and world.networking.reaches.keys() == {
            first,
            second,
        }
        path.write_text(path.read_text().replace("10.9.0.2\tdb ", "10.9.0.77\tdb "))
        monkeypatch.setattr(world.networking, "reach", fails)
        await links.moved(world.engine, world.engine.containers.find("db").container)
        assert hosts(world, second)[0].startswith("10.9.0.2\tdb ")

    run(tmp_path, scenario)


def test_what_cannot_be_linked(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "db")
        await made(world, "plain", network_mode="none")
        await made(world, "far", network_mode="host")
        host = "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
        await refused(world, "could not get container for nosuch: No such container: nosuch", links=("nosuch",))
        await refused(world, 'could not get container for : invalid name or ID supplied: ""', links=(":x",))
        await refused(world, "could not get container for ww: No such container: ww", links=("ww",))
        await refused(world, "bad format for links: a:b:c", links=("a:b:c",))
        await refused(world, host, links=("far",))
        await refused(world, host, links=("db",), network_mode="host")
        await refused(world, "invalid Links 'db:a\\nb': it holds a control character", links=("db:a\nb",))
        assert "ww" not in [entry.container.name for entry in world.engine.containers]
        await made(world, "ww", links=("db:x",))
        await made(world, "vv", links=("plain",))
        for name, sentence in (
            ("ww", "Cannot link to a non running container: /db AS /ww/x"),
            ("vv", "Cannot link to /plain, as it does not belong to the default network"),
        ):
            with pytest.raises(Internal) as caught:
                await start.start(world.engine, name)
            assert caught.value.message == sentence
            assert world.engine.containers.find(name).container.status.error == sentence

    run(tmp_path, scenario)


def test_a_link_is_removed_and_both_stay(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "db")
        await start.start(world.engine, "db")
        parent = await made(world, "web", links=("db:d", "db:e"))
        await start.start(world.engine, "web")
        assert len(hosts(world, parent)) == 3
        await remove.remove(world.engine, "web/d", link=True)
        assert [line.partition("\t")[2].split()[0] for line in hosts(world, parent)] == ["e", parent[:12]]
        (stored,) = [c for c in world.engine.containers.store.load() if c.name == "web"]
        assert [link.alias for link in stored.status.links] == ["e"]
        for name, kind in (("web/d", NotFound), ("nosuch/d", NotFound), ("web", Internal)):
            with pytest.raises(kind):
                await remove.remove(world.engine, name, link=True)

    run(tmp_path, scenario)


def test_a_removed_container_stays_named_and_is_missed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "db")
        await made(world, "web", links=("db:d",))
        await remove.remove(world.engine, "web/d")
        entry = world.engine.containers.find("web")
        assert links.shown(world.engine, entry.container) == ["/db:/web/d"]
        with pytest.raises(ScowError, match="Cannot link to a non running container: /db AS /web/d"):
            await start.start(world.engine, "web")
        with pytest.raises(NotFound):
            world.engine.containers.find("web/d")

    run(tmp_path, scenario)


def test_lines_of_a_hosts_file() -> None:
    text = "10.0.0.2\tdb dbhost\n10.0.0.3\tdbx y\n10.0.0.9\tx db\n10.0.0.4\tdb.example z\n"
    assert links.with_address(text, "a/db", "10.0.0.7") == text.replace("0.2\t", "0.7\t").replace("0.4\t", "0.7\t")
    assert links.without(text, "db") == "10.0.0.3\tdbx y\n10.0.0.9\tx db\n"
    assert links.with_address("127.0.0.1\ta.b c\n", ".*", "x") == "127.0.0.1\ta.b c\n"
