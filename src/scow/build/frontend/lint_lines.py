"""The build checks that look at how instructions are written, one by one and stage by stage."""

import re
from collections.abc import Iterator

from scow.build.frontend import commands, syntax, words
from scow.build.frontend.commands import Command, Dockerfile, Stage
from scow.build.frontend.lexer import Line, Source

Finding = tuple[str, int, str]
"""Rule, line, message."""

_RESERVED = ("context", "scratch")
_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_PUBLIC = re.compile(r"(?:_|^)public(?:_|$)", re.IGNORECASE)


def check(dockerfile: Dockerfile, source: Source) -> Iterator[Finding]:
    lines = {line.number: line for line in source.lines}
    every: list[Command] = [*dockerfile.arguments]
    for stage in dockerfile.stages:
        every.extend((stage.start, *stage.commands))
        yield from _used_once(stage)
        yield from _shell_forms(stage)
    for line in source.lines:
        if line.gap:
            yield "NoEmptyContinuation", line.gap, "Empty continuation line"
    yield from _casing(dockerfile, lines)
    yield from _stage_names(dockerfile, lines)
    for command in every:
        yield from _one(command, lines[command.line], source.escape)
        yield from _description(command, lines[command.line])


def _written(line: Line) -> str:
    return words.head(line.text)[0]


def _casing(dockerfile: Dockerfile, lines: dict[int, Line]) -> Iterator[Finding]:
    """Of all instructions but the arguments in front: the more common way counts, capitals when there is none."""
    used = [
        (command.line, _written(lines[command.line]))
        for stage in dockerfile.stages
        for command in (stage.start, *stage.commands)
    ]
    small = sum(word.islower() for _, word in used)
    lower = small > sum(word.isupper() for _, word in used)
    for number, word in used:
        if not (word.islower() if lower else word.isupper()):
            way = "lowercase" if lower else "uppercase"
            yield (
                "ConsistentInstructionCasing",
                number,
                f"Command '{word}' should match the case of the command majority ({way})",
            )


def _stage_names(dockerfile: Dockerfile, lines: dict[int, Line]) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        name, number = stage.start.name, stage.start.line
        if name is None:
            continue
        if name != name.lower():
            yield "StageNameCasing", number, f"Stage name '{name}' should be lowercase"
        if stage.name in _RESERVED:
            quoted = words.quoted(stage.name)
            yield "ReservedStageName", number, f"Stage name should not use the same name as reserved stage {quoted}"
        if stage.name in seen:
            quoted = words.quoted(stage.name)
            yield "DuplicateStageName", number, f"Duplicate stage name {quoted}, stage names should be unique"
        seen.add(stage.name)
        first, keyword = _written(lines[number]), words.parted(lines[number].text)[-2]
        if (first.isupper() and not keyword.isupper()) or (first.islower() and not keyword.islower()):
            yield "FromAsCasing", number, f"'{keyword}' and '{first}' keywords' casing do not match"


def _used_once(stage: Stage) -> Iterator[Finding]:
    """The place is that of the instruction that goes unused."""
    before: dict[str, int] = {}
    for command in stage.commands:
        if not isinstance(command, (commands.Cmd, commands.Entrypoint, commands.Healthcheck)):
            continue
        if command.word in before:
            yield (
                "MultipleInstructionsDisallowed",
                before[command.word],
                f"Multiple {command.word} instructions should not be used in the same stage because only the last one"
                " will be used",
            )
        before[command.word] = command.line


def _shell_forms(stage: Stage) -> Iterator[Finding]:
    """Who has chosen a shell means it."""
    for command in stage.commands:
        if isinstance(command, commands.Shell):
            return
        if isinstance(command, (commands.Cmd, commands.Entrypoint)) and command.shell:
            yield (
                "JSONArgsRecommended",
                command.line,
                f"JSON arguments recommended for {command.word} to prevent unintended behavior related to OS signals",
            )


def _one(command: Command, line: Line, escape: str) -> Iterator[Finding]:
    if isinstance(command, commands.Maintainer):
        yield "MaintainerDeprecated", command.line, "Maintainer instruction is deprecated in favor of using label"
    if isinstance(command, (commands.Env, commands.Label)) and syntax.read(line, escape).legacy:
        yield (
            "LegacyKeyValueFormat",
            command.line,
            f'"{command.word} key=value" should be used instead of legacy "{command.word} key value" format',
        )
    if isinstance(command, (commands.Arg, commands.Env)):
        for name, _ in command.pairs:
            if _SECRET.search(name) and not _PUBLIC.search(name):
                yield (
                    "SecretsUsedInArgOrEnv",
                    command.line,
                    f"Do not use ARG or ENV instructions for sensitive data ({command.word} {words.quoted(name)})",
                )
    if isinstance(command, commands.Expose):
        for port in command.ports:
            yield from _port(command.line, port)


def _port(line: int, port: str) -> Iterator[Finding]:
    spec, slash, protocol = port.partition("/")
    if ":" in re.sub(r"\$\{[^}]*\}", "", spec):
        yield (
            "ExposeInvalidFormat",
            line,
            f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'",
        )
    if slash and "$" not in protocol and protocol != protocol.lower():
        yield "ExposeProtoCasing", line, f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"


def _description(command: Command, line: Line) -> Iterator[Finding]:
    """A comment right above a stage or an argument describes it, and begins with its name."""
    if isinstance(command, commands.Arg):
        names = [name for name, _ in command.pairs]
    elif isinstance(command, commands.From) and command.name:
        names = [command.name]
    else:
        return
    if line.comments and line.comments[-1].split(" ")[0] not in names:
        name = names[0] if len(names) == 1 else "<arg_key>"
        yield (
            "InvalidDefinitionDescription",
            command.line,
            f"Comment for {command.word} should follow the format: `# {name} <description>`",
        )
