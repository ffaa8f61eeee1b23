"""How much a volume holds."""

import os
import stat


def bytes_below(path: str) -> int:
    """Bytes of files and link texts below `path`, hard links once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for _, _, files, fd in os.fwalk(path):
        for name in files:
            try:
                there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:  # a container goes on
                continue
            inode = (there.st_dev, there.st_ino)
            if inode in seen or not (stat.S_ISREG(there.st_mode) or stat.S_ISLNK(there.st_mode)):
                continue
            if there.st_nlink > 1:
                seen.add(inode)
            total += there.st_size
    return total
