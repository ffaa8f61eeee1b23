"""The build checks: what is legal in a Dockerfile and still likely wrong. BuildKit's 22 rules, by its names and sentences.

`# check=skip=RULE,RULE;error=true;experimental=RULE` in a Dockerfile chooses; `all` stands for every rule.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from scow.build.frontend import lexer, lint_lines, lint_names
from scow.build.frontend.commands import Dockerfile
from scow.build.frontend.errors import DockerfileError
from scow.build.frontend.ignore import IgnoreRules
from scow.build.frontend.lint_lines import Finding

RULES = (
    "StageNameCasing", "FromAsCasing", "NoEmptyContinuation", "ConsistentInstructionCasing", "DuplicateStageName",
    "ReservedStageName", "JSONArgsRecommended", "MaintainerDeprecated", "UndefinedArgInFrom", "WorkdirRelativePath",
    "UndefinedVar", "MultipleInstructionsDisallowed", "LegacyKeyValueFormat", "InvalidBaseImagePlatform",
    "RedundantTargetPlatform", "SecretsUsedInArgOrEnv", "InvalidDefaultArgInFrom", "FromPlatformFlagConstDisallowed",
    "CopyIgnoredFile", "InvalidDefinitionDescription", "ExposeProtoCasing", "ExposeInvalidFormat",
)  # fmt: skip
EXPERIMENTAL = frozenset({"InvalidDefinitionDescription"})
_PAGES = "https://docs.docker.com/go/dockerfile/rule/"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


@dataclass(frozen=True, slots=True)
class Warning:
    """One finding. `url` leads to Docker's page on the rule."""

    rule: str
    message: str
    line: int

    @property
    def url(self) -> str:
        return _PAGES + re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.rule).lower() + "/"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a Dockerfile does not say itself.

    `environment` gives the names of the variables that a base image sets, None when that is not known: then no variable
    of the stage is called undefined. `platform` gives the platform of a base image, None when that is not known.
    """

    ignore: IgnoreRules | None = None
    environment: Callable[[str], Collection[str] | None] = lambda image: ("PATH",)
    platform: Callable[[str], str | None] = lambda image: None
    target_platform: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What is said by `# check=`, or by a build argument of the same form."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> "Options":
        """DockerfileError for what is no option."""
        found: dict[str, frozenset[str]] = {}
        error = False
        for option in filter(None, (part.strip() for part in text.split(";"))):
            key, equals, value = option.partition("=")
            key = key.strip()
            if not equals or key not in ("skip", "experimental", "error"):
                raise DockerfileError(f'invalid check option "{option}"', word=option)
            if key != "error":
                found[key] = frozenset(name.strip() for name in value.split(","))
            elif value.strip() in _TRUE + _FALSE:
                error = value.strip() in _TRUE
            else:
                raise DockerfileError(f'failed to parse check option "{option}"', word=option)
        return cls(found.get("skip", frozenset()), found.get("experimental", frozenset()), error)

    def wants(self, rule: str) -> bool:
        if self.skip & {"all", rule}:
            return False
        return rule not in EXPERIMENTAL or bool(self.experimental & {"all", rule})


def options(dockerfile: Dockerfile) -> Options:
    return Options.parse(dict(dockerfile.directives).get("check", ""))


def check(
    dockerfile: Dockerfile, around: Surroundings | None = None, chosen: Options | None = None
) -> tuple[Warning, ...]:
    """All findings by line. `chosen` takes the place of the file's own options."""
    around = around or Surroundings()
    chosen = chosen or options(dockerfile)
    source = lexer.read(dockerfile.source, dockerfile.name)
    found: list[Finding] = [*lint_lines.check(dockerfile, source), *lint_names.check(dockerfile, around)]
    unique = dict.fromkeys(Warning(rule, message, line) for rule, line, message in found if chosen.wants(rule))
    return tuple(sorted(unique, key=lambda warning: warning.line))


def enforce(dockerfile: Dockerfile, ignore: IgnoreRules | None = None) -> None:
    """DockerfileError when the Dockerfile says `# check=error=true` and a check finds something.

    Variables of base images are not known before a build, so that only stages on scratch can have undefined ones.
    """
    chosen = options(dockerfile)
    if not chosen.error:
        return
    found = check(dockerfile, Surroundings(ignore, environment=lambda image: None), chosen)
    if found:
        raise DockerfileError(violation(found), file=dockerfile.name, line=found[0].line, source=dockerfile.source)


def violation(warnings: Collection[Warning]) -> str:
    """The sentence with which a build ends when `error=true` and something was found."""
    return f"lint violation found for rules: {', '.join(sorted({warning.rule for warning in warnings}))}"


def shown(warning: Warning, dockerfile: Dockerfile) -> str:
    """Several lines: the rule and its page, the sentence, the place with its neighbours."""
    lines = dockerfile.source.split("\n")
    around = range(max(1, warning.line - 2), min(len(lines), warning.line + 2) + 1)
    return "\n".join(
        [
            f"WARNING: {warning.rule} - {warning.url}",
            warning.message,
            f"{dockerfile.name}:{warning.line}",
            "-" * 20,
            *(
                f"{number:4} | {'>>>' if number == warning.line else '   '} {lines[number - 1]}".rstrip()
                for number in around
            ),
            "-" * 20,
        ]
    )
