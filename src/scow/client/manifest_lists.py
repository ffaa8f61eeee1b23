"""Manifest lists in the making, in files that Docker's CLI keeps, too: <config>/manifests/<list>/<manifest>, each with one
manifest, its descriptor (with the platform) and where it is.
"""

from __future__ import annotations

import os

from scow.client.config import read_file, replace_file
from scow.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.oci.reference import Reference

_LIMIT = 16 << 20


class NoSuchList(NotFound):
    """There is no list of the name, or no such manifest in it."""


class ManifestLists:
    """The lists below the directory of config.json."""

    def __init__(self, config_dir: str) -> None:
        self._root = f"{config_dir}/manifests"

    def has(self, name: Reference) -> bool:
        return os.path.isdir(self._folder(name))

    def entries(self, name: Reference) -> list[dict[str, Any]]:
        """The manifests of a list, in the order of their files. Raises NoSuchList, InvalidArgument for damaged files."""
        folder = self._folder(name)
        try:
            files = sorted(file for file in os.listdir(folder) if not file.startswith("."))
        except FileNotFoundError:
            raise NoSuchList(f"No such manifest: {name}") from None
        return [_read(f"{folder}/{file}") for file in files]

    def entry(self, name: Reference, manifest: Reference) -> dict[str, Any]:
        """One manifest of a list."""
        path = f"{self._folder(name)}/{_file(manifest)}"
        if not os.path.exists(path):
            raise NoSuchList(f"No such manifest: {manifest}")
        return _read(path)

    def put(self, name: Reference, manifest: Reference, entry: dict[str, Any]) -> None:
        """Add a manifest to a list, which is made with the first one, or exchange it."""
        import json

        folder = self._folder(name)
        path = f"{folder}/{_file(manifest)}"
        try:
            os.makedirs(folder, 0o755, exist_ok=True)
            replace_file(path, json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode(), 0o644)
        except OSError as error:
            raise InvalidArgument(f"cannot write {path}: {error.strerror}") from error

    def remove(self, name: Reference) -> None:
        """Forget a list. NoSuchList when there is none."""
        import shutil

        if not self.has(name):
            raise NoSuchList(f"No such manifest: {name}")
        shutil.rmtree(self._folder(name))

    def _folder(self, name: Reference) -> str:
        return f"{self._root}/{_file(name)}"


def _file(name: Reference) -> str:
    """A reference has no other character that a file name could not have, and does not begin with a dot."""
    return str(name).replace("/", "_").replace(":", "-")


def _read(path: str) -> dict[str, Any]:
    import json

    try:
        entry = json.loads(read_file(path, _LIMIT))
        descriptor = entry["Descriptor"]
        fields = (entry["Ref"], entry["Raw"], descriptor["mediaType"], descriptor["digest"])
        if not (all(isinstance(field, str) for field in fields) and isinstance(descriptor["size"], int)):
            raise ValueError("fields of other kinds than a manifest's")
        if not isinstance(descriptor.get("platform", {}), dict):
            raise ValueError("a platform that is none")
    except OSError as error:
        raise InvalidArgument(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidArgument(f"error parsing {path}: {error}") from error
    found: dict[str, Any] = entry
    return found
