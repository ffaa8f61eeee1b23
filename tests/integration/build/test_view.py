"""The live view on a real terminal, and the other ways to see a build's steps."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.harness.clients import ROOT, Clients
from tests.unit.cli.test_build_view import Screen

pytestmark = pytest.mark.root
_TWO = """
FROM busybox AS one
RUN echo in-one; sleep 1
FROM busybox AS two
RUN echo in-two; sleep 1
FROM one
COPY --from=two /bin/ls /ls
"""


def _terminal(clean: Clients, root: Path, *words: str, stop: str = "", **variables: str) -> tuple[int, bytes]:
    """(exit status, what the terminal got); a ^C when it has got `stop`."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 30, 90, 0, 0))
    command = [str(ROOT / "bin/scow"), "-H", clean.host, "build", *words, str(root)]
    env = {**clean.env, "TERM": "xterm", **variables}
    process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=env, start_new_session=True)
    os.close(end)
    got = b""
    with contextlib.suppress(OSError):
        while piece := os.read(main, 1 << 16):
            got += piece
            if stop and stop.encode() in got:
                stop = ""
                process.send_signal(signal.SIGINT)
    os.close(main)
    return process.wait(30), got


def _shown(got: bytes) -> list[str]:
    screen = Screen(90)
    screen.write(got.decode().replace("\r\n", "\n"))
    return [row.rstrip() for row in screen.rows]


def test_steps_are_shown_side_by_side(clean: Clients, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(_TWO)
    status, got = _terminal(clean, tmp_path, "-t", "b/view", "--no-cache")
    assert status == 0, got
    text = got.decode()
    assert " => => # in-one" in text and " => => # in-two" in text and "\x1b[34m" in text and "\x1b[?25l" not in text
    frames = text.split("[+] Building")
    assert any(frame.count("RUN") == 2 and "in-one" in frame and "in-two" in frame for frame in frames)
    shown = _shown(got)
    assert shown[0].startswith("[+] Building ") and shown[0].endswith("FINISHED")
    steps = [row[4:].rsplit(maxsplit=1)[0].rstrip() for row in shown if row.startswith(" => ")]
    assert "[one 2/2] RUN echo in-one; sleep 1" in steps and "[stage-2 2/2] COPY --from=two /bin/ls /ls" in steps
    assert shown[-2] == "Successfully tagged b/view:latest"
    status, got = _terminal(clean, tmp_path, NO_COLOR="1")
    assert status == 0 and b"\x1b[3" not in got and b"CACHED [one 2/2]" in got


def test_a_failing_step_is_shown_with_its_output(clean: Clients, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo this went wrong; exit 3\n")
    status, got = _terminal(clean, tmp_path)
    shown = _shown(got)
    assert status == 3
    at = shown.index("------")
    assert shown[at + 1 : at + 4] == [" > [2/2] RUN echo this went wrong; exit 3:", "this went wrong", "------"]
    assert shown[-2] == "The command '/bin/sh -c echo this went wrong; exit 3' returned a non-zero code: 3"


def test_an_end_in_the_middle_leaves_the_terminal_as_it_was(clean: Clients, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo begun; sleep 60\n")
    began = time.monotonic()
    status, got = _terminal(clean, tmp_path, "--no-cache", stop="# begun")
    assert status != 0 and time.monotonic() - began < 30
    text = got.decode()
    assert "\x1b[?" not in text  # neither the cursor nor the keyboard was changed
    assert text.rindex("\x1b[0m") > text.rindex("\x1b[34m")


def test_without_a_terminal(clean: Clients, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo hello\n")
    plain = clean.scow("build", "--no-cache", "--progress=plain", str(tmp_path), check=True)
    assert (
        "\n#2 [2/2] RUN echo hello\n" in plain.stderr
        and " hello\n#2 DONE " in plain.stderr
        and "\x1b" not in plain.stderr
    )
    assert "#2 CACHED\n" in clean.scow("build", "--progress=plain", str(tmp_path), check=True).stderr
    raw = clean.scow("build", "--progress=rawjson", str(tmp_path), check=True).stderr.splitlines()
    vertexes = [vertex for line in raw for vertex in json.loads(line).get("vertexes", [])]
    assert {vertex["name"] for vertex in vertexes} == {"[1/2] FROM busybox", "[2/2] RUN echo hello"}
    assert vertexes[-1]["cached"] and vertexes[-1]["completed"].endswith("Z")
    assert "Step 1/2 : FROM busybox" in clean.scow("build", str(tmp_path), check=True).stdout
    quiet = clean.scow("build", "--progress=quiet", str(tmp_path), check=True)
    assert quiet.stdout.startswith("sha256:") and not quiet.stderr
    wrong = clean.scow("build", "--progress=fancy", str(tmp_path))
    assert wrong.stderr == "invalid progress fancy: use one of auto, plain, tty, quiet, rawjson\n"
