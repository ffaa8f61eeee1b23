"""The story of containers as the events tell it, also to the daemon that comes after."""

import json
import time
from typing import Any

import pytest

from tests.harness.clients import Clients
from tests.harness.engine import Engine


def story(clients: Clients, since: float, until: float = 0, **filters: list[str]) -> list[dict[str, Any]]:
    query = {
        "since": f"{since:.9f}", "until": f"{until or time.time():.9f}", "filters": json.dumps(filters)
    }  # fmt: skip
    return [json.loads(line) for line in clients.api("GET", "/events", query=query).body.splitlines()]


def short(found: list[dict[str, Any]]) -> list[str]:
    return [f"{item['Type']} {item['Action']}" for item in found]


def test_a_life_with_a_volume_in_dockers_order(clean: Clients) -> None:
    since = time.time()
    clean.create("c1", Cmd=["true"], HostConfig={"Binds": ["events1:/x:ro"]}, Labels={"a": "b"})
    try:
        clean.start_container("c1")
        clean.wait("c1")
        clean.api("DELETE", "/containers/c1")
        found = [item for item in story(clean, since) if item["Type"] != "image"]
        assert short(found) == [
            "volume create", "container create", "network connect", "volume mount", "container start",
            "network disconnect", "volume unmount", "container die", "container destroy",
        ]  # fmt: skip
        assert found[0]["Actor"] == {"ID": "events1", "Attributes": {"driver": "local"}}
        by_action = {item["Action"]: item for item in found}
        identity = by_action["start"]["Actor"]["ID"]
        assert by_action["mount"]["Actor"] == {
            "ID": "events1",
            "Attributes": {
                "container": identity, "destination": "/x", "driver": "local", "propagation": "", "read/write": "false",
            },
        }  # fmt: skip
        assert by_action["unmount"]["Actor"]["Attributes"] == {"container": identity, "driver": "local"}
        assert by_action["die"]["Actor"]["Attributes"] == {
            "a": "b", "execDuration": "0", "exitCode": "0", "image": "busybox", "name": "c1",
        }  # fmt: skip
        times = [item["timeNano"] for item in found]
        assert times == sorted(times) and len(set(times)) == len(times)
    finally:
        clean.api("DELETE", "/volumes/events1")


def test_filters_over_the_api_and_in_the_cli(clean: Clients) -> None:
    since = time.time()
    identity = clean.launch("c1", Cmd=["true"], Labels={"team": "red"})
    clean.wait("c1")
    assert short(story(clean, since, event=["die"])) == ["container die"]
    assert short(story(clean, since, type=["network"])) == ["network connect", "network disconnect"]
    assert len(story(clean, since, label=["team=red"])) == 3 and not story(clean, since, label=["team=blue"])
    moments = ("--since", f"{since:.9f}", "--until", f"{time.time():.9f}")
    out = clean.out("events", *moments, "--filter", "event=start", "--format", "{{.Type}} {{.Actor.Attributes.name}}")
    assert out == "container c1"
    assert "container die" in clean.out("events", *moments)
    assert clean.out("events", "--since", "2m", "--until", "1m", "--filter", f"container={identity}") == ""


@pytest.mark.usefixtures("needs_ps")
def test_prune_and_top_are_told(clean: Clients) -> None:
    since = time.time()
    clean.launch("c1", Cmd=["sleep", "60"])
    clean.api("GET", "/containers/c1/top")
    clean.api("POST", "/containers/prune")
    clean.api("POST", "/volumes/prune")
    clean.api("POST", "/networks/prune")
    found = story(clean, since, event=["prune", "top"])
    assert short(found) == ["container top", "container prune", "volume prune", "network prune"]
    assert found[1]["Actor"] == {"ID": "", "Attributes": {"reclaimed": "0"}}


def test_a_killed_daemon_forgets_nothing(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    since = time.time()
    for number in range(5):
        engine.launch(f"c{number}", Cmd=["true"])
        engine.wait(f"c{number}")
    before = story(engine, since)
    time.sleep(0.1)  # what was told is on its way to the disk
    engine.kill9()
    engine.start()
    after = story(engine, since)
    assert after[: len(before)] == before and len(before) >= 25
