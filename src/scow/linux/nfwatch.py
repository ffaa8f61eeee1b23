"""What changes in nftables, as the kernel tells it: netlink's multicast group of rule set changes."""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from scow.linux.netlink import NETFILTER, attributes
from scow.linux.nfmessage import DELETE_RULE, NEW_RULE, SUBSYSTEM

_GROUP = 7  # NFNLGRP_NFTABLES
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_SO_RCVBUFFORCE = 33
_HEADER = struct.Struct("=IHHII")
_RECEIVE = 1 << 18
_TABLE, _USERDATA = 1, 7


@dataclass(frozen=True, slots=True)
class Change:
    """One object that came or went. kind: a constant of nfmessage. port: the netlink socket of whoever did it. note: a
    rule's comment and the like, as the kernel keeps it.
    """

    kind: int
    table: str
    port: int
    note: bytes = b""


class Overrun(Exception):
    """Changes were lost: anything may have happened."""


class ChangeWatch:
    """A non-blocking netlink socket; `fileno` becomes readable with every change of the namespace it was opened in."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETFILTER
        )
        try:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 4 << 20)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def changes(self) -> Iterator[Change]:
        """Everything that is there to be read. Raises Overrun when the kernel had to drop some."""
        while True:
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise Overrun(os.strerror(errno.ENOBUFS)) from None
                raise
            yield from parse(data)


def parse(data: bytes) -> Iterator[Change]:
    """The changes in one datagram; what is not understood is left out."""
    offset = 0
    while offset + 20 <= len(data):
        length, kind, _, _, port = _HEADER.unpack_from(data, offset)
        if length < 20 or offset + length > len(data):
            return
        if kind >> 8 == SUBSYSTEM:
            found = attributes(data[offset + 20 : offset + length])
            table = found.get(_TABLE, b"").rstrip(b"\0").decode("utf-8", "replace")
            note = found.get(_USERDATA, b"") if kind & 0xFF in (NEW_RULE, DELETE_RULE) else b""
            yield Change(kind & 0xFF, table, port, note)
        offset += (length + 3) & ~3
