"""The Dockerfile instructions that change an image's configuration, applied to one: `commit -c`, `import -c`.

Each instruction is a function from a configuration and its argument to a new configuration; the sentences of the errors
are those of Docker's daemon.
"""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scow.errors import InvalidArgument
from scow.images import words
from scow.model.container import ContainerConfig, HealthCheck
from scow.model.ports import Port

_SHELL = ("/bin/sh", "-c")
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MILLISECOND = 10**6


@dataclass(frozen=True, slots=True)
class Instruction:
    """One logical line: the word in capitals, its --flags, the rest; `line` as it was written."""

    word: str
    flags: tuple[tuple[str, str], ...]
    rest: str
    line: str


@dataclass(frozen=True, slots=True)
class _State:
    config: ContainerConfig
    cmd_set: bool = False


CheckSignal = Callable[[str], object]


def apply(config: ContainerConfig, changes: Sequence[str], check_signal: CheckSignal) -> ContainerConfig:
    """The configuration after the changes, each of which may hold several lines. InvalidArgument names what is wrong.

    `check_signal` raises for a signal that does not exist.
    """
    if not changes:
        return config
    instructions = parse("\n".join(changes))
    if not instructions:
        raise InvalidArgument("file with no instructions")
    for instruction in instructions:
        if instruction.word not in _RULES:
            raise InvalidArgument(f"{instruction.line.split(None, 1)[0]} is not a valid change command")
    state = _State(config)
    for instruction in instructions:
        if instruction.word != "HEALTHCHECK" and instruction.flags:
            raise InvalidArgument(f"unknown flag: {instruction.flags[0][0]}")
        state = _RULES[instruction.word](state, instruction)
        if instruction.word == "STOPSIGNAL":
            check_signal(state.config.stop_signal)
    return state.config


def parse(text: str) -> list[Instruction]:
    """Logical lines: comments and empty lines are dropped, a backslash at the end goes on with the next line."""
    result: list[Instruction] = []
    whole = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped.startswith("#") or (not stripped and not whole):
            continue
        if stripped.endswith("\\"):
            whole += stripped[:-1] + " " if not whole else line.rstrip()[:-1]
            continue
        whole += line if whole else stripped
        result.append(_instruction(whole.strip()))
        whole = ""
    if whole.strip():
        result.append(_instruction(whole.strip()))
    return result


def _instruction(line: str) -> Instruction:
    first, *rest = line.split(None, 1)
    text = rest[0].strip() if rest else ""
    flags = []
    while text.startswith("--"):
        flag, *more = text.split(None, 1)
        text = more[0] if more else ""
        if flag == "--":
            break
        name, _, value = flag[2:].partition("=")
        flags.append((name, value))
    return Instruction(first.upper(), tuple(flags), text, line)


# ------------------------------------------------------------ the instructions


def _one(state: _State, instruction: Instruction) -> str:
    if not instruction.rest:
        raise InvalidArgument(f"{instruction.word} requires exactly one argument")
    return words.expand(instruction.rest, _environment(state.config))


def _environment(config: ContainerConfig) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in config.env)
    return {name: value for name, _, value in pairs}


def _pairs(state: _State, instruction: Instruction) -> list[tuple[str, str]]:
    """NAME=value …, or the older NAME value."""
    word, rest = instruction.word, instruction.rest
    parts = words.split(rest)
    if not parts:
        raise InvalidArgument(f"{word} requires at least one argument")
    env = _environment(state.config)
    if "=" not in parts[0]:
        first, *others = rest.split(None, 1)
        if not others:
            raise InvalidArgument(f"{word} must have two arguments")
        return [(words.expand(first, env), words.expand(others[0].strip(), env))]
    found = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidArgument(f'Syntax error - can\'t find = in "{part}". Must be of the form: name=value')
        name = words.expand(name, env)
        if not name:
            raise InvalidArgument(f"{word} names can not be blank")
        found.append((name, words.expand(value, env)))
    return found


def _env(state: _State, instruction: Instruction) -> _State:
    entries = list(state.config.env)
    for name, value in _pairs(state, instruction):
        places = [index for index, entry in enumerate(entries) if entry.partition("=")[0] == name]
        if places:
            entries[places[0]] = f"{name}={value}"
        else:
            entries.append(f"{name}={value}")
    return replace(state, config=replace(state.config, env=tuple(entries)))


def _label(state: _State, instruction: Instruction) -> _State:
    labels = {**state.config.labels, **dict(_pairs(state, instruction))}
    return replace(state, config=replace(state.config, labels=labels))


def _command(state: _State, instruction: Instruction) -> tuple[str, ...]:
    exec_form = words.json_list(instruction.rest)
    if exec_form is not None:
        return tuple(exec_form)
    return (*(state.config.shell or _SHELL), instruction.rest)


def _cmd(state: _State, instruction: Instruction) -> _State:
    return _State(replace(state.config, cmd=_command(state, instruction), args_escaped=False), cmd_set=True)


