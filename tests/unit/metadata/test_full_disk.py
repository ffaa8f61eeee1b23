"""A database on a full disk: typed errors, nothing half done, and still room to delete."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from scow.errors import ResourceExhausted, Unavailable
from scow.metadata.database import Database

MIGRATIONS = ((1, ("create table things (name text)",)),)


def fill(connection: sqlite3.Connection) -> None:
    connection.execute("insert into things values (?)", ("x" * 100_000,))


def test_a_full_disk_is_told_and_the_reserve_is_for_deletions(tmp_path: Path) -> None:
    database = Database(f"{tmp_path}/scow.db", MIGRATIONS)
    reserve = tmp_path / "scow.db-reserve"
    database.write_now(lambda connection: connection.execute("insert into things values ('a')"))
    database.write_now(lambda connection: connection.execute("pragma max_page_count = 3"))  # stands for a full disk
    assert reserve.stat().st_blocks * 512 >= 256 << 10

    async def scenario() -> None:
        with pytest.raises(ResourceExhausted, match=r"^cannot write to .*/scow.db: no space left on device$"):
            await database.write(fill)
        assert database.read("select name from things") == [("a",)]
        assert reserve.exists()
        attempts: list[bool] = []

        def delete(connection: sqlite3.Connection) -> None:
            attempts.append(reserve.exists())
            if len(attempts) == 1:
                fill(connection)
            connection.execute("delete from things")

        await database.write(delete, frees=True)
        assert attempts == [True, False]

    asyncio.run(scenario())
    assert database.read("select name from things") == []
    database.write_now(lambda connection: None)
    database.close()
    assert reserve.exists(), "it was not taken again when there was room"


def test_the_reserve_stays_free_for_who_gave_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another write that fails between a deletion's two tries does not take the room again."""
    database = Database(f"{tmp_path}/scow.db", MIGRATIONS)
    reserve = tmp_path / "scow.db-reserve"
    database.write_now(lambda connection: connection.execute("insert into things values ('a')"))
    database.write_now(lambda connection: connection.execute("pragma max_page_count = 3"))
    unlink = os.unlink
    attempts: list[bool] = []

    def give_up(path: str) -> None:
        unlink(path)
        for _ in range(2):  # once the second is answered, the first is over altogether
            with pytest.raises(ResourceExhausted):
                database.write_now(fill)

    def delete(connection: sqlite3.Connection) -> None:
        attempts.append(reserve.exists())
        if len(attempts) == 1:
            fill(connection)
        connection.execute("delete from things")

    monkeypatch.setattr(os, "unlink", give_up)
    asyncio.run(database.write(delete, frees=True))
    assert attempts == [True, False]
    database.close()


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "scow.db").mkdir()
    with pytest.raises(Unavailable, match=r"^cannot use the database .*/scow.db: "):
        Database(f"{tmp_path}/scow.db", MIGRATIONS)
