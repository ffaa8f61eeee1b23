"""A file system of its own for each engine: a fresh ext4 in a file.

On a shared disk what one engine has removed costs the next one's files (ext4 passes over inodes that were deleted lately),
and so does what anybody else removes. Here nothing is ever removed: images are pulled once each, in copies that share
no layer.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

_SIZE = "16G"  # sparse: it takes what is written


class Disk:
    """Mounted at `point`, with what was there."""

    def __init__(self, point: Path) -> None:
        self._point = point
        self._folder = tempfile.mkdtemp(prefix="scow-bench-", dir="/var/tmp")
        image, kept = f"{self._folder}/disk", f"{self._folder}/kept"
        shutil.copytree(point, kept)
        subprocess.run(["truncate", "-s", _SIZE, image], check=True)
        # the whole of its tables now: the kernel would otherwise write them while something is measured
        options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]
        subprocess.run(["mkfs.ext4", *options, image], check=True)
        subprocess.run(["mount", "-o", "loop", image, str(point)], check=True)
        shutil.copytree(kept, point, dirs_exist_ok=True)

    def remove(self) -> None:
        """After the engine has ended."""
        subprocess.run(["umount", "-l", str(self._point)], check=True)
        shutil.rmtree(self._folder)
        shutil.rmtree(self._point, ignore_errors=True)
