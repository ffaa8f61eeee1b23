"""Networks and the changes made to the host for them.

Addresses in use are not here: a lease dies with the machine's boot as its namespace does, so it is a file below the exec
root (network/leases.py), written before the address is used and without a disk flush on the way of a container start.
"""

import sqlite3

import msgspec

from scow.errors import DataLoss
from scow.metadata.database import Database
from scow.model.network import Network

SCHEMA = (
    """create table networks (
        id text primary key,
        name text not null unique,
        record blob not null
    ) without rowid, strict""",
    """create table host_changes (
        what text not null,
        object text not null,
        before text not null,
        after text not null,
        at integer not null,
        primary key (what, object)
    ) without rowid, strict""",
)

# Networks got several ranges; what had one subnet and gateway keeps them.
WITH_RANGES = (
    """update networks set record = cast(
        json_set(cast(record as text), '$.ranges', json_array(json_object(
            'subnet', json_extract(cast(record as text), '$.subnet'),
            'gateway', json_extract(cast(record as text), '$.gateway')
        ))) as blob)
    where coalesce(json_extract(cast(record as text), '$.subnet'), '') != ''""",
)

_network = msgspec.json.Decoder(Network)


class HostChange(msgspec.Struct, frozen=True):
    """Something of the host that scow changed. what: sysctl, module, link, rule. `before` is what stood there, "" for nothing."""

    what: str
    object: str
    before: str
    after: str
    at: int


class NetworkStore:
    """Durable records of networks and host changes; every method that writes returns when it is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> list[Network]:
        """All networks, oldest first. A damaged row is a DataLoss that names the network."""
        networks = []
        for name, record in self._database.read("select name, record from networks"):
            try:
                networks.append(_network.decode(record))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise DataLoss(f"the record of network {name} is damaged: {error}") from error
        return sorted(networks, key=lambda network: network.created_at)

    async def save(self, network: Network) -> None:
        """Insert or replace by id."""
        record = msgspec.json.encode(network)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("delete from networks where id = ?", (network.id,))
            connection.execute(
                "insert into networks (id, name, record) values (?, ?, ?)", (network.id, network.name, record)
            )

        await self._database.write(work)

    async def delete(self, network_id: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("delete from networks where id = ?", (network_id,))
        )

    def changes(self) -> list[HostChange]:
        rows = self._database.read("select what, object, before, after, at from host_changes order by at")
        return [HostChange(*row) for row in rows]

    @staticmethod
    def insert_change(connection: sqlite3.Connection, change: HostChange) -> None:
        """Work for `Database.write_now`, before the change is made. What stood there before scow's first change stays
        recorded when it changes it again.
        """
        connection.execute(
            "insert into host_changes (what, object, before, after, at) values (?, ?, ?, ?, ?)"
            " on conflict (what, object) do update set after = excluded.after, at = excluded.at",
            (change.what, change.object, change.before, change.after, change.at),
        )

    async def forget_change(self, change: HostChange) -> None:
        await self._database.write(
            lambda connection: connection.execute(
                "delete from host_changes where what = ? and object = ?", (change.what, change.object)
            )
        )
