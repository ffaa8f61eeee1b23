"""The typed commands of a Dockerfile: what the parser makes, and the graph walks.

Values stand as they were written: which of them a build expands is in `EXPANDED`, because only the walk through the
stages knows the variables. Lines count from 1. `text` is the instruction on one line, as the classic builder prints it
behind `Step 1/3 : `.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Heredoc:
    """One <<WORD document. `expand` is false when a part of the word is quoted; `chomp` (<<-) takes off leading tabs."""

    name: str
    content: str
    expand: bool
    chomp: bool


@dataclass(frozen=True, slots=True)
class Mount:
    """One RUN --mount. `mode`, `uid`, `gid` None: the kind's own; `size` bytes, 0 none; `env` "": no variable.

    `written` is the value of the flag: `mounts.read` of it with a lookup gives the mount with its variables expanded.
    """

    kind: str
    target: str = ""
    source: str = ""
    origin: str = ""
    id: str = ""
    readonly: bool = False
    sharing: str = ""
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    required: bool = False
    size: int = 0
    env: str = ""
    written: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """What every instruction has."""

    line: int
    text: str

    @property
    def word(self) -> str:
        """The instruction's name in capitals."""
        return type(self).__name__.upper()


@dataclass(frozen=True, slots=True)
class From(Command):
    image: str
    platform: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Arg(Command):
    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Env(Command):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label(Command):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Run(Command):
    """`shell`: `command` is one string for the shell; `heredocs.script` puts the documents to it."""

    command: tuple[str, ...]
    shell: bool
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"


@dataclass(frozen=True, slots=True)
class Transfer(Command):
    """What brings files in. `heredocs` are written files."""

    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy(Transfer):
    """`origin` is --from: a stage's name or index, an image, a named context."""

    origin: str | None = None
    parents: bool = False


@dataclass(frozen=True, slots=True)
class Add(Transfer):
    """`unpack` None: local archives are unpacked, those of URLs are not."""

    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class Cmd(Command):
    """`shell`: `command` is one string (none for an empty CMD) that the stage's shell runs."""

    command: tuple[str, ...]
    shell: bool


@dataclass(frozen=True, slots=True)
class Entrypoint(Command):
    command: tuple[str, ...]
    shell: bool


@dataclass(frozen=True, slots=True)
class Shell(Command):
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User(Command):
    user: str


@dataclass(frozen=True, slots=True)
class Workdir(Command):
    path: str


@dataclass(frozen=True, slots=True)
class Volume(Command):
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expose(Command):
    """`ports` are words: one may expand to several ports."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopSignal(Command):
    signal: str


@dataclass(frozen=True, slots=True)
class Maintainer(Command):
    name: str


@dataclass(frozen=True, slots=True)
class OnBuild(Command):
    """`instruction` is kept as it was written: it is parsed by the build that it triggers."""

    instruction: str


@dataclass(frozen=True, slots=True)
class Healthcheck(Command):
    """Durations in nanoseconds; 0, and 0 `retries`, are the image's or the engine's default."""

    kind: Literal["NONE", "CMD", "CMD-SHELL"]
    command: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """`name` in small letters, "" for none."""

    index: int
    name: str
    start: From
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`arguments` stand before the first FROM. `source` is the whole text, for the lines that errors show.

    `warnings` are Docker's sentences on what will not be allowed for ever.
    """

    name: str
    directives: tuple[tuple[str, str], ...]
    escape: str
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    source: str
    warnings: tuple[str, ...] = ()


# The fields in which a build replaces variables. FROM sees the arguments before the first FROM only; the mounts of RUN
# are expanded by `mounts.read`, documents by their own `expand`. `expand.expanded` does all of it.
_TRANSFER = ("sources", "target", "chown", "chmod", "exclude")
EXPANDED: dict[type[Command], tuple[str, ...]] = {
    From: ("image", "platform"),
    Arg: ("pairs",),
    Env: ("pairs",),
    Label: ("pairs",),
    Copy: _TRANSFER,
    Add: (*_TRANSFER, "checksum"),
    User: ("user",),
    Workdir: ("path",),
    Volume: ("paths",),
    Expose: ("ports",),
    StopSignal: ("signal",),
}
