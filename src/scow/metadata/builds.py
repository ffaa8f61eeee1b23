"""What steps of builds have made: the build cache."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scow.metadata.database import Database
from scow.metadata.images import LayerRow

SCHEMA = (
    """create table build_steps (
        key text primary key,
        parent text not null,
        chain_id text not null,
        diff_id text not null,
        digest text not null,
        media_type text not null,
        blob_size integer not null,
        size integer not null,
        stamp integer not null,
        description text not null,
        made_at integer not null,
        used_at integer not null,
        uses integer not null
    ) without rowid, strict""",
)
_COLUMNS = (
    "key, parent, chain_id, diff_id, digest, media_type, blob_size, size, stamp, description, made_at, used_at, uses"
)


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step: `key` says of what it was made, `parent` and `chain_id` name the layers that were there before and after
    ("" for none). A step without a layer of its own has no `diff_id` and no blob (`digest`). Sizes in bytes; `stamp` in Unix
    seconds is the time in its history, `made_at` and `used_at` are Unix nanoseconds.
    """

    key: str
    parent: str
    chain_id: str
    diff_id: str
    digest: str
    media_type: str
    blob_size: int
    size: int
    stamp: int
    description: str
    made_at: int
    used_at: int
    uses: int = 0


def ids_of(rows: Iterable[StepRow]) -> list[str]:
    """The chain ids and digests that rows count on: what a store must not sweep."""
    return [name for row in rows if row.diff_id for name in (row.chain_id, row.digest)]


def load(database: Database) -> list[StepRow]:
    """All rows, those used last at the end."""
    return [StepRow(*row) for row in database.read(f"select {_COLUMNS} from build_steps order by used_at")]


async def put(database: Database, steps: Sequence[StepRow], layers: Sequence[LayerRow]) -> None:
    """Steps with the layers that they have made, in one transaction. What is known of a key is replaced."""

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "insert or ignore into layers (chain_id, diff_id, directory, size, independent) values (?, ?, ?, ?, ?)",
            [(row.chain_id, row.diff_id, row.directory, row.size, int(row.independent)) for row in layers],
        )
        connection.executemany(
            f"insert or replace into build_steps ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    step.key,
                    step.parent,
                    step.chain_id,
                    step.diff_id,
                    step.digest,
                    step.media_type,
                    step.blob_size,
                    step.size,
                    step.stamp,
                    step.description,
                    step.made_at,
                    step.used_at,
                    step.uses,
                )
                for step in steps
            ],
        )

    await database.write(work)


async def delete(database: Database, keys: Sequence[str]) -> None:
    """Forget steps."""
    values = [(key,) for key in keys]
    await database.write(
        lambda connection: connection.executemany("delete from build_steps where key = ?", values), frees=True
    )
