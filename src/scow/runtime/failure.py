"""How a failed start is told: from the child as (stage, errno, text), to the caller as Docker's sentence."""

import errno

from scow.errors import StartFailure
from scow.linux import libc

# Stages, as they cross the channel. RAW is a whole message for the user, without the runtime's prefix.
RAW = "raw"
INIT = "init"
PROCESS = "process"

_CREATE = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)
_EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "
_DIRECTORY_HINT = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


class Failed(Exception):
    """A step of the child that did not work. Raised and caught in the child only."""

    def __init__(self, stage: str, number: int, text: str) -> None:
        super().__init__(stage, number, text)
        self.stage = stage
        self.number = number
        self.text = text


def error_text(number: int) -> str:
    """An errno in the words that Docker's messages use: the C library's, starting with a small letter."""
    text = libc.ERROR_TEXT.get(number, f"errno {number}")
    return text if number == errno.EIO else text[:1].lower() + text[1:]


def start_failure(stage: str, number: int, text: str, *, execute: bool = False) -> StartFailure:
    """The error for the user of a failed start (or exec) in the wording that Docker's clients parse."""
    if number:
        text = f"{text}: {error_text(number)}" if text else error_text(number)
    if stage == RAW:
        return StartFailure(text)
    return _sentence((_EXEC if execute else _CREATE) + ("error during container init: " if stage == INIT else ""), text)


def external_failure(verb: str, text: str) -> StartFailure:
    """The error for the user of another runtime's failed verb (create, start, exec), whose own words are `text`."""
    before = "failed to create task for container: failed to create shim task: " if verb == "create" else ""
    return _sentence(f"{before}OCI runtime {verb} failed: ", text)


def _sentence(before: str, text: str) -> StartFailure:
    message = f"{before}{text}: unknown"
    if "not a directory" in text:
        message += _DIRECTORY_HINT
    elif "is a directory" in text:
        message += ": permission denied"
    return StartFailure(message)
