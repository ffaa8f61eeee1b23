"""What a monitor needs is there before the first fork: a life of one imports nothing and opens no source file."""

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parents[3] / "src"
CODE = """
import os, signal, sys
sys.path.append(sys.argv[1])
from scow.zygote import main, preload, rehearsal
for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, main._ignore)
preload.load()
before = set(sys.modules)
opened = []
def hook(event, arguments):
    if event == "import":
        opened.append(arguments[0])
    elif event == "open" and str(arguments[0]).endswith((".py", ".pyc", ".so")):
        opened.append(arguments[0])
sys.addaudithook(hook)
scratch = f"/dev/shm/scow-test-{os.getpid()}"
os.mkdir(scratch, 0o700)
rehearsal._play(scratch)
texts = {name: open(f"{scratch}/{name}", "rb").read() for name in os.listdir(scratch) if name in ("log", "exit")}
for name in os.listdir(scratch):
    os.unlink(f"{scratch}/{name}")
os.rmdir(scratch)
assert b'"end\\\\n"' in texts["log"] and b'"begin\\\\n"' in texts["log"], texts
assert b'"code":0' in texts["exit"], texts
assert not opened, opened
assert not {name for name in sys.modules if name.split(".")[0] in FORBIDDEN}, sorted(sys.modules)
"""
FORBIDDEN = {
    "asyncio",
    "concurrent",
    "ssl",
    "http",
    "urllib",
    "msgspec",
    "aiohttp",
    "logging",
    "shutil",
    "tempfile",
    "subprocess",
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    code = f"FORBIDDEN = {FORBIDDEN!r}\n{code}"
    command = [sys.executable, "-I", "-S", "-c", code, str(SRC)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env={"LC_ALL": "C.UTF-8"})


def test_a_monitors_life_imports_nothing() -> None:
    done = run(CODE)
    assert done.returncode == 0, done.stderr


def test_the_rehearsal_leaves_nothing() -> None:
    done = run(
        """
import os, signal, sys
sys.path.append(sys.argv[1])
from scow.zygote import main, preload, rehearsal
signal.signal(signal.SIGCHLD, main._ignore)
preload.load()
fds = os.listdir("/proc/self/fd")
made = []
def hook(event, arguments):
    if event == "os.mkdir" or event == "open" and arguments[2] & os.O_CREAT:
        made.append(str(arguments[0]))
sys.addaudithook(hook)
rehearsal.rehearse()
# Killed in the middle it leaves nothing either: all its files are in a file system that only it can reach.
assert not [path for path in made if path.startswith("/") and not path.startswith("/proc/self/fd/")], made
assert os.listdir("/proc/self/fd") == fds
try:
    pid = os.waitpid(-1, os.WNOHANG)
    raise AssertionError(f"a child is left: {pid}")
except ChildProcessError:
    pass
"""
    )
    assert done.returncode == 0, done.stderr


def test_a_slow_rehearsal_is_cut_short() -> None:
    done = run(
        """
import itertools, sys
sys.path.append(sys.argv[1])
from scow.zygote import rehearsal
played = []
rehearsal._play = played.append
rehearsal.mounts.new = lambda kind, data: 0
rehearsal.os.listdir = lambda path: []
for seconds, times in ((0, rehearsal._TIMES), (0.5, 2)):
    clock = itertools.count()
    rehearsal.time.monotonic = lambda: next(clock) * seconds
    rehearsal.rehearse()
    assert len(played) == times, (seconds, played)
    played.clear()
"""
    )
    assert done.returncode == 0, done.stderr
