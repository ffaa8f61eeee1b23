"""Which images a name means. It means several when they are one image for several platforms: they came out of the same
manifest list, whose digest is their `top`.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from scow.metadata.images import DigestRow, NameRow
from scow.oci.reference import Reference

_Key = TypeVar("_Key")
_Row = TypeVar("_Row")


class Names:
    """Names and (repository, digest) pairs in memory. What changes something returns the ids of the images for which it
    means something.
    """

    def __init__(self, names: Iterable[NameRow] = (), digests: Iterable[DigestRow] = ()) -> None:
        self._names: dict[str, dict[str, NameRow]] = {}
        self._digests: dict[tuple[str, str], dict[str, DigestRow]] = {}
        for name in names:
            self._names.setdefault(name.name, {})[name.image_id] = name
        for digest in digests:
            self._digests.setdefault((digest.repository, digest.digest), {})[digest.image_id] = digest

    def __iter__(self) -> Iterator[str]:
        """Every name, with its tag."""
        return iter(list(self._names))

    def rows(self, name: str) -> list[NameRow]:
        """What the name means, the oldest first."""
        return list(self._names.get(name, {}).values())

    def owners(self, reference: Reference) -> list[str]:
        """Ids of the images of a name with a tag, or of a repository's digest."""
        if reference.digest is not None:
            return list(self._digests.get((reference.name, reference.digest), ()))
        return list(self._names.get(str(reference), ()))

    def names_of(self, image_id: str) -> list[NameRow]:
        return [rows[image_id] for rows in self._names.values() if image_id in rows]

    def digests_of(self, image_id: str) -> list[DigestRow]:
        return [rows[image_id] for rows in self._digests.values() if image_id in rows]

    def put(self, row: NameRow) -> set[str]:
        """The name means this image, and no longer those that have another top or none (as metadata.images.put_name)."""
        before = self._names.get(row.name, {})
        kept = {id_: other for id_, other in before.items() if row.top and other.top == row.top and id_ != row.image_id}
        self._names[row.name] = {**kept, row.image_id: row}
        return {*before, row.image_id}

    def put_digest(self, row: DigestRow) -> set[str]:
        """The repository has the image under a digest, beside those that it has there already."""
        owners = self._digests.setdefault((row.repository, row.digest), {})
        owners[row.image_id] = row
        return set(owners)

    def remove(self, reference: Reference, image_id: str = "") -> set[str]:
        """Take a name or a repository's digest away, from one image or ("") from all."""
        if reference.digest is not None:
            return _without(self._digests, (reference.name, str(reference.digest)), image_id)
        return _without(self._names, str(reference), image_id)

    def forget(self, image_id: str) -> set[str]:
        """An image is gone."""
        touched: set[str] = set()
        for name in [name for name, rows in self._names.items() if image_id in rows]:
            touched |= _without(self._names, name, image_id)
        for key in [key for key, owners in self._digests.items() if image_id in owners]:
            touched |= _without(self._digests, key, image_id)
        return touched - {image_id}


def _without(table: dict[_Key, dict[str, _Row]], key: _Key, image_id: str) -> set[str]:
    before = table.pop(key, {})
    left = {id_: row for id_, row in before.items() if image_id and id_ != image_id}
    if left:
        table[key] = left
    return set(before)
