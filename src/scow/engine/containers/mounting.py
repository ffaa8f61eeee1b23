"""From mount wishes to mount points: volumes are made, bind sources checked, targets cleaned."""

import logging
import os
import posixpath
from collections.abc import Sequence

from scow.engine.context import Engine
from scow.errors import InvalidArgument, ScowError
from scow.model.container import Container, ContainerConfig, HostConfig
from scow.model.mounts import MountPoint, MountRequest
from scow.model.volume import Volume

_log = logging.getLogger("scow.engine")

# Over these a mount would hide what the engine itself puts there (CVE-2019-16884, CVE-2015-3631).
_FORBIDDEN = ("/proc", "/sys", "/dev")


async def resolve(
    engine: Engine, host: HostConfig, config: ContainerConfig
) -> tuple[tuple[MountPoint, ...], list[Volume]]:
    """(mount points, the volumes made for them). On an error the volumes made so far are removed."""
    made: list[Volume] = []
    points: dict[str, MountPoint] = {}
    try:
        for wish in _inherited(engine, host):
            target = _clean(wish.target)
            points[target] = await _point(engine, wish, target, made)
        own: set[str] = set()  # a mount of its own takes the place of an inherited one, but not of another of its own
        for wish in host.mounts:
            target = _clean(wish.target)
            if target in own:
                raise InvalidArgument(f"Duplicate mount point: {target}")
            own.add(target)
            points[target] = await _point(engine, wish, target, made)
        for target in map(_clean, config.volumes):
            if target not in points:
                points[target] = await _point(engine, MountRequest("volume", target, origin="image"), target, made)
    except BaseException:
        await drop(engine, made)
        raise
    return tuple(points.values()), made


def _inherited(engine: Engine, host: HostConfig) -> list[MountRequest]:
    """--volumes-from: the volumes and binds of other containers."""
    result = []
    for text in host.volumes_from:
        name, _, mode = text.partition(":")
        if mode not in ("", "rw", "ro", "z", "Z", "rw,z", "ro,z"):
            raise InvalidArgument(f"invalid mode for volumes-from: {mode}")
        for point in engine.containers.find(name).container.mount_points:
            if point.kind != "tmpfs":
                source = point.name if point.kind == "volume" else point.source
                result.append(
                    MountRequest(
                        point.kind,
                        point.target,
                        source,
                        read_only=point.read_only or "ro" in mode.split(","),
                        propagation=point.propagation,
                        origin="inherited",
                        mode=mode,
                        no_copy=True,
                    )
                )
    return result


def _clean(target: str) -> str:
    path = posixpath.normpath(target)
    path = "/" + path.lstrip("/")
    if path == "/":
        raise InvalidArgument("invalid volume specification: destination can't be '/'")
    if path in _FORBIDDEN or path.startswith("/sys/") and not path.startswith("/sys/fs/cgroup"):
        raise InvalidArgument(f"invalid mount path: '{target}' lies over a file system that the engine provides")
    return path


async def _point(engine: Engine, wish: MountRequest, target: str, made: list[Volume]) -> MountPoint:
    if wish.kind == "tmpfs":
        return MountPoint("tmpfs", target, options=wish.options, read_only=wish.read_only)
    if wish.kind == "bind":
        _check_source(wish)
        return MountPoint(
            "bind",
            target,
            os.path.normpath(wish.source),
            mode=wish.mode,
            read_only=wish.read_only,
            propagation=wish.propagation or "rprivate",
        )
    if wish.kind != "volume":
        raise InvalidArgument(f"mount type unknown: {wish.kind!r}")
    if wish.driver not in ("", "local"):
        raise InvalidArgument(f'error looking up volume plugin {wish.driver}: plugin "{wish.driver}" not found')
    known = {volume.name for volume in engine.volumes.list()} if wish.source else set()
    volume = await engine.volumes.create(
        wish.source, labels=wish.labels, options=wish.driver_options, anonymous=not wish.source
    )
    if volume.name not in known:
        made.append(volume)
    mode = wish.mode or ("z" if wish.origin in ("bind", "mount") and wish.source else "")
    return MountPoint(
        "volume",
        target,
        volume.path,
        name=volume.name,
        driver="local",
        mode=mode,
        read_only=wish.read_only,
        no_copy=wish.no_copy,
    )


def _check_source(wish: MountRequest) -> None:
    if not wish.source.startswith("/"):
        raise InvalidArgument(
            f"invalid mount config for type \"bind\": invalid mount path: '{wish.source}' mount path must be absolute"
        )
    if os.path.lexists(wish.source):
        return
    if not wish.create_source:
        raise InvalidArgument(f'invalid mount config for type "bind": bind source path does not exist: {wish.source}')


def make_bind_sources(container: Container) -> None:
    """-v makes a missing source directory, at start, as Docker does."""
    wishes = {_clean(wish.target): wish for wish in container.host.mounts}
    for point in container.mount_points:
        wish = wishes.get(point.target)
        if point.kind != "bind" or os.path.lexists(point.source):
            continue
        if wish is not None and wish.create_source:
            os.makedirs(point.source, 0o755, exist_ok=True)
        else:
            raise InvalidArgument(
                f'invalid mount config for type "bind": bind source path does not exist: {point.source}'
            )


async def fill_volumes(engine: Engine, container: Container) -> None:
    """Image data at an empty volume's place is copied into it; one that holds data is left alone (CVE-2020-1726)."""
    if not container.layers:
        return
    lowers, _, _ = engine.snapshots.directories(container.id, container.layers)
    for point in container.mount_points:
        if point.kind == "volume" and not point.no_copy:
            await engine.volumes.copy_up(point.name, lowers, point.target)


async def hold(engine: Engine, container: Container) -> None:
    """Volumes with options are mounted when a container that has them starts. All of them, or none."""
    try:
        for name in _volumes(container):
            await engine.volumes.hold(name, container.id)
    except BaseException:
        await let_go(engine, container)
        raise


def held(engine: Engine, container: Container) -> None:
    """It has run since before this daemon."""
    for name in _volumes(container):
        engine.volumes.held(name, container.id)


async def let_go(engine: Engine, container: Container) -> None:
    """It has ended. What cannot be unmounted is tried again at the volume's next use and its removal."""
    for name in _volumes(container):
        try:
            await engine.volumes.let_go(name, container.id)
        except ScowError as error:
            _log.warning("%s", error.message)


def _volumes(container: Container) -> list[str]:
    return [point.name for point in container.mount_points if point.kind == "volume"]


async def drop(engine: Engine, made: Sequence[Volume]) -> None:
    """Undo the making of volumes."""
    for volume in made:
        try:
            await engine.volumes.remove(volume.name)
        except ScowError:
            continue
