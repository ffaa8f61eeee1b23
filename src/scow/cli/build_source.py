"""Where the files of a build come from: a directory, stdin, a URL, a repository; and further contexts by name."""

from __future__ import annotations

import os

from scow.cli.command import Exit
from scow.client import jsontext
from scow.client.upload import upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from scow.build.frontend.ignore import IgnoreRules
    from scow.cli.build_sync import Sync
    from scow.cli.command import Session
    from scow.cli.flags import Flags

_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
LONGEST_DOCKERFILE = 16 << 20


def context(
    session: Session, flags: Flags, given: str
) -> tuple[Callable[[], bytes], str, Callable[[], int] | None, Sync | None]:
    """(what gives the archive, the Dockerfile's name in it, what tells how much was sent, what can do without)."""
    file = flags.text("file")
    if given == "-":
        if file == "-":
            raise Exit(1, "invalid argument: can't use stdin for both build context and dockerfile")
        return *_from_stdin(file), None
    if is_remote(given):
        return (lambda: b""), file or "Dockerfile", None, None
    if not os.path.exists(given):
        raise Exit(1, f"unable to prepare context: path {_quoted(given)} not found")
    if not os.path.isdir(given):
        raise Exit(1, f"unable to prepare context: context must be a directory: {given}")
    extra: dict[str, bytes] = {}
    if file == "-":
        name = f".dockerfile.{os.urandom(10).hex()}"
        extra[name] = read_all(0)
    else:
        name = placed(given, file, extra)
    rules_text = ignore_text(given, name)
    if extra and name in extra:
        extra[".dockerignore"] = (rules_text or "").encode() + f"\n.dockerignore\n{name}\n".encode()
    rules = _rules(rules_text, ".dockerignore", name)
    sync = None
    if not flags.on("compress") and not session.client.endpoint.port:
        from scow.cli.build_sync import Sync

        sync = Sync(session.client, given, rules, extra, (name, f"{name}.dockerignore", ".dockerignore"))
    return *_archive(given, rules, name, extra), sync


def is_remote(given: str) -> bool:
    """Whether the daemon fetches the context: a directory of the name goes before a repository's short name."""
    if given.startswith(("http://", "https://", "git://", "ssh://")):
        return True
    return given.startswith(("git@", "github.com/")) and not os.path.exists(given)


def _rules(text: str | None, *always: str) -> IgnoreRules | None:
    """The rules of a file's text; `always` is sent whatever it says: the daemon keeps it from the steps."""
    if text is None:
        return None
    from scow.build.frontend.ignore import IgnoreRules

    return IgnoreRules.parse("\n".join((text, *(f"!{name}" for name in always), "")))


def named(session: Session, words: list[str]) -> list[tuple[str, str]]:
    """--build-context: directories are sent now, the rest is for the daemon to fetch."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().lower()
        if not equals or not name or not value:
            raise Exit(1, f"invalid context value: {word}, expected key=value")
        if is_remote(value) or value.startswith(("docker-image://", "oci-layout://")):
            found[name] = value
            continue
        if not os.path.isdir(value):
            raise Exit(1, f"failed to get build context {name}: not a directory: {value}")
        found[name] = f"upload:{_sent(session, value)}"
    return [("contexts", jsontext.encode(found).decode())] if found else []


def _sent(session: Session, root: str) -> str:
    """The id of a directory that the daemon has now."""
    from scow.cli.build_sync import Sync

    rules = _rules(ignore_text(root, ""))
    id_ = None
    if not session.client.endpoint.port:
        id_ = Sync(session.client, root, rules, {}, ()).run([("named", "1")])
    if id_ is None:
        from scow.cli.build_context import Archive

        answer = upload(session.client, "POST", "/scow/build/contexts", [], Archive(root, rules, {}))
        id_ = str(answer.json()["Id"])
    return id_


def _archive(
    root: str, rules: IgnoreRules | None, name: str, extra: dict[str, bytes]
) -> tuple[Callable[[], bytes], str, Callable[[], int] | None]:
    from scow.cli.build_context import Archive

    archive = Archive(root, rules, extra)
    return archive, name, lambda: archive.size


def placed(root: str, file: str, extra: dict[str, bytes]) -> str:
    """The Dockerfile's name in the context; one from elsewhere is put into it."""
    path = file or os.path.join(root, "Dockerfile")
    if not os.path.exists(path):
        lower = os.path.join(root, "dockerfile")
        if file or not os.path.exists(lower):
            raise Exit(
                1,
                "unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
                f"lstat {os.path.abspath(path)}: no such file or directory",
            )
        path = lower
    name = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if not name.startswith(".."):
        return name
    with open(path, "rb") as stream:
        name = f".dockerfile.{os.urandom(10).hex()}"
        extra[name] = stream.read(LONGEST_DOCKERFILE)
    return name


def ignore_text(root: str, dockerfile: str) -> str | None:
    """The text of the Dockerfile's own .dockerignore, else of the context's; None without either."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        try:
            with open(os.path.join(root, name), encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
    return None


def _from_stdin(file: str) -> tuple[Callable[[], bytes], str, Callable[[], int] | None]:
    """An archive, or a Dockerfile without a context."""
    from scow.client.upload import from_descriptor

    start = b""
    while len(start) < 512:
        piece = os.read(0, 1 << 16)
        if not piece:
            break
        start += piece
    if start.startswith(_MAGIC) or start[257:262] == b"ustar":
        waiting, rest = [start], from_descriptor(0)
        return lambda: waiting.pop() if waiting else rest(), file or "Dockerfile", None
    from scow.cli.build_context import Archive

    archive = Archive(None, None, {"Dockerfile": start + read_all(0)})
    return archive, "Dockerfile", lambda: archive.size


def read_all(fd: int) -> bytes:
    parts = []
    while piece := os.read(fd, 1 << 16):
        parts.append(piece)
    return b"".join(parts)


def compressed(source: Callable[[], bytes]) -> Callable[[], bytes]:
    """The same bytes through gzip."""
    import zlib

    packer, ended = zlib.compressobj(1, zlib.DEFLATED, 31), False

    def pack() -> bytes:
        nonlocal ended
        while not ended:
            piece = source()
            ended = not piece
            packed = packer.compress(piece) if piece else packer.flush()
            if packed:
                return packed
        return b""

    return pack


def _quoted(text: str) -> str:
    from scow.cli.flags import go_quote

    return go_quote(text)
