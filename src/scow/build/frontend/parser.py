"""A Dockerfile's text to its stages of typed commands, with the sentences of Docker's daemon for what is wrong."""

from scow.build.frontend import lexer, rules, syntax
from scow.build.frontend.commands import Arg, Command, Dockerfile, From, Stage
from scow.build.frontend.errors import UNREADABLE, DockerfileError
from scow.errors import InvalidArgument

__all__ = ["command", "parse"]


def parse(text: str, name: str = "Dockerfile") -> Dockerfile:
    """DockerfileError for anything that no build could run; variables are not looked at."""
    if not text:
        raise DockerfileError(f"the Dockerfile ({name}) cannot be empty", file=name)
    source = lexer.read(text, name)
    if not source.lines and source.broken is None:
        raise DockerfileError("file with no instructions", prefix=UNREADABLE, file=name, source=text)
    # Docker reads the words of the whole file before it looks at the first instruction.
    nodes = [_node(line, source.escape, name, text) for line in source.lines]
    if source.broken is not None:
        raise source.broken
    arguments: list[Arg] = []
    stages: list[tuple[From, list[Command]]] = []
    for node in nodes:
        found = _command(node, name, text)
        if isinstance(found, From):
            stages.append((found, []))
        elif stages:
            stages[-1][1].append(found)
        elif isinstance(found, Arg):
            arguments.append(found)
        else:
            raise DockerfileError(
                "no build stage in current context", file=name, line=node.number, word=node.word, source=text
            )
    if not stages:
        raise DockerfileError("no build stage in current context", file=name, source=text)
    return Dockerfile(
        name=name,
        directives=source.directives,
        escape=source.escape,
        arguments=tuple(arguments),
        stages=tuple(
            Stage(index, (start.name or "").lower(), start, tuple(commands))
            for index, (start, commands) in enumerate(stages)
        ),
        source=text,
        warnings=_warnings(source.lines),
    )


def _warnings(lines: tuple[lexer.Line, ...]) -> tuple[str, ...]:
    gaps = [f"[WARNING]: Empty continuation line found in: {line.text}" for line in lines if line.gap]
    return (*gaps, "[WARNING]: Empty continuation lines will become errors in a future release.") if gaps else ()


def command(text: str, name: str = "Dockerfile", escape: str = "\\") -> Command:
    """One instruction by itself: a trigger of a base image. The sentences of its errors name no line."""
    try:
        source = lexer.read(text, name)
        if source.broken is not None:
            raise source.broken
        if len(source.lines) != 1:
            raise DockerfileError("file with no instructions", file=name, source=text)
        return _command(_node(source.lines[0], escape, name, text), name, text)
    except DockerfileError as error:
        raise DockerfileError(error.sentence, file=name, line=error.line, word=error.word, source=text) from None


def _node(line: lexer.Line, escape: str, name: str, text: str) -> syntax.Node:
    try:
        return syntax.read(line, escape)
    except InvalidArgument as error:
        raise DockerfileError(
            error.message, prefix=UNREADABLE, file=name, line=line.number, word=_named(error), source=text
        ) from None


def _command(node: syntax.Node, name: str, text: str) -> Command:
    try:
        return rules.read(node)
    except InvalidArgument as error:
        raise DockerfileError(
            error.message,
            prefix=f"dockerfile parse error on line {node.number}: ",
            file=name,
            line=node.number,
            word=_named(error),
            source=text,
        ) from None


def _named(error: InvalidArgument) -> str:
    return getattr(error, "word", "")
