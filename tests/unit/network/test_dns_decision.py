"""What is answered, and what is asked outside. The expectations are dockerd 26's, where nothing else is said."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.network.dns import message
from scow.network.dns.decision import Asker, Decision, address_of, decide, intake
from scow.network.dns.message import AAAA, ANY, MX, PTR, SOA, SRV, TXT, A, Message, Question, Record
from scow.network.dns.zones import Zones, entry

ONE, TWO, OTHER = "1" * 64, "2" * 64, "3" * 64


def zones() -> Zones:
    made = Zones()
    made.publish(ONE, {"a": entry(["dnsa", "web", "aaaaaaaaaaaa", "hosta"], "10.1.0.2")})
    made.publish(ONE, {"b": entry(["DNSB", "web", "bbbbbbbbbbbb", "hostb.example.com"], "10.1.0.3", "fd00:1::3")})
    made.publish(TWO, {"b": entry(["dnsb", "bbbbbbbbbbbb"], "10.2.0.3"), "v": entry(["six"], "", "fd00:2::4")})
    made.publish(OTHER, {"c": entry(["dnsc", "web"], "10.3.0.4"), "d": entry(["only.there"], "10.3.0.5")})
    return made


BOTH = Asker(((ONE, b"net1"), (TWO, b"net.two")))
FIRST = Asker(((ONE, b"net1"),))


def ask(
    text: str, kind: int = A, asker: Asker = BOTH, turn: int = 0, known: Zones | None = None
) -> list[str] | Decision:
    decision = decide(Question(tuple(text.encode().split(b".")), kind), asker, known or zones(), turn)
    if decision.forward or decision.rcode:
        return decision
    texts = []
    for one in decision.records:
        assert one.name == tuple(text.encode().split(b".")) and one.ttl == 600 and one.klass == 1
        if one.kind == PTR:
            texts.append(
                message.text(message.decode(b"\0" * 4 + b"\0\1" + b"\0" * 6 + one.data + b"\0\1\0\1").questions[0].name)
            )
        else:
            texts.append(socket.inet_ntop(socket.AF_INET if one.kind == A else socket.AF_INET6, one.data))
    return texts


FORWARD = Decision(forward=True)


@pytest.mark.parametrize(
    "name", ["dnsa", "DNSA", "dNsA", "aaaaaaaaaaaa", "hosta", "dnsa.net1", "Dnsa.NET1", "hosta.net1"]
)
def test_every_name_of_a_container(name: str) -> None:
    assert ask(name) == ["10.1.0.2"]


def test_names_with_dots() -> None:
    assert ask("hostb.example.com") == ["10.1.0.3"]
    assert ask("hostb.example.com.net1") == ["10.1.0.3"]
    assert ask("dnsb.net.two") == ["10.2.0.3"]
    assert ask("hostb") == FORWARD
    assert ask("dnsb.two") == FORWARD
    odd = decide(Question((b"hostb.example", b"com"), A), BOTH, zones(), 0)
    assert odd == FORWARD  # a dot inside of a label


def test_the_first_network_that_knows_the_name_is_asked() -> None:
    assert ask("dnsb") == ["10.1.0.3"]
    assert ask("dnsb", asker=Asker(BOTH.networks[::-1])) == ["10.2.0.3"]
    assert ask("six", AAAA) == ["fd00:2::4"]


def test_names_of_other_networks_are_not_known() -> None:
    for name in ("dnsc", "only.there", "dnsc.net3", "dnsc.net1"):
        assert ask(name) == FORWARD
    assert ask("web", asker=FIRST) == ["10.1.0.2", "10.1.0.3"]
    assert ask("six", AAAA, asker=FIRST) == FORWARD
    assert ask("dnsa", asker=Asker()) == FORWARD
    assert ask("4.0.3.10.in-addr.arpa", PTR) == FORWARD


def test_an_alias_of_several_has_all_addresses_in_turn() -> None:
    assert ask("web", turn=0) == ["10.1.0.2", "10.1.0.3"]
    assert ask("web", turn=1) == ["10.1.0.3", "10.1.0.2"]
    assert ask("web", turn=2) == ["10.1.0.2", "10.1.0.3"]
    assert ask("web", AAAA) == ["fd00:1::3"]


def test_a_name_without_an_address_of_the_family_has_no_data() -> None:
    assert ask("dnsa", AAAA) == []
    assert ask("six", A) == []
    assert ask("dnsa", MX) == []


@pytest.mark.parametrize("kind", [TXT, SOA, SRV, 65, 257, PTR])
def test_cve_2025_8283_our_own_names_are_never_asked_outside(kind: int) -> None:
    """dockerd asks the host's resolvers for other types than addresses, which then learn of the name."""
    for name in ("dnsa", "web.net1", "hostb.example.com"):
        assert ask(name, kind) == []
    assert ask("dnsb", ANY) == ["10.1.0.3", "fd00:1::3"]


def test_reverse() -> None:
    assert ask("2.0.1.10.in-addr.arpa", PTR) == ["dnsa.net1"]
    assert ask("2.0.1.10.IN-ADDR.arpa", PTR) == ["dnsa.net1"]
    six = "4." + "0." * 23 + "2.0.0.0.0.0.d.f.ip6.arpa"
    assert six.count(".") == 33
    assert ask(six, PTR) == ["six.net.two"]
    assert ask("9.0.1.10.in-addr.arpa", PTR) == FORWARD
    assert ask("2.0.1.10.in-addr.arpa", A) == FORWARD


