"""DNS messages (RFC 1035, 6891): bytes to frozen values and back. No I/O; bounded work on any input."""

import struct
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 255
IN = 1
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED, BAD_VERSION = 0, 1, 2, 3, 4, 5, 16
RESPONSE, TRUNCATED, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0200, 0x0100, 0x0080
_OPCODE, _RCODE = 0x7800, 0x000F

LIMIT = 65535
"""Bytes of a message, which no transport exceeds."""
PLAIN_UDP = 512
OUR_UDP = 1232
"""What we say we take by UDP: the size that needs no fragments anywhere."""
_NAME_LIMIT = 255
_WALK_LIMIT = 1 << 15  # labels of all names of one message, compression followed: keeps hostile input cheap

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!2H")
_RECORD = struct.Struct("!2HIH")

Name = tuple[bytes, ...]
"""Labels without the root; () is the root."""


class Malformed(ValueError):
    """The bytes are no DNS message; `id` and `flags` are the header's, when there is one."""

    def __init__(self, text: str, header: tuple[int, int] | None = None) -> None:
        super().__init__(text)
        self.header = header


class Question(NamedTuple):
    name: Name
    kind: int
    klass: int = IN

    def matches(self, other: "Question") -> bool:
        """The same question, whatever the case of its letters."""
        return self[1:] == other[1:] and folded(self.name) == folded(other.name)


class Record(NamedTuple):
    """A resource record; data is as it was on the wire, names in it perhaps compressed against its message."""

    name: Name
    kind: int
    klass: int
    ttl: int
    data: bytes


class Message(NamedTuple):
    id: int
    flags: int
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    @property
    def is_response(self) -> bool:
        return bool(self.flags & RESPONSE)

    @property
    def opcode(self) -> int:
        return (self.flags & _OPCODE) >> 11

    @property
    def rcode(self) -> int:
        return self.flags & _RCODE

    @property
    def truncated(self) -> bool:
        return bool(self.flags & TRUNCATED)

    @property
    def edns(self) -> Record | None:
        """The OPT record: its class is the size that the sender takes by UDP."""
        return next((one for one in self.additional if one.kind == OPT), None)

    @property
    def udp_limit(self) -> int:
        """How long an answer by UDP may be."""
        edns = self.edns
        return PLAIN_UDP if edns is None else max(PLAIN_UDP, min(edns.klass, LIMIT - 28))


def folded(name: Name) -> Name:
    """For comparisons: only ASCII letters have case."""
    return tuple(label.lower() for label in name)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._walked = 0
        self.offset = 12

    def name(self) -> Name:
        """The name at the offset. Every pointer must lead further back than all before it, so that there is no loop."""
        data, here, barrier = self._data, self.offset, self.offset
        labels: list[bytes] = []
        size, end = 1, -1
        try:
            while length := data[here]:
                self._walked += 1
                if self._walked > _WALK_LIMIT:
                    raise Malformed("too many labels")
                if length < 0x40:
                    label = data[here + 1 : here + 1 + length]
                    here += 1 + length
                    size += 1 + length
                    if len(label) != length or size > _NAME_LIMIT:
                        raise Malformed("a name is too long or cut off")
                    labels.append(label)
                elif length >= 0xC0:
                    target = (length & 0x3F) << 8 | data[here + 1]
                    if not 12 <= target < barrier:
                        raise Malformed("a compression pointer does not lead back")
                    end = here + 2 if end < 0 else end
                    here = barrier = target
                else:
                    raise Malformed("a label of an unknown type")
        except IndexError:
            raise Malformed("a name is cut off") from None
        self.offset = here + 1 if end < 0 else end
        return tuple(labels)

    def question(self) -> Question:
        name = self.name()
        try:
            kind, klass = _QUESTION.unpack_from(self._data, self.offset)
        except struct.error:
            raise Malformed("a question is cut off") from None
        self.offset += 4
        return Question(name, kind, klass)

    def record(self) -> Record:
        name = self.name()
        try:
            kind, klass, ttl, length = _RECORD.unpack_from(self._data, self.offset)
        except struct.error:
            raise Malformed("a record is cut off") from None
        start = self.offset + 10
        self.offset = start + length
        if self.offset > len(self._data):
            raise Malformed("a record's data is cut off")
        return Record(name, kind, klass, ttl, self._data[start : self.offset])


