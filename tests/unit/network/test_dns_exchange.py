"""A question's way outside, without sockets and clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.network.dns import message
from scow.network.dns.exchange import Ask, Blame, Exchange, Reply, Upstream, cut, upstreams
from scow.network.dns.message import Message, Question, Record

QUESTION = Question((b"www", b"example"), message.A)
QUERY = message.encode(Message(7, 0x0100, (QUESTION,)))
ONE, TWO = Upstream("192.0.2.1"), Upstream("192.0.2.2", host=True)


def exchange(*whom: Upstream, tcp: bool = False) -> Exchange:
    return Exchange(QUERY, QUESTION, 7, whom or (ONE,), tcp=tcp)


def answer(
    number: int, rcode: int = 0, question: Question = QUESTION, flags: int = 0x8180, data: bytes = b"\1\2\3\4"
) -> bytes:
    return message.encode(Message(number, flags | rcode, (question,), (Record(question.name, 1, 1, 5, data),)))


def test_an_answer_comes_back_under_the_clients_id() -> None:
    one = exchange()
    ask = one.start(0xABCD)
    assert ask == Ask(ONE, False, b"\xab\xcd" + QUERY[2:])
    assert one.received(answer(0xABCD), 1) == Reply(answer(7))


def test_cve_2008_1447_answers_that_do_not_belong_to_the_question_are_as_if_they_had_not_come() -> None:
    """A resolver that somebody speaks in the name of (the port is the kernel's part, the id and the question ours)."""
    one = exchange()
    one.start(1000)
    for forged in (
        answer(1001),
        answer(7),
        answer(1000, question=Question((b"www", b"other"), 1)),
        answer(1000, question=QUESTION._replace(kind=28)),
        answer(1000, question=QUESTION._replace(klass=3)),
        answer(1000, flags=0x0100),  # a query
        answer(1000, flags=0x9000),  # another operation
        message.encode(Message(1000, 0x8180, ())),
        message.encode(Message(1000, 0x8180, (QUESTION, QUESTION))),
        b"\x03\xe8\x81\x80",
        answer(1000)[:-1],
        answer(1000) + b"x",
        b"",
    ):
        assert one.received(forged, 1) is None
    mixed = Question((b"wWw", b"eXAMPLE"), 1)
    assert one.received(answer(1000, question=mixed), 1) == Reply(answer(7, question=mixed))


def test_a_resolver_that_sends_only_wrong_answers_is_given_up() -> None:
    one = exchange(ONE, TWO)
    one.start(1)
    for _ in range(63):
        assert one.received(b"junk", 2) is None
    assert one.received(b"junk", 2) == Ask(TWO, False, b"\0\2" + QUERY[2:])
    assert one.received(answer(1), 3) is None  # the id of the first attempt


@pytest.mark.parametrize("way", ["failed", "expired"])
def test_the_next_one_is_asked_under_a_new_id(way: str) -> None:
    one = exchange(ONE, TWO)
    one.start(1)
    assert getattr(one, way)(2) == Ask(TWO, False, b"\0\2" + QUERY[2:])
    assert one.upstream == TWO
    assert getattr(one, way)(3) == Reply(message.encode(message.reply(message.decode(QUERY), message.SERVER_FAILURE)))


@pytest.mark.parametrize("rcode", [1, 2, 4, 5])
def test_a_resolver_that_cannot_answer_is_followed_by_the_next(rcode: int) -> None:
    one = exchange(ONE, TWO)
    one.start(1)
    assert isinstance(one.received(answer(1, rcode), 2), Ask)
    assert one.expired(3) == Reply(answer(7, rcode))  # its word is the last one


def test_no_such_name_is_an_answer() -> None:
    one = exchange(ONE, TWO)
    one.start(1)
    assert one.received(answer(1, message.NAME_ERROR), 2) == Reply(answer(7, message.NAME_ERROR))


def test_nobody_to_ask() -> None:
    one = Exchange(QUERY, QUESTION, 7, (), tcp=False)
    reply = one.start(1)
    assert isinstance(reply, Reply) and message.decode(reply.data).rcode == message.SERVER_FAILURE


def test_by_tcp_and_by_udp_when_nobody_speaks_tcp() -> None:
    one = exchange(ONE, TWO, tcp=True)
    asked = [one.start(1), one.failed(2), one.failed(3), one.failed(4), one.failed(5)]
    assert [(ask.upstream, ask.tcp) for ask in asked if isinstance(ask, Ask)] == [
        (ONE, True),
        (TWO, True),
        (ONE, False),
        (TWO, False),
    ]
    assert isinstance(asked[-1], Reply)


@given(
    st.lists(
        st.one_of(st.just("failed"), st.just("expired"), st.binary(max_size=40), st.integers(0, 23)), max_size=300
    ),
    st.booleans(),
)
def test_whatever_comes_every_exchange_ends(events: list[str | bytes | int], tcp: bool) -> None:
    one = exchange(ONE, TWO, tcp=tcp)
    step: Ask | Reply | None = one.start(5)
    asks = 1
    for event in events:
        if isinstance(event, bytes):
            step = one.received(event, 5)
        elif isinstance(event, int):
            step = one.received(answer(5, event % 16), 5)
        else:
            step = getattr(one, event)(5)
        if isinstance(step, Reply):
            assert step.data[:2] == b"\0\7" and message.decode(step.data).is_response
            return
        asks += isinstance(step, Ask)
    assert asks <= 4


def test_those_that_did_not_answer_are_asked_last_for_a_while() -> None:
    blame = Blame()
    three = [ONE, TWO, Upstream("192.0.2.3")]
    assert blame.order([*three, Upstream("192.0.2.4")], 0) == tuple(three)  # and no more than three
    blame.put(ONE, 100)
    assert blame.order(three, 101) == (three[1], three[2], ONE)
    assert blame.order(three, 131) == tuple(three)
    blame.put(ONE, 100)
    blame.forgive(ONE)
    assert blame.order(three, 101) == tuple(three)


def test_where_resolvers_are_asked_from() -> None:
    assert upstreams((), ("127.0.0.53", "10.0.0.1", "::1")) == (
        Upstream("127.0.0.53", host=True),
        Upstream("10.0.0.1"),
        Upstream("::1", host=True),
    )
    assert upstreams(("127.0.0.53",), ("10.0.0.1",)) == (Upstream("127.0.0.53"),)


def test_an_answer_that_does_not_fit_says_so() -> None:
    many = Message(7, 0x8180, (QUESTION,), tuple(Record(QUESTION.name, 1, 1, 5, b"\1\2\3\4") for _ in range(100)))
    data = message.encode(many)
    assert cut(data, QUESTION, len(data)) == data
    short = message.decode(cut(data, QUESTION, 512))
    assert short.truncated and short.questions == (QUESTION,) and not short.answers and short.id == 7
