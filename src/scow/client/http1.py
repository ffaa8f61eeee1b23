"""HTTP/1.1 without I/O: requests to bytes, response heads and chunked bodies from bytes (RFC 9112)."""

from __future__ import annotations

from scow.errors import DataLoss

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_HEAD = 64 * 1024
_MAX_CHUNK_LINE = 4096
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def quote(text: str, safe: str = "") -> str:
    """Percent-encodes UTF-8; unreserved characters and those of `safe` stay."""
    if _SAFE.issuperset(text):
        return text
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        out.append(char if byte < 128 and (char in _SAFE or char in safe) else f"%{byte:02X}")
    return "".join(out)


def query(pairs: Iterable[tuple[str, str]]) -> str:
    """`?a=b&c=d`, or nothing when there are no pairs."""
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    return "?" + text if text else ""


def encode_request(method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> bytes:
    """One request; Content-Length is added for a body and for methods that usually have one."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body or b'')}")
    text = "\r\n".join(lines) + "\r\n\r\n"
    if text.count("\n") != len(lines) + 1:
        raise ValueError("a line break in a request line or header")
    return text.encode("latin-1", "replace") + (body or b"")


class Head:
    """A response's status, reason and headers (names in lower case; the last of several wins)."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: dict[str, str]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers

    def keeps_alive(self) -> bool:
        """Whether the connection can carry another request once the body has been read."""
        return self.headers.get("connection", "").lower() != "close"

    def body_length(self, method: str) -> int:
        """The body's size in bytes, -1 when it is chunked, -2 when it ends with the connection."""
        if method == "HEAD" or self.status < 200 or self.status in (204, 304):
            return 0
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return -1
        length = self.headers.get("content-length")
        if length is None:
            return -2
        if not (length.isascii() and length.isdigit() and len(length) < 19):
            raise DataLoss(f"bad content length in the answer: {length!r}")
        return int(length)


def parse_head(data: bytes) -> Head:
    """Parses status line and headers; `data` ends before the empty line. Raises DataLoss for anything malformed."""
    lines = data.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    code, _, reason = rest.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise DataLoss(f"not an HTTP answer: {lines[0][:80]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise DataLoss(f"bad header line in the answer: {line[:80]!r}")
        headers[name.lower()] = value.strip()
    return Head(int(code), reason, headers)


class Chunked:
    """Decodes a chunked body piece by piece; `done` once the last chunk and its trailer have been seen."""

    __slots__ = ("_data", "_left", "done")

    def __init__(self) -> None:
        self._data = b""
        self._left = 0  # bytes of the current chunk with its final CRLF; 0: a size line comes next, -1: trailer
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Takes bytes off the wire, gives the body bytes that they complete."""
        self._data += data
        out = []
        while not self.done:
            if self._left > 0:
                piece = self._data[: self._left]
                if not piece:
                    break
                self._data = self._data[len(piece) :]
                payload = max(0, min(len(piece), self._left - 2))
                out.append(piece[:payload])
                self._left -= len(piece)
                continue
            line, found, rest = self._data.partition(b"\r\n")
            if not found:
                if len(self._data) > _MAX_CHUNK_LINE:
                    raise DataLoss("a chunk size line without an end")
                break
            self._data = rest
            if self._left < 0:
                self.done = not line
            else:
                self._left = _chunk_size(line) + 2
                if self._left == 2:
                    self._left = -1
        return b"".join(out)

    def rest(self) -> bytes:
        """What followed the body."""
        return self._data


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or not set(digits) <= set(b"0123456789abcdefABCDEF"):
        raise DataLoss(f"bad chunk size {digits[:20]!r}")
    return int(digits, 16)
