"""From error kinds to HTTP statuses. The only place that knows both."""

import errno

import msgspec

from scow import errors
from scow.api.system import Message

_STATUS: dict[type[errors.ScowError], int] = {
    errors.InvalidArgument: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotModified: 304,
    errors.Unsupported: 501,
    errors.Unavailable: 503,
    errors.ResourceExhausted: 500,
    errors.DataLoss: 500,
    errors.Timeout: 500,
    errors.Cancelled: 500,
    errors.Internal: 500,
}

# What in a failed start is the request's fault; the rest is the machine's.
_REQUESTS_FAULT = (
    "executable file not found",
    "no such file or directory",
    "permission denied",
    "not a directory",
    "is a directory",
    "exec format error",
)


def status_of(error: errors.ScowError) -> int:
    """The HTTP status of an error, by its kind (a start failure by Docker's rule: its text)."""
    if isinstance(error, errors.StartFailure):
        return 400 if any(words in error.message for words in _REQUESTS_FAULT) else 500
    for kind in type(error).__mro__:
        status = _STATUS.get(kind)
        if status is not None:
            return status
    return 500


_EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def of_system(error: OSError) -> errors.ResourceExhausted | None:
    """The machine's own limits, which can be met anywhere, as an error for the client; None for anything else."""
    if error.errno not in _EXHAUSTED:
        return None
    words = (error.strerror or errno.errorcode[error.errno]).lower()
    return errors.ResourceExhausted(f"{error.filename}: {words}" if error.filename else words)


def body_of(message: str) -> bytes:
    """The JSON that every error has."""
    return msgspec.json.encode(Message(message)) + b"\n"
