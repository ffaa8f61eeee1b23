"""The rule set as text, the elements as bytes, and where accepting rules go in other people's chains."""

import errno

import pytest

from scow.errors import Unavailable
from scow.linux import nftables
from scow.model.ports import Port, PublishedPort
from scow.network import foreign
from scow.network.firewall import Firewall
from scow.network.ruleset import Publications, Shape, Wall, elements, ruleset, table_name

SHAPE = Shape("scow", (Wall("scow0", "172.29.0.0/16"),))
WEB = Publications(
    "172.29.0.2",
    (
        PublishedPort(Port(80), "0.0.0.0", 8080),
        PublishedPort(Port(80), "::", 8080),
        PublishedPort(Port(53, "udp"), "127.0.0.1", 5353),
    ),
)


def test_elements_in_the_kernels_form() -> None:
    assert elements([WEB], ipv6=False) == {
        "publish": {bytes.fromhex("06000000 1f900000"): bytes.fromhex("ac1d0002 00500000")},
        "publish_at": {bytes.fromhex("7f000001 11000000 14e90000"): bytes.fromhex("ac1d0002 00350000")},
    }


def test_the_rule_set_holds_every_publication_and_replaces_the_table_in_one_go() -> None:
    text = ruleset(SHAPE, [WEB])
    assert text.startswith("table inet scow {\n}\ndelete table inet scow\ntable inet scow {\n")
    assert "elements = { tcp . 8080 : 172.29.0.2 . 80 }" in text
    assert "elements = { 127.0.0.1 . udp . 5353 : 172.29.0.2 . 53 }" in text
    maps = ruleset(SHAPE, []).partition("set bridges")[0]
    assert "elements" not in maps


def test_what_was_not_published_is_dropped_last() -> None:
    inward = ruleset(SHAPE, []).partition("chain inward {")[2].partition("}")[0].split("\n")
    assert [line.strip() for line in inward if line.strip()] == [
        "ct state established,related meta mark set meta mark | 0x8000000 accept",
        "iifname . oifname @neighbours meta mark set meta mark | 0x8000000 accept",
        "ip saddr . ip daddr . meta l4proto . th dport @links meta mark set meta mark | 0x8000000 accept",
        "iifname @closed drop",
        "oifname @closed drop",
        "ct status dnat meta mark set meta mark | 0x8000000 accept",
        "drop",
    ]


@pytest.mark.parametrize(
    ("bridge", "table"),
    [("scow0", "scow"), ("sct_1", "scow_sct_1"), ("br-1.2", "scow_x"), ("a" * 15, "scow_" + "a" * 15)],
)
def test_tables_of_several_daemons_have_names_of_their_own(bridge: str, table: str) -> None:
    name = table_name(bridge)
    assert name.startswith(table) and name.replace("_", "").isalnum() and len(name) < 32
    assert table_name("br-1.2") != table_name("br.1-2")


def chain(name: str, **base: str) -> dict[str, dict[str, str]]:
    return {"chain": {"family": "ip", "table": "filter", "name": name, **base}}


def test_accepting_rules_go_where_docker_keeps_its_users_rules() -> None:
    dropping = chain("FORWARD", hook="forward", policy="drop")
    accepting = chain("FORWARD", hook="forward", policy="accept")
    assert foreign.blocking_chain([accepting, chain("DOCKER-USER")], [], "scow0") is None
    assert foreign.blocking_chain([], [], "scow0") is None
    assert foreign.blocking_chain([dropping], [], "scow0") == foreign.Chain("FORWARD")
    rules = [
        {"rule": {"chain": "DOCKER-USER", "handle": 4, "comment": "scow scow0"}},
        {"rule": {"chain": "DOCKER-USER", "handle": 5, "comment": "scow sct1"}},
        {"rule": {"chain": "FORWARD", "handle": 6, "comment": "scow scow0"}},
    ]
    found = foreign.blocking_chain([dropping, chain("DOCKER-USER")], rules, "scow0")
    assert found == foreign.Chain("DOCKER-USER", (4,))


def test_rules_of_bridges_that_are_gone_are_found() -> None:
    rules = [
        {"rule": {"chain": "FORWARD", "handle": 4, "comment": "scow scow0"}},
        {"rule": {"chain": "FORWARD", "handle": 5, "comment": "scow sct1"}},
        {"rule": {"chain": "FORWARD", "handle": 6, "comment": "scowl"}},
        {"rule": {"chain": "FORWARD", "handle": 7}},
        {"chain": {"name": "FORWARD"}},
    ]
    assert foreign.abandoned(rules, lambda name: name == "scow0") == [("FORWARD", 5)]


class Table:
    """The elements of the kernel's table; the next change fails with `error`."""

    def __init__(self) -> None:
        self.elements: dict[str, dict[bytes, bytes]] = {}
        self.error = 0
        self.changes = 0

    def replace(self, gone: nftables.Elements, new: nftables.Elements) -> None:
        if self.error:
            raise OSError(self.error, "no")
        self.changes += 1
        for name, entries in gone.items():
            for key in entries:
                del self.elements[name][key]
        for name, entries in new.items():
            self.elements.setdefault(name, {}).update(entries)


def test_publishing_anew_is_one_change_and_loses_nothing_when_it_fails() -> None:
    firewall, table = Firewall(SHAPE), Table()
    firewall._nftables = table  # type: ignore[assignment]
    other = Publications("172.29.0.3", WEB.ports)
    firewall.publish("web", WEB)
    firewall.publish("web", other)
    assert table.changes == 2 and table.elements == elements([other])
    table.error = errno.ENOMEM
    with pytest.raises(Unavailable):
        firewall.publish("web", WEB)
    assert table.elements == elements([other])
    table.error = 0
    firewall.withdraw("web")
    assert not any(table.elements.values())


def test_links_open_ways_of_their_own_and_come_and_go_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    apart = Shape("scow", (Wall("scow0", "172.29.0.0/16", icc=False),))
    firewall = Firewall(apart)
    monkeypatch.setattr(firewall, "reload", lambda: loaded.append(ruleset(firewall.shape, [])))
    firewall.link(frozenset({("172.29.0.3", "172.29.0.2", "tcp", 80), ("172.29.0.3", "172.29.0.2", "udp", 53)}))
    assert "{ 172.29.0.3 . 172.29.0.2 . tcp . 80, 172.29.0.3 . 172.29.0.2 . udp . 53 }" in loaded[-1]
    assert "set neighbours {\n        type ifname . ifname\n        \n" in loaded[-1]
    firewall.link(frozenset({("172.29.0.3", "172.29.0.2", "tcp", 80), ("172.29.0.3", "172.29.0.2", "udp", 53)}))
    assert len(loaded) == 1

    def fail() -> None:
        raise Unavailable("no")

    monkeypatch.setattr(firewall, "reload", fail)
    with pytest.raises(Unavailable):
        firewall.link(frozenset())
    assert len(firewall.shape.links) == 2
