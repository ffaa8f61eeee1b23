"""The codec of DNS messages: what goes in comes out, and nothing hostile costs much."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.network.dns import message
from scow.network.dns.message import Malformed, Message, Question, Record

LABEL = st.binary(min_size=1, max_size=63)
NAME = st.lists(LABEL, max_size=6).map(tuple).filter(lambda name: sum(len(one) + 1 for one in name) < 255)
NUMBER = st.integers(0, 0xFFFF)
QUESTION = st.builds(Question, NAME, NUMBER, NUMBER)
RECORD = st.builds(
    Record,
    NAME,
    NUMBER.filter(lambda kind: kind != message.OPT),
    NUMBER,
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=80),
)
OPT = st.builds(Record, st.just(()), st.just(message.OPT), NUMBER, st.integers(0, 0xFFFFFFFF), st.binary(max_size=20))
RECORDS = st.lists(RECORD, max_size=4).map(tuple)
MESSAGE = st.builds(
    Message,
    NUMBER,
    NUMBER,
    st.lists(QUESTION, max_size=2).map(tuple),
    RECORDS,
    RECORDS,
    st.one_of(RECORDS, st.tuples(OPT)),
)


@given(MESSAGE)
def test_what_is_encoded_is_decoded_to_the_same(one: Message) -> None:
    assert message.decode(message.encode(one)) == one


@given(st.binary(max_size=600))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    try:
        one = message.decode(data)
    except Malformed:
        return
    assert message.decode(message.encode(one)) == one


@given(MESSAGE, st.data())
def test_a_changed_byte_is_a_message_or_malformed(one: Message, data: st.DataObject) -> None:
    raw = bytearray(message.encode(one))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        message.decode(bytes(raw))
    except Malformed:
        pass


@given(MESSAGE)
def test_every_message_that_is_cut_off_is_malformed(one: Message) -> None:
    raw = message.encode(one)
    for length in range(len(raw)):
        with pytest.raises(Malformed):
            message.decode(raw[:length])
    with pytest.raises(Malformed):
        message.decode(raw + b"\0")


def query(name: bytes, count: int = 1, behind: bytes = b"") -> bytes:
    return struct.pack("!6H", 1, 0x0100, count, 0, 0, 0) + name + b"\0\1\0\1" + behind


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",  # itself
        b"\1a\xc0\x0c",  # its own beginning
        b"\xc0\x0e\xc0\x0c",  # forward
        b"\xc0\x00",  # into the header
        b"\xc0",
        b"\x40a\0",  # label types that never were
        b"\x80a\0",
        b"\x05abc",
        b"".join(b"\x3f" + b"a" * 63 for _ in range(4)) + b"\0",  # 256 bytes
    ],
)
def test_names_that_cannot_be(name: bytes) -> None:
    with pytest.raises(Malformed):
        message.decode(query(name))


def test_a_loop_of_two_pointers() -> None:
    two = struct.pack("!6H", 1, 0, 2, 0, 0, 0) + b"\1a\xc0\x14\0\1\0\1" + b"\1b\xc0\x0c\0\1\0\1"
    with pytest.raises(Malformed):
        message.decode(two)


def test_the_longest_name() -> None:
    name = (b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61)
    one = Message(1, 0, (Question(name, 1),))
    assert message.decode(message.encode(one)) == one
    with pytest.raises(Malformed):
        message.encode(Message(1, 0, (Question((*name[:3], b"d" * 62), 1),)))


def test_names_are_followed_into_data() -> None:
    """An alias in a record's data is the owner of the next record: most resolvers compress so."""
    raw = struct.pack("!6H", 7, 0x8180, 1, 2, 0, 0) + b"\3www\1x\0\0\1\0\1"
    raw += b"\xc0\x0c\0\5\0\1\0\0\0\5\0\4\1a\xc0\x10"
    raw += b"\xc0\x1f\0\1\0\1\0\0\0\5\0\4\1\2\3\4".replace(b"\xc0\x1f", struct.pack("!H", 0xC000 | (len(raw) - 4)))
    assert message.decode(raw).answers[1].name == (b"a", b"x")


def test_many_pointers_to_a_long_name_are_refused_early() -> None:
    """6000 records that each lead through 120 labels would be 700,000 steps."""
    question = b"\1a" * 120 + b"\0\0\1\0\1"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\0"
    count = (message.LIMIT - 12 - len(question)) // len(record)
    with pytest.raises(Malformed, match="too many labels"):
        message.decode(struct.pack("!6H", 1, 0x8000, 1, count, 0, 0) + question + record * count)


def test_counts_that_the_message_does_not_hold() -> None:
    with pytest.raises(Malformed):
        message.decode(query(b"\1a\0", count=65535))


def test_edns_is_kept() -> None:
    edns = Record((), message.OPT, 4096, 0x8000, b"\0\x0a\0\1x")
    one = message.decode(message.encode(Message(1, 0x0100, (Question((b"a",), 1),), (), (), (edns,))))
    assert one.edns == edns
    assert one.udp_limit == 4096
    assert one._replace(additional=()).udp_limit == 512
    assert one._replace(additional=(edns._replace(klass=100),)).udp_limit == 512
    twice = Message(1, 0, (), (), (), (edns, edns))
    with pytest.raises(Malformed):
        message.decode(message.encode(twice))


def test_a_reply_has_the_question_and_an_opt_only_when_the_query_had_one() -> None:
    plain = Message(9, 0x0110, (Question((b"A",), 1),))
    answer = message.reply(plain, message.NAME_ERROR)
    assert (answer.id, answer.flags, answer.questions, answer.additional) == (9, 0x8183, plain.questions, ())
    with_edns = plain._replace(additional=(Record((), message.OPT, 512, 0, b""),))
    assert message.reply(with_edns, 0).edns is not None
    bad = message.reply(with_edns, message.BAD_VERSION)
    assert bad.rcode == 0 and bad.edns is not None and bad.edns.ttl >> 24 == 1


@given(st.integers(0, 200), st.integers(60, 2000))
def test_an_answer_is_cut_to_what_the_client_takes(count: int, limit: int) -> None:
    records = tuple(Record((b"web",), 1, 1, 600, bytes((10, 0, 0, number))) for number in range(count))
    answer = Message(1, 0x8180, (Question((b"web",), 1),), records)
    data = message.within(answer, limit)
    assert len(data) <= limit
    got = message.decode(data)
    assert got.answers == records[: len(got.answers)]
    assert got.truncated == (len(got.answers) < count)


def test_letters_have_case_only_when_they_are_ascii() -> None:
    assert Question((b"WEB",), 1).matches(Question((b"web",), 1))
    assert not Question((b"\xc4",), 1).matches(Question((b"\xe4",), 1))
    assert not Question((b"web",), 1).matches(Question((b"web",), 28))
