"""Containers on disk: the record that never changes beside the status that does, both JSON."""

import sqlite3
from dataclasses import replace

import msgspec

from scow.errors import Conflict, DataLoss
from scow.metadata.database import Database
from scow.model.container import Container, Status

SCHEMA = (
    """create table containers (
        id text primary key,
        name text not null unique,
        record blob not null,
        status blob not null
    ) without rowid, strict""",
)

_record = msgspec.json.Decoder(Container)
_status = msgspec.json.Decoder(Status)


class ContainerStore:
    """Durable records of containers; every method returns when the change is on disk. Without `durable` it survives
    all but the machine's end.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> list[Container]:
        """All containers, oldest first. A damaged row is a DataLoss that names the container."""
        containers = []
        for id_, name, record, status in self._database.read("select id, name, record, status from containers"):
            try:
                container = _record.decode(record)
                containers.append(replace(container, name=name, status=_status.decode(status)))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise DataLoss(f"the record of container {id_} is damaged: {error}") from error
        return sorted(containers, key=lambda container: container.created_at)

    async def insert(self, container: Container) -> None:
        record = msgspec.json.encode(replace(container, status=Status()))
        status = msgspec.json.encode(container.status)

        def work(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(
                    "insert into containers (id, name, record, status) values (?, ?, ?, ?)",
                    (container.id, container.name, record, status),
                )
            except sqlite3.IntegrityError as error:
                raise Conflict(f"container {container.name} exists already") from error

        await self._database.write(work)

    async def set_record(self, container: Container) -> None:
        """What was asked for has changed (its limits, its restart policy)."""
        record = msgspec.json.encode(replace(container, status=Status()))
        await self._database.write(
            lambda connection: connection.execute(
                "update containers set record = ? where id = ?", (record, container.id)
            )
        )

    async def set_status(self, container_id: str, status: Status, *, durable: bool = True) -> None:
        data = msgspec.json.encode(status)
        await self._database.write(
            lambda connection: connection.execute(
                "update containers set status = ? where id = ?", (data, container_id)
            ),
            durable=durable,
        )

    async def rename(self, container_id: str, name: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("update containers set name = ? where id = ?", (name, container_id))
        )

    async def delete(self, container_id: str, *, durable: bool = True) -> None:
        await self._database.write(
            lambda connection: connection.execute("delete from containers where id = ?", (container_id,)),
            frees=True,
            durable=durable,
        )
