"""JSON bodies: content type, size, syntax, and Go's tolerance (case of names, null, unknown fields)."""

from typing import Any, TypeVar

import msgspec

from scow.errors import InvalidArgument
from scow.server.docker import json_syntax
from scow.server.http.head import BadMessage
from scow.server.http.request import Request

T = TypeVar("T", bound=msgspec.Struct)
LIMIT = 4 << 20
_TOO_DEEP = "invalid JSON: exceeded max depth"
_decoders: dict[type[msgspec.Struct], Any] = {}


async def read_json(request: Request, kind: type[T], *, optional: bool = False) -> T | None:
    """The body as `kind`, or None when there is none (an error unless `optional`)."""
    check_content_type(request)
    try:
        raw = await request.read(LIMIT) if request.has_body else b""
    except BadMessage as error:
        raise BadMessage(error.status, error.reason) from None
    if not raw and (optional or request.head.length == 0):
        if optional:
            return None
        raise InvalidArgument("invalid JSON: got EOF while reading request body")
    return decode(raw, kind)


def check_content_type(request: Request) -> None:
    """Docker takes JSON only; a request without a body needs no type."""
    given = request.headers.get("content-type", "")
    if given == "application/json" or (not given and not request.has_body):
        return
    main, *parameters = given.split(";")
    main = main.strip().lower()
    if not main:
        raise InvalidArgument(f"malformed Content-Type header ({given}): mime: no media type")
    if any("=" not in parameter for parameter in parameters if parameter.strip()):
        raise InvalidArgument(f"malformed Content-Type header ({given}): mime: invalid media parameter")
    if main != "application/json":
        raise InvalidArgument(f"unsupported Content-Type header ({given}): must be 'application/json'")


def decode(raw: bytes, kind: type[T]) -> T:
    """`kind` from a JSON text. Well-behaved clients are served by the first line, which knows every field."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(raw)  # type: ignore[no-any-return]
    except RecursionError:
        raise InvalidArgument(_TOO_DEEP) from None
    except msgspec.MsgspecError:
        return _decode_patiently(raw, kind)
    except UnicodeDecodeError:
        raise InvalidArgument("invalid JSON: a string is not valid UTF-8") from None


def _decode_patiently(raw: bytes, kind: type[T]) -> T:
    try:
        end = json_syntax.value_end(raw)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid JSON: {error.message}") from None
    rest = raw[end:].strip(b" \t\r\n")
    if rest and rest[:1] not in (b"}", b"]"):
        raise InvalidArgument("unexpected content after JSON")
    try:
        value = msgspec.json.decode(raw[:end])
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise InvalidArgument(f"invalid JSON: json: cannot unmarshal {_kind_of(value)} into an object")
        return msgspec.convert(_tidy(value, _types(kind)), kind)
    except RecursionError:
        raise InvalidArgument(_TOO_DEEP) from None
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid JSON: {_explain(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None


def _explain(text: str) -> str:
    """msgspec's `Expected `int`, got `str` - at `$.HostConfig.Memory`` with the place first."""
    problem, _, place = text.partition(" - at ")
    place = place.strip("`").removeprefix("$").removeprefix(".")
    problem = problem.replace("`", "")
    problem = problem[:1].lower() + problem[1:]
    return f"{place}: {problem}" if place else problem


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "array" if isinstance(value, list) else "string" if isinstance(value, str) else "number"


def _types(kind: type[msgspec.Struct]) -> Any:
    from msgspec import inspect

    return inspect.type_info(kind)


def _tidy(value: Any, info: Any) -> Any:
    """Names in the struct's own spelling, unknown ones and nulls left out, all the way down."""
    from msgspec import inspect

    if isinstance(info, inspect.UnionType):
        wanted = inspect.ListType if isinstance(value, list) else (inspect.StructType, inspect.DictType)
        fitting = [option for option in info.types if isinstance(option, wanted)]
        return _tidy(value, fitting[0]) if fitting else value
    if isinstance(info, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name.lower(): field for field in info.fields}
        exact = {field.encode_name for field in info.fields}
        result: dict[str, Any] = {}
        for name, item in value.items():
            field = fields.get(name.lower())
            if field is None or item is None or (name not in exact and field.encode_name in value):
                continue
            result[field.encode_name] = _tidy(item, field.type)
        return result
    if isinstance(info, inspect.DictType) and isinstance(value, dict):
        return {name: _tidy(item, info.value_type) for name, item in value.items()}
    if isinstance(info, inspect.ListType) and isinstance(value, list):
        return [_tidy(item, info.item_type) for item in value]
    return value
