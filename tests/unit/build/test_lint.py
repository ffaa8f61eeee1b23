"""The build checks: BuildKit's rules, names and sentences."""

import pytest

from scow.build.frontend import lint, parser
from scow.build.frontend.errors import DockerfileError
from scow.build.frontend.ignore import IgnoreRules

NAMED = lint.Options(experimental=frozenset({"all"}))


def found(
    text: str, around: lint.Surroundings | None = None, chosen: lint.Options | None = None
) -> list[tuple[str, int, str]]:
    warnings = lint.check(parser.parse(text), around, chosen)
    return [(warning.rule, warning.line, warning.message) for warning in warnings]


CASES = [
    ("StageNameCasing", "FROM a AS Base", 1, "Stage name 'Base' should be lowercase"),
    ("FromAsCasing", "FROM a as b", 1, "'as' and 'FROM' keywords' casing do not match"),
    ("FromAsCasing", "from a AS b", 1, "'AS' and 'from' keywords' casing do not match"),
    ("NoEmptyContinuation", "FROM a\nRUN b \\\n\n c", 3, "Empty continuation line"),
    (
        "ConsistentInstructionCasing",
        "FROM a\ncopy b c\nCOPY d e",
        2,
        "Command 'copy' should match the case of the command majority (uppercase)",
    ),
    (
        "ConsistentInstructionCasing",
        "from a\nCopy b c\n",
        2,
        "Command 'Copy' should match the case of the command majority (lowercase)",
    ),
    ("DuplicateStageName", "FROM a AS b\nFROM a AS b", 2, 'Duplicate stage name "b", stage names should be unique'),
    (
        "ReservedStageName",
        "FROM a AS scratch",
        1,
        'Stage name should not use the same name as reserved stage "scratch"',
    ),
    (
        "JSONArgsRecommended",
        "FROM a\nCMD b c",
        2,
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
    ),
    (
        "JSONArgsRecommended",
        "FROM a\nENTRYPOINT b",
        2,
        "JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
    ),
    ("MaintainerDeprecated", "FROM a\nMAINTAINER b", 2, "Maintainer instruction is deprecated in favor of using label"),
    (
        "UndefinedArgInFrom",
        "ARG VERSION=1\nFROM a:1$VERSON",
        2,
        "FROM argument 'VERSON' is not declared (did you mean VERSION?)",
    ),
    (
        "UndefinedArgInFrom",
        "FROM --platform=$BULDPLATFORM a",
        1,
        "FROM argument 'BULDPLATFORM' is not declared (did you mean BUILDPLATFORM?)",
    ),
    (
        "WorkdirRelativePath",
        "FROM a\nWORKDIR b",
        2,
        'Relative workdir "b" can have unexpected results if the base image changes',
    ),
    ("UndefinedVar", "FROM a\nCOPY $foo .", 2, "Usage of undefined variable '$foo'"),
    ("UndefinedVar", "FROM a\nENV PATH=$PAHT:/app", 2, "Usage of undefined variable '$PAHT' (did you mean $PATH?)"),
    ("UndefinedVar", "FROM a\nRUN --mount=type=cache,target=$x ls", 2, "Usage of undefined variable '$x'"),
    (
        "MultipleInstructionsDisallowed",
        'FROM a\nCMD ["b"]\nCMD ["c"]',
        2,
        "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
    ),
    (
        "LegacyKeyValueFormat",
        "FROM a\nENV b c",
        2,
        '"ENV key=value" should be used instead of legacy "ENV key value" format',
    ),
    (
        "LegacyKeyValueFormat",
        "FROM a\nLABEL b c",
        2,
        '"LABEL key=value" should be used instead of legacy "LABEL key value" format',
    ),
    (
        "RedundantTargetPlatform",
        "FROM --platform=$TARGETPLATFORM a",
        1,
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    ),
    (
        "SecretsUsedInArgOrEnv",
        "FROM a\nARG GITHUB_TOKEN",
        2,
        'Do not use ARG or ENV instructions for sensitive data (ARG "GITHUB_TOKEN")',
    ),
    (
        "SecretsUsedInArgOrEnv",
        "FROM a\nENV password=x",
        2,
        'Do not use ARG or ENV instructions for sensitive data (ENV "password")',
    ),
    (
        "InvalidDefaultArgInFrom",
        "ARG TAG\nFROM busybox:${TAG}",
        2,
        "Default value for ARG busybox:${TAG} results in empty or invalid base image name",
    ),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/amd64 a",
        1,
        'FROM --platform flag should not use constant value "linux/amd64"',
    ),
    (
        "InvalidDefinitionDescription",
        "# something\nFROM a AS b",
        2,
        "Comment for FROM should follow the format: `# b <description>`",
    ),
    (
        "InvalidDefinitionDescription",
        "# x\nARG b\nFROM a",
        2,
        "Comment for ARG should follow the format: `# b <description>`",
    ),
    (
        "ExposeProtoCasing",
        "FROM a\nEXPOSE 80/TCP",
        2,
        "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
    ),
    (
        "ExposeInvalidFormat",
        "FROM a\nEXPOSE 127.0.0.1:80:80",
        2,
        "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
    ),
]


