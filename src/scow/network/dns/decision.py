"""What becomes of a question: an answer of our own, or the way to the outside. Pure.

As dockerd 26 decides, but for one thing: a name of our own is never asked outside, whatever the type (CVE-2025-8283), and
then has no records of that type; dockerd asks the host's resolvers for its TXT, say, and passes on that there is no such
name.
"""

import contextlib
from collections.abc import Mapping
from typing import NamedTuple

from scow.network.dns.message import (
    AAAA,
    ANY,
    BAD_VERSION,
    FORMAT_ERROR,
    IN,
    NO_ERROR,
    NOT_IMPLEMENTED,
    PTR,
    RESPONSE,
    SERVER_FAILURE,
    A,
    Malformed,
    Message,
    Name,
    Question,
    Record,
    decode,
    encode,
    encode_name,
    folded,
    refusal,
    reply,
)
from scow.network.dns.zones import Entry, Zones

TTL = 600
_KIND_OF_LENGTH = {4: A, 16: AAAA}
_V4_SUFFIX, _V6_SUFFIX = (b"in-addr", b"arpa"), (b"ip6", b"arpa")
_HEX = frozenset(b"0123456789abcdef")


class Asker(NamedTuple):
    """A container that asks. networks: (id, name in lower case), in the order in which they are searched. forward: it has
    a way out. bare: names of one label are asked outside, too. links: by network id, what this one calls others: they come
    before the names that all know.
    """

    networks: tuple[tuple[str, bytes], ...] = ()
    forward: bool = True
    bare: bool = True
    links: Mapping[str, Mapping[bytes, bytes]] = {}


class Decision(NamedTuple):
    """forward: ask outside; else this is the answer."""

    forward: bool = False
    rcode: int = NO_ERROR
    records: tuple[Record, ...] = ()


def intake(data: bytes) -> Message | bytes | None:
    """What came from a client: a query with one question; or the answer to what is none; or None: no answer at all."""
    try:
        query = decode(data)
    except Malformed as error:
        if error.header is None or error.header[1] & RESPONSE:
            return None
        return refusal(*error.header, FORMAT_ERROR)
    if query.is_response:
        return None  # two servers that answer each other's answers would never end
    if query.opcode != 0:
        return refusal(query.id, query.flags, NOT_IMPLEMENTED)
    if len(query.questions) != 1 or query.answers or query.authority:
        return refusal(query.id, query.flags, FORMAT_ERROR)
    edns = query.edns
    if edns is not None and (edns.ttl >> 16) & 0xFF:
        return encode(reply(query, BAD_VERSION))
    return query


def decide(question: Question, asker: Asker, zones: Zones, turn: int) -> Decision:
    """turn: a number that is another one each time; several addresses of a name change their order with it."""
    name = folded(question.name)
    if question.klass in (IN, ANY):
        own = _reverse(question, name, asker, zones) if question.kind == PTR else None
        if own is None:
            own = _named(question, name, asker, zones, turn)
        if own is not None:
            return Decision(records=own)
    if not asker.forward:
        return Decision(rcode=SERVER_FAILURE)
    if not asker.bare and len(name) == 1 and question.kind in (A, AAAA):
        return Decision()  # the client goes on with its search list
    return Decision(forward=True)


def _named(question: Question, name: Name, asker: Asker, zones: Zones, turn: int) -> tuple[Record, ...] | None:
    """The records of a name of ours, perhaps none of this type; None when it is not ours."""
    if any(b"." in label for label in name):
        return None  # a dot inside a label is no border of labels
    # NAME, then NAME.NETWORK; both may have dots in them, and the longest NAME wins
    for border in range(len(name), 0, -1):
        wanted, network_name = b".".join(name[:border]), b".".join(name[border:])
        known = False
        for network_id, its_name in asker.networks:
            if network_name and its_name != network_name:
                continue
            found = zones.named(network_id, asker.links.get(network_id, {}).get(wanted, wanted))
            if not found:
                continue
            known = True
            records = _addresses(question, [address for one in found for address in one.addresses], turn)
            if records:
                return records
        if known:
            return ()
    return None


def _addresses(question: Question, addresses: list[bytes], turn: int) -> tuple[Record, ...]:
    fitting = [one for one in dict.fromkeys(addresses) if question.kind in (_KIND_OF_LENGTH[len(one)], ANY)]
    start = turn % len(fitting) if fitting else 0
    return tuple(
        Record(question.name, _KIND_OF_LENGTH[len(one)], IN, TTL, one) for one in fitting[start:] + fitting[:start]
    )


def _reverse(question: Question, name: Name, asker: Asker, zones: Zones) -> tuple[Record, ...] | None:
    address = address_of(name)
    if address is None:
        return None
    for network_id, network_name in asker.networks:
        found = zones.at(network_id, address)
        full = found and _full_name(found, network_name)
        if full:
            return (Record(question.name, PTR, IN, TTL, full),)
    return None


def _full_name(one: Entry, network_name: bytes) -> bytes:
    """NAME.NETWORK of the best name that DNS can say: Docker's names may be longer than a label. b"" for none."""
    for name in one.names:
        with contextlib.suppress(Malformed):
            return encode_name(tuple((name + b"." + network_name).strip(b".").split(b".")))
    return b""


def address_of(name: Name) -> bytes | None:
    """The packed address that a name (in lower case) below in-addr.arpa or ip6.arpa stands for."""
    labels = name[-3::-1]
    if name[-2:] == _V4_SUFFIX and len(labels) == 4 and all(len(one) <= 3 and one.isdigit() for one in labels):
        numbers = [int(one) for one in labels]
        return bytes(numbers) if max(numbers) < 256 else None
    if name[-2:] == _V6_SUFFIX and len(labels) == 32 and all(len(one) == 1 and one[0] in _HEX for one in labels):
        return bytes.fromhex(b"".join(labels).decode("ascii"))
    return None
