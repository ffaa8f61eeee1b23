"""The build checks that follow names: variables, platforms, base images, folders, the files of the context."""

import posixpath
import re
from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any, Protocol

from scow.build.frontend import commands, expand, words
from scow.build.frontend.commands import EXPANDED, Command, Dockerfile, Stage
from scow.build.frontend.errors import suggestion
from scow.build.frontend.ignore import IgnoreRules
from scow.build.frontend.lint_lines import Finding
from scow.errors import InvalidArgument
from scow.oci.platform import Platform
from scow.oci.reference import Reference

_PLATFORMS = tuple(
    f"{side}{part}" for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")
)
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@")


class Around(Protocol):
    """What `lint.Surroundings` has."""

    @property
    def ignore(self) -> IgnoreRules | None: ...
    @property
    def environment(self) -> Callable[[str], Collection[str] | None]: ...
    @property
    def platform(self) -> Callable[[str], str | None]: ...
    @property
    def target_platform(self) -> str: ...


def check(dockerfile: Dockerfile, around: Around) -> Iterator[Finding]:
    escape = dockerfile.escape
    declared = [name for argument in dockerfile.arguments for name, _ in argument.pairs]
    defaults = _defaults(dockerfile)
    known: dict[str, tuple[frozenset[str] | None, bool]] = {}
    for stage in dockerfile.stages:
        start = stage.start
        missing = [
            *_undeclared(start.image, escape, declared),
            *_undeclared(start.platform or "", escape, declared),
        ]
        for name in missing:
            near = suggestion(name, [*declared, *_PLATFORMS], fold=False)
            meant = f" (did you mean {near}?)" if near else ""
            yield "UndefinedArgInFrom", start.line, f"FROM argument '{name}' is not declared{meant}"
        image = _expanded(start.image, defaults, escape)
        if not missing and "$" in start.image and not _is_image(image):
            message = f"Default value for ARG {start.image} results in empty or invalid base image name"
            yield "InvalidDefaultArgInFrom", start.line, message
        yield from _platform(start, image, escape, around)
        if image.lower() in known:
            names, placed = known[image.lower()]
        elif image == "scratch":
            names, placed = frozenset({"PATH"}), False
        else:
            given = around.environment(image)
            names, placed = None if given is None else frozenset(given), False
        names = yield from _variables(stage, names, escape)
        placed = yield from _folders(stage, placed)
        if around.ignore is not None:
            yield from _ignored(stage, around.ignore)
        known[str(stage.index)] = names, placed
        if stage.name:
            known[stage.name] = names, placed


def _defaults(dockerfile: Dockerfile) -> dict[str, str]:
    found: dict[str, str] = {}
    for argument in dockerfile.arguments:
        for name, value in argument.pairs:
            if value is not None:
                found[name] = _expanded(value, found, dockerfile.escape)
    return found


def _expanded(text: str, variables: dict[str, str], escape: str) -> str:
    try:
        return expand.expand(text, variables.get, escape)
    except InvalidArgument:
        return ""


def _undeclared(text: str, escape: str, declared: Collection[str]) -> list[str]:
    names = expand.bare_names(text, escape) if text else ()
    return [name for name in names if name not in declared and name not in _PLATFORMS]


def _is_image(text: str) -> bool:
    try:
        Reference.parse(text)
    except InvalidArgument:
        return False
    return True


def _platform(start: commands.From, image: str, escape: str, around: Around) -> Iterator[Finding]:
    wanted = start.platform or ""
    if wanted in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
        message = f"Setting platform to predefined {wanted} in FROM is redundant as this is the default behavior"
        yield "RedundantTargetPlatform", start.line, message
    elif wanted and "$" not in wanted:
        platform = _known(wanted)
        if platform is None:
            return
        # a stage that is named for its platform is meant for that one
        if not any(part and part in (start.name or "").lower() for part in (platform.os, platform.architecture)):
            message = f"FROM --platform flag should not use constant value {words.quoted(wanted)}"
            yield "FromPlatformFlagConstDisallowed", start.line, message
    expected = wanted if "$" not in wanted and wanted else around.target_platform
    actual = around.platform(image) if expected else None
    pulled, meant = _known(actual or ""), _known(expected)
    if pulled and meant and (pulled.os, pulled.architecture) != (meant.os, meant.architecture):
        yield (
            "InvalidBaseImagePlatform",
            start.line,
            f"Base image {image} was pulled with platform {words.quoted(str(pulled))}, expected"
            f" {words.quoted(str(meant))} for current build",
        )


def _known(text: str) -> Platform | None:
    """In its usual spelling: linux/x86_64 is linux/amd64. None for what is no platform."""
    try:
        return Platform.parse(text) if text else None
    except InvalidArgument:
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)


def _expandable(command: Command) -> Iterator[str]:
    for name in EXPANDED.get(type(command), ()):
        yield from _texts(getattr(command, name))
    if isinstance(command, commands.Run):
        yield from (mount.written for mount in command.mounts)


def _variables(
    stage: Stage, names: frozenset[str] | None, escape: str
) -> Generator[Finding, None, frozenset[str] | None]:
    """Returns the names that are set at the end of the stage."""
    for command in stage.commands:
        if names is not None:
            own = {name for name, _ in command.pairs} if isinstance(command, commands.Arg) else set()
            used = dict.fromkeys(name for text in _expandable(command) for name in expand.bare_names(text, escape))
            for name in used:
                if name not in names and name not in own:
                    near = suggestion(name, sorted(names), fold=False)
                    meant = f" (did you mean ${near}?)" if near else ""
                    yield "UndefinedVar", command.line, f"Usage of undefined variable '${name}'{meant}"
            if isinstance(command, (commands.Arg, commands.Env)):
                names |= {_expanded(name, {}, escape) for name, _ in command.pairs}
    return names


def _folders(stage: Stage, placed: bool) -> Generator[Finding, None, bool]:
    """Returns whether the stage has a WORKDIR of its own or of the stage it stands on."""
    for command in stage.commands:
        if isinstance(command, commands.Workdir):
            path = command.path.strip("\"'")
            if not placed and not path.startswith(("/", "$")):
                message = f"Relative workdir {words.quoted(path)} can have unexpected results if the base image changes"
                yield "WorkdirRelativePath", command.line, message
            placed = True
    return placed


def _ignored(stage: Stage, rules: IgnoreRules) -> Iterator[Finding]:
    for command in stage.commands:
        if not isinstance(command, commands.Transfer) or (isinstance(command, commands.Copy) and command.origin):
            continue
        for source in command.sources:
            path = posixpath.normpath(source).lstrip("/")
            if "$" in source or _REMOTE.match(source) or path == ".":
                continue
            if rules.excluded(path) and not rules.may_hold(path):
                file = f"{command.word.capitalize()} file {words.quoted(source)}"
                message = f"Attempting to {file} that is excluded by .dockerignore"
                yield "CopyIgnoredFile", command.line, message
