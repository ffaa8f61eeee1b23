"""Each numbered change of the database's shape, from the number before it to itself, with what was in it."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scow.errors import DataLoss
from scow.metadata import builds, images
from scow.metadata.builds import StepRow
from scow.metadata.database import Database
from scow.metadata.images import DigestRow, LayerRow, NameRow
from scow.metadata.migrations import MIGRATIONS

Shape = set[str]


def at(path: Path, number: int, *statements: str) -> None:
    """A database as scow of that number left it, with some rows."""
    Database(str(path), MIGRATIONS[:number]).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma user_version").fetchone() == (number,)
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def shape(path: Path) -> Shape:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {sql for (sql,) in connection.execute("select sql from sqlite_master where sql is not null")}


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def from_nothing(path: Path) -> None:
    Database(str(path), MIGRATIONS[:1]).close()
    assert rows(path, "select count(*) from images") == [(0,)]
    assert rows(path, "select count(*) from containers") == [(0,)]


def ranges_of_leases(path: Path) -> None:
    one, none = (
        json.dumps({"id": name, "subnet": subnet, "gateway": "10.9.0.1" if subnet else ""})
        for name, subnet in (("n1", "10.9.0.0/24"), ("n2", ""))
    )
    insert = "insert into networks (id, name, record) values ('{0}', '{0}', cast('{1}' as blob))"
    at(path, 1, insert.format("n1", one), insert.format("n2", none))
    Database(str(path), MIGRATIONS[:2]).close()
    (kept,), (untouched,) = rows(path, "select record from networks order by name")
    assert json.loads(str(untouched, "utf-8")) == json.loads(none)
    assert json.loads(str(kept, "utf-8")) == {
        **json.loads(one),
        "ranges": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1"}],
    }


def steps_of_builds(path: Path) -> None:
    layer = LayerRow("sha256:c", "sha256:d", "directory", 5)
    at(path, 2, f"insert into layers {_values(layer)}")
    database = Database(str(path), MIGRATIONS[:3])
    try:
        assert builds.load(database) == []
        row = StepRow("k", "p", "sha256:c", "sha256:d", "sha256:b", "m", 3, 5, 7, "RUN x", 1, 2)
        asyncio.run(builds.put(database, [row], [layer]))
        assert builds.load(database) == [row]
        assert len(rows(path, "select * from layers")) == 1
    finally:
        database.close()


def images_of_platforms(path: Path) -> None:
    image = "insert into images values ('{0}', 'm', 't', 1, 'l', 1, '', {1})"
    at(
        path,
        3,
        image.format("i1", 1),
        image.format("i2", 2),
        "insert into image_names values ('n:1', 'i1', 5), ('n:2', 'i1', 6)",
        "insert into image_digests values ('n', 'sha256:a', 'i1')",
    )
    database = Database(str(path), MIGRATIONS[:4])
    try:
        kept = [NameRow("n:1", "i1", 5), NameRow("n:2", "i1", 6)]
        loaded = images.load(database)
        assert list(loaded.names) == kept and list(loaded.digests) == [DigestRow("n", "sha256:a", "i1")]
        asyncio.run(images.put_names(database, [NameRow("n:2", name, 7, "sha256:t") for name in ("i1", "i2")]))
        assert len(images.load(database).names) == 3
        asyncio.run(images.delete(database, ["i1"], []))
        assert list(images.load(database).names) == [NameRow("n:2", "i2", 7, "sha256:t")]
        assert not images.load(database).digests
    finally:
        database.close()


def _values(layer: LayerRow) -> str:
    return f"values ('{layer.chain_id}', '{layer.diff_id}', '{layer.directory}', {layer.size}, 0)"


TESTS: dict[int, Callable[[Path], None]] = {
    1: from_nothing,
    2: ranges_of_leases,
    3: steps_of_builds,
    4: images_of_platforms,
}


@pytest.mark.parametrize("number", [number for number, _ in MIGRATIONS])
def test_a_migration_keeps_what_was_there(tmp_path: Path, number: int) -> None:
    TESTS[number](tmp_path / "scow.db")


@pytest.mark.parametrize("number", [number for number, _ in MIGRATIONS])
def test_from_every_number_the_newest_shape_is_reached(tmp_path: Path, number: int) -> None:
    at(tmp_path / "old.db", number)
    for name in ("old.db", "new.db"):
        Database(str(tmp_path / name), MIGRATIONS).close()
    assert shape(tmp_path / "old.db") == shape(tmp_path / "new.db")


@pytest.mark.parametrize("number", [number for number, _ in MIGRATIONS])
def test_a_migration_happens_whole_or_not_at_all(tmp_path: Path, number: int) -> None:
    path = tmp_path / "scow.db"
    if number > 1:
        at(path, number - 1)
    before = shape(path)
    broken = [*MIGRATIONS[: number - 1], (number, (*MIGRATIONS[number - 1][1], "insert into nowhere values (1)"))]
    with pytest.raises(DataLoss):
        Database(str(path), broken)
    assert rows(path, "pragma user_version") == [(number - 1,)] and shape(path) == before
    Database(str(path), MIGRATIONS).close()


def test_numbers_are_without_gaps_and_a_newer_database_is_refused(tmp_path: Path) -> None:
    assert [number for number, _ in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1)) == sorted(TESTS)
    Database(str(tmp_path / "scow.db"), [*MIGRATIONS, (len(MIGRATIONS) + 1, ("create table later (x)",))]).close()
    with pytest.raises(DataLoss, match="use a newer scow"):
        Database(str(tmp_path / "scow.db"), MIGRATIONS)
