"""Tables, progress, durations, indented JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.cli.container_rows import ports_text
from scow.cli.inspecting import indent
from scow.cli.moments import ago, go_string, human_duration
from scow.cli.natural import natural_key
from scow.cli.progress import Progress, ProgressError
from scow.cli.table import Columns

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(JSON, st.booleans())
def test_indenting_is_that_of_go(value: object, spaced: bool) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(", ", " : ") if spaced else (",", ":"))
    wanted = json.dumps(value, ensure_ascii=False, indent=4)
    assert indent(text) == wanted


def test_numbers_and_escapes_stay_as_they_are() -> None:
    assert indent('[1e9,"\\u003c\\"]",-0.10]') == '[\n    1e9,\n    "\\u003c\\"]",\n    -0.10\n]'


def test_a_column_ends_where_a_row_has_no_cell() -> None:
    table = Columns(least=3, padding=1)
    for row in (["aaaa", "b", "c"], ["a", "bbbb", "c"], ["x"], ["a", "c"]):
        table.add(row)
    assert table.render() == "aaaa b    c\na    bbbb c\nx\na  c\n"


@given(st.lists(st.lists(st.text(alphabet="ab 日", max_size=6), min_size=1, max_size=4), max_size=6))
def test_cells_survive_the_table(rows: list[list[str]]) -> None:
    table = Columns()
    for row in rows:
        table.add(row)
    lines = table.render().split("\n")[:-1]
    assert len(lines) == len(rows)
    for row, line in zip(rows, lines, strict=True):
        assert line.endswith(row[-1])
        assert all(cell in line for cell in row)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (119, "About a minute"),
        (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (7200, "2 hours"), (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"), (14 * 86400, "2 weeks"), (59 * 86400, "8 weeks"), (60 * 86400, "2 months"),
        (729 * 86400, "24 months"), (730 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text
    assert ago(100.0, now=100.0 + seconds) == text + " ago"


def test_times() -> None:
    assert go_string("2024-01-02T03:04:05.6Z") == "2024-01-02 03:04:05.6 +0000 UTC"
    assert go_string("2024-01-02T03:04:05+02:00") == "2024-01-02 03:04:05 +0200 +0200"


def test_natural_order() -> None:
    assert sorted(["a10", "a9", "8/tcp", "80/tcp", "9/tcp"], key=natural_key) == [
        "8/tcp",
        "9/tcp",
        "80/tcp",
        "a9",
        "a10",
    ]


def test_ports() -> None:
    def port(private: int, public: int = 0, ip: str = "", kind: str = "tcp") -> dict[str, object]:
        return {"PrivatePort": private, "PublicPort": public, "IP": ip, "Type": kind}

    shown = ports_text(
        [port(81, 8080, "::"), port(9), port(10), port(80, 80, "0.0.0.0"), port(12), port(10, kind="udp")]
    )
    assert shown == "9-10/tcp, 12/tcp, 10/udp, 0.0.0.0:80->80/tcp, [::]:8080->81/tcp"


STREAM = [
    {"status": "Pulling from library/x", "id": "latest"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aa"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "bb"},
    {"status": "Downloading", "progressDetail": {"current": 50, "total": 100}, "progress": "[>]", "id": "aa"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aa"},
    {"status": "Digest: sha256:1"},
]


def test_progress_without_a_terminal_is_lines_without_bars() -> None:
    progress = Progress()
    assert "".join(progress.feed(message) for message in STREAM) == (
        "latest: Pulling from library/x\naa: Pulling fs layer\nbb: Pulling fs layer\naa: Pull complete\nDigest: sha256:1\n"
    )


def test_progress_on_a_terminal_stays_in_its_line() -> None:
    progress = Progress(120)
    out = [progress.feed(message) for message in STREAM]
    assert out[3].startswith("\033[2A\033[2K\raa: Downloading [=========================>")
    assert out[3].endswith("50B/100B\r\033[2B")
    assert out[5] == "Digest: sha256:1\n"


def test_an_error_in_the_stream() -> None:
    with pytest.raises(ProgressError, match="manifest unknown") as caught:
        Progress().feed({"errorDetail": {"code": 404, "message": "manifest unknown"}, "error": "x"})
    assert caught.value.status == 404


@given(st.dictionaries(st.sampled_from(["id", "status", "stream", "progress", "aux"]), st.text()), st.integers(0, 200))
def test_any_message_is_shown(message: dict[str, str], width: int) -> None:
    assert isinstance(Progress(width).feed(dict(message)), str)
