"""Who holds which address and ports: one small file per container below the exec root.

It is written before the address is used and removed after everything is given back, so that a daemon that was killed at
any point finds what to undo. It needs no disk flush: a namespace lives no longer than the machine's boot.
"""

import contextlib
import os
from dataclasses import dataclass

import msgspec

from scow.model.network import Endpoint
from scow.model.ports import PublishedPort

_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Lease:
    """What one container holds on its networks. published: host ports that are its, also while no network of it leads
    outside. interfaces: how many it has had; names of interfaces are not used twice.
    """

    container_id: str
    endpoints: tuple[Endpoint, ...]
    published: tuple[PublishedPort, ...] = ()
    interfaces: int = 1


_decoder = msgspec.json.Decoder(Lease)
_encoder = msgspec.json.Encoder()


class LeaseDirectory:
    """Leases as files; a damaged one counts as none (its container, if it lives, is known to the engine)."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def load(self) -> dict[str, Lease]:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        found = {}
        for name in os.listdir(self._directory):
            if not name.endswith(_SUFFIX):
                os.unlink(os.path.join(self._directory, name))  # half-written
                continue
            with open(os.path.join(self._directory, name), "rb") as file:
                data = file.read()
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                lease = _decoder.decode(data)
                if name == lease.container_id + _SUFFIX:
                    found[lease.container_id] = lease
        return found

    def write(self, lease: Lease) -> None:
        """Old or new, never half."""
        path = os.path.join(self._directory, lease.container_id)
        descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, _encoder.encode(lease))
        finally:
            os.close(descriptor)
        os.rename(path + ".new", path + _SUFFIX)

    def remove(self, container_id: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._directory, container_id + _SUFFIX))

    def retain(self, container_ids: "frozenset[str] | set[str]") -> None:
        """Remove every file that is not one of these."""
        for name in os.listdir(self._directory):
            if name.removesuffix(_SUFFIX) not in container_ids:
                os.unlink(os.path.join(self._directory, name))
