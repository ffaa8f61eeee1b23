"""The files of a container that lie where Docker's lie: <data-root>/containers/<id>/."""

import os
import shutil

from scow.engine.context import Engine


def directory(engine: Engine, container_id: str) -> str:
    """Log, exported config, hosts, hostname, resolv.conf."""
    return f"{engine.settings.data_root}/containers/{container_id}"


def log_path(engine: Engine, container_id: str) -> str:
    """The json-file's place."""
    return f"{directory(engine, container_id)}/{container_id}-json.log"


def write_file(path: str, text: str) -> None:
    """Replace a file in place of the same inode when it exists: a running container may have it mounted."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def remove(engine: Engine, container_id: str) -> None:
    """The whole directory; no error if it is gone."""
    shutil.rmtree(directory(engine, container_id), ignore_errors=True)
