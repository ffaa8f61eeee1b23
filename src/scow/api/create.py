"""Bodies of requests that make something."""

import msgspec

from scow.api.config import Config
from scow.api.endpoint import NetworkingConfig as NetworkingSettings
from scow.api.host_config import HostConfig as HostSettings
from scow.api.values import UNSET, StringList, StringMap, Uint64, UnsetType, Words


class CreateBody(Config, forbid_unknown_fields=True):
    """POST /containers/create: a Config with HostConfig and NetworkingConfig beside its fields."""

    HostConfig: HostSettings | None = None
    NetworkingConfig: NetworkingSettings | None = None


class UpdateBody(HostSettings, forbid_unknown_fields=True):
    """POST /containers/{id}/update: limits, and the restart policy; of the other fields none may be set."""


class IdWarnings(msgspec.Struct):
    Id: str
    Warnings: list[str]


class Id(msgspec.Struct):
    Id: str


class ExecBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /containers/{id}/exec. `Container` and `Detach` come from old clients and mean nothing here."""

    User: str = ""
    Privileged: bool = False
    Tty: bool = False
    ConsoleSize: list[Uint64] | None = None
    AttachStdin: bool = False
    AttachStderr: bool = False
    AttachStdout: bool = False
    Detach: bool = False
    DetachKeys: str = ""
    Env: StringList = None
    WorkingDir: str = ""
    Cmd: Words = None
    Container: str = ""


class ExecStartBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /exec/{id}/start."""

    Detach: bool = False
    Tty: bool = False
    ConsoleSize: list[Uint64] | None = None


class VolumeBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /volumes/create."""

    ClusterVolumeSpec: dict[str, object] | None | UnsetType = UNSET
    Driver: str = ""
    DriverOpts: StringMap = None
    Labels: StringMap = None
    Name: str = ""


class AuthBody(msgspec.Struct, forbid_unknown_fields=True, rename={"server_address": "serveraddress"}):
    """POST /auth and the X-Registry-Auth header."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    server_address: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class BootstrapBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /scow/images/bootstrap."""

    Names: StringList = None
