"""Records to output: selection, framing, details; and the way around damage."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.logs.drivers.encode import LineEncoder
from scow.logs.query import LogQuery
from scow.logs.records import Formatter, decode, normal_time
from scow.logs.timestamps import parse

TIMES = [f"2026-11-24T03:56:3{i}.2Z" for i in range(4)]


def record(log: str, stream: str = "stdout", time: str = TIMES[0], **more: Any) -> bytes:
    return json.dumps({"log": log, "stream": stream, **more, "time": time}, separators=(",", ":")).encode() + b"\n"


BLOCK = (
    record("one\n", time=TIMES[0])
    + record("two\n", "stderr", TIMES[1])
    + record("three\n", time=TIMES[2], attrs={"b": "2", "a": "1 2=,"})
    + record("four", time=TIMES[3])
)


def shown(block: bytes = BLOCK, **how: Any) -> str:
    return Formatter(LogQuery(**how), framed=False).format(block).decode()


def test_frames() -> None:
    expected = b"".join(
        struct.pack(">BxxxI", stream, len(text)) + text
        for stream, text in ((1, b"one\n"), (2, b"two\n"), (1, b"three\n"), (1, b"four"))
    )
    assert Formatter(LogQuery(), framed=True).format(BLOCK) == expected
    long = "x" * 10000
    assert Formatter(LogQuery(), framed=True).format(record(long)) == struct.pack(">BxxxI", 1, 10000) + long.encode()


def test_streams() -> None:
    assert shown(stderr=False) == "one\nthree\nfour"
    assert shown(stdout=False) == "two\n"
    with pytest.raises(InvalidArgument, match="you must choose at least one stream"):
        Formatter(LogQuery(stdout=False, stderr=False), framed=True)


def test_timestamps_and_details_are_dockers() -> None:
    assert shown(timestamps=True, stdout=False) == "2026-11-24T03:56:31.200000000Z two\n"
    assert shown(details=True) == " one\n two\na=1+2%3D%2C,b=2 three\n four"
    assert shown(details=True, timestamps=True, stdout=False) == "2026-11-24T03:56:31.200000000Z  two\n"


def test_since_and_until_are_inclusive() -> None:
    assert shown(since=parse(TIMES[2])) == "three\nfour"
    assert shown(since=parse(TIMES[2]) + 1) == "four"
    formatter = Formatter(LogQuery(until=parse(TIMES[1])), framed=False)
    assert formatter.format(BLOCK) == b"one\ntwo\n" and formatter.done
    assert shown(since=1 << 80) == ""


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-11-24T03:56:32.222296246Z", "2026-11-24T03:56:32.222296246Z"),
        ("2026-11-24T03:56:32.2Z", "2026-11-24T03:56:32.200000000Z"),
        ("2026-11-24T03:56:32Z", "2026-11-24T03:56:32.000000000Z"),
        ("2026-11-24T05:56:32.5+02:00", "2026-11-24T03:56:32.500000000Z"),
        ("yesterday", "0001-01-01T00:00:00.000000000Z"),
        ("", "0001-01-01T00:00:00.000000000Z"),
    ],
)
def test_normal_times(text: str, normal: str) -> None:
    assert normal_time(text) == normal


BAD = [
    b"\0" * 100,
    b"garbage\n",
    b'{"log":"half',
    b'{"log":"half\\',
    b'{"log":"half\\n","stream":"stdout"\n',
    b'{"log":7,"stream":"stdout","time":"x"}\n',
    b'{"other":1}\n',
    b"[1]\n",
    b"\n\n",
    b"\xff\xfe\n",
    b"{" * 3000 + b"\n",
    b"[" * 100000 + b"\n",
]


@pytest.mark.parametrize("bad", BAD)
def test_damage_hides_no_good_record(bad: bytes) -> None:
    good = [record(f"{i}\n") for i in range(4)]
    block = good[0] + bad + good[1] + good[2] + bad + bad + good[3]
    assert [found.log for found in decode(block)] == ["0\n", "1\n", "2\n", "3\n"]


def test_other_writers_records() -> None:
    lines = [
        b'{"stream":"stdout","log":"other order\\n","time":"2026-11-24T03:55:16Z"}\n',
        b'{"log":"lone \\ud800 half\\n","stream":"stdout","time":"2026-11-24T03:55:16Z"}\n',
        b'{"log":"bad \xff byte\\n","stream":"stdout","time":"2026-11-24T03:55:16Z"}\n',
        b'{"log":"slash \\/\\n","stream":"stdout","extra":[1],"time":"2026-11-24T03:55:16Z"}\n',
    ]
    expected = ["other order\n", "lone \ufffd half\n", "bad \ufffd byte\n", "slash /\n"]
    assert [found.log for line in lines for found in decode(line)] == expected
    assert [found.log for found in decode(b"".join(lines))] == expected


@given(st.binary(max_size=400))
def test_what_was_written_is_read(output: bytes) -> None:
    encoder = LineEncoder("stdout")
    time = "2026-11-24T03:55:16Z"
    block = b"".join([*encoder.feed(output, time), *encoder.flush(time)])
    text = output.decode("utf-8", "surrogateescape")
    expected = "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text)
    assert Formatter(LogQuery(), framed=False).format(block).decode() == expected


@given(st.lists(st.sampled_from([*BAD, b"\0", b'{"log":"']), max_size=6), st.binary(max_size=30))
def test_any_damage_is_survived(parts: list[bytes], noise: bytes) -> None:
    good = record("good\n")
    damage = b"".join(parts) + noise.replace(b"{", b"")
    found = [record.log for record in decode(good + damage + b"\n" + good)]
    assert found[0] == found[-1] == "good\n"


def test_merged_frames_hold_the_same_bytes_in_the_same_order() -> None:
    def split(data: bytes) -> list[tuple[int, bytes]]:
        found = []
        while data:
            stream, size = struct.unpack(">BxxxI", data[:8])
            found.append((stream, data[8 : 8 + size]))
            data = data[8 + size :]
        return found

    lines = [("a\n", "stdout"), ("b\n", "stdout"), ("c\n", "stderr"), ("half", "stdout"), (" line\n", "stdout")]
    block = b"".join(
        b'{"log":%b,"stream":"%b","time":"2026-01-02T03:04:05Z"}\n' % (json.dumps(text).encode(), stream.encode())
        for text, stream in lines
    )
    merged = split(Formatter(LogQuery(merged=True), framed=True).format(block))
    assert merged == [(1, b"a\nb\n"), (2, b"c\n"), (1, b"half line\n")]
    assert len(split(Formatter(LogQuery(), framed=True).format(block))) == len(lines)
    only = split(Formatter(LogQuery(stdout=False, merged=True), framed=True).format(block))
    assert only == [(2, b"c\n")]
