"""Volumes on disk: name, labels, options. Their data lie in directories of the same name."""

import json
import sqlite3

from scow.metadata.database import Database
from scow.model.volume import Volume

SCHEMA: tuple[str, ...] = (
    """create table volumes (
        name text primary key,
        created_at integer not null,
        labels text not null,
        options text not null,
        anonymous integer not null
    ) without rowid, strict""",
)


def load(database: Database, root: str) -> list[Volume]:
    """All volumes; `root` is the directory that holds theirs."""
    return [
        Volume(
            name=name,
            path=f"{root}/{name}/_data",
            created_at=created_at,
            labels=json.loads(labels),
            options=json.loads(options),
            anonymous=bool(anonymous),
        )
        for name, created_at, labels, options, anonymous in database.read(
            "select name, created_at, labels, options, anonymous from volumes"
        )
    ]


async def insert(database: Database, volume: Volume) -> None:
    """Record a volume; nothing happens when the name is there."""
    row = (
        volume.name,
        volume.created_at,
        json.dumps(volume.labels),
        json.dumps(volume.options),
        int(volume.anonymous),
    )

    def work(connection: sqlite3.Connection) -> None:
        connection.execute(
            "insert or ignore into volumes (name, created_at, labels, options, anonymous) values (?, ?, ?, ?, ?)", row
        )

    await database.write(work)


async def delete(database: Database, name: str) -> None:
    """Forget a volume."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("delete from volumes where name = ?", (name,))

    await database.write(work)
