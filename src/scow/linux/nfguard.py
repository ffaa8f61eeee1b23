"""A small nftables table that others cannot flush: it belongs to a socket of ours and outlives it (kernel 6.9).

`nft flush ruleset`, a reload of firewalld, ufw or iptables leave a table with an owner alone. The flag `persist` keeps it
when its owner goes; the next socket that asks for it is its owner. It is made by messages of our own, since the nft program
would be its owner, for a moment.
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterable, Sequence

from scow.linux import nfmessage
from scow.linux.netlink import CREATE, NETFILTER, Message, Netlink, attribute, attributes, text
from scow.linux.nfmessage import INET

_OWNER, _PERSIST = 0x2, 0x4
_TABLE_OWNER = 7
_SET = "bridges"
_NAME_BYTES = 16
_IFNAME_TYPE = 41  # nft's own number, for its listing
_HOST_ORDER = bytes((0, 4, 1, 0, 0, 0))  # the same: byte order of keys


def unmarked_rule(mark: int) -> tuple[bytes, ...]:
    """What goes to a bridge of ours without the mark is dropped."""
    return (
        nfmessage.meta(nfmessage.OUT_NAME),
        nfmessage.in_set(_SET),
        nfmessage.meta(nfmessage.MARK),
        nfmessage.masked(struct.pack("=I", mark)),
        nfmessage.equals(bytes(4)),
        nfmessage.verdict(nfmessage.DROP),
    )


def loopback_rule() -> tuple[bytes, ...]:
    """What comes from a bridge of ours for 127.0.0.0/8 is dropped."""
    return (
        nfmessage.meta(nfmessage.IN_NAME),
        nfmessage.in_set(_SET),
        nfmessage.meta(nfmessage.FAMILY),
        nfmessage.equals(bytes([socket.AF_INET])),
        nfmessage.load(nfmessage.NETWORK_HEADER, 16, 1),
        nfmessage.equals(b"\x7f"),
        nfmessage.verdict(nfmessage.DROP),
    )


def owners() -> dict[str, int]:
    """Every inet table -> the netlink port of the process that owns it, 0 for none. Empty without nftables."""
    try:
        with contextlib.closing(Netlink(NETFILTER)) as netlink:
            tables = netlink.dump(nfmessage.kind(nfmessage.GET_TABLE), nfmessage.head(INET))
    except OSError:
        return {}
    found = {}
    for _, body in tables:
        fields = attributes(body[4:])
        name = fields.get(nfmessage.TABLE, b"").rstrip(b"\0").decode("utf-8", "replace")
        found[name] = int.from_bytes(fields.get(_TABLE_OWNER, b""), "big")
    return found


def remove(table: str) -> None:
    """Delete an inet table; no error when it is not there. OSError EPERM when a process owns it."""
    with contextlib.closing(Netlink(NETFILTER)) as netlink:
        netlink.send(nfmessage.transaction([nfmessage.delete_table(INET, table)]), tolerate=(errno.ENOENT,))


class GuardTable:
    """The table, owned by this object's socket. OSError when the kernel has no such tables, or another process owns it."""

    def __init__(self, table: str, mark: int, bridges: Sequence[str]) -> None:
        self._table = table
        self._netlink = Netlink(NETFILTER)
        try:
            self._fill(mark, bridges)
        except BaseException:
            self._netlink.close()
            raise

    def _fill(self, mark: int, bridges: Sequence[str]) -> None:
        """One transaction: the table is made or taken over, and what an earlier owner had is replaced."""
        table = text(1, self._table)
        form = (nfmessage.big(4, _IFNAME_TYPE), nfmessage.big(5, _NAME_BYTES), nfmessage.big(10, 1))
        messages = [
            nfmessage.new_table(INET, self._table, own=_OWNER | _PERSIST),
            nfmessage.message(nfmessage.NEW_SET, CREATE, INET, table, text(2, _SET), *form, attribute(13, _HOST_ORDER)),
            nfmessage.message(nfmessage.DELETE_ELEMENT, 0, INET, table, text(2, _SET)),
            *self._elements(nfmessage.NEW_ELEMENT, bridges),
        ]
        for chain, hook, priority, expressions in (
            ("loopback", "prerouting", -299, loopback_rule()),
            ("unmarked", "forward", 10, unmarked_rule(mark)),
        ):
            messages += [
                nfmessage.hooked_chain(INET, self._table, chain, hook, priority),
                nfmessage.flush_chain(INET, self._table, chain),
                nfmessage.rule(INET, self._table, chain, *expressions),
            ]
        self._commit(messages)

    def add(self, bridges: Iterable[str]) -> None:
        self._commit(self._elements(nfmessage.NEW_ELEMENT, bridges))

    def delete(self, bridges: Iterable[str]) -> None:
        """OSError ENOENT when one is not there."""
        self._commit(self._elements(nfmessage.DELETE_ELEMENT, bridges))

    def _elements(self, number: int, bridges: Iterable[str]) -> list[Message]:
        keys = [(name.encode().ljust(_NAME_BYTES, b"\0"), b"") for name in bridges]
        return nfmessage.element_messages(number, INET, self._table, _SET, keys)

    def destroy(self) -> None:
        self._commit([nfmessage.delete_table(INET, self._table)])

    def close(self) -> None:
        """The table stays."""
        self._netlink.close()

    def _commit(self, messages: Sequence[Message]) -> None:
        if messages:
            self._netlink.send(nfmessage.transaction(messages))
