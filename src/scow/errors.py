"""The closed set of error kinds.

Every error that scow raises on purpose is a `ScowError`. A specific error subclasses one of these kinds beside the
code that raises it. HTTP status and exit codes exist only at the edge (server/docker, cli). Messages are lower case,
carry no final period, name the object and the value, and are never parsed by scow's own code.
"""


class ScowError(Exception):
    """An error with a message meant for a user.

    `code` is the word that crosses process borders (monitor to daemon); `from_code` turns it back into a kind.
    """

    code = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(ScowError):
    """The request is malformed or asks for something impossible, whatever the state."""

    code = "invalid_argument"


class NotFound(ScowError):
    """The named object does not exist."""

    code = "not_found"


class Conflict(ScowError):
    """The object's state, or another object, does not allow it now."""

    code = "conflict"


class NotModified(ScowError):
    """The object is already in the wanted state."""

    code = "not_modified"


class Unauthenticated(ScowError):
    """Credentials are missing or wrong."""

    code = "unauthenticated"


class Forbidden(ScowError):
    """Known who asks, but it is not allowed; or not permitted by the kernel."""

    code = "forbidden"


class Unsupported(ScowError):
    """scow does not do this (yet), and says so by name."""

    code = "unsupported"


class Unavailable(ScowError):
    """A peer (registry, monitor, zygote) cannot be reached or broke off."""

    code = "unavailable"


class ResourceExhausted(ScowError):
    """Disk, memory, address space, ports or another quota has run out."""

    code = "resource_exhausted"


class DataLoss(ScowError):
    """Stored or received bytes are not what they must be (digest, size, format)."""

    code = "data_loss"


class Timeout(ScowError):
    """It did not happen in the time allowed."""

    code = "timeout"


class Cancelled(ScowError):
    """The caller gave up."""

    code = "cancelled"


class StartFailure(ScowError):
    """A process could not be started in a container: bad command, user, mount. Docker answers 400 or 500 by its
    text.
    """

    code = "start_failure"


class Internal(ScowError):
    """A defect of scow or of the machine below it."""

    code = "internal"


_KINDS: dict[str, type[ScowError]] = {
    kind.code: kind
    for kind in (
        InvalidArgument,
        NotFound,
        Conflict,
        NotModified,
        Unauthenticated,
        Forbidden,
        Unsupported,
        Unavailable,
        ResourceExhausted,
        DataLoss,
        Timeout,
        Cancelled,
        StartFailure,
        Internal,
    )
}


def from_code(code: str, message: str) -> ScowError:
    """The error of the kind that `code` names; an unknown code gives `Internal`."""
    return _KINDS.get(code, Internal)(message)
