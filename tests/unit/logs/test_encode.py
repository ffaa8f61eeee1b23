"""json-file records: the bytes are Docker's (26.1 was observed for the literal cases)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.logs.drivers.encode import LIMIT, LineEncoder, escape, escape_attributes

TIME = "2026-11-24T03:55:16.601614638Z"


def records(*chunks: bytes, stream: str = "stdout", attributes: bytes = b"") -> list[bytes]:
    encoder = LineEncoder(stream, attributes)
    out = b"".join(b"".join(encoder.feed(chunk, TIME)) for chunk in chunks)
    out += b"".join(encoder.flush(TIME))
    return out.splitlines(keepends=True)


def texts(lines: list[bytes]) -> list[str]:
    return [json.loads(line)["log"] for line in lines]


@pytest.mark.parametrize(
    ("output", "content"),
    [
        (b"\x00x", b"\\u0000x"),
        (b"\x08\x09\x0b\x0c\x1f", b"\\u0008\\u0009\\u000b\\u000c\\u001f"),
        (b"a\rb", b"a\\rb"),
        (b'say "hi" \\ /', b'say \\"hi\\" \\\\ /'),
        (b"<a> & b", b"\\u003ca\\u003e \\u0026 b"),
        (b"\x7f", b"\x7f"),
        ("é 😀".encode(), "é 😀".encode()),
        ("\u2028 \u2029".encode(), b"\\u2028 \\u2029"),
        (b"\xed\xa0\x80", b"\\ufffd\\ufffd\\ufffd"),
        (b"\xf4\x90\x80\x80", b"\\ufffd\\ufffd\\ufffd\\ufffd"),
        (b"\xc0\x80", b"\\ufffd\\ufffd"),
        (b"\xe2\x82 cut", b"\\ufffd\\ufffd cut"),
        ("\ufffd".encode(), "\ufffd".encode()),
        (b"&#56448;\x80", b"\\u0026#56448;\\ufffd"),
    ],
)
def test_escapes_are_dockers(output: bytes, content: bytes) -> None:
    assert escape(output) == content


def test_a_record_is_dockers_to_the_byte() -> None:
    assert records(b"one\ntwo\n") == [
        b'{"log":"one\\n","stream":"stdout","time":"2026-11-24T03:55:16.601614638Z"}\n',
        b'{"log":"two\\n","stream":"stdout","time":"2026-11-24T03:55:16.601614638Z"}\n',
    ]


def test_attributes_stand_between_stream_and_time_sorted_and_escaped() -> None:
    attributes = escape_attributes({"lb": "2", "la": "v a&b<é", "EA": 'x="\n'})
    (line,) = records(b"short\n", stream="stderr", attributes=attributes)
    assert (
        line
        == (
            '{"log":"short\\n","stream":"stderr","attrs":{"EA":"x=\\"\\n","la":"v a\\u0026b\\u003cé","lb":"2"},'
            '"time":"2026-11-24T03:55:16.601614638Z"}\n'
        ).encode()
    )
    assert escape_attributes({}) == b""


@pytest.mark.parametrize(
    ("length", "sizes"),
    [
        (LIMIT - 1, [LIMIT]),
        (LIMIT, [LIMIT, 1]),
        (40000, [LIMIT, LIMIT, 40000 - 2 * LIMIT + 1]),
    ],
)
def test_long_lines_are_cut_where_docker_cuts_them(length: int, sizes: list[int]) -> None:
    assert [len(text) for text in texts(records(b"a" * length + b"\n"))] == sizes
    assert [len(text) for text in texts(records(b"x\n" + b"a" * length + b"\ny\n"))] == [2, *sizes, 2]


def test_a_cut_does_not_break_a_character() -> None:
    text = "é€" * 8200
    for shift in range(6):
        line = b"a" * shift + text.encode() + b"\n"
        parts = texts(records(line))
        assert "".join(parts).encode() == line
        assert all(LIMIT - 3 <= len(part.encode()) <= LIMIT for part in parts[:-1])


def test_what_has_no_newline_waits_for_it() -> None:
    encoder = LineEncoder("stdout")
    assert encoder.feed(b"hel", TIME) == []
    assert texts([b"".join(encoder.feed(b"lo\nwor", TIME))]) == ["hello\n"]
    assert texts([b"".join(encoder.flush(TIME))]) == ["wor"]
    assert encoder.flush(TIME) == []


def test_a_line_of_many_chunks_is_cut_at_the_limit_at_once() -> None:
    encoder = LineEncoder("stdout")
    assert encoder.feed(b"a" * (LIMIT - 1), TIME) == []
    assert texts([b"".join(encoder.feed(b"b", TIME))]) == ["a" * (LIMIT - 1) + "b"]


def _lines(output: bytes) -> list[bytes]:
    parts = [part + b"\n" for part in output.split(b"\n")]
    parts[-1] = parts[-1][:-1]
    return [part for part in parts if part]


def _go(line: bytes) -> str:
    text = line.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text)


plain_alphabet = st.sampled_from(
    [b"a", b"\n", b'"', b"\\", b"<", b"\t", b"\xc3\xa9", b"\xff", b"\xe2\x80\xa8", b"&", b"\r"]
)
output = st.lists(plain_alphabet | st.binary(max_size=3), max_size=200).map(b"".join)


@given(output, st.data())
def test_any_output_in_any_chunks_gives_the_same_records(output: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=4)))
    chunks = [output[a:b] for a, b in zip([0, *cuts], [*cuts, len(output)], strict=True)]
    found = records(*chunks)
    assert all(line.count(b"\n") == 1 for line in found)
    assert texts(found) == [_go(line) for line in _lines(output)]
    assert not any(byte in line for line in found for byte in (b"<", b">", b"&", b"\t", b"\x00"))


@given(st.binary(max_size=6).filter(lambda unit: unit.isascii()), st.integers(0, 40000), st.integers(0, 3))
def test_long_lines_against_the_obvious_way(unit: bytes, length: int, newlines: int) -> None:
    output = ((unit or b"x") * length)[:length] + b"\n" * newlines
    if b"\n" not in unit:
        assert texts(records(output)) == [_go(line) for line in _cut(output)]
    assert "".join(texts(records(output))) == _go(output)


def _cut(output: bytes) -> list[bytes]:
    result = []
    for line in _lines(output):
        while len(line) > LIMIT or (len(line) == LIMIT and not line.endswith(b"\n")):
            result.append(line[:LIMIT])
            line = line[LIMIT:]
        if line:
            result.append(line)
    return result
