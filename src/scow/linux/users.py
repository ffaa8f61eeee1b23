"""Users and groups of an image: a bounded reader of /etc/passwd and /etc/group through a root fd.

The files belong to the image and are not trusted: only regular files up to a limit are read, only entries whose
numbers are plain digits in range count, and a user or group that is all digits is a number and never a name
(CVE-2016-3697). A number that does not parse is an error, never a lookup by name (CVE-2024-40635, CVE-2026-46680).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scow.errors import InvalidArgument, NotFound
from scow.linux import paths

MAX_ID = 2**31 - 1
MAX_FILE = 10 << 20
_MAX_LINE = 64 << 10
_RANGE = f"uids and gids must be in range 0-{MAX_ID}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a process runs as. groups: all supplementary groups, the primary one first; home is "/" when unknown."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str = "/"


def parse_id(text: str) -> int | None:
    """The number of a user or group given by number, None for a name. InvalidArgument when out of range or negative."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if digits is not text or len(digits) > 10 or int(digits) > MAX_ID:
        raise InvalidArgument(_RANGE)
    return int(digits)


def resolve(
    root: int, user: str, *, additional: Sequence[int | str] = (), default_uid: int = 0, default_gid: int = 0
) -> Identity:
    """The identity that Docker's user string ("", "name", "1000", "name:group", "1000:1000", ":group") means below `root`.

    `additional` are wanted supplementary groups, numbers or names. NotFound and InvalidArgument carry Docker's words.
    """
    name, _, group = user.partition(":")
    number = parse_id(name) if name else default_uid
    entry = _find_user(root, name if number is None else "", number)
    if number is None and entry is None:
        raise NotFound(f"unable to find user {name}: no matching entries in passwd file")
    uid, gid, home, login = entry or (number or 0, default_gid, "/", b"")
    members: list[int] = []
    if group or login or additional:
        table = _groups(root)
        if group:
            gid = _group_id(table, group)
        elif login:
            members = [number for _, number, users in table if login in users]
        members += [_additional(table, wanted) for wanted in additional]
    return Identity(uid, gid, tuple(dict.fromkeys((gid, *members))), home)


def by_number(root: int, uid: int, gid: int, additional: Sequence[int | str] = ()) -> Identity:
    """The identity of given numbers; passwd only tells the home directory. Groups are exactly the ones asked for."""
    entry = _find_user(root, "", uid)
    named = any(isinstance(wanted, str) for wanted in additional)
    table = _groups(root) if named else []
    groups = dict.fromkeys((gid, *(_additional(table, wanted) for wanted in additional)))
    return Identity(uid, gid, tuple(groups), entry[2] if entry else "/")


def _group_id(table: list[tuple[bytes, int, list[bytes]]], group: str) -> int:
    number = parse_id(group)
    if number is not None:
        return number
    wanted = group.encode("utf-8", "surrogateescape")
    for name, found, _ in table:
        if name == wanted:
            return found
    raise NotFound(f"unable to find group {group}: no matching entries in group file")


def _additional(table: list[tuple[bytes, int, list[bytes]]], wanted: int | str) -> int:
    if isinstance(wanted, int):
        if not 0 <= wanted <= 2**32 - 2:
            raise InvalidArgument(_RANGE)
        return wanted
    try:
        return _group_id(table, wanted)
    except NotFound as error:  # Docker starts this sentence with a capital
        raise NotFound(f"U{error.message[1:]}") from None


def _find_user(root: int, name: str, number: int | None) -> tuple[int, int, str, bytes] | None:
    """(uid, gid, home, login name) of the first passwd entry with that name or, without a name, that number."""
    wanted = name.encode("utf-8", "surrogateescape")
    for fields in _entries(root, b"/etc/passwd"):
        if len(fields) < 6:
            continue
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is None or gid is None or not (fields[0] == wanted if name else uid == number):
            continue
        home = fields[5] if fields[5][:1] == b"/" else b"/"
        return uid, gid, home.decode("utf-8", "surrogateescape"), fields[0]
    return None


def _groups(root: int) -> list[tuple[bytes, int, list[bytes]]]:
    """(name, gid, members) of every well-formed group entry."""
    table: list[tuple[bytes, int, list[bytes]]] = []
    for fields in _entries(root, b"/etc/group"):
        gid = _number(fields[2]) if len(fields) >= 3 else None
        if gid is not None and fields[0]:
            table.append((fields[0], gid, fields[3].split(b",") if len(fields) > 3 else []))
    return table


def _entries(root: int, path: bytes) -> list[list[bytes]]:
    """The colon-separated lines of a file of the image. A missing file, or one that is not a sane text file, has none."""
    try:
        text = paths.read_bounded(root, path, MAX_FILE)
    except OSError:
        return []
    return _fields(text)


def number_of(text: bytes, name: str) -> int | None:
    """The uid or gid that a name has in the text of a passwd or group file."""
    wanted = name.encode("utf-8", "surrogateescape")
    for fields in _fields(text):
        if len(fields) >= 3 and fields[0] == wanted:
            number = _number(fields[2])
            if number is not None:
                return number
    return None


def _fields(text: bytes) -> list[list[bytes]]:
    return [
        line.strip().split(b":") for line in text.split(b"\n") if line and line[:1] != b"#" and len(line) <= _MAX_LINE
    ]


def _number(text: bytes) -> int | None:
    """Strict decimal within range, else None."""
    if not text.isdigit() or len(text) > 10:
        return None
    value = int(text)
    return value if value <= MAX_ID else None
