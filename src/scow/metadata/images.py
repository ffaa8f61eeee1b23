"""Images on disk: which manifest an image has, its names, its blobs, and where each layer is unpacked.

The documents themselves (manifest, config) are blobs; these tables say which blobs and directories are in use. What
they do not name is garbage and may be swept.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scow.metadata.database import Database

SCHEMA: tuple[str, ...] = (
    """create table images (
        id text primary key,
        manifest text not null,
        media_type text not null,
        manifest_size integer not null,
        listed text not null,
        listed_size integer not null,
        parent text not null,
        stored_at integer not null
    ) without rowid, strict""",
    """create table image_names (
        name text primary key,
        image_id text not null references images (id) on delete cascade,
        tagged_at integer not null
    ) without rowid, strict""",
    "create index image_names_by_image on image_names (image_id)",
    """create table image_digests (
        repository text not null,
        digest text not null,
        image_id text not null references images (id) on delete cascade,
        primary key (repository, digest)
    ) without rowid, strict""",
    "create index image_digests_by_image on image_digests (image_id)",
    """create table image_blobs (
        image_id text not null references images (id) on delete cascade,
        digest text not null,
        size integer not null,
        primary key (image_id, digest)
    ) without rowid, strict""",
    """create table layers (
        chain_id text primary key,
        diff_id text not null,
        directory text not null,
        size integer not null,
        independent integer not null
    ) without rowid, strict""",
    "create index layers_by_diff on layers (diff_id)",
)

# A name, and a repository's digest, may mean several images: one manifest list's, for several platforms.
WITH_PLATFORMS: tuple[str, ...] = (
    """create table image_names_of_platforms (
        name text not null,
        image_id text not null references images (id) on delete cascade,
        tagged_at integer not null,
        top text not null,
        primary key (name, image_id)
    ) without rowid, strict""",
    """insert into image_names_of_platforms (name, image_id, tagged_at, top)
        select name, image_id, tagged_at, '' from image_names""",
    "drop table image_names",
    "alter table image_names_of_platforms rename to image_names",
    "create index image_names_by_image on image_names (image_id)",
    """create table image_digests_of_platforms (
        repository text not null,
        digest text not null,
        image_id text not null references images (id) on delete cascade,
        primary key (repository, digest, image_id)
    ) without rowid, strict""",
    """insert into image_digests_of_platforms (repository, digest, image_id)
        select repository, digest, image_id from image_digests""",
    "drop table image_digests",
    "alter table image_digests_of_platforms rename to image_digests",
    "create index image_digests_by_image on image_digests (image_id)",
)


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image: `id` is the config's digest, `manifest` its manifest as it came (a push sends these bytes), `listed`
    the same as an OCI manifest, for readers of the image layout. `stored_at` is in Unix nanoseconds.
    """

    id: str
    manifest: str
    media_type: str
    manifest_size: int
    listed: str
    listed_size: int
    parent: str = ""
    stored_at: int = 0


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One unpacked layer. `directory` is its name below layers/; several chains may share it when it is `independent`
    of what lies below it. `size` is in bytes as Docker counts.
    """

    chain_id: str
    diff_id: str
    directory: str
    size: int
    independent: bool = True


@dataclass(frozen=True, slots=True)
class NameRow:
    """A name (docker.io/library/nginx:latest) of an image. `top` is the digest of the document that the name led to when
    it came: images that share a name and this are one image for several platforms. "" when it was made here.
    """

    name: str
    image_id: str
    tagged_at: int
    top: str = ""


@dataclass(frozen=True, slots=True)
class DigestRow:
    """A repository (docker.io/library/nginx) from which the image came under this manifest or index digest."""

    repository: str
    digest: str
    image_id: str


@dataclass(frozen=True, slots=True)
class ImageTables:
    """Everything in the tables."""

    images: tuple[ImageRow, ...]
    names: tuple[NameRow, ...]
    digests: tuple[DigestRow, ...]
    blobs: tuple[tuple[str, str, int], ...]
    layers: tuple[LayerRow, ...]


def load(database: Database) -> ImageTables:
    """All rows."""
    layers = database.read("select chain_id, diff_id, directory, size, independent from layers")
    return ImageTables(
        images=tuple(
            ImageRow(*row)
            for row in database.read(
                "select id, manifest, media_type, manifest_size, listed, listed_size, parent, stored_at from images"
                " order by stored_at"
            )
        ),
        names=tuple(
            NameRow(*row)
            for row in database.read("select name, image_id, tagged_at, top from image_names order by tagged_at")
        ),
        digests=tuple(
            DigestRow(*row) for row in database.read("select repository, digest, image_id from image_digests")
        ),
        blobs=tuple(database.read("select image_id, digest, size from image_blobs")),
        layers=tuple(LayerRow(chain, diff, directory, size, bool(own)) for chain, diff, directory, size, own in layers),
    )


async def insert_image(
    database: Database,
    image: ImageRow,
    blobs: Sequence[tuple[str, int]],
    layers: Sequence[LayerRow],
    names: Sequence[NameRow],
    digests: Sequence[DigestRow],
) -> None:
    """An image with all that belongs to it becomes visible, or nothing does. What is there already stays; names move."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute(
            "insert into images (id, manifest, media_type, manifest_size, listed, listed_size, parent, stored_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict (id) do nothing",
            (
                image.id,
                image.manifest,
                image.media_type,
                image.manifest_size,
                image.listed,
                image.listed_size,
                image.parent,
                image.stored_at,
            ),
        )
        connection.executemany(
            "insert or ignore into image_blobs (image_id, digest, size) values (?, ?, ?)",
            [(image.id, digest, size) for digest, size in blobs],
        )
        connection.executemany(
            "insert or ignore into layers (chain_id, diff_id, directory, size, independent) values (?, ?, ?, ?, ?)",
            [(row.chain_id, row.diff_id, row.directory, row.size, int(row.independent)) for row in layers],
        )
        _put_names(connection, names)
        _put_digests(connection, digests)

    await database.write(work)


