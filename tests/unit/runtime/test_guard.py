"""Behind the guard Python cannot load anything."""

import os
from collections.abc import Callable

import pytest

from scow.runtime import guard


def behind_the_guard(action: Callable[[], object]) -> tuple[int, str]:
    """(exit code, what the guard reported) of `action` in a forked child; exit code 0: it went through."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            guard.install(lambda event: (os.write(write, event.encode()), None)[1])
            action()
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write)
    status = os.waitpid(pid, 0)[1]
    try:
        return os.waitstatus_to_exitcode(status), os.read(read, 1000).decode()
    finally:
        os.close(read)


ACTIONS: dict[str, Callable[[], object]] = {
    "import": lambda: __import__("colorsys"),
    "codec": lambda: "x".encode("mac_farsi"),  # nothing else in a whole run may have loaded it
    "open": lambda: open("/etc/hostname"),
    "os.open": lambda: os.open("/etc/hostname", os.O_RDONLY),
    "compile": lambda: eval("1+1"),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "system": lambda: os.system("true"),
    "listdir": lambda: os.listdir("/"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_loading_ends_the_process(name: str) -> None:
    code, event = behind_the_guard(ACTIONS[name])
    assert code == guard.GUARD_EXIT and event, (code, event)


def test_plain_steps_go_through() -> None:
    def steps() -> None:
        os.write(2, b"")
        os.stat("/")
        os.umask(0o22)
        f"{1}{'a'}".encode()

    assert behind_the_guard(steps) == (0, "")


def test_it_holds_even_when_the_report_fails() -> None:
    pid = os.fork()
    if pid == 0:
        guard.install(lambda event: os.write(-1, b""))  # type: ignore[arg-type]
        __import__("colorsys")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == guard.GUARD_EXIT
