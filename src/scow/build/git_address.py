"""Which words name a git repository, and what in it. Pure.

A word of a user, a Dockerfile or a base image's trigger becomes an argument of git and, for ssh, of ssh: nothing of it may be
taken for an option by either (CVE-2017-1000117, CVE-2018-17456).
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from scow.errors import InvalidArgument

_SCP = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)@([^:/?#\s]+):(?!//)([^\s]+)")
_HOST = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:\[\]_-]*")
_REF = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_./@+-]*")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GITHUB = "github.com/"
_LONGEST = 2048


@dataclass(frozen=True, slots=True)
class Repository:
    """`url` as git takes it; `ref` a branch, a tag or a commit, "" for the default; `directory` in it, "" for all of it."""

    url: str
    ref: str = ""
    directory: str = ""

    @property
    def shown(self) -> str:
        """The URL without a password."""
        return redacted(self.url)

    @property
    def by_ssh(self) -> bool:
        """Whether it is fetched by ssh."""
        return self.url.startswith("ssh://") or _SCP.fullmatch(self.url) is not None

    @property
    def is_commit(self) -> bool:
        """Whether the ref is a whole commit id: what it leads to never changes."""
        return _HASH.fullmatch(self.ref) is not None


def parse(text: str, *, short: bool = False) -> Repository | None:
    """The repository that a context or a source of ADD names; None for what is no repository. InvalidArgument.

    `short`: github.com/… is one too, which may be a directory where there are any.
    """
    if "\0" in text:
        return None
    where, _, fragment = text.partition("#")
    if short and where.startswith(_GITHUB):
        where = f"https://{where}"
    elif _SCP.fullmatch(where) is None and not where.startswith(("git://", "ssh://")):
        if not where.startswith(("http://", "https://")) or not _path(where).endswith(".git"):
            return None
    ref, _, directory = fragment.partition(":")
    _check(where, ref, directory)
    return Repository(where, ref, directory)


def redacted(text: str) -> str:
    """`text` without passwords of URLs."""
    return re.sub(r"(://[^/@\s:]*):[^/@\s]*@", r"\1:xxxxx@", text)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _check(url: str, ref: str, directory: str) -> None:
    shown = redacted(url)[:200]
    if len(url) > _LONGEST or not url.isprintable() or " " in url:
        raise InvalidArgument(f"invalid git repository {shown!r}")
    scp = _SCP.fullmatch(url)
    if scp is not None:
        host, path = scp[2], scp[3]
    else:
        try:
            parts = urlsplit(url)
            host, path = parts.hostname or "", parts.path.lstrip("/")
            user = parts.username or ""
            _ = parts.port
        except ValueError:
            raise InvalidArgument(f"invalid git repository {shown!r}") from None
        if user.startswith("-"):
            raise InvalidArgument(f"invalid user in git repository {shown!r}")
    if not _HOST.fullmatch(host) or not path or path.startswith("-"):
        raise InvalidArgument(f"invalid host or path in git repository {shown!r}")
    if ref and (
        len(ref) > 255 or not _REF.fullmatch(ref) or ".." in ref or "@{" in ref or ref.endswith((".lock", "/"))
    ):
        raise InvalidArgument(f"invalid git ref {ref[:200]!r}")
    if directory and (not directory.isprintable() or ".." in directory.split("/") or len(directory) > _LONGEST):
        raise InvalidArgument(f"invalid directory {directory[:200]!r} of a git repository")
