"""Images for the pull row, made of this machine's own files: many small files, two large layers, many layers."""

import contextlib
import io
import os
import random
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.harness.archives import Made, docker_archive
from tests.harness.registry import Image, Registry


@contextlib.contextmanager
def server(key: str, quick: bool, copies: int = 1) -> Iterator[tuple[str, list[str]]]:
    """A registry that holds one of the images, "many" files, "two" large layers or 30 "layers": (title, references).
    The copies share no layer.
    """
    scale = 0.2 if quick else 1.0
    registry = Registry()
    try:
        if key == "many":
            layers = [_files(int(266e6 * scale))]
            title = f"{len(layers[0]) / 1e6:.0f} MB in many files"
        elif key == "two":
            layers = [_blob(int(231e6 * scale), seed) for seed in (1, 2)]
            title = f"{sum(map(len, layers)) / 1e6:.0f} MB in two layers"
        else:
            layers = [_layer(number, int(3e6 * scale)) for number in range(30)]
            title = "30 layers"
        references = []
        for number in range(copies):
            mark = _tar({"copy": b"%d" % number}).rstrip(b"\0")
            mark += bytes(-len(mark) % 512)
            references.append(registry.push(f"bench/{key}", Image([mark + layer for layer in layers]), f"{number}"))
        layers.clear()
        yield title, references
    finally:
        registry.close()


@contextlib.contextmanager
def one(size: int) -> Iterator[str]:
    """A registry with an image of one layer of `size` bytes: its reference."""
    registry = Registry()
    try:
        yield registry.push("bench/one", Image([_blob(size, 3)]))
    finally:
        registry.close()


@contextlib.contextmanager
def archive(quick: bool) -> Iterator[tuple[str, str]]:
    """A file as `docker save` writes them, with the image of many files: (its path, the image's name)."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        path = f"{folder}/image.tar"
        Path(path).write_bytes(docker_archive(Made([_files(int(266e6 * (0.2 if quick else 1)))], ["bench/loaded:1"])))
        yield path, "bench/loaded:1"


def tree(folder: Path, size: float, count: int) -> None:
    """`count` files of `size` bytes together in some directories; they compress to about half."""
    source = random.Random(7)
    each = int(size) // count
    for number in range(count):
        directory = folder / f"d{number % 40}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number}").write_bytes(source.randbytes(each // 2) + bytes(each - each // 2))


def _files(size: int) -> bytes:
    """A tar of regular files of this machine's /usr, in a fixed order, up to `size` bytes: what a system image holds."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for root in ("/usr/bin", "/usr/lib/python3", "/usr/lib", "/usr/share"):
            for folder, names, files in os.walk(root):
                names.sort()
                for name in sorted(files):
                    path = Path(folder) / name
                    if not path.is_symlink() and path.is_file() and path.stat().st_size < 2_000_000:
                        entry = tarfile.TarInfo(str(path)[1:])
                        data = path.read_bytes()
                        entry.size, entry.mode = len(data), 0o644
                        tar.addfile(entry, io.BytesIO(data))
                    if buffer.tell() > size:
                        return _end(tar, buffer)
    return buffer.getvalue()


def _end(tar: tarfile.TarFile, buffer: io.BytesIO) -> bytes:
    tar.close()
    return buffer.getvalue()


def _blob(size: int, seed: int) -> bytes:
    """One file of `size` bytes that compresses to about half, as programs do."""
    source = random.Random(seed)
    piece = b"".join(source.randbytes(512) + bytes(source.randrange(4) for _ in range(512)) for _ in range(2048))
    data = (piece * (size // len(piece) + 1))[:size]
    return _tar({f"large-{seed}": data})


def _layer(number: int, size: int) -> bytes:
    source = random.Random(number)
    return _tar({f"layer-{number}/file-{i}": source.randbytes(size // 40) for i in range(20)})


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