@pytest.mark.parametrize(("rule", "text", "line", "message"), CASES, ids=[f"{case[0]}-{case[2]}" for case in CASES])
def test_a_rule_finds_what_it_is_for(rule: str, text: str, line: int, message: str) -> None:
    assert found(text, chosen=NAMED) == [(rule, line, message)]


@pytest.mark.parametrize(
    "text",
    [
        "FROM a AS b\nCOPY c d",
        "from a as b\ncopy c d",
        'FROM a\nSHELL ["x"]\nCMD y',
        'FROM a\nCMD ["b"]\nFROM a\nCMD ["b"]',
        "ARG V=1\nFROM a:$V",
        "ARG V\nFROM a:${V:-1}",
        "FROM --platform=$BUILDPLATFORM a",
        "FROM --platform=linux/arm64 a AS build-arm64",
        "FROM a\nWORKDIR /a\nWORKDIR b",
        "FROM a AS b\nWORKDIR /a\nFROM b\nWORKDIR c",
        "FROM a\nARG x\nENV y=$x z=${none:-1}\nRUN echo $shell",
        "FROM a AS b\nENV x=1\nFROM b\nCOPY $x y",
        "FROM a\nARG PUBLIC_KEY\nENV KEYBOARD=us MONKEY=1",
        "# b is a stage\nFROM a AS b",
        "# a note\n\nFROM a AS b",
        "FROM a\nEXPOSE 80/tcp $PATH ${PATH:-1}",
        "FROM scratch\nCOPY $PATH .",
    ],
)
def test_what_is_well_is_left_in_peace(text: str) -> None:
    assert found(text, chosen=NAMED) == []


def test_files_that_are_not_sent_cannot_be_copied() -> None:
    around = lint.Surroundings(ignore=IgnoreRules.parse("*/tmp/*\nq\n!q/keep\n"))
    text = "FROM scratch\nCOPY ./a/tmp/x q . /b/\nADD a/tmp/y /\nCOPY --from=z a/tmp/x /\nADD https://x/a/tmp/y /\n"
    assert found(text, around) == [
        ("CopyIgnoredFile", 2, 'Attempting to Copy file "./a/tmp/x" that is excluded by .dockerignore'),
        ("CopyIgnoredFile", 3, 'Attempting to Add file "a/tmp/y" that is excluded by .dockerignore'),
    ]


def test_base_images_are_asked() -> None:
    around = lint.Surroundings(
        environment=lambda image: {"j": ("JAVA_HOME",)}.get(image),
        platform=lambda image: "linux/arm64",
        target_platform="linux/amd64",
    )
    assert [(rule, line) for rule, line, _ in found("FROM j\nCOPY $JAVA_HOME $X /\nFROM k\nCOPY $Y /\n", around)] == [
        ("InvalidBaseImagePlatform", 1), ("UndefinedVar", 2), ("InvalidBaseImagePlatform", 3),
    ]  # fmt: skip
    assert found("FROM j", around)[0][2] == (
        'Base image j was pulled with platform "linux/arm64", expected "linux/amd64" for current build'
    )


