"""The words of links, and the variables that they make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.model.ports import Port
from scow.network import links


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("db", ("db", "db")),
        ("db:d", ("db", "d")),
        ("db:", ("db", "")),
        (":d", ("", "d")),
        ("/db", ("/db", "/db")),
        ("/db:/web/d", ("db", "d")),
        ("db:a/b", ("db", "a/b")),
    ],
)
def test_words(text: str, found: tuple[str, str]) -> None:
    assert links.parse(text) == found


@pytest.mark.parametrize(
    ("text", "sentence"), [("", "empty string specified for links"), ("a:b:c", "bad format for links: a:b:c")]
)
def test_words_that_are_no_links(text: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        links.parse(text)
    assert caught.value.message == sentence


@given(st.text())
def test_any_text_is_a_link_or_refused(text: str) -> None:
    try:
        name, alias = links.parse(text)
    except InvalidArgument:
        assert not text or text.count(":") > 1
    else:
        assert name in text and alias in text


def test_the_last_of_equal_aliases_counts_on_a_network() -> None:
    assert links.aliases(["a:x", "b:x", "c"]) == {"x": "b", "c": "c"}
    with pytest.raises(InvalidArgument, match="more than 65536 characters"):
        links.aliases(["a" * 40_000, "b" * 40_000])


def names(*ports: Port) -> list[str]:
    return [word.partition("=")[0] for word in links.variables("/w/d-b", "10.0.0.2", ports, ())]


def test_variables() -> None:
    """As dockerd 26 has them, in this order."""
    assert links.variables(
        "/web/my-db", "10.0.0.2", [Port(80), Port(53, "udp")], ["A=b=c", "HOME=/x", "PATH=/y", "Z"]
    ) == [
        "MY_DB_PORT=udp://10.0.0.2:53",
        "MY_DB_PORT_53_UDP=udp://10.0.0.2:53",
        "MY_DB_PORT_53_UDP_ADDR=10.0.0.2",
        "MY_DB_PORT_53_UDP_PORT=53",
        "MY_DB_PORT_53_UDP_PROTO=udp",
        "MY_DB_PORT_80_TCP=tcp://10.0.0.2:80",
        "MY_DB_PORT_80_TCP_ADDR=10.0.0.2",
        "MY_DB_PORT_80_TCP_PORT=80",
        "MY_DB_PORT_80_TCP_PROTO=tcp",
        "MY_DB_NAME=/web/my-db",
        "MY_DB_ENV_A=b=c",
    ]
    assert links.variables("/web/db", "10.0.0.2", [], []) == ["DB_NAME=/web/db"]
    assert links.variables("/web/db", "1.2.3.4", [Port(7, "udp"), Port(7)], [])[0] == "DB_PORT=tcp://1.2.3.4:7"


def test_runs_of_ports() -> None:
    assert "D_B_PORT_80_TCP_START" not in names(Port(80), Port(81))
    run = links.variables("/w/db", "1.2.3.4", [Port(80), Port(81), Port(82), Port(90)], ())
    assert run[1:7] == [
        "DB_PORT_80_TCP_START=tcp://1.2.3.4:80",
        "DB_PORT_80_TCP_ADDR=1.2.3.4",
        "DB_PORT_80_TCP_PROTO=tcp",
        "DB_PORT_80_TCP_PORT_START=80",
        "DB_PORT_80_TCP_END=tcp://1.2.3.4:82",
        "DB_PORT_80_TCP_PORT_END=82",
    ]
    assert names(Port(80), Port(81), Port(90), Port(91), Port(92)).count("D_B_PORT_90_TCP_START") == 1
