"""Execs: domain to wire."""

from scow.api.execution import ExecInspect, ExecProcess
from scow.api.values import UNSET
from scow.model.execution import Exec


def show_exec(record: Exec) -> ExecInspect:
    config = record.config
    command = config.cmd or ("",)
    return ExecInspect(
        ID=record.id,
        Running=record.running,
        ExitCode=record.exit_code,
        ProcessConfig=ExecProcess(config.tty, command[0], list(command[1:]), config.privileged, config.user or UNSET),
        OpenStdin=config.attach_stdin,
        OpenStderr=config.attach_stderr,
        OpenStdout=config.attach_stdout,
        CanRemove=False,
        ContainerID=record.container_id,
        DetachKeys=config.detach_keys,
        Pid=record.pid,
    )