@pytest.mark.parametrize("spelling", ["linux/x86_64", "linux/amd64", "linux/amd64/v1", "Linux/AMD64"])
def test_platforms_are_compared_whatever_their_spelling(spelling: str) -> None:
    same = lint.Surroundings(platform=lambda image: "linux/amd64", target_platform=spelling)
    assert found("FROM j", same) == []
    other = lint.Surroundings(platform=lambda image: "linux/aarch64", target_platform=spelling)
    assert found("FROM j", other) == [
        (
            "InvalidBaseImagePlatform",
            1,
            'Base image j was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
        )
    ]
    named = lint.Surroundings(platform=lambda image: "linux/amd64")
    assert found(f"FROM --platform={spelling} j AS amd64", named) == []


def test_a_variant_of_a_platform_is_no_other_platform() -> None:
    around = lint.Surroundings(platform=lambda image: "linux/arm/v6", target_platform="linux/arm/v7")
    assert found("FROM j", around) == []


def test_the_directive_chooses() -> None:
    text = "FROM a as B\nCMD c\n"
    assert {rule for rule, _, _ in found(text)} == {"StageNameCasing", "FromAsCasing", "JSONArgsRecommended"}
    assert {rule for rule, _, _ in found("# check=skip=StageNameCasing, FromAsCasing\n" + text)} == {
        "JSONArgsRecommended"
    }
    assert found("# check=skip=all\n" + text) == []
    assert found("# x\nFROM a AS b") == [] != found("# check=experimental=all\n# x\nFROM a AS b")
    assert lint.Options.parse("skip=A,B;error=true") == lint.Options(frozenset("AB"), frozenset(), True)
    assert lint.options(parser.parse("# check=error=1\nFROM a")).error


def test_what_a_dockerfile_asks_for_knows_the_ignored_files() -> None:
    file = parser.parse("# check=error=true\nFROM a\nCOPY b.log /\n")
    lint.enforce(file)
    with pytest.raises(DockerfileError, match="^lint violation found for rules: CopyIgnoredFile$"):
        lint.enforce(file, IgnoreRules.parse("*.log"))
    lint.enforce(
        parser.parse("# check=error=true;skip=CopyIgnoredFile\nFROM a\nCOPY b.log /\n"), IgnoreRules.parse("*")
    )


def test_a_dockerfile_may_ask_to_fail() -> None:
    lint.enforce(parser.parse("FROM a\nCMD c"))
    lint.enforce(parser.parse("# check=error=true\nFROM a\nCOPY $X /\n"))
    with pytest.raises(DockerfileError, match="^lint violation found for rules: JSONArgsRecommended, StageNameCasing$"):
        lint.enforce(parser.parse("# check=error=true\nFROM a AS B\nCMD c\n"))


@pytest.mark.parametrize("text", ["skip", "error=maybe", "other=1"])
def test_a_bad_option_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError, match="check option"):
        lint.Options.parse(text)


def test_warnings_are_told_with_their_lines() -> None:
    file = parser.parse("FROM a\nCMD c\n")
    (warning,) = lint.check(file)
    assert warning.url == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    assert lint.violation([warning, warning]) == "lint violation found for rules: JSONArgsRecommended"
    assert lint.shown(warning, file).split("\n") == [
        f"WARNING: JSONArgsRecommended - {warning.url}",
        warning.message,
        "Dockerfile:2",
        "--------------------",
        "   1 |     FROM a",
        "   2 | >>> CMD c",
        "   3 |",
        "--------------------",
    ]


def test_every_rule_is_tested() -> None:
    assert len(lint.RULES) == 22
    assert {case[0] for case in CASES} | {"CopyIgnoredFile", "InvalidBaseImagePlatform"} == set(lint.RULES)
