"""Volumes as list and inspect show them."""

import msgspec

from scow.api.values import UNSET, UnsetType


class VolumeUsage(msgspec.Struct):
    RefCount: int
    Size: int


class Volume(msgspec.Struct):
    CreatedAt: str
    Driver: str
    Labels: dict[str, str] | None
    Mountpoint: str
    Name: str
    Options: dict[str, str] | None
    Scope: str
    UsageData: VolumeUsage | UnsetType = UNSET


class VolumeList(msgspec.Struct):
    Volumes: list[Volume]
    Warnings: list[str] | None


class PruneVolumes(msgspec.Struct):
    VolumesDeleted: list[str] | None
    SpaceReclaimed: int
