"""Volumes with options (type, device, o): a file system or a directory of the host that is mounted over _data.

Mounted while a container that runs has the volume; mount(8) words in `o`, as Docker's local driver takes them.
"""

import ipaddress
import os
import socket
from collections.abc import Mapping

from scow.errors import Internal, InvalidArgument
from scow.linux import libc, mounts, paths
from scow.model.volume import Volume

_NEEDS = {"type": ("device",), "device": ("type",), "o": ("device", "type")}
_NETWORKED = frozenset({"nfs", "nfs4", "cifs"})


class NotMounted(Internal):
    """The file system of a volume could not be mounted or taken away."""


def check(name: str, options: Mapping[str, str]) -> None:
    """InvalidArgument for an option that does not exist or that needs another one; in the sentences of Docker's daemon."""
    for key in options:
        if key not in _NEEDS and key != "size":
            raise InvalidArgument(f'create {name}: invalid option: "{key}"')
    if "size" in options:
        raise InvalidArgument(f"create {name}: quota size requested but no quota support")
    for key, needed in _NEEDS.items():
        for other in needed:
            if options.get(key) and not options.get(other):
                raise InvalidArgument(f'create {name}: missing required option: "{other}"')


def mounted(path: str) -> bool:
    """Whether something is mounted at `path`."""
    directory, name = os.path.split(path)
    try:
        parent = paths.open_root(directory)
        try:
            return paths.is_mount(parent, name)
        finally:
            os.close(parent)
    except FileNotFoundError:
        return False


def mount(volume: Volume) -> None:
    """Mount it, unless it is. Blocks; runs in a thread."""
    if mounted(volume.path):
        return
    device = volume.options.get("device", "")
    options = mounts.parse(word for word in volume.options.get("o", "").split(",") if word)
    try:
        if options.bind:
            made = mounts.copy(device, recursive=options.bind == 2)
            mounts.adjust(made, options)
        else:
            kind = volume.options.get("type", "")
            data = [(key, _address(kind, key, value)) for key, value in options.data]
            made = mounts.new(kind, data, options.attributes, device)
        try:
            target = libc.open_at(libc.AT_FDCWD, volume.path, libc.O_PATH | os.O_DIRECTORY)
            try:
                libc.move_mount(made, target)
            finally:
                os.close(target)
        finally:
            os.close(made)
    except OSError as error:
        raise NotMounted(_sentence(volume, device, options, error)) from error


def unmount(volume: Volume) -> None:
    """Take it away, if it is there; what still has files open keeps them."""
    while mounted(volume.path):
        try:
            libc.umount2(volume.path, libc.MNT_DETACH)
        except OSError as error:
            raise NotMounted(f"error while unmounting volume '{volume.path}': {error.strerror}") from error


def _address(kind: str, key: str, value: str | None) -> str | None:
    """The kernel takes no host names."""
    if kind not in _NETWORKED or key != "addr" or not value:
        return value
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return socket.gethostbyname(value)
    return value


def _sentence(volume: Volume, device: str, options: mounts.Options, error: OSError) -> str:
    flags = options.attributes & 0x0F | (0x1000 if options.bind else 0) | (0x4000 if options.bind == 2 else 0)
    data = ",".join(key if value is None else f"{key}={value}" for key, value in options.data)
    shown = (f", flags: {flags:#x}" if flags else "") + (f", data: {data}" if data else "")
    reason = libc.ERROR_TEXT.get(error.errno or 0, str(error))
    return (
        f"error while mounting volume '{volume.path}': failed to mount local volume: "
        f"mount {device}:{volume.path}{shown}: {reason[:1].lower()}{reason[1:]}"
    )
