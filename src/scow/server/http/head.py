"""Request heads: bytes to a `Head`, strictly (RFC 9112). No I/O; what is ambiguous is refused, never repaired.

There is one reading of every message: line ends are CRLF, no folded lines, no spaces before a colon, a length is given
once and either by Content-Length or by chunking (request smuggling: CVE-2025-43859 class).
"""

from dataclasses import dataclass

MAX_HEAD = 64 << 10
MAX_FIELDS = 128
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_BAD_IN_TARGET = bytes(range(0x21)) + b"\x7f"
_BAD_IN_VALUE = bytes(set(range(0x20)) - {0x09}) + b"\x7f"
_NAMES: dict[bytes, str] = {}
_MAX_NAMES = 256


class BadMessage(Exception):
    """The message breaks HTTP; the connection cannot be used any further."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Head:
    """One request head. `headers` has lower-case names; repeated fields are joined with ", ".

    length: bytes of the body, or -1 for a chunked one. keep_alive: the client allows another request afterwards.
    """

    method: str
    target: str
    minor: int
    headers: dict[str, str]
    length: int
    keep_alive: bool


def parse_head(raw: bytes) -> Head:
    """Parse everything up to and without the empty line; raises `BadMessage`."""
    lines = raw.split(b"\r\n")
    method, target, minor = _request_line(lines[0])
    if len(lines) > MAX_FIELDS:
        raise BadMessage(431, f"more than {MAX_FIELDS} header fields")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        key = _NAMES.get(name) or _field_name(name)
        if not colon or (value != value.translate(None, _BAD_IN_VALUE)):
            raise BadMessage(400, "malformed header field")
        text = value.strip(b" \t").decode("latin-1")
        if key in headers:
            if key in ("content-length", "transfer-encoding", "host"):
                raise BadMessage(400, f"repeated header field {key}")
            text = f"{headers[key]}, {text}"
        headers[key] = text
    if minor == 1 and "host" not in headers:
        raise BadMessage(400, "missing required Host header")
    return Head(method, target, minor, headers, _body_length(headers, minor), _keep_alive(headers, minor))


def _request_line(line: bytes) -> tuple[str, str, int]:
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[0] or not parts[1]:
        raise BadMessage(400, "malformed request line")
    method, target, version = parts
    if version == b"HTTP/1.1":
        minor = 1
    elif version == b"HTTP/1.0":
        minor = 0
    else:
        raise BadMessage(505 if version.startswith(b"HTTP/") else 400, "unsupported protocol version")
    name = method.decode("latin-1")
    if name not in _METHODS:
        raise BadMessage(501 if _TOKEN.issuperset(method) else 400, "unsupported method")
    if target[:1] != b"/" and target != b"*":
        raise BadMessage(400, "the request target is not a path")
    if not target.isascii() or target != target.translate(None, _BAD_IN_TARGET):
        raise BadMessage(400, "invalid character in the request target")
    return name, target.decode("ascii"), minor


def _field_name(name: bytes) -> str:
    if not name or not _TOKEN.issuperset(name):
        raise BadMessage(400, "malformed header field name")
    key = name.decode("ascii").lower()
    if len(_NAMES) < _MAX_NAMES:  # clients repeat the same few names for ever
        _NAMES[name] = key
    return key


def _body_length(headers: dict[str, str], minor: int) -> int:
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise BadMessage(400, "both Transfer-Encoding and Content-Length")
        if minor == 0:
            raise BadMessage(400, "Transfer-Encoding in HTTP/1.0")
        if coding.lower() != "chunked":
            raise BadMessage(501, "unsupported transfer encoding")
        return -1
    if length is None:
        return 0
    if not length.isascii() or not length.isdigit() or len(length) > 18:
        raise BadMessage(400, "bad Content-Length")
    return int(length)


def _keep_alive(headers: dict[str, str], minor: int) -> bool:
    words = [word.strip() for word in headers.get("connection", "").lower().split(",")]
    if "close" in words:
        return False
    return minor == 1 or "keep-alive" in words