def test_a_name_that_is_too_long_for_dns_is_not_what_reverse_gives() -> None:
    known = Zones()
    known.publish(ONE, {"a": entry(["x" * 64, "aaaaaaaaaaaa"], "10.1.0.2")})
    assert ask("2.0.1.10.in-addr.arpa", PTR, known=known) == ["aaaaaaaaaaaa.net1"]


def test_cve_2024_29018_internal_networks_do_not_forward() -> None:
    inside = BOTH._replace(forward=False)
    assert ask("dnsa", asker=inside) == ["10.1.0.2"]
    for name, kind in [("nosuch", A), ("secret.exfil.example", TXT), ("1.1.1.1.in-addr.arpa", PTR), ("x.example", ANY)]:
        assert ask(name, kind, asker=inside) == Decision(rcode=message.SERVER_FAILURE)


def test_bare_names_stay_inside_when_ndots_says_so() -> None:
    kept = BOTH._replace(bare=False)
    assert ask("nosuch", asker=kept) == [] == ask("nosuch", AAAA, asker=kept)
    assert ask("nosuch", TXT, asker=kept) == FORWARD
    assert ask("no.such", asker=kept) == FORWARD
    assert ask("nosuch") == FORWARD


def test_changes() -> None:
    known = zones()
    known.publish(ONE, {"a": entry(["renamed"], "10.1.0.9")})
    assert ask("dnsa", known=known) == FORWARD
    assert ask("renamed", known=known) == ["10.1.0.9"]
    assert ask("web", known=known) == ["10.1.0.3"]
    assert ask("2.0.1.10.in-addr.arpa", PTR, known=known) == FORWARD
    known.withdraw(ONE, ["a", "b", "never there"])
    known.withdraw("never there", ["a"])
    assert ask("web", known=known) == FORWARD
    assert ask("dnsb", known=known) == ["10.2.0.3"]
    known.withdraw(TWO, ["b", "v"])
    known.withdraw(OTHER, ["c", "d"])
    assert len(known) == 0


def test_an_address_that_moved_keeps_its_new_name() -> None:
    known = Zones()
    known.publish(ONE, {"a": entry(["a"], "10.1.0.2")})
    known.publish(ONE, {"b": entry(["b"], "10.1.0.2")})
    known.withdraw(ONE, ["a"])
    assert ask("2.0.1.10.in-addr.arpa", PTR, known=known) == ["b.net1"]


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=40).map(tuple))
def test_addresses_of_any_name(name: message.Name) -> None:
    assert address_of(name) is None or len(address_of(name) or b"") in (4, 16)


@given(st.ip_addresses())
def test_addresses_are_read_back(address) -> None:  # type: ignore[no-untyped-def]
    name = tuple(address.reverse_pointer.encode().split(b"."))
    assert address_of(name) == address.packed


@pytest.mark.parametrize(
    "text", ["256.0.0.10.in-addr.arpa", "0.0.10.in-addr.arpa", "1.2.3.4.5.in-addr.arpa", "a.ip6.arpa", "arpa", ""]
)
def test_what_is_no_address(text: str) -> None:
    assert address_of(tuple(text.encode().split(b"."))) is None


def test_what_clients_may_send() -> None:
    good = Message(5, 0x0100, (Question((b"a",), A),))
    assert intake(message.encode(good)) == good
    assert intake(message.encode(good._replace(flags=0x8100))) is None
    assert intake(b"short") is None
    refused = {
        "opcode": good._replace(flags=0x0900),
        "none": good._replace(questions=()),
        "two": good._replace(questions=good.questions * 2),
        "answers": good._replace(answers=(Record((b"a",), A, 1, 1, b"\1\2\3\4"),)),
    }
    rcodes = {}
    for name, query in refused.items():
        answer = intake(message.encode(query))
        assert isinstance(answer, bytes) and len(answer) == 12
        got = message.decode(answer)
        assert (got.id, got.is_response) == (5, True)
        rcodes[name] = got.rcode
    assert rcodes == {"opcode": 4, "none": 1, "two": 1, "answers": 1}
    assert intake(message.encode(good)[:-1]) == b"\0\5\x81\1" + bytes(8)
    assert intake(message.encode(good._replace(flags=0x8100))[:-1]) is None
    version = intake(message.encode(good._replace(additional=(Record((), message.OPT, 512, 1 << 16, b""),))))
    assert isinstance(version, bytes) and message.decode(version).additional[0].ttl >> 24 == 1


@given(st.binary(max_size=300))
def test_any_bytes_from_a_client(data: bytes) -> None:
    answer = intake(data)
    if isinstance(answer, Message):
        decision = decide(answer.questions[0], BOTH, zones(), 1)
        message.within(message.reply(answer, decision.rcode, decision.records), answer.udp_limit)


def test_a_link_is_a_name_for_one_asker_on_one_network() -> None:
    linked = Asker(BOTH.networks, links={ONE: {b"db": b"dnsa", b"dnsb": b"dnsa", b"later": b"nobody"}})
    assert ask("DB", asker=linked) == ask("db.net1", asker=linked) == ["10.1.0.2"]
    assert ask("db", asker=BOTH) == ask("db.net.two", asker=linked) == FORWARD
    assert ask("dnsb", asker=linked) == ["10.1.0.2"]  # before the name that all know
    assert ask("later", asker=linked) == FORWARD
