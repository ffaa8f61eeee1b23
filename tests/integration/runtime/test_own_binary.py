"""The engine's program cannot be written through a process that it executed (CVE-2019-5736)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import scow

# What an attacker in a container does: keep a reference to the program, let it end, then write through the reference.
_SCRIPT = """
import os, sys
from scow.linux import own_binary
if sys.argv[1] == "protect":
    own_binary.run_read_only()
assert sys.executable == os.environ["EXECUTABLE"] and own_binary.is_read_only() == (sys.argv[1] == "protect")
kept = os.open("/proc/self/exe", os.O_PATH)
os.set_inheritable(kept, True)
os.execv("/bin/busybox", ["sh", "-c", f"echo overwritten > /proc/self/fd/{kept}"])
"""


@pytest.mark.parametrize("word", ["protect", "leave"])
def test_the_program_is_behind_a_read_only_mount(tmp_path: Path, word: str) -> None:
    program = tmp_path / "python3"
    shutil.copy(os.path.realpath(sys.executable), program)
    paths = os.pathsep.join([*(os.path.dirname(path) for path in scow.__path__), *sys.path[1:]])
    environment = {**os.environ, "PYTHONPATH": paths, "EXECUTABLE": str(program), "PYTHONHOME": sys.base_prefix}
    result = subprocess.run([program, "-c", _SCRIPT, word], env=environment, capture_output=True, text=True)
    intact = program.read_bytes() != b"overwritten\n"
    assert intact is (word == "protect"), result
    assert ("Read-only file system" in result.stderr) is (word == "protect"), result
