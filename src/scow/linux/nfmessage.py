"""nf_tables' messages: tables, chains, rules and elements as bytes, framed as one transaction. Pure.

Numbers are those of the kernel's nf_tables.h; what a number of a field means stands beside its use.
"""

import socket
import struct
from collections.abc import Sequence

from scow.linux.netlink import ACK, CREATE, Message, attribute, nested, text

SUBSYSTEM = 10
NEW_TABLE, GET_TABLE, DELETE_TABLE, NEW_CHAIN, DELETE_CHAIN = 0, 1, 2, 3, 5
NEW_RULE, GET_RULE, DELETE_RULE, NEW_SET, GET_SET, DELETE_SET = 6, 7, 8, 9, 10, 11
NEW_ELEMENT, GET_ELEMENT, DELETE_ELEMENT = 12, 13, 14
INET, IPV4 = 1, socket.AF_INET
APPEND = 0x800
TABLE, SET, ELEMENTS = 1, 2, 3
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
MARK, IN_NAME, OUT_NAME, FAMILY, PROTOCOL = 3, 6, 7, 15, 16  # keys of `meta`
DROP, ACCEPT = 0, 1
HOOKS = {"prerouting": 0, "forward": 2, "output": 3}
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_REGISTER = 1
_KEY, _DATA, _VALUE = 1, 2, 1
_PER_MESSAGE = 500  # an attribute's length has 16 bits


def kind(number: int) -> int:
    """A message's type: constants of this module are its lower half."""
    return (SUBSYSTEM << 8) | number


def head(family: int, resource: int = 0) -> bytes:
    return struct.pack("!BBH", family, 0, resource)


def big(field: int, value: int) -> bytes:
    """nf_tables has its numbers in network order; negative ones too."""
    return attribute(field, struct.pack("!I", value & 0xFFFFFFFF))


def message(number: int, flags: int, family: int, *parts: bytes) -> Message:
    """One that is acknowledged."""
    return kind(number), flags | ACK, head(family) + b"".join(parts)


def transaction(messages: Sequence[Message]) -> list[Message]:
    """All or nothing."""
    return [(_BATCH_BEGIN, 0, head(0, SUBSYSTEM)), *messages, (_BATCH_END, 0, head(0, SUBSYSTEM))]


# ---------------------------------------------------------------- objects


def new_table(family: int, name: str, *, own: int = 0, flags: int = CREATE) -> Message:
    """own: the table's own flags."""
    return message(NEW_TABLE, flags, family, text(TABLE, name), *((big(2, own),) if own else ()))


def delete_table(family: int, name: str) -> Message:
    return message(DELETE_TABLE, 0, family, text(TABLE, name))


def hooked_chain(family: int, table: str, name: str, hook: str, priority: int) -> Message:
    """A filter chain, policy accept."""
    where = nested(4, big(1, HOOKS[hook]), big(2, priority))
    return message(
        NEW_CHAIN, CREATE, family, text(TABLE, table), text(3, name), where, big(5, ACCEPT), text(7, "filter")
    )


def rule(family: int, table: str, chain: str, *expressions: bytes) -> Message:
    """At the end of the chain."""
    return message(NEW_RULE, CREATE | APPEND, family, text(TABLE, table), text(2, chain), nested(4, *expressions))


def flush_chain(family: int, table: str, chain: str) -> Message:
    return message(DELETE_RULE, 0, family, text(TABLE, table), text(2, chain))


def element_messages(
    number: int, family: int, table: str, name: str, entries: Sequence[tuple[bytes, bytes]]
) -> list[Message]:
    """NEW_ELEMENT or DELETE_ELEMENT of a set or map. entries: (key, data; b"" for none)."""
    listed = [
        nested(1, nested(_KEY, attribute(_VALUE, key)), *((nested(_DATA, attribute(_VALUE, data)),) if data else ()))
        for key, data in entries
    ]
    flags = CREATE if number == NEW_ELEMENT else 0
    where = (text(TABLE, table), text(SET, name))
    return [
        message(number, flags, family, *where, nested(ELEMENTS, *listed[start : start + _PER_MESSAGE]))
        for start in range(0, len(listed), _PER_MESSAGE)
    ]


# ---------------------------------------------------------------- expressions of a rule, over one register


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *parts))


def meta(key: int) -> bytes:
    return _expression("meta", big(1, _REGISTER), big(2, key))


def load(base: int, offset: int, length: int) -> bytes:
    """Bytes of the packet into the register."""
    return _expression("payload", big(1, _REGISTER), big(2, base), big(3, offset), big(4, length))


def store(base: int, offset: int, length: int, checksum: int) -> bytes:
    """The register into the packet. checksum: its offset below the same header; it is corrected."""
    where = (big(2, base), big(3, offset), big(4, length))
    return _expression("payload", big(5, _REGISTER), *where, big(6, 1), big(7, checksum), big(8, 0))


def value(data: bytes) -> bytes:
    return _expression("immediate", big(1, _REGISTER), nested(2, attribute(1, data)))


def equals(data: bytes) -> bytes:
    return _expression("cmp", big(1, _REGISTER), big(2, 0), nested(3, attribute(1, data)))


def in_set(name: str) -> bytes:
    return _expression("lookup", text(1, name), big(2, _REGISTER))


def masked(mask: bytes) -> bytes:
    return _expression(
        "bitwise",
        big(1, _REGISTER),
        big(2, _REGISTER),
        big(3, len(mask)),
        nested(4, attribute(1, mask)),
        nested(5, attribute(1, bytes(len(mask)))),
    )


def verdict(code: int) -> bytes:
    return _expression("immediate", big(1, 0), nested(2, nested(2, big(1, code))))
