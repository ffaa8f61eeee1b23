"""Events: kept on disk, asked for later, matched as Docker matches."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.engine import events as bus_module
from scow.engine.event_log import EventLog
from scow.engine.events import EventBus, matches
from scow.errors import InvalidArgument
from scow.model.event import Event


def event(number: int, action: str = "start") -> Event:
    return Event("container", action, f"{number:064x}", {"image": "busybox", "name": f"c{number}"}, number)


def log_at(path: Path, maximum: int = 1 << 20) -> EventLog:
    return EventLog(str(path / "events/events.jsonl"), maximum)


def ask(bus: EventBus, since: int = 0, until: int = 0, filters: Mapping[str, Sequence[str]] | None = None) -> list[int]:
    async def body() -> list[int]:
        return [item.time async for item in bus.subscribe(since, until, filters)]

    return asyncio.run(body())


def test_the_next_daemon_knows_them(tmp_path: Path) -> None:
    log = log_at(tmp_path)
    bus = EventBus(log)
    for number in range(1, 6):
        bus.publish(event(number))
    log.close()
    after = EventBus(log_at(tmp_path))
    assert ask(after, since=2, until=4) == [2, 3, 4]
    assert ask(after, until=3) == [1, 2, 3]
    assert not ask(after, since=9, until=9)


def test_what_memory_has_dropped_comes_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "_KEPT", 4)
    log = log_at(tmp_path)
    bus = EventBus(log)
    for number in range(1, 21):
        bus.publish(event(number))
    log.close()
    assert ask(EventBus(log_at(tmp_path)), since=1, until=100) == list(range(1, 21))
    assert ask(EventBus(log_at(tmp_path)), until=100) == [17, 18, 19, 20]  # without since: what is at hand


def test_the_file_is_bounded(tmp_path: Path) -> None:
    log = log_at(tmp_path, maximum=2000)
    for number in range(1, 200):
        log.append(event(number))
        if number % 10 == 0:  # let the writer see small pieces
            log.close()
            log = log_at(tmp_path, maximum=2000)
    log.close()
    sizes = [os.path.getsize(tmp_path / "events" / name) for name in os.listdir(tmp_path / "events")]
    assert len(sizes) == 2 and max(sizes) <= 4000
    numbers = [item.time for item in log_at(tmp_path).recent(1000)]
    assert numbers == list(range(numbers[0], 200))


@pytest.mark.parametrize("damage", [b'{"kind":"contai', b"\xff\xfe\n", b"null\n", b"[]\n"])
def test_a_torn_line_costs_itself_alone(tmp_path: Path, damage: bytes) -> None:
    log = log_at(tmp_path)
    log.append(event(1))
    log.close()
    with open(tmp_path / "events/events.jsonl", "ab") as stream:
        stream.write(damage)
    log = log_at(tmp_path)
    log.append(event(2))
    log.close()
    assert [item.time for item in log_at(tmp_path).recent(10)] == [1, 2]


@given(st.binary())
def test_any_file_can_be_read(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        log = log_at(path)
        log.close()
        (path / "events/events.jsonl").write_bytes(data)
        log.recent(10)
        log.between(0, 1 << 62)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"type": ["container"]}, True), ({"type": ["image"]}, False), ({"type": ["image", "container"]}, True),
        ({"event": ["exec_create"]}, True), ({"event": ["exec_create: sh"]}, True), ({"event": ["exec"]}, False),
        ({"container": ["c1"]}, True), ({"container": ["c"]}, True), ({"container": ["0000"]}, True),
        ({"container": ["x"]}, False), ({"image": ["busybox"]}, True), ({"image": ["busy"]}, False),
        ({"label": ["name"]}, True), ({"label": ["name=c1"]}, True), ({"label": ["name=c"]}, False),
        ({"scope": ["local"]}, True), ({"scope": ["swarm"]}, False), ({"node": ["x"]}, False), ({}, True),
        ({"type": ["container"], "event": ["die"]}, False),
    ],
)  # fmt: skip
def test_filters(filters: Mapping[str, Sequence[str]], wanted: bool) -> None:
    assert matches(event(1, "exec_create: sh"), filters) is wanted


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'bogus'"):
        EventBus().subscribe(0, 1, {"bogus": ["x"]})
