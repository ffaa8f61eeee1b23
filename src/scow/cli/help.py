"""`--help` texts, made from the commands' tables."""

from __future__ import annotations

from scow.cli.registry import COMMANDS, GROUP_SUMMARIES, GROUPS
from scow.cli.terminal import width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from scow.cli.command import Command, Session
    from scow.cli.flags import Option

_TYPES = {
    "bool": "", "int64": "int", "swap": "bytes", "uint16": "uint16", "gpu-request": "gpu-request",
}  # fmt: skip
_COMMON = ("run", "exec", "ps", "pull", "images", "login", "logout", "version", "info")


def command_help(command: Command, path: str) -> str:
    """The help of one command, called as `path`."""
    program = path.partition(" ")[0]
    out = [f"Usage:  {command.usage_line(path)}", "", command.summary, ""]
    if "," in command.names:
        out += ["Aliases:", "  " + ", ".join(f"{program} {name.strip()}" for name in command.names.split(",")), ""]
    if any(option[4] for option in command.options):
        out += ["Options:", *options_help(command.options), ""]
    return "\n".join(out)


def options_help(options: Sequence[Option]) -> list[str]:
    """The options, aligned, wrapped at the terminal's width."""
    heads = []
    for long, letter, kind, default, text in options:
        if text and kind[0] != "=":
            short = f"-{letter}, " if letter else "    "
            shown = f" {default}" if kind not in ("bool", "string") and default not in ("", "0") else ""
            if default and kind == "string":
                shown = f' "{default}"'
            elif default == "true":
                shown = " true"
            kind = _TYPES.get(kind, kind)
            name = f"  {short}--{long}" + (f" {kind}" if kind else "")
            heads.append((name, text + (f" (default{shown})" if shown else "")))
    wide = max(len(name) for name, _ in heads) + 3
    return [line for name, text in heads for line in _wrapped(name.ljust(wide), text, width())]


def _wrapped(head: str, text: str, columns: int) -> list[str]:
    room = max(columns - len(head), 24)
    lines, current = [], ""
    for word in text.split(" "):
        if current and len(current) + 1 + len(word) > room:
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}" if current else word
    lines.append(current)
    return [head + lines[0], *(" " * len(head) + line for line in lines[1:])]


def _entries(names: Sequence[tuple[str, str]]) -> list[str]:
    wide = max(len(name) for name, _ in names) + 2
    return [f"  {name.ljust(wide)}{summary}" for name, summary in names]


def _summaries(modules: dict[str, str]) -> list[tuple[str, str]]:
    from scow.cli.main import load

    seen: dict[str, str] = {}
    for name, module in modules.items():
        if module not in seen or name in ("ls", "rm"):
            seen[module] = name
    return sorted((name, load(module).summary.partition("\n")[0]) for module, name in seen.items())


def group_help(program: str, group: str) -> str:
    """The help of a management group."""
    return "\n".join(
        [
            f"Usage:  {program} {group} COMMAND",
            "",
            GROUP_SUMMARIES[group],
            "",
            "Commands:",
            *_entries(_summaries(GROUPS[group])),
            "",
            f"Run '{program} {group} COMMAND --help' for more information on a command.",
            "",
        ]
    )


def overview(session: Session) -> str:
    """The help of the program."""
    from scow.cli.main import GLOBAL_OPTIONS

    program = session.program
    every = dict(_summaries(COMMANDS))
    common = [(name, every.pop(name)) for name in _COMMON]
    return "\n".join(
        [
            f"Usage:  {program} [OPTIONS] COMMAND",
            "",
            "A container engine in Python",
            "",
            "Common Commands:",
            *_entries(common),
            "",
            "Management Commands:",
            *_entries(sorted(GROUP_SUMMARIES.items())),
            "",
            "Commands:",
            *_entries(sorted(every.items())),
            "",
            "Global Options:",
            *options_help(GLOBAL_OPTIONS),
            "",
            f"Run '{program} COMMAND --help' for more information on a command.",
            "",
        ]
    )
