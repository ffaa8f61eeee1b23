"""`scow __complete WORD...`: what the last word, of which a part is there, could become."""

from __future__ import annotations

from scow.cli import flags, main
from scow.cli.command import Command, Exit
from scow.cli.output import put
from scow.cli.registry import COMMANDS, GROUP_SUMMARIES, GROUPS
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

Found = list[tuple[str, str]]


def complete(session: Session, words: Sequence[str]) -> int:
    """Prints candidates, one a line: the word, a tab, what it means. Never fails: nothing is an answer too."""
    try:
        found = candidates(session, list(words) or [""])
    except (ScowError, OSError, Exit, KeyError, TypeError):
        found = []
    put("".join(f"{word}\t{text}\n" for word, text in found))
    return 0


def candidates(session: Session, words: list[str]) -> Found:
    """`words`: those behind the program; the last one is being typed."""
    *before, current = words
    parsed = _parsed(main.GLOBAL_OPTIONS, before, interspersed=False)
    if parsed is None:
        return []
    given, rest, options_too = parsed
    main.take_global_options(session, given)
    if not rest:
        if current.startswith("-") and options_too:
            return _options(main.GLOBAL_OPTIONS, current)
        return _starting(_commands(), current)
    name, *rest = rest
    module = COMMANDS.get(name)
    if module is None:
        if name not in GROUPS:
            return []
        if not rest:
            return _starting(_group(name), current)
        module, *rest = GROUPS[name].get(rest[0]), *rest[1:]
    if module in (None, "daemon"):
        return []
    assert module is not None
    return _arguments(session, main.load(module), rest, current)


def _arguments(session: Session, command: Command, before: list[str], current: str) -> Found:
    parsed = _parsed(command.options, before, command.interspersed)
    if parsed is None or (parsed[1] and not command.interspersed):
        return []
    _, positional, options_too = parsed
    if current.startswith("-") and options_too:
        return _options(command.options, current)
    if command.usage.startswith("bash|"):
        return _starting([(shell, "") for shell in command.usage.split("|")], current)
    kinds = [word.strip("[].") for word in command.usage.split() if word.strip("[].") in _KINDS]
    if not kinds:
        return []
    kind = kinds[min(len(positional), len(kinds) - 1)]
    if len(positional) >= len(kinds) and "..." not in command.usage:
        return []
    taken = set(positional)
    return [item for item in _starting(_KINDS[kind](session), current) if item[0] not in taken]


def _parsed(options: Sequence[Option], words: list[str], interspersed: bool) -> tuple[Flags, list[str], bool] | None:
    """(options, the other words, whether an option may follow); None when a value has to follow, or nothing can."""
    try:
        given, rest = flags.parse(options, words, interspersed)
    except (flags.FlagError, flags.HelpWanted):
        return None
    try:
        flags.parse(options, [*words, "--help"], interspersed)
    except flags.HelpWanted:
        return given, rest, True
    return given, rest, False


def _options(options: Sequence[Option], current: str) -> Found:
    return _starting([(f"--{option[0]}", option[4]) for option in options if option[4]], current)


def _commands() -> Found:
    found = dict.fromkeys(COMMANDS, "") | GROUP_SUMMARIES
    return sorted(found.items())


def _group(group: str) -> Found:
    return sorted((name, main.load(module).summary.partition("\n")[0]) for name, module in GROUPS[group].items())


def _starting(found: Found, current: str) -> Found:
    return [item for item in found if item[0].startswith(current)]


def _containers(session: Session) -> Found:
    listed = session.client.get("/containers/json", [("all", "1")])
    return sorted(
        (item["Names"][0].lstrip("/"), f"{item['Image']}, {item['Status']}") for item in listed if item["Names"]
    )


def _images(session: Session) -> Found:
    tags = {tag for item in session.client.get("/images/json") for tag in item.get("RepoTags") or ()}
    return sorted((tag, "") for tag in tags)


def _volumes(session: Session) -> Found:
    return sorted((item["Name"], item["Driver"]) for item in session.client.get("/volumes")["Volumes"] or ())


def _networks(session: Session) -> Found:
    return sorted((item["Name"], item["Driver"]) for item in session.client.get("/networks"))


def _contexts(session: Session) -> Found:
    from scow.cli.context_store import DEFAULT, Store

    return [(name, "") for name in (DEFAULT, *Store(session).names())]


_KINDS: dict[str, Callable[[Session], Found]] = {
    "CONTAINER": _containers,
    "IMAGE": _images,
    "VOLUME": _volumes,
    "NETWORK": _networks,
    "CONTEXT": _contexts,
}
