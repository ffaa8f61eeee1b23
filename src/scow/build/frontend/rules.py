"""The words of an instruction to its typed command: how many there must be, what its flags are."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scow.build.frontend import commands, durations, heredocs, mounts, words
from scow.build.frontend.commands import Command, Heredoc, Mount
from scow.build.frontend.errors import Wrong, did_you_mean
from scow.build.frontend.syntax import Node
from scow.errors import InvalidArgument

_STAGE = re.compile(r"[a-z][a-z0-9_.-]*")
_MILLISECOND = 10**6
_RETRIES = 1 << 31

_BOOL, _STRING, _LIST = "bool", "string", "list"
_COPY = {"chmod": _STRING, "chown": _STRING, "exclude": _LIST, "link": _BOOL}
_FLAGS: dict[str, Mapping[str, str]] = {
    "ADD": {**_COPY, "checksum": _STRING, "keep-git-dir": _BOOL, "unpack": _BOOL},
    "COPY": {**_COPY, "from": _STRING, "parents": _BOOL},
    "FROM": {"platform": _STRING},
    "HEALTHCHECK": {
        "interval": _STRING, "retries": _STRING, "start-interval": _STRING, "start-period": _STRING, "timeout": _STRING,
    },
    "RUN": {"mount": _LIST, "network": _STRING, "security": _STRING},
}  # fmt: skip
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")


@dataclass(frozen=True, slots=True)
class _Flags:
    values: Mapping[str, tuple[str, ...]]

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, (default,))[-1]

    def truth(self, name: str) -> bool | None:
        """None when it was not given."""
        return None if name not in self.values else self.values[name][-1] == "true"


def read(node: Node) -> Command:
    """InvalidArgument, without the place, for an unknown instruction and for one that does not hold."""
    word = node.word.upper()
    if word not in _RULES:
        names = sorted(_RULES) if node.word.isupper() else [name.lower() for name in sorted(_RULES)]
        raise Wrong(f"unknown instruction: {node.word}{did_you_mean(node.word, names)}", node.word)
    if word in _FIRST:
        _FIRST[word](node)
    # Docker never looks at the flags of a check that is none.
    unread = word == "HEALTHCHECK" and [part.upper() for part in node.words] == ["NONE"]
    return _RULES[word](node, _Flags({}) if unread else _flags(node, _FLAGS.get(word, {})))


def _flags(node: Node, known: Mapping[str, str]) -> _Flags:
    found: dict[str, tuple[str, ...]] = {}
    for flag in node.flags:
        name, equals, value = flag[2:].partition("=")
        kind = known.get(name)
        if kind is None:
            raise Wrong(f"unknown flag: {name}{did_you_mean(name, sorted(known), fold=False)}", name)
        if name in found and kind != _LIST:
            raise Wrong(f"duplicate flag specified: {name}", name)
        if kind == _BOOL:
            if equals and not value:
                raise Wrong(f"missing a value on flag: {name}", name)
            value = value.lower() or "true"
            if value not in ("true", "false"):
                raise Wrong(f"expecting boolean value for flag {name}, not: {flag.partition('=')[2]}", name)
        elif not equals:
            raise Wrong(f"missing a value on flag: {name}", name)
        found[name] = (*found.get(name, ()), value)
    return _Flags(found)


# ------------------------------------------------------------ the instructions


def _one(node: Node) -> str:
    if len(node.words) != 1:
        raise InvalidArgument(f"{node.word.upper()} requires exactly one argument")
    return node.words[0]


def _some(node: Node) -> tuple[str, ...]:
    if not node.words:
        raise InvalidArgument(f"{node.word.upper()} requires at least one argument")
    return node.words


def _two(node: Node) -> None:
    if len(node.words) < 2:
        raise InvalidArgument(
            f"{node.word.upper()} requires at least two arguments, but only one was provided."
            " Destination could not be determined"
        )


def _stage_name(node: Node) -> str | None:
    parts = node.words
    if len(parts) != 1 and not (len(parts) == 3 and parts[1].lower() == "as"):
        raise InvalidArgument("FROM requires either one or three arguments")
    name = parts[2] if len(parts) == 3 else None
    if name is not None and not _STAGE.fullmatch(name.lower()):
        quoted = words.quoted(name)
        raise Wrong(f"invalid name for build stage: {quoted}, name can't start with a number or contain symbols", name)
    return name


def _from(node: Node, flags: _Flags) -> Command:
    platform = flags.text("platform") or None
    return commands.From(node.number, node.text, node.words[0], platform, _stage_name(node))


def _arg(node: Node, flags: _Flags) -> Command:
    pairs: list[tuple[str, str | None]] = []
    for part in _some(node):
        name, equals, value = part.partition("=")
        if equals and not name:
            raise Wrong("ARG names can not be blank", part)
        pairs.append((name, value if equals else None))
    return commands.Arg(node.number, node.text, tuple(pairs))


def _pairs(node: Node) -> tuple[tuple[str, str], ...]:
    word = node.word.upper()
    if not node.pairs:
        raise InvalidArgument(f"{word} requires at least one argument")
    for name, value in node.pairs:
        if not name:
            raise Wrong(f"{word} names can not be blank", f"={value}")
    return node.pairs


def _env(node: Node, flags: _Flags) -> Command:
    return commands.Env(node.number, node.text, _pairs(node))


def _label(node: Node, flags: _Flags) -> Command:
    return commands.Label(node.number, node.text, _pairs(node))


def _run(node: Node, flags: _Flags) -> Command:
    network, security = flags.text("network", "default"), flags.text("security", "sandbox")
    if network not in _NETWORKS:
        raise Wrong(f"invalid network mode {words.quoted(network)}", network)
    if security not in _SECURITY:
        raise Wrong(f"security {words.quoted(security)} is not valid{did_you_mean(security, _SECURITY)}", security)
    found: list[Mount] = []
    for written in flags.values.get("mount", ()):
        try:
            found.append(mounts.read(written))
        except InvalidArgument as error:
            raise Wrong(error.message, written) from None
    return commands.Run(
        node.number,
        node.text,
        command=node.words,
        shell=not node.exec_form,
        heredocs=node.heredocs,
        mounts=tuple(found),
        network=network,
        security=security,
    )


def _files(node: Node) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    """Sources, documents, target."""
    word = node.word.upper()
    *sources, target = node.words
    if heredocs.start(target, node.escape) is not None:
        raise Wrong(f"{word} cannot accept a heredoc as a destination", target)
    if node.exec_form:
        return tuple(sources), (), target
    files = tuple(source for source in sources if heredocs.start(source, node.escape) is None)
    return files, node.heredocs, target


def _transfer(node: Node, flags: _Flags) -> dict[str, Any]:
    sources, documents, target = _files(node)
    return {
        "line": node.number,
        "text": node.text,
        "sources": sources,
        "target": target,
        "heredocs": documents,
        "chown": flags.text("chown"),
        "chmod": flags.text("chmod"),
        "link": bool(flags.truth("link")),
        "exclude": flags.values.get("exclude", ()),
    }


def _copy(node: Node, flags: _Flags) -> Command:
    return commands.Copy(
        **_transfer(node, flags),
        origin=flags.text("from") or None,
        parents=bool(flags.truth("parents")),
    )


def _add(node: Node, flags: _Flags) -> Command:
    return commands.Add(
        **_transfer(node, flags),
        checksum=flags.text("checksum"),
        keep_git_dir=bool(flags.truth("keep-git-dir")),
        unpack=flags.truth("unpack"),
    )


def _cmd(node: Node, flags: _Flags) -> Command:
    return commands.Cmd(node.number, node.text, node.words, not node.exec_form)


def _entrypoint(node: Node, flags: _Flags) -> Command:
    return commands.Entrypoint(node.number, node.text, node.words, not node.exec_form)


def _shell(node: Node, flags: _Flags) -> Command:
    _some(node)
    if not node.exec_form:
        raise InvalidArgument("SHELL requires the arguments to be in JSON form")
    return commands.Shell(node.number, node.text, node.words)


def _user(node: Node, flags: _Flags) -> Command:
    return commands.User(node.number, node.text, _one(node))


def _workdir(node: Node, flags: _Flags) -> Command:
    return commands.Workdir(node.number, node.text, _one(node))


def _stop_signal(node: Node, flags: _Flags) -> Command:
    return commands.StopSignal(node.number, node.text, _one(node))


def _maintainer(node: Node, flags: _Flags) -> Command:
    return commands.Maintainer(node.number, node.text, _one(node))


def _expose(node: Node, flags: _Flags) -> Command:
    return commands.Expose(node.number, node.text, _some(node))


def _volume(node: Node, flags: _Flags) -> Command:
    paths = tuple(path.strip() for path in _some(node))
    if not all(paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    return commands.Volume(node.number, node.text, paths)


def _on_build(node: Node, flags: _Flags) -> Command:
    instruction = _some(node)[0]
    trigger = words.head(instruction)[0].upper()
    if trigger == "ONBUILD":
        raise Wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", trigger)
    if trigger in ("FROM", "MAINTAINER"):
        raise Wrong(f"{trigger} isn't allowed as an ONBUILD trigger", trigger)
    whole = "\n".join([instruction, *(f"{each.content}{each.name}" for each in node.heredocs)])
    return commands.OnBuild(node.number, node.text, whole)


def _healthcheck(node: Node, flags: _Flags) -> Command:
    kind, *command = _some(node)
    if kind.upper() == "NONE":
        if command:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return commands.Healthcheck(node.number, node.text, "NONE")
    if kind.upper() != "CMD":
        raise Wrong(f"Unknown type {words.quoted(kind.upper())} in HEALTHCHECK (try CMD)", kind)
    if not command:
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    return commands.Healthcheck(
        node.number,
        node.text,
        "CMD" if node.exec_form else "CMD-SHELL",
        tuple(command),
        interval=_interval(flags, "interval"),
        timeout=_interval(flags, "timeout"),
        start_period=_interval(flags, "start-period"),
        start_interval=_interval(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
    )


def _interval(flags: _Flags, name: str) -> int:
    text = flags.text(name)
    value = durations.nanoseconds(text) if text else 0
    if value and value < _MILLISECOND:
        raise Wrong(f'Interval "{name}" cannot be less than 1ms', text)
    return value


def _retries(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise Wrong(f"strconv.ParseInt: parsing {words.quoted(text)}: invalid syntax", text)
    if len(text.lstrip("+-0")) > 10 or not -_RETRIES <= int(text) < _RETRIES:
        raise Wrong(f"strconv.ParseInt: parsing {words.quoted(text)}: value out of range", text)
    if int(text) < 0:
        raise Wrong(f"--retries cannot be negative ({int(text)})", text)
    return int(text)


# What is asked before the flags are looked at: how many words there are, and the name of a stage.
_FIRST: dict[str, Callable[[Node], object]] = {
    "ADD": _two,
    "ARG": _some,
    "COPY": _two,
    "EXPOSE": _some,
    "FROM": _stage_name,
    "HEALTHCHECK": _some,
    "MAINTAINER": _one,
    "ONBUILD": _some,
    "STOPSIGNAL": _one,
    "USER": _one,
    "VOLUME": _some,
    "WORKDIR": _one,
}

_RULES: dict[str, Callable[[Node, _Flags], Command]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _on_build,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
