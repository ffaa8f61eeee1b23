"""Volumes: domain to wire."""

from scow.api.values import UNSET
from scow.api.volume import Volume as WireVolume
from scow.api.volume import VolumeUsage
from scow.model.volume import Volume
from scow.server.docker.convert.times import rfc3339_seconds

_ANONYMOUS = {"com.docker.volume.anonymous": ""}


def show_volume(volume: Volume, usage: tuple[int, int] | None = None) -> WireVolume:
    """`usage`: (containers that use it, bytes)."""
    labels = {**_ANONYMOUS, **volume.labels} if volume.anonymous else volume.labels
    return WireVolume(
        CreatedAt=rfc3339_seconds(volume.created_at),
        Driver=volume.driver,
        Labels=labels or None,
        Mountpoint=volume.path,
        Name=volume.name,
        Options=volume.options or None,
        Scope="local",
        UsageData=UNSET if usage is None else VolumeUsage(*usage),
    )
