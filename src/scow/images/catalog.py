"""What images there are: the tables in memory, look-ups, and the rules of what is still in use."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from scow.errors import NotFound, ScowError
from scow.images.blobs import BlobStore
from scow.images.config import container_config, image_of
from scow.images.names import Names
from scow.metadata import images as tables
from scow.metadata.database import Database
from scow.metadata.images import DigestRow, ImageRow, LayerRow, NameRow
from scow.model.image import Image
from scow.oci import image as image_documents
from scow.oci.digest import Digest, is_hex
from scow.oci.documents import CONFIG_LIMIT
from scow.oci.image import ImageConfig, chain_ids
from scow.oci.platform import Platform, host_platform
from scow.oci.reference import Reference

_log = logging.getLogger("scow.images")


class NoSuchImage(NotFound):
    """No image has that name or id."""


class Catalog:
    """Reads are from memory. Changes go to the database first; what it no longer names is returned as garbage."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        loaded = tables.load(database)
        self.rows: dict[str, ImageRow] = {}
        self.layers: dict[str, LayerRow] = {row.chain_id: row for row in loaded.layers}
        self.names = Names(loaded.names, loaded.digests)
        self._host = host_platform()
        self._configs: dict[str, ImageConfig] = {}
        self._blobs: dict[str, dict[str, int]] = {}
        self._images: dict[str, Image] = {}
        self._held: Counter[str] = Counter()
        self._pins: dict[str, tuple[str, ...]] = {}
        # Changes come one after another: memory follows the database in the order of its transactions.
        self._changing = asyncio.Lock()
        self.broken: dict[str, ImageRow] = {}  # images whose config cannot be read: see check.py
        for image_id, digest, size in loaded.blobs:
            self._blobs.setdefault(image_id, {})[digest] = size
        for row in loaded.images:
            try:
                self._configs[row.id] = read_config(row, blobs)
                self.rows[row.id] = row
            except ScowError as error:  # the daemon starts whatever one image looks like
                _log.error("image %s cannot be used: %s", row.id, error.message)
                self.broken[row.id] = row
        for image_id in self.rows:
            self._refresh(image_id)

    # ------------------------------------------------------------ reads

    def images(self) -> Sequence[Image]:
        return tuple(self._images.values())

    def get(self, image_id: str) -> Image | None:
        return self._images.get(image_id)

    def resolve(self, name: str) -> Image:
        """By full id, reference, or unambiguous id prefix. A malformed name is InvalidArgument, as in Docker."""
        return self.variants(name)[0]

    def variants(self, name: str) -> list[Image]:
        """The images of a name that several platforms have, as `resolve`; the one for this host comes first."""
        whole = f"sha256:{name}" if len(name) == 64 and is_hex(name) else name
        if whole in self._images:
            return [self._images[whole]]
        if whole.startswith("sha256:") and len(whole) == 71 and is_hex(whole[7:]):
            raise NoSuchImage(f"No such image: {whole}")
        reference = Reference.parse(name).with_default_tag()
        found = self.named(reference)
        if found:
            return found
        by_id = self._by_prefix(name.removeprefix("sha256:"))
        if by_id is None:
            raise NoSuchImage(f"No such image: {reference.familiar}")
        return [by_id]

    def named(self, reference: Reference) -> list[Image]:
        """The images of a reference, the one for this host first; with a digest the repository must be one from which
        that digest came.
        """
        return [self._images[id_] for id_ in self._ordered(self.names.owners(reference)) if id_ in self._images]

    def _ordered(self, image_ids: list[str]) -> list[str]:
        """What this host runs best first; of what it does not run, what came last."""
        newest_first = image_ids[::-1]
        return sorted(newest_first, key=self._rank) if len(image_ids) > 1 else image_ids

    def _rank(self, image_id: str) -> int:
        config = self._configs.get(image_id)
        if config is None:
            return 1000
        rank = self._host.runs(Platform.normalised(config.os, config.architecture, config.variant))
        return 100 if rank is None else rank

    def name_rows(self) -> list[NameRow]:
        """Each name once, with the image that it means here."""
        rows = {name: {row.image_id: row for row in self.names.rows(name)} for name in self.names}
        return [owners[self._ordered(list(owners))[0]] for owners in rows.values()]

    def _by_prefix(self, prefix: str) -> Image | None:
        if not is_hex(prefix):
            return None
        found = [image for image in self._images.values() if image.id.startswith(prefix, 7)]
        return found[0] if len(found) == 1 else None

    def config(self, image_id: str) -> ImageConfig:
        """NoSuchImage for one that was removed meanwhile."""
        self.require(image_id)
        return self._configs[image_id]

    def require(self, image_id: str) -> ImageRow:
        """An image's row; NoSuchImage for one that was removed meanwhile."""
        row = self.rows.get(image_id)
        if row is None:
            raise NoSuchImage(f"No such image: {image_id}")
        return row

    def unreadable(self, name: str) -> str:
        """The full id that `name` is, of an image whose config cannot be read; else ""."""
        whole = name if name.startswith("sha256:") else f"sha256:{name}"
        return whole if whole in self.broken else ""

    def blobs_of(self, image_id: str) -> dict[str, int]:
        """Digest and size of every blob of an image."""
        return dict(self._blobs.get(image_id, {}))

    def blobs_in_use(self) -> set[str]:
        used = {digest for blobs in self._blobs.values() for digest in blobs}
        return used | set(self._held)

    def directories_in_use(self) -> set[str]:
        return {row.directory for row in self.layers.values()}

    def layer_of_diff(self, diff_id: str) -> LayerRow | None:
        """An unpacked layer with that content which does not depend on what lies below it."""
        return next((row for row in self.layers.values() if row.independent and row.diff_id == diff_id), None)

    def names_of(self, image_id: str) -> list[str]:
        """Names and repositories that lead to an image, also to a broken one: where its blobs may be had again."""
        named = [row.name for row in self.names.names_of(image_id)]
        return named + [row.repository for row in self.names.digests_of(image_id)]

    def row(self, image_id: str) -> ImageRow | None:
        """An image's row, a broken one's, too."""
        return self.rows.get(image_id) or self.broken.get(image_id)

    def all_blobs(self) -> dict[str, int]:
        """Digest and size of every blob of every image, broken ones' as well."""
        return {digest: size for blobs in self._blobs.values() for digest, size in blobs.items()}

    def images_with(self, digest: str) -> list[str]:
        """Ids of the images that have a blob, broken ones' as well."""
        return [image_id for image_id, blobs in self._blobs.items() if digest in blobs]

    # ------------------------------------------------------------ changes

    async def mend(self, image_id: str, config: ImageConfig) -> None:
        """A broken image whose config could be read again is whole; nothing happens when it is no longer broken."""
        async with self._changing:
            if image_id in self.broken:
                self.rows[image_id] = self.broken.pop(image_id)
                self._configs[image_id] = config
                self._refresh(image_id)

    async def move_layers(self, rows: Sequence[LayerRow]) -> None:
        """Layers that are in other directories now."""
        async with self._changing:
            await tables.move_layers(self._database, rows)
            self.layers.update({row.chain_id: row for row in rows})

    def pin(self, owner: str, chain: Sequence[str]) -> None:
        """A container counts on the layers of a chain for as long as it exists. NotFound when one is missing."""
        for chain_id in chain:
            if chain_id not in self.layers:
                raise NotFound(f"layer {chain_id} is missing")
        self._pins[owner] = tuple(chain)

    def unpin(self, owner: str) -> tuple[str, ...]:
        """The chain that `owner` counted on until now."""
        return self._pins.pop(owner, ())

    def only_in(self, image_id: str) -> list[str]:
        """The chain ids of an image that no other image and no container has, the top first."""
        image = self._images.get(image_id)
        others = {id_ for other in self._images.values() if other.id != image_id for id_ in other.chain_ids}
        others.update(*self._pins.values())
        return [id_ for id_ in reversed(image.chain_ids) if id_ not in others] if image else []

    def orphans(self) -> list[str]:
        """Chain ids of the layers that nothing counts on; none while an image is broken, whose layers nobody knows."""
        return [] if self.broken else [layer.chain_id for layer in self._unused_layers(list(self.layers))]

    @contextmanager
    def hold(self, ids: Iterable[str]) -> Iterator[None]:
        """Keep layers (chain ids) and blobs (digests) that an operation counts on, whoever deletes images meanwhile."""
        held = list(ids)
        self._held.update(held)
        try:
            yield
        finally:
            self._held.subtract(held)
            self._held += Counter()

    async def add(
        self,
        row: ImageRow,
        config: ImageConfig,
        blobs: Sequence[tuple[str, int]],
        layers: Sequence[LayerRow],
        names: Sequence[Reference] = (),
        digests: Sequence[Reference] = (),
        top: str = "",
    ) -> Image:
        """A complete image becomes visible. Names move here from the images that had them, but for those that came
        under the same `top`, the manifest list or manifest to which the names led: they are for other platforms.
        """
        async with self._changing:
            now = time.time_ns()
            name_rows = [NameRow(str(name), row.id, now, top) for name in names]
            digest_rows = [DigestRow(ref.name, str(ref.digest), row.id) for ref in digests]
            layers = [self.layers.get(layer.chain_id, layer) for layer in layers]  # a repair may have moved one
            await tables.insert_image(self._database, row, blobs, layers, name_rows, digest_rows)
            self.rows.setdefault(row.id, self.broken.pop(row.id, row))
            self._configs[row.id] = config
            self._blobs.setdefault(row.id, {}).update(blobs)
            for layer in layers:
                self.layers.setdefault(layer.chain_id, layer)
            touched = {row.id}.union(*map(self.names.put, name_rows), *map(self.names.put_digest, digest_rows))
            self._refresh(*touched)
            return self._images[row.id]

    async def tag(self, image_id: str, reference: Reference, source: Reference | None = None) -> None:
        """One more name for an image; with `source`, a name of it, for all that this name means."""
        async with self._changing:
            if image_id not in self._images:
                raise NoSuchImage(f"No such image: {image_id}")
            owners = self.names.owners(source) if source is not None else []
            if image_id not in owners or len(owners) == 1:
                owners = [image_id]
            tops = [row.top for row in self.names.rows(str(source)) if row.image_id in owners]
            top = (tops or [str(source.digest) if source is not None and source.digest else ""])[0]
            rows = [NameRow(str(reference), id_, time.time_ns(), top) for id_ in owners]
            await tables.put_names(self._database, rows)
            self._refresh(*set().union(*map(self.names.put, rows)))

    async def add_digest(self, image_id: str, reference: Reference) -> None:
        """A repository has the image under a digest: after a push."""
        async with self._changing:
            if image_id not in self._images:
                raise NoSuchImage(f"No such image: {image_id}")
            row = DigestRow(reference.name, str(reference.digest), image_id)
            if image_id in self.names.owners(reference):
                return
            await tables.put_digest(self._database, row)
            self._refresh(*self.names.put_digest(row))

    async def untag(self, reference: Reference, image_id: str = "") -> None:
        """Take a name or a repository digest away, from one image or ("") all of them; no error when there is none."""
        async with self._changing:
            if reference.digest is not None:
                await tables.remove_digest(self._database, reference.name, str(reference.digest), image_id)
            else:
                await tables.remove_name(self._database, str(reference), image_id)
            self._refresh(*self.names.remove(reference, image_id))

    async def delete(self, image_id: str) -> tuple[list[LayerRow], list[str]]:
        """Forget an image with its names. Returns (layers forgotten with it, top first; blobs that nobody uses now).

        A broken one's layers, which nobody knows, are left to a check or the next start.
        """
        async with self._changing:
            image = self._images.pop(image_id, None)
            if image is None and image_id not in self.broken:
                raise NoSuchImage(f"No such image: {image_id}")
            layers = self._unused_layers(image.chain_ids) if image is not None else []
            for layer in layers:
                del self.layers[layer.chain_id]
            try:
                await tables.delete(self._database, (image_id,), [layer.chain_id for layer in layers])
            except BaseException:
                if image is not None:
                    self._images[image_id] = image
                self.layers.update({layer.chain_id: layer for layer in layers})
                raise
            for known in (self.rows, self.broken, self._configs):
                known.pop(image_id, None)
            self._refresh(*self.names.forget(image_id))
            blobs = self._blobs.pop(image_id, {})
            in_use = self.blobs_in_use()  # only now: a pull may have begun to count on some of them
            return layers, [digest for digest in blobs if digest not in in_use]

    def drop_orphans(self) -> list[LayerRow]:
        """At start, before the loop runs: forget the layers that nothing counts on."""
        layers = [self.layers.pop(chain_id) for chain_id in self.orphans()]
        if layers:
            tables.delete_now(self._database, [layer.chain_id for layer in layers])
        return layers

    async def drop_unused(self, chain: Iterable[str]) -> list[LayerRow]:
        """Forget those of the layers that neither an image nor an operation uses."""
        async with self._changing:
            layers = self._unused_layers(chain)
            for layer in layers:
                del self.layers[layer.chain_id]
            if layers:
                await tables.delete(self._database, (), [layer.chain_id for layer in layers])
            return layers

    def _unused_layers(self, chain: Iterable[str]) -> list[LayerRow]:
        used = {chain_id for image in self._images.values() for chain_id in image.chain_ids} | set(self._held)
        used.update(*self._pins.values())
        return [self.layers[id_] for id_ in reversed(list(chain)) if id_ in self.layers and id_ not in used]

    def _refresh(self, *image_ids: str) -> None:
        """Make the Images anew after their names changed."""
        for image_id in image_ids:
            row = self.rows.get(image_id)
            if row is not None:
                self._images[image_id] = self._image(row)

    def _image(self, row: ImageRow) -> Image:
        config = self._configs[row.id]
        names = self.names.names_of(row.id)
        references = [Reference.parse(name.name) for name in names]
        references += [Reference.parse(f"{own.repository}@{own.digest}") for own in self.names.digests_of(row.id)]
        sizes = [self.layers[id_].size for id_ in chain_ids(config.diff_ids) if id_ in self.layers]
        return image_of(
            row.id,
            config,
            tags=sorted(each.familiar for each in references if each.digest is None),
            digests=sorted(each.familiar for each in references if each.digest is not None),
            behind=[each.familiar for each in references if self._ordered(self.names.owners(each))[0] != row.id],
            size=sum(sizes),
            tagged_at=max((name.tagged_at for name in names), default=row.stored_at),
            parent=row.parent,
        )


def read_config(row: ImageRow, blobs: BlobStore) -> ImageConfig:
    """An image's config, from its blob. DataLoss or NotFound when it cannot be used."""
    config = image_documents.parse(blobs.read(Digest.parse(row.id), CONFIG_LIMIT))
    container_config(config.config)
    return config
