"""The Exec record: one more process in a running container. Execs live as long as their container runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExecConfig:
    """What was asked for. `detach_keys` "" is the default ctrl-p,ctrl-q."""

    cmd: tuple[str, ...]
    user: str = ""
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    env: tuple[str, ...] = ()
    working_dir: str = ""
    privileged: bool = False
    detach_keys: str = ""


@dataclass(frozen=True, slots=True)
class Exec:
    """One exec. `exit_code` is None until it ended; `pid` is 0 until it started; pid is the host's."""

    id: str
    container_id: str
    config: ExecConfig
    running: bool = False
    pid: int = 0
    exit_code: int | None = None
