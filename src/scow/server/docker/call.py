"""One API call: the request with its version and parameters, and the answers Docker gives."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from scow import __version__
from scow.engine.context import Engine
from scow.errors import InvalidArgument
from scow.server.docker import body, query
from scow.server.docker.version import MAXIMUM_TEXT, Version
from scow.server.http.request import Request, Stream

if TYPE_CHECKING:
    from scow.server.docker.app import Wiring

T = TypeVar("T", bound=msgspec.Struct)
T_item = TypeVar("T_item")
COMMON = (
    f"Api-Version: {MAXIMUM_TEXT}\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: scow/{__version__} (linux)\r\n"
).encode()
JSON = COMMON + b"Content-Type: application/json\r\n"
_MAX_FILTERS = 64 << 10


def _plain(value: object) -> object:
    """Digests are a kind of text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


encode = msgspec.json.Encoder(enc_hook=_plain).encode


class Call:
    """What a route's handler gets. `name` is the path's variable part, decoded."""

    __slots__ = ("_parameters", "engine", "name", "request", "version", "wiring")

    def __init__(self, request: Request, engine: Engine, wiring: "Wiring", version: Version, name: str) -> None:
        self.request = request
        self.engine = engine
        self.wiring = wiring
        self.version = version
        self.name = name
        self._parameters: dict[str, list[str]] | None = None

    # ------------------------------------------------------------ parameters

    def text(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        parameters = self._parameters
        if parameters is None:
            parameters = self._parameters = query.parse(self.request.query)
        values = parameters.get(name)
        return values[0] if values else default

    def texts(self, name: str) -> list[str]:
        """Every value of a query parameter."""
        self.text(name)
        return (self._parameters or {}).get(name, [])

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, "\0")
        return default if value == "\0" else query.boolean(value)

    def integer(self, name: str) -> int:
        """A required number."""
        return query.integer(self.text(name))

    def integer_or(self, name: str, default: int | None) -> int | None:
        value = self.text(name)
        return query.integer(value) if value else default

    def moment(self, name: str) -> int:
        return query.moment(self.text(name))

    def filters(self) -> dict[str, list[str]]:
        """`filters`: {"label": ["a"]} or the older {"label": {"a": true}}."""
        text = self.text("filters")
        if not text:
            return {}
        try:
            value = msgspec.json.decode(text) if len(text) <= _MAX_FILTERS else 0
        except (msgspec.MsgspecError, RecursionError):
            raise InvalidArgument("invalid filter") from None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise InvalidArgument("invalid filter")
        return {name: _filter_values(values) for name, values in value.items()}

    async def json(self, kind: type[T]) -> T:
        """The body; an absent one is an error."""
        result = await body.read_json(self.request, kind)
        assert result is not None
        return result

    async def optional_json(self, kind: type[T]) -> T | None:
        return await body.read_json(self.request, kind, optional=True)

    # ------------------------------------------------------------ answers

    def send(self, value: Any, status: int = 200) -> None:
        """A JSON answer, with the newline that Go's encoder writes."""
        self.request.send(status, encode(value) + b"\n", JSON)

    def empty(self, status: int = 204) -> None:
        self.request.send(status, b"", COMMON)

    def stream(self, headers: bytes = JSON) -> Stream:
        return self.request.stream(200, headers)


async def pour(stream: Stream, items: AsyncIterator[T_item], render: Callable[[T_item], bytes]) -> None:
    """Write every item and end the stream; the iterator is closed whatever happens (a client that leaves, too)."""
    try:
        async for item in items:
            await stream.write(render(item))
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
    await stream.end()


def _filter_values(values: Any) -> list[str]:
    if values is None:
        return []
    if isinstance(values, dict) and all(isinstance(flag, bool) for flag in values.values()):
        return [value for value, flag in values.items() if flag]
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        return values
    raise InvalidArgument("invalid filter")
