"""The sentences of failed starts, as observed on Docker 26."""

import errno

import pytest

from scow.runtime.failure import INIT, PROCESS, RAW, start_failure

_CREATE = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)
_EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "
_HINT = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


@pytest.mark.parametrize(
    ("stage", "number", "text", "expected"),
    [
        (
            PROCESS,
            0,
            'exec: "x": executable file not found in $PATH',
            'exec: "x": executable file not found in $PATH: unknown',
        ),
        (PROCESS, errno.ENOENT, 'exec: "/x": stat /x', 'exec: "/x": stat /x: no such file or directory: unknown'),
        (PROCESS, errno.EACCES, 'exec: "/etc/passwd"', 'exec: "/etc/passwd": permission denied: unknown'),
        (PROCESS, errno.EISDIR, 'exec: "/etc"', 'exec: "/etc": is a directory: unknown: permission denied'),
        (INIT, errno.ENOTDIR, "mkdir /a", f"error during container init: mkdir /a: not a directory: unknown{_HINT}"),
    ],
)
def test_sentences(stage: str, number: int, text: str, expected: str) -> None:
    assert start_failure(stage, number, text).message == _CREATE + expected
    assert start_failure(stage, number, text, execute=True).message == _EXEC + expected


def test_whole_messages_have_no_prefix() -> None:
    text = "unable to find user x: no matching entries in passwd file"
    assert start_failure(RAW, 0, text).message == text
