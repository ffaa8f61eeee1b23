"""json-file records to the bytes that `logs` sends: whole blocks at a time, and around damage.

Decoding is msgspec's, a block per call. A block that holds one bad line is decoded line by line: what a crash, a full
disk or a careless editor left (NUL holes, half lines, other JSON) is skipped, and every good record after it is found.
"""

import json
import struct
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from urllib.parse import quote_plus

import msgspec

from scow.errors import InvalidArgument
from scow.logs.query import LogQuery
from scow.logs.timestamps import format_fixed, parse

_START = b'{"log":"'
_NO_TIME = "0001-01-01T00:00:00.000000000Z"
_LATEST = 253402300799 * 10**9  # the end of the year 9999, the last that sorts as text
_CODES = {"stdout": 1, "stderr": 2}
_SHORT = 4096
_HEADERS = {code: [struct.pack(">BxxxI", code, size) for size in range(_SHORT)] for code in (1, 2)}


class Record(msgspec.Struct, gc=False):
    """One record. `time` is RFC 3339 text; attrs the labels and variables chosen by log options."""

    log: str
    stream: str = ""
    time: str = ""
    attrs: dict[str, str] | None = None


_stream_of = attrgetter("stream")
_decode = msgspec.json.Decoder(Record).decode
_decode_lines: Callable[[bytes], list[Record]] = msgspec.json.Decoder(Record).decode_lines


def decode(block: bytes) -> list[Record]:
    """The records of complete lines."""
    try:
        return _decode_lines(block)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        records: list[Record] = []
        for line in block.split(b"\n"):
            if line:
                records += _decode_line(line)
        return records


def _decode_line(line: bytes) -> list[Record]:
    try:
        return [_decode(line)]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    # A record's start cannot occur inside of another one: there its quotes are escaped.
    records = []
    position = line.find(_START)
    if position < 0:
        position = line.find(b"{")
    while position >= 0:
        following = line.find(_START, position + 1)
        record = _decode_piece(line[position:following] if following >= 0 else line[position:])
        if record is not None:
            records.append(record)
        position = following
    return records


def _decode_piece(piece: bytes) -> Record | None:
    """A record that msgspec may have refused only for its text: invalid UTF-8 or half a surrogate pair."""
    try:
        fields = json.loads(piece.decode("utf-8", "replace"))
        record = msgspec.convert(fields, Record)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    record.log = record.log.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return record


class Formatter:
    """Chooses and formats records for one query. `done` is set by the first record after `until`."""

    def __init__(self, query: LogQuery, *, framed: bool) -> None:
        if not query.stdout and not query.stderr:
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        self._codes = {
            name: code for name, code in _CODES.items() if (query.stdout if name == "stdout" else query.stderr)
        }
        self._framed = framed
        self._merged = query.merged
        self._timestamps = query.timestamps
        self._details = query.details
        self._since = format_fixed(min(query.since, _LATEST)) if query.since > 0 else ""
        self._until = format_fixed(min(query.until, _LATEST)) if query.until > 0 else ""
        self._plain = not (self._timestamps or self._details or self._since or self._until)
        self.done = False

    def format(self, block: bytes) -> bytes:
        """The output for a block of complete lines."""
        records = decode(block)
        if not self._plain:
            records = self._select(records)
        codes = self._codes
        if not self._framed:
            return "".join([record.log for record in records if record.stream in codes]).encode("utf-8", "replace")
        out: list[bytes] = []
        if self._merged:
            for stream, run in groupby(records, _stream_of):
                if stream in codes:
                    text = "".join([record.log for record in run]).encode("utf-8", "replace")
                    out += (struct.pack(">BxxxI", codes[stream], len(text)), text)
            return b"".join(out)
        for record in records:
            code = codes.get(record.stream)
            if code is not None:
                text = record.log.encode()
                size = len(text)
                out.append(_HEADERS[code][size] if size < _SHORT else struct.pack(">BxxxI", code, size))
                out.append(text)
        return b"".join(out)

    def _select(self, records: list[Record]) -> list[Record]:
        selected = []
        for record in records:
            time = normal_time(record.time)
            if time < self._since:
                continue
            if self._until and time > self._until:
                self.done = True
                break
            if self._details:
                record.log = f"{details(record.attrs)} {record.log}"
            if self._timestamps:
                record.log = f"{time} {record.log}"
            selected.append(record)
        return selected


def normal_time(text: str) -> str:
    """A record's time in the fixed form that sorts as text; the year 1 for what is no time."""
    if text.endswith("Z"):
        if len(text) == 30:
            return text
        if len(text) == 20:
            return text[:19] + ".000000000Z"
        if len(text) < 30:
            return text[:-1].ljust(29, "0") + "Z"
    try:
        return format_fixed(parse(text))
    except ValueError:
        return _NO_TIME


def details(attributes: dict[str, str] | None) -> str:
    """What `--details` shows: key=value pairs, sorted, each escaped as in a query string."""
    pairs = sorted((attributes or {}).items())
    return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)
