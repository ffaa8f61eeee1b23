"""Output bytes to Docker's json-file records, a chunk at a time: no Python code runs per line or per byte.

One record is `{"log":"TEXT\\n","stream":"stdout","time":"…"}` and a newline. A line longer than 16 KiB becomes several
records of which only the last ends in `\\n`. Invalid UTF-8 becomes one `\\ufffd` per byte, as Go writes it.
All lines of one chunk carry the time at which the chunk was read.
"""

from collections.abc import Mapping

LIMIT = 16 << 10
"""The longest piece of a line in one record, in bytes of output."""

_PREFIX = b'{"log":"'
_SPECIAL = frozenset([*range(0x20), *b'"\\<>&']) - {10}
_SAFE = bytes(byte for byte in range(256) if byte not in _SPECIAL)
_ESCAPES = {byte: (bytes([byte]), b"\\u%04x" % byte) for byte in _SPECIAL}
_ESCAPES[0x0D] = (b"\r", b"\\r")
_ESCAPES[0x22] = (b'"', b'\\"')
_ESCAPES[0x5C] = (b"\\", b"\\\\")
_INVALID = {byte: b"&#%d;" % (0xDC00 + byte) for byte in range(0x80, 0x100)}


def escape(text: bytes) -> bytes:
    """JSON string content of output bytes, except that newlines stay as they are."""
    marks = text.translate(None, _SAFE)
    if marks:
        present = set(marks)
        if 0x5C in present:  # first, because every other escape adds backslashes
            present.discard(0x5C)
            text = text.replace(*_ESCAPES[0x5C])
        for byte in present:
            text = text.replace(*_ESCAPES[byte])
    if not text.isascii():
        text = _escape_wide(text)
    return text


def _escape_wide(text: bytes) -> bytes:
    try:
        text.decode()
    except UnicodeDecodeError:
        # Every "&" of the output is an escape by now, so a character reference can only be an invalid byte.
        present = set(text)
        text = text.decode("utf-8", "surrogateescape").encode("utf-8", "xmlcharrefreplace")
        if b"&" in text:
            for byte in present:
                if byte >= 0x80:
                    text = text.replace(_INVALID[byte], b"\\ufffd")
    if b"\xe2\x80" in text:
        text = text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return text


def escape_attributes(attributes: Mapping[str, str]) -> bytes:
    """The `"attrs":{…},` part of a record, keys sorted; empty when there are none."""
    if not attributes:
        return b""
    pairs = (
        b'"%s":"%s"' % (_string(key), _string(attributes[key]))
        for key in sorted(attributes, key=lambda key: key.encode("utf-8", "surrogateescape"))
    )
    return b'"attrs":{%s},' % b",".join(pairs)


def _string(text: str) -> bytes:
    return escape(text.encode("utf-8", "surrogateescape")).replace(b"\n", b"\\n")


class LineEncoder:
    """The records of one stream. `feed` returns buffers to be written in order; what has no newline yet is kept."""

    def __init__(self, stream: str, attributes: bytes = b"") -> None:
        self._stream = b'","stream":"%s",%s"time":"' % (stream.encode(), attributes)
        self._partial = b""

    def feed(self, data: bytes, time: str) -> list[bytes | memoryview]:
        """The records that `data` completes. `time` is what they are stamped with."""
        if self._partial:
            data = self._partial + data
        ending = b'%s%s"}\n' % (self._stream, time.encode())
        out: list[bytes | memoryview] = []
        begin = position = 0
        end = len(data)
        while end - position >= LIMIT:
            newline = data.rfind(b"\n", position, position + LIMIT)
            if newline >= 0:
                position = newline + 1
                continue
            if position > begin:
                out += _lines(data[begin:position], ending)
            begin = _character_border(data, position + LIMIT)
            out += (_PREFIX, escape(data[position:begin]), ending)
            position = begin
        position = max(position, data.rfind(b"\n", position) + 1)
        if position > begin:
            out += _lines(data[begin:position], ending)
        self._partial = data[position:]
        return out

    def flush(self, time: str) -> list[bytes | memoryview]:
        """The record of a last line without newline, if there is one."""
        if not self._partial:
            return []
        text, self._partial = self._partial, b""
        return [_PREFIX, escape(text), b'%s%s"}\n' % (self._stream, time.encode())]


def _lines(text: bytes, ending: bytes) -> tuple[bytes | memoryview, ...]:
    """Records of complete lines, each shorter than LIMIT."""
    records = escape(text).replace(b"\n", b"\\n" + ending + _PREFIX)
    return _PREFIX, memoryview(records)[: -len(_PREFIX)]


def _character_border(data: bytes, cut: int) -> int:
    """The last place at or before `cut` that does not divide a UTF-8 character; `cut` itself in other data."""
    for back in range(1, 4):
        byte = data[cut - back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return cut - back if length > back else cut
    return cut
