"""The CLI's config.json, shared with Docker's CLI: read once, written atomically, unknown keys kept."""

from __future__ import annotations

import posix

from scow.client import jsontext
from scow.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def read_file(path: str, limit: int = 16 * 1024 * 1024) -> bytes:
    """A whole file of at most `limit` bytes. Raises OSError."""
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        parts: list[bytes] = []
        size = 0
        while size <= limit:
            part = posix.read(fd, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
    finally:
        posix.close(fd)
    raise InvalidArgument(f"{path} is larger than {limit} bytes")


class Config:
    """The parsed file. `data` keeps every key, known or not."""

    def __init__(self, path: str, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data

    def text(self, key: str) -> str:
        """A string setting, empty when it is missing."""
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    def mapping(self, key: str) -> dict[str, Any]:
        """An object setting, empty when it is missing."""
        value = self.data.get(key)
        return value if isinstance(value, dict) else {}

    @property
    def current_context(self) -> str:
        return self.text("currentContext")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """HttpHeaders: sent with every request; User-Agent is ours to say."""
        return [(k, str(v)) for k, v in self.mapping("HttpHeaders").items() if k.lower() != "user-agent"]

    def proxies(self, host: str, environment: Sequence[str]) -> list[str]:
        """The `proxies` settings for a daemon as environment entries that the container gets unless it has its own."""
        settings = self.mapping("proxies").get(host, self.mapping("proxies").get("default"))
        if not isinstance(settings, dict):
            return []
        own = {entry.partition("=")[0] for entry in environment}
        out = []
        for key, name in _PROXIES:
            value = settings.get(key)
            if isinstance(value, str) and value:
                out += [f"{spelt}={value}" for spelt in (name, name.lower()) if spelt not in own]
        return out


_PROXIES = (
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
)


def read(path: str) -> Config:
    """Reads config.json; a file that is missing gives an empty configuration. Raises InvalidArgument for bad JSON."""
    try:
        raw = read_file(path)
    except FileNotFoundError:
        return Config(path, {})
    except OSError as error:
        raise InvalidArgument(f"cannot read {path}: {error.strerror}") from error
    try:
        data = jsontext.decode(raw) if raw.strip() else {}
    except ValueError as error:
        raise InvalidArgument(f"error parsing {path}: {error}") from error
    if not isinstance(data, dict):
        raise InvalidArgument(f"error parsing {path}: not a JSON object")
    return Config(path, data)


def write(config: Config) -> None:
    """Replaces the file by write-and-rename with mode 0600; a symbolic link stays one and its target is replaced."""
    import json
    import os

    target = config.path
    for _ in range(16):
        try:
            link = os.readlink(target)
        except OSError:
            break
        target = os.path.join(os.path.dirname(target), link)
    replace_file(target, json.dumps(config.data, indent="\t", ensure_ascii=False).encode(), 0o600)


def replace_file(path: str, data: bytes, mode: int) -> None:
    """A whole file or the old one, written beside it; what root rewrites for a user stays the user's. Raises OSError."""
    import os

    directory, name = os.path.split(path)
    os.makedirs(directory or ".", mode=0o700, exist_ok=True)
    scratch = os.path.join(directory, f".{name}.{os.getpid()}")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            _give_to_owner(fd, path)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(scratch, path)
    except OSError:
        os.unlink(scratch)
        raise


def _give_to_owner(fd: int, path: str) -> None:
    """What root rewrites for a user stays the user's."""
    import os

    if os.geteuid() == 0:
        try:
            before = os.stat(path)
        except OSError:
            return
        os.fchown(fd, before.st_uid, before.st_gid)
