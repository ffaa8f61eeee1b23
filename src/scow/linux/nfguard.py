"""A small nftables table that others cannot flush: it belongs to a socket of ours and outlives it (kernel 6.9).

`nft flush ruleset`, a reload of firewalld, ufw or iptables leave a table with an owner alone. The flag `persist` keeps it
when its owner goes; the next socket that asks for it is its owner. It is made by messages of our own, since the nft program
would be its owner, for a moment.
"""

import socket
import struct
from collections.abc import Iterable, Sequence

from scow.linux.netlink import ACK, CREATE, NETFILTER, Message, Netlink, attribute, nested, text

_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _DELRULE = 0, 2, 3, 6, 8
_NEWSET, _NEWELEMENT, _DELELEMENT = 9, 12, 14
_INET, _OWNER, _PERSIST = 1, 0x2, 0x4
_APPEND = 0x800
_SET = "bridges"
_NAME_BYTES = 16
_IFNAME_TYPE = 41  # nft's own number, for its listing
_HOST_ORDER = bytes((0, 4, 1, 0, 0, 0))  # the same: byte order of keys
_REGISTER = 1
_IIFNAME, _OIFNAME, _MARK, _NFPROTO = 6, 7, 3, 15
_EQ, _NEQ = 0, 1
_DROP, _ACCEPT = 0, 1
_HOOKS = {"prerouting": 0, "forward": 2}


def _number(kind: int, value: int) -> bytes:
    """nf_tables has its numbers in network order."""
    return attribute(kind, struct.pack("!I", value))


def _message(kind: int, flags: int, *parts: bytes) -> Message:
    return (_SUBSYSTEM << 8) | kind, flags, struct.pack("!BBH", _INET, 0, 0) + b"".join(parts)


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *parts))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(1, _REGISTER), _number(2, key))


def _compare(operator: int, data: bytes) -> bytes:
    return _expression("cmp", _number(1, _REGISTER), _number(2, operator), nested(3, attribute(1, data)))


def _is_ours() -> bytes:
    return _expression("lookup", text(1, _SET), _number(2, _REGISTER))


def _masked(mask: bytes) -> bytes:
    return _expression(
        "bitwise",
        _number(1, _REGISTER),
        _number(2, _REGISTER),
        _number(3, len(mask)),
        nested(4, attribute(1, mask)),
        nested(5, attribute(1, bytes(len(mask)))),
    )


def _network_header(offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, _REGISTER), _number(2, 1), _number(3, offset), _number(4, length))


def _drop() -> bytes:
    return _expression("immediate", _number(1, 0), nested(2, nested(2, _number(1, _DROP))))


def unmarked_rule(mark: int) -> tuple[bytes, ...]:
    """What goes to a bridge of ours without the mark is dropped."""
    bits = struct.pack("=I", mark)
    return (_meta(_OIFNAME), _is_ours(), _meta(_MARK), _masked(bits), _compare(_EQ, bytes(4)), _drop())


def loopback_rule() -> tuple[bytes, ...]:
    """What comes from a bridge of ours for 127.0.0.0/8 is dropped."""
    return (
        _meta(_IIFNAME),
        _is_ours(),
        _meta(_NFPROTO),
        _compare(_EQ, bytes([socket.AF_INET])),
        _network_header(16, 1),
        _compare(_EQ, b"\x7f"),
        _drop(),
    )


class GuardTable:
    """The table, owned by this object's socket. OSError when the kernel has no such tables, or another process owns it."""

    def __init__(self, table: str, mark: int, bridges: Sequence[str]) -> None:
        self._table = table
        self._netlink = Netlink(NETFILTER)
        try:
            self._own()
            self._fill(mark, bridges)
        except BaseException:
            self._netlink.close()
            raise

    def _own(self) -> None:
        """Make it or take it over; its contents are made anew in `_fill`."""
        flags = _number(2, _OWNER | _PERSIST)
        self._commit([_message(_NEWTABLE, CREATE | ACK, text(1, self._table), flags)])

    def _fill(self, mark: int, bridges: Sequence[str]) -> None:
        """One transaction: what an earlier owner had is replaced."""
        table = text(1, self._table)
        kind = (_number(4, _IFNAME_TYPE), _number(5, _NAME_BYTES), _number(10, 1), attribute(13, _HOST_ORDER))
        messages = [
            _message(_NEWSET, CREATE | ACK, table, text(2, _SET), *kind),
            _message(_DELELEMENT, ACK, table, text(2, _SET)),
            *self._element_messages(_NEWELEMENT, CREATE, bridges),
        ]
        for chain, hook, priority, rule in (
            ("loopback", "prerouting", -299, loopback_rule()),
            ("unmarked", "forward", 10, unmarked_rule(mark)),
        ):
            where = nested(4, _number(1, _HOOKS[hook]), attribute(2, struct.pack("!i", priority)))
            messages += [
                _message(_NEWCHAIN, CREATE | ACK, table, text(3, chain), where, _number(5, _ACCEPT), text(7, "filter")),
                _message(_DELRULE, ACK, table, text(2, chain)),
                _message(_NEWRULE, CREATE | _APPEND | ACK, table, text(2, chain), nested(4, *rule)),
            ]
        self._commit(messages)

    def add(self, bridges: Iterable[str]) -> None:
        self._elements(_NEWELEMENT, CREATE, list(bridges))

    def delete(self, bridges: Iterable[str]) -> None:
        """OSError ENOENT when one is not there."""
        self._elements(_DELELEMENT, 0, list(bridges))

    def _elements(self, kind: int, flags: int, bridges: Sequence[str]) -> None:
        if bridges:
            self._commit(self._element_messages(kind, flags, bridges))

    def _element_messages(self, kind: int, flags: int, bridges: Sequence[str]) -> list[Message]:
        listed = [nested(1, nested(1, attribute(1, name.encode().ljust(_NAME_BYTES, b"\0")))) for name in bridges]
        if not listed:
            return []
        return [_message(kind, flags | ACK, text(1, self._table), text(2, _SET), nested(3, *listed))]

    def destroy(self) -> None:
        self._commit([_message(_DELTABLE, ACK, text(1, self._table))])

    def close(self) -> None:
        """The table stays."""
        self._netlink.close()

    def _commit(self, messages: Sequence[Message]) -> None:
        begin = (_BATCH_BEGIN, 0, struct.pack("!BBH", 0, 0, _SUBSYSTEM))
        end = (_BATCH_END, 0, struct.pack("!BBH", 0, 0, _SUBSYSTEM))
        self._netlink.send([begin, *messages, end])
