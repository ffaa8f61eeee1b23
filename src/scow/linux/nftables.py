"""nftables: whole rule sets by the nft program, elements of maps by netlink.

A rule set is compiled and loaded a few times in a daemon's life; the nft program does that in some ten milliseconds and
leaves nothing behind in the daemon's memory. Elements come and go with every published port, on the way of a container
start: one transaction of our own costs a tenth of a millisecond, however large the other tables of the machine are
(libnftables reads them first).
"""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from scow.linux import nfmessage
from scow.linux.netlink import NETFILTER, Message, Netlink, attributes, text

_RULE_HANDLE = 3

Elements = Mapping[str, Mapping[bytes, bytes]]
"""Map name -> key -> data, each already in the kernel's form (every part of a concatenation padded to 4 bytes)."""


class RulesetError(Exception):
    """nft is missing or refused a rule set; the text says why."""


class Nftables:
    """Elements of the maps of one table, of family `inet` or `ip`. Not thread-safe."""

    def __init__(self, table: str, *, inet: bool = False) -> None:
        self._table = table
        self._family = nfmessage.INET if inet else nfmessage.IPV4
        self._netlink = Netlink(NETFILTER)

    def close(self) -> None:
        self._netlink.close()

    @property
    def port(self) -> int:
        """The netlink port that changes come from."""
        return self._netlink.port

    def fingerprint(self, maps: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """(handles of all rules, number of elements of each map): what no stranger can change unseen; None when the table is
        not there.
        """
        try:
            rules = self._netlink.dump(nfmessage.kind(nfmessage.GET_RULE), self._named())
            handles = sorted(int.from_bytes(attributes(body[4:])[_RULE_HANDLE], "big") for _, body in rules)
            return tuple(handles), tuple(self._count(name) for name in maps)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return None

    def _named(self, *parts: bytes) -> bytes:
        return nfmessage.head(self._family) + text(nfmessage.TABLE, self._table) + b"".join(parts)

    def _count(self, name: str) -> int:
        payload = self._named(text(nfmessage.SET, name))
        total = 0
        for _, body in self._netlink.dump(nfmessage.kind(nfmessage.GET_ELEMENT), payload):
            listed, offset = attributes(body[4:]).get(nfmessage.ELEMENTS, b""), 0
            while offset + 4 <= len(listed):
                total += 1
                offset += (int.from_bytes(listed[offset : offset + 2], sys.byteorder) + 3) & ~3
        return total

    def replace(self, gone: Elements, new: Elements) -> None:
        """One transaction, all or nothing. ENOENT when one of `gone` is not there or the table is gone, EEXIST when a key of
        `new` is there with other data.
        """
        messages = [
            *self._messages(nfmessage.DELETE_ELEMENT, gone),
            *self._messages(nfmessage.NEW_ELEMENT, new),
        ]
        if messages:
            self._netlink.send(nfmessage.transaction(messages))

    def _messages(self, number: int, elements: Elements) -> list[Message]:
        found = []
        for name, entries in elements.items():
            with_data = number == nfmessage.NEW_ELEMENT
            listed = [(key, data if with_data else b"") for key, data in entries.items()]
            found += nfmessage.element_messages(number, self._family, self._table, name, listed)
        return found


def load(ruleset: str) -> None:
    """Apply an nft script as one transaction. Blocks for some milliseconds."""
    _nft(["nft", "-f", "-"], ruleset)


def listing(what: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of `nft -j list …`; an empty list when there is nothing of that name."""
    try:
        output = _nft(["nft", "-j", "-a", "list", *what], "")
    except RulesetError as error:
        if "No such file or directory" in str(error):
            return []
        raise
    found: list[dict[str, Any]] = json.loads(output)["nftables"] if output.strip() else []
    return found


def _first_error(text: str) -> str:
    """nft tells every line that could not be; the first says why."""
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "Error: " in line), lines[0] if lines else "").strip()


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}


def _nft(command: Sequence[str], text_in: str) -> str:
    try:
        done = subprocess.run(
            command, input=text_in, capture_output=True, text=True, timeout=60, check=False, env=_environment()
        )
    except FileNotFoundError as error:
        raise RulesetError("the nft program is missing: install the package nftables") from error
    except subprocess.TimeoutExpired as error:
        raise RulesetError("nft did not answer within 60 s") from error
    if done.returncode < 0:  # seen with 1.0.6, which reads all tables of the machine, beside a table made by 1.1
        raise RulesetError(
            f"nft was ended by signal {-done.returncode}, as happens where a newer nft has made tables on this machine"
        )
    if done.returncode != 0:
        raise RulesetError(_first_error(done.stderr) or f"nft ended with status {done.returncode}")
    return done.stdout
