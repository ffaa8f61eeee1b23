"""What came of building an image once more: whether it is the same, and where it is not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not the same. `what`: a field of the config with dots in it; of a file "missing" or "extra" (in the new
    build), or "kind", "content", "mode", "owner", "mtime", "target", "device", "attributes". `expected` and `built` are texts for
    people, "" for nothing.
    """

    what: str
    expected: str = ""
    built: str = ""


@dataclass(frozen=True, slots=True)
class FileDeviation:
    """A path of a layer, from the root, and all in which it is not the same."""

    path: str
    deviations: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class LayerDeviation:
    """A layer by its number from the base, which is 1. `expected` and `built` are diff ids, "" where one image has no such
    layer. `more`: how many files beyond those named. No file at all: the archives have the same files in other bytes.
    """

    number: int
    created_by: str
    expected: str
    built: str
    files: tuple[FileDeviation, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`expected` and `built` are ids of images; the manifests' digests tell of compressed layers as well. `moment`: the one time
    of all steps of the image that was expected (Unix seconds), when they have one; 0 else.
    """

    expected: str
    built: str
    expected_manifest: str
    built_manifest: str
    config: tuple[Deviation, ...] = ()
    layers: tuple[LayerDeviation, ...] = ()
    moment: int = 0

    @property
    def agrees(self) -> bool:
        return self.expected == self.built