def decode(data: bytes) -> Message:
    """One whole message, nothing behind it. Malformed otherwise."""
    if not 12 <= len(data) <= LIMIT:
        raise Malformed("a message of an impossible length")
    number, flags, *counts = _HEADER.unpack_from(data)
    reader = _Reader(data)
    try:
        questions = tuple(reader.question() for _ in range(counts[0]))
        answers, authority, additional = (tuple(reader.record() for _ in range(count)) for count in counts[1:])
        if reader.offset != len(data):
            raise Malformed("bytes behind the message")
        if sum(one.kind == OPT for one in additional) > 1:
            raise Malformed("several OPT records")
    except Malformed as error:
        error.header = (number, flags)
        raise
    return Message(number, flags, questions, answers, authority, additional)


def encode_name(name: Name) -> bytes:
    """Not compressed. Malformed for what cannot be a name."""
    if any(not 1 <= len(label) <= 63 for label in name):
        raise Malformed("a label is empty or longer than 63 bytes")
    encoded = b"".join(bytes((len(label),)) + label for label in name) + b"\0"
    if len(encoded) > _NAME_LIMIT:
        raise Malformed("a name is longer than 255 bytes")
    return encoded


def encode(message: Message) -> bytes:
    """The bytes; owners that are the question's name are compressed. Malformed when it would be too long."""
    asked = message.questions[0].name if message.questions else ()
    counts = (len(message.questions), len(message.answers), len(message.authority), len(message.additional))
    parts = [_HEADER.pack(message.id, message.flags, *counts)]
    for question in message.questions:
        parts.append(encode_name(question.name) + _QUESTION.pack(question.kind, question.klass))
    for record in (*message.answers, *message.authority, *message.additional):
        owner = b"\xc0\x0c" if asked and record.name == asked else encode_name(record.name)
        parts.append(owner + _RECORD.pack(record.kind, record.klass, record.ttl, len(record.data)) + record.data)
    data = b"".join(parts)
    if len(data) > LIMIT:
        raise Malformed("a message longer than 65535 bytes")
    return data


def text(name: Name) -> str:
    return ".".join(label.decode("ascii", "backslashreplace") for label in name)


def reply(query: Message, rcode: int, answers: tuple[Record, ...] = ()) -> Message:
    """An answer of ours to a query: its id, its question, an OPT record when it had one."""
    flags = RESPONSE | RECURSION_AVAILABLE | (query.flags & (_OPCODE | RECURSION_DESIRED)) | (rcode & _RCODE)
    edns = (Record((), OPT, OUR_UDP, (rcode >> 4) << 24, b""),) if query.edns is not None else ()
    return Message(query.id, flags, query.questions[:1], answers, (), edns)


def refusal(number: int, flags: int, rcode: int) -> bytes:
    """An answer to what cannot be read: a header alone."""
    return _HEADER.pack(number, RESPONSE | (flags & (_OPCODE | RECURSION_DESIRED)) | rcode, 0, 0, 0, 0)


def within(message: Message, limit: int) -> bytes:
    """The bytes, not more than `limit`: answers that do not fit are left out, and the message says that it is cut."""
    data = encode(message)
    if len(data) <= limit:
        return data
    bare = message._replace(flags=message.flags | TRUNCATED, answers=(), authority=())
    room = limit - len(encode(bare))
    kept: list[Record] = []
    for record in message.answers:
        room -= len(encode(Message(0, 0, message.questions[:1], (record,)))) - len(
            encode(Message(0, 0, message.questions[:1]))
        )
        if room < 0:
            break
        kept.append(record)
    return encode(bare._replace(answers=tuple(kept)))


def with_id(data: bytes, number: int) -> bytes:
    """The same message under another id."""
    return number.to_bytes(2, "big") + data[2:]
