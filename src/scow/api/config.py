"""The container configuration: `Config` of inspect, the top level of a create request, `Config` of an image."""

import msgspec

from scow.api.values import UNSET, Int64, Set, StringList, StringMap, UnsetType, Words


class Health(msgspec.Struct, forbid_unknown_fields=True):
    """A health check; durations in nanoseconds."""

    Test: StringList | UnsetType = UNSET
    Interval: Int64 | UnsetType = UNSET
    Timeout: Int64 | UnsetType = UNSET
    StartPeriod: Int64 | UnsetType = UNSET
    StartInterval: Int64 | UnsetType = UNSET
    Retries: Int64 | UnsetType = UNSET


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """What runs in the container."""

    Hostname: str = ""
    Domainname: str = ""
    User: str = ""
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ExposedPorts: Set | UnsetType = UNSET
    Tty: bool = False
    OpenStdin: bool = False
    StdinOnce: bool = False
    Env: StringList = None
    Cmd: Words = None
    Healthcheck: Health | None | UnsetType = UNSET
    ArgsEscaped: bool | UnsetType = UNSET
    Image: str = ""
    Volumes: Set = None
    WorkingDir: str = ""
    Entrypoint: Words = None
    NetworkDisabled: bool | UnsetType = UNSET
    MacAddress: str | UnsetType = UNSET
    OnBuild: StringList = None
    Labels: StringMap = None
    StopSignal: str | UnsetType = UNSET
    StopTimeout: Int64 | None | UnsetType = UNSET
    Shell: StringList | UnsetType = UNSET
