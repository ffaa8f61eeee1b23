"""`runtimes` and `default-runtime` of daemon.json, `--add-runtime`, `--default-runtime`."""

from collections.abc import Mapping, Sequence

from scow.errors import InvalidArgument
from scow.model.runtime import NATIVE, Runtime

_RESERVED = (NATIVE, "runc", "io.containerd.runc.v2")
_STOCK = (NATIVE, "runc", "io.containerd.runc.v2", "crun")


def of_words(words: Sequence[str]) -> dict[str, Runtime]:
    """`name=path`, as the flag is given."""
    found: dict[str, Runtime] = {}
    for word in words:
        name, _, path = word.partition("=")
        if not name.strip() or not path.strip():
            raise InvalidArgument(
                f'invalid argument "{word}" for "--add-runtime" flag: invalid runtime argument: {word}'
            )
        name = name.strip().lower()
        if name in found:
            text = f"runtime '{name}' was already defined"
            raise InvalidArgument(f'invalid argument "{word}" for "--add-runtime" flag: {text}')
        if name in _RESERVED:
            raise InvalidArgument(f'invalid argument "{word}" for "--add-runtime" flag: {_reserved(name)}')
        found[name] = Runtime(path.strip())
    return found


def of_file(value: object) -> dict[str, Runtime]:
    """{"name": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}}"""
    if not isinstance(value, dict):
        raise InvalidArgument(f"runtimes: want an object of runtimes by name, got {value!r}")
    return {name: _one(name, item) for name, item in value.items()}


def _one(name: str, item: object) -> Runtime:
    if name in _RESERVED:
        raise InvalidArgument(_reserved(name))
    if not name or not isinstance(item, dict):
        raise InvalidArgument(f"runtime {name!r}: want an object with a path, got {item!r}")
    for key in item:
        if key in ("runtimeType", "options"):
            raise InvalidArgument(f"runtime {name}: {key} is not supported: shims of containerd are not used")
        if key not in ("path", "runtimeArgs"):
            raise InvalidArgument(f"runtime {name}: unknown key {key!r}")
    path, words = item.get("path"), item.get("runtimeArgs") or []
    if not isinstance(path, str) or not path:
        raise InvalidArgument(f"runtime {name}: a path must be configured")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidArgument(f"runtime {name}: runtimeArgs are no list of texts: {words!r}")
    return Runtime(path, tuple(words))


def check_default(runtimes: Mapping[str, Runtime], name: str) -> None:
    """InvalidArgument for a default that nobody has."""
    if name not in runtimes and name not in _STOCK:
        raise InvalidArgument(f"specified default runtime '{name}' does not exist")


def _reserved(name: str) -> str:
    return f"runtime name '{name}' is reserved"
