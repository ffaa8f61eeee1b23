"""What a bridge needs of the host's settings, on a /proc of the test's."""

from typing import Any

import pytest

from scow.errors import Unavailable
from scow.network import bridge


@pytest.fixture
def sysctls(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    values: dict[str, str] = {}
    monkeypatch.setattr(bridge, "read_sysctl", values.get)
    monkeypatch.setattr(bridge, "set_sysctl", values.__setitem__)
    monkeypatch.setattr(bridge.subprocess, "run", lambda *_a, **_k: None)
    return values


def test_neighbours_are_shown_to_the_rules_and_that_is_recorded_first(sysctls: dict[str, str]) -> None:
    sysctls |= {"net/bridge/bridge-nf-call-iptables": "0", "net/bridge/bridge-nf-call-ip6tables": "1"}
    told: list[Any] = []
    bridge.filter_neighbours(True, lambda *change: told.append((change, dict(sysctls))))
    assert [change for change, _ in told] == [("sysctl", "net.bridge.bridge-nf-call-iptables", "0", "1")]
    assert told[0][1]["net/bridge/bridge-nf-call-iptables"] == "0"
    assert set(sysctls.values()) == {"1"}


def test_the_kernels_module_is_recorded_before_it_is_loaded(
    sysctls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def load(command: list[str], **_: object) -> None:
        told.append(command)
        sysctls["net/bridge/bridge-nf-call-iptables"] = "1"

    monkeypatch.setattr(bridge.subprocess, "run", load)
    for _ in range(2):
        bridge.filter_neighbours(False, lambda *change: told.append(change))
    assert told == [("module", "br_netfilter", "", "loaded"), ["modprobe", "br_netfilter"]]


def test_without_the_kernels_help_it_is_refused(sysctls: dict[str, str]) -> None:
    with pytest.raises(Unavailable, match="cannot be kept apart .* br_netfilter is missing"):
        bridge.filter_neighbours(False, lambda *_: None)