async def move_layers(database: Database, rows: Sequence[LayerRow]) -> None:
    """Layers are in other directories now."""
    values = [(row.directory, row.chain_id) for row in rows]
    await database.write(
        lambda connection: connection.executemany("update layers set directory = ? where chain_id = ?", values)
    )


async def put_names(database: Database, rows: Sequence[NameRow]) -> None:
    """Give images names; an image that had such a name and was not of the same top loses it."""
    await database.write(lambda connection: _put_names(connection, rows))


def _put_names(connection: sqlite3.Connection, names: Iterable[NameRow]) -> None:
    for row in names:
        connection.execute("delete from image_names where name = ? and (top != ? or top = '')", (row.name, row.top))
        connection.execute(
            "insert or replace into image_names (name, image_id, tagged_at, top) values (?, ?, ?, ?)",
            (row.name, row.image_id, row.tagged_at, row.top),
        )


async def put_digest(database: Database, row: DigestRow) -> None:
    """A repository has an image under a digest."""
    await database.write(lambda connection: _put_digests(connection, (row,)))


def _put_digests(connection: sqlite3.Connection, digests: Iterable[DigestRow]) -> None:
    connection.executemany(
        "insert or replace into image_digests (repository, digest, image_id) values (?, ?, ?)",
        [(row.repository, row.digest, row.image_id) for row in digests],
    )


async def remove_name(database: Database, name: str, image_id: str = "") -> None:
    """Take a name away from one image, or from all."""
    await database.write(
        lambda connection: connection.execute(
            "delete from image_names where name = ? and ? in ('', image_id)", (name, image_id)
        )
    )


async def remove_digest(database: Database, repository: str, digest: str, image_id: str = "") -> None:
    """Take a repository's digest away from one image, or from all."""
    await database.write(
        lambda connection: connection.execute(
            "delete from image_digests where repository = ? and digest = ? and ? in ('', image_id)",
            (repository, digest, image_id),
        )
    )


async def delete(database: Database, image_ids: Sequence[str], chain_ids: Sequence[str]) -> None:
    """Forget images (with their names) and layers."""
    await database.write(lambda connection: _delete(connection, image_ids, chain_ids), frees=True)


def delete_now(database: Database, chain_ids: Sequence[str]) -> None:
    """Forget layers, before the loop runs."""
    database.write_now(lambda connection: _delete(connection, (), chain_ids))


def _delete(connection: sqlite3.Connection, image_ids: Sequence[str], chain_ids: Sequence[str]) -> None:
    connection.executemany("delete from images where id = ?", [(id_,) for id_ in image_ids])
    connection.executemany("delete from layers where chain_id = ?", [(id_,) for id_ in chain_ids])
