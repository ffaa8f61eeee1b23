"""The live view of a build: events in, frames out; what a terminal shows after them."""

import base64
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from scow.cli.build_view import Plain, View, clean, columns, cut, moment, redraw


def _time(seconds: float) -> str:
    return f"2026-01-01T00:00:{seconds:06.3f}Z"


START = moment(_time(0))


def _vertex(digest: str, name: str, started: float = -1, completed: float = -1, **more: object) -> dict[str, object]:
    vertex: dict[str, object] = {"digest": digest, "name": name, **more}
    if started >= 0:
        vertex["started"] = _time(started)
    if completed >= 0:
        vertex["completed"] = _time(completed)
    return {"vertexes": [vertex]}


def _log(digest: str, text: str, at: float = 1) -> dict[str, object]:
    data = base64.b64encode(text.encode()).decode()
    return {"logs": [{"vertex": digest, "stream": 1, "data": data, "timestamp": _time(at)}]}


EVENTS = [
    _vertex("a", "[one 1/2] FROM busybox"),
    _vertex("b", "[one 2/2] RUN make"),
    _vertex("c", "[two 1/2] FROM busybox"),
    _vertex("a", "[one 1/2] FROM busybox", 0, 0.2),
    _vertex("c", "[two 1/2] FROM busybox", 0.1, 0.2, cached=True),
    _vertex("b", "[one 2/2] RUN make", 0.2),
    _log("b", "first\nsecond\nhalf"),
]


def _view() -> View:
    view = View()
    for event in EVENTS:
        view.feed(event)
    return view


def test_a_frame_shows_what_runs_and_what_it_says() -> None:
    assert _view().lines(START + 3, START, 50, 20, colour=False) == [
        "[+] Building 3.0s (2/3)",
        " => [one 1/2] FROM busybox                    0.2s",
        " => CACHED [two 1/2] FROM busybox             0.1s",
        " => [one 2/2] RUN make                        2.8s",
        " => => # first",
        " => => # second",
        " => => # half",
    ]


def test_the_last_frame_has_all_steps_and_no_output() -> None:
    view = _view()
    view.feed(_vertex("b", "[one 2/2] RUN make", 0.2, 5.2))
    lines = view.lines(START + 9, START, 30, 0, colour=True)
    assert lines[0] == "\x1b[34m[+] Building 9.0s (3/3) FINISH\x1b[0m"
    assert lines[-1] == "\x1b[34m => [one 2/2] RUN make    5.0s\x1b[0m"
    assert len(lines) == 4


def test_what_runs_goes_before_what_is_done_where_there_is_no_room() -> None:
    lines = _view().lines(START + 3, START, 50, 4, colour=False)
    assert [line.split()[-1] for line in lines[1:]] == ["first", "second", "half"]
    lines = _view().lines(START + 3, START, 50, 6, colour=False)
    assert "RUN make" in lines[2] and "CACHED" in lines[1]


def test_errors_and_what_was_given_up_are_marked() -> None:
    view = _view()
    view.feed(_vertex("c", "[two 1/2] FROM busybox", 0.1, 0.4, error="failed"))
    view.cancel(START + 2)
    lines = view.lines(START + 2, START, 60, 0, colour=True)
    assert lines[2].startswith("\x1b[31m => ERROR [two 1/2]") and lines[3].startswith("\x1b[33m => CANCELED [one 2/2]")
    failed = view.failed()
    assert failed is not None and failed.name == "[two 1/2] FROM busybox"


def test_lines_for_files_have_times_and_cache_hits() -> None:
    plain = Plain()
    text = "".join(plain.feed(event) for event in [*EVENTS, _vertex("b", "[one 2/2] RUN make", 0.2, 5.2)])
    assert text == (
        "\n#1 [one 1/2] FROM busybox\n#1 DONE 0.2s\n"
        "\n#2 [two 1/2] FROM busybox\n#2 CACHED\n"
        "\n#3 [one 2/2] RUN make\n#3 0.800 first\n#3 0.800 second\n#3 half\n#3 DONE 5.0s\n"
    )


class Screen:
    """A terminal as far as the view needs one."""

    def __init__(self, width: int) -> None:
        self.width, self.rows, self.row, self.column = width, [""], 0, 0

    def write(self, text: str) -> None:
        for part in re.findall(r"\x1b\[\d*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
            if part == "\r":
                self.column = 0
            elif part == "\n":
                self.row, self.column = self.row + 1, 0
                self.rows += [""] * (self.row + 1 - len(self.rows))
            elif part.startswith("\x1b"):
                self._act(part)
            else:
                for letter in part:
                    if self.column == self.width:
                        self.write("\n")
                    line = self.rows[self.row]
                    self.rows[self.row] = line[: self.column].ljust(self.column) + letter + line[self.column + 1 :]
                    self.column += 1

    def _act(self, part: str) -> None:
        number, kind = part[2:-1], part[-1]
        if kind == "A":
            self.row = max(0, self.row - int(number))
        elif kind == "K":
            self.rows[self.row] = ""
        elif kind == "J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        else:
            assert kind == "m"


@given(st.lists(st.lists(st.text("ab \u4e2d", max_size=19), max_size=6), max_size=6))
def test_frames_replace_each_other(frames: list[list[str]]) -> None:
    screen, before = Screen(40), []
    screen.write("before\n")
    for lines in frames:
        screen.write(redraw(before, lines, 40))
        before = lines
        assert [row.rstrip() for row in screen.rows] == ["before", *(line.rstrip() for line in lines), ""]


def test_a_terminal_that_became_narrower_has_broken_the_lines() -> None:
    lines = ["x" * 30, "\x1b[34m" + "y" * 39 + "\x1b[0m"]
    screen = Screen(20)
    for line in lines:
        screen.write(line + "\n")
    assert len(screen.rows) == 5
    screen.write(redraw(lines, ["new"], 20))
    assert screen.rows == ["new", ""]


@given(st.text(max_size=60))
def test_nothing_reaches_the_terminal_that_it_would_act_on(text: str) -> None:
    assert all(letter.isprintable() for letter in clean(text))
    assert columns(cut(clean(text), 10)) <= 10
    view = View()
    view.feed({"vertexes": [{"digest": "x", "name": text, "started": _time(0)}]})
    view.feed(_log("x", text))
    for line in view.lines(START + 1, START, 40, 10, colour=False):
        assert line.isprintable() and columns(line) <= 40


def test_escapes_are_taken_out_whole() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b[2J\x1b]0;t\x07x") == "red x"
    assert clean("50%\r100%") == "50%100%"
    view = View()
    view.feed(_vertex("x", "n", 0))
    view.feed(_log("x", "50%\r100%\r\n"))
    assert view.lines(START, START, 40, 9, colour=False)[-1] == " => => # 100%"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
    )
)
def test_moments_are_read_or_none(value: object) -> None:
    assert isinstance(moment(value), float)
    assert moment(json.dumps(value)) >= 0
