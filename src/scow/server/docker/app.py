"""The Docker Engine API as a handler of HTTP requests: version, route, errors."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scow.engine.context import Engine
from scow.engine.ports import ProgressCallback
from scow.errors import ScowError
from scow.server.docker import errors, routes
from scow.server.docker.call import COMMON, JSON, Call
from scow.server.docker.query import decode
from scow.server.docker.version import UnsupportedVersion, split
from scow.server.http.connection import Handler
from scow.server.http.head import BadMessage
from scow.server.http.request import Disconnected, Request

_log = logging.getLogger("scow.server")
_PLAIN_JSON = b"Content-Type: application/json\r\n"


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the front calls and does not import.

    bootstrap: builds the named starter images (all when none is named), telling progress.
    """

    bootstrap: Callable[[tuple[str, ...], ProgressCallback], Awaitable[object]] | None = None


def build_app(engine: Engine, wiring: Wiring | None = None) -> Handler:
    """The handler for `server.listen.serve`."""
    parts = wiring or Wiring()

    async def handle(request: Request) -> None:
        try:
            await _dispatch(request, engine, parts)
        except (Disconnected, BadMessage):
            raise
        except ScowError as error:
            _answer(request, error)
        except Exception as error:
            known = errors.of_system(error) if isinstance(error, OSError) else None
            if known is not None:
                _log.warning("%s %s failed: %s", request.method, request.path, known.message)
                _answer(request, known)
                return
            _log.exception("%s %s failed", request.method, request.path)
            if request.answered:
                raise
            request.send(500, errors.body_of("internal error (the daemon's log has the details)"), JSON)

    return handle


async def _dispatch(request: Request, engine: Engine, wiring: Wiring) -> None:
    version, path = split(request.path)
    if "%" in path:
        path = decode(path)
    found = routes.find(request.method, path)
    if found is None:
        if request.method == "OPTIONS":
            request.send(200, b"", COMMON)
        else:
            request.send(404, errors.body_of("page not found"), _PLAIN_JSON)
        return
    handler, name = found
    await handler(Call(request, engine, wiring, version, name))


def _answer(request: Request, error: ScowError) -> None:
    """The error as Docker's JSON. After the head has gone there is nothing but to break the stream off."""
    if request.answered:
        _log.warning("%s %s broke off: %s", request.method, request.path, error.message)
        raise Disconnected
    status = errors.status_of(error)
    if isinstance(error, UnsupportedVersion):
        request.send(status, errors.body_of(error.message), JSON)
    elif status == 304:
        request.send(304, b"", COMMON)
    else:
        request.send(status, errors.body_of(error.message), JSON)
