"""Dockerfile instructions that are applied to a configuration by themselves: `commit -c`, `import -c`."""

from collections.abc import Sequence

from scow.build import configure
from scow.build.configure import CheckSignal, Settings
from scow.build.frontend import lexer, rules, syntax
from scow.build.frontend.errors import DockerfileError
from scow.build.frontend.expand import expanded
from scow.errors import InvalidArgument
from scow.model.container import ContainerConfig

_ALLOWED = frozenset(
    {
        "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME",
        "WORKDIR",
    }
)  # fmt: skip


def apply(config: ContainerConfig, changes: Sequence[str], check_signal: CheckSignal) -> ContainerConfig:
    """The configuration after the changes, each of which may hold several lines. InvalidArgument names what is wrong.

    `check_signal` raises for a signal that does not exist.
    """
    if not changes:
        return config
    try:
        source = lexer.read("\n".join(changes), "changes")
    except DockerfileError as error:
        raise InvalidArgument(error.sentence) from None
    if not source.lines and source.broken is None:
        raise InvalidArgument("file with no instructions")
    nodes = [syntax.read(line, source.escape) for line in source.lines]
    if source.broken is not None:
        raise InvalidArgument(source.broken.sentence)
    for node in nodes:
        if node.word.upper() not in _ALLOWED:
            raise InvalidArgument(f"{node.word} is not a valid change command")
    settings = Settings(config)
    for node in nodes:
        lookup = configure.environment(settings.config).get
        settings = configure.apply(settings, expanded(rules.read(node), lookup, source.escape), check_signal)
    return settings.config