def _entrypoint(state: _State, instruction: Instruction) -> _State:
    config = state.config
    if words.json_list(instruction.rest) == []:
        entrypoint: tuple[str, ...] | None = None
    else:
        entrypoint = _command(state, instruction)
    return replace(state, config=replace(config, entrypoint=entrypoint, cmd=config.cmd if state.cmd_set else None))


def _expose(state: _State, instruction: Instruction) -> _State:
    env = _environment(state.config)
    texts = [word for part in words.split(instruction.rest) for word in words.expand(part, env).split()]
    if not texts:
        raise InvalidArgument("EXPOSE requires at least one argument")
    ports = dict.fromkeys(state.config.exposed_ports)
    for text in texts:
        ports.update(dict.fromkeys(_ports(text)))
    return replace(state, config=replace(state.config, exposed_ports=tuple(ports)))


def _ports(text: str) -> list[Port]:
    spec, _, protocol = text.rpartition(":")[2].partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"Invalid proto: {protocol}")
    low, dash, high = spec.partition("-")
    ends = [low, high] if dash else [low, low]
    for end in ends:
        if not (end.isascii() and end.isdigit() and len(end) < 6 and int(end) <= 65535):
            raise InvalidArgument(f"Invalid containerPort: {spec}")
    first, last = int(ends[0]), int(ends[1])
    if first > last or not first:
        raise InvalidArgument(f"Invalid containerPort: {spec}")
    return [Port(number, protocol) for number in range(first, last + 1)]


def _user(state: _State, instruction: Instruction) -> _State:
    return replace(state, config=replace(state.config, user=_one(state, instruction)))


def _volume(state: _State, instruction: Instruction) -> _State:
    given = words.json_list(instruction.rest)
    texts = words.split(instruction.rest) if given is None else given
    if not texts:
        raise InvalidArgument("VOLUME requires at least one argument")
    env = _environment(state.config)
    volumes = dict.fromkeys(state.config.volumes)
    for text in texts:
        path = words.expand(text, env).strip()
        if not path:
            raise InvalidArgument("VOLUME specified can not be an empty string")
        volumes[path] = None
    return replace(state, config=replace(state.config, volumes=tuple(volumes)))


def _workdir(state: _State, instruction: Instruction) -> _State:
    path = _one(state, instruction)
    if not path:
        raise InvalidArgument("cannot normalize nothing")
    path = posixpath.normpath(posixpath.join("/", state.config.working_dir, path))
    return replace(state, config=replace(state.config, working_dir="/" + path.lstrip("/")))


def _stop_signal(state: _State, instruction: Instruction) -> _State:
    return replace(state, config=replace(state.config, stop_signal=_one(state, instruction)))


def _on_build(state: _State, instruction: Instruction) -> _State:
    if not instruction.rest:
        raise InvalidArgument("ONBUILD requires at least one argument")
    trigger = instruction.rest.split(None, 1)[0].upper()
    if trigger == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("FROM", "MAINTAINER"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    return replace(state, config=replace(state.config, on_build=(*state.config.on_build, instruction.rest)))


def _healthcheck(state: _State, instruction: Instruction) -> _State:
    kind, *more = instruction.rest.split(None, 1) or [""]
    rest = more[0] if more else ""
    if not kind:
        raise InvalidArgument("HEALTHCHECK requires at least one argument")
    if kind.upper() == "NONE":
        if rest:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return replace(state, config=replace(state.config, healthcheck=HealthCheck(test=("NONE",))))
    if kind.upper() != "CMD":
        raise InvalidArgument(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    given = words.json_list(rest)
    if given == [] or not rest:
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    test = ("CMD-SHELL", rest) if given is None else ("CMD", *given)
    check = HealthCheck(test=test)
    for name, value in instruction.flags:
        if name == "retries":
            check = replace(check, retries=_retries(value))
        elif name == "interval":
            check = replace(check, interval=_duration(value))
        elif name == "timeout":
            check = replace(check, timeout=_duration(value))
        elif name == "start-period":
            check = replace(check, start_period=_duration(value))
        elif name == "start-interval":
            check = replace(check, start_interval=_duration(value))
        else:
            raise InvalidArgument(f"unknown flag: {name}")
    return replace(state, config=replace(state.config, healthcheck=check))


def _retries(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidArgument(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _duration(text: str) -> int:
    """Go's durations (1m30s), in nanoseconds."""
    total, at = 0, 0
    for match in _DURATION.finditer(text[:64]):
        if match.start() != at:
            break
        total += int(float(match[1]) * _UNITS[match[2]])
        at = match.end()
    if text == "0":
        return 0
    if text.isdigit():
        raise InvalidArgument(f'time: missing unit in duration "{text}"')
    if not text or at != len(text):
        raise InvalidArgument(f'time: invalid duration "{text}"')
    if total and total < _MILLISECOND:
        raise InvalidArgument(f'Interval "{text}" cannot be less than 1ms')
    return total


_RULES: dict[str, Callable[[_State, Instruction], _State]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
