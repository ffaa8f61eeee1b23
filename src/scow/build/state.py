"""What a stage has come to: its layers, its configuration, its history. Values; every step makes a new one."""

from dataclasses import dataclass, replace
from typing import Any

from scow.build.configure import Settings
from scow.build.layers import Layer
from scow.images.commit import rfc3339
from scow.images.compose import render
from scow.images.config import render_config
from scow.model.container import ContainerConfig
from scow.model.image import Image
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.platform import Platform

_SECOND = 1_000_000_000
LATEST = 4_102_444_800
"""2100-01-01: no time goes beyond by what an image or an archive says."""


@dataclass(frozen=True, slots=True)
class State:
    """`base` is the image that FROM named, None for scratch. `stepped`: something came on top of it. `cached`: all of that
    came from the cache. `history` has the image config's own objects. `stamp`: the time that its steps have come to, Unix
    seconds. It is no clock's but that of the newest thing that has gone in.
    """

    platform: Platform
    base: Image | None = None
    settings: Settings = Settings(ContainerConfig())
    chain: tuple[str, ...] = ()
    diff_ids: tuple[str, ...] = ()
    layers: tuple[Descriptor, ...] = ()
    history: tuple[dict[str, Any], ...] = ()
    stamp: int = 0
    stepped: bool = False
    cached: bool = True

    @property
    def config(self) -> ContainerConfig:
        return self.settings.config

    @property
    def top(self) -> str:
        """The chain id of the root file system as it is, "" for an empty one."""
        return self.chain[-1] if self.chain else ""

    def after(self, stamp: int) -> "State":
        """No earlier than a moment."""
        return replace(self, stamp=max(self.stamp, min(stamp, LATEST)))

    def step(self, created_by: str, stamp: int, layer: Layer | None, settings: Settings, *, cached: bool) -> "State":
        """After one more step."""
        line: dict[str, Any] = {"created": rfc3339(stamp * _SECOND), "created_by": created_by}
        if settings.author:
            line["author"] = settings.author
        if layer is None:
            line["empty_layer"] = True
        state = replace(
            self,
            settings=settings,
            history=(*self.history, line),
            stamp=stamp,
            stepped=True,
            cached=self.cached and cached,
        )
        if layer is None:
            return state
        return replace(
            state,
            chain=(*self.chain, layer.chain_id),
            diff_ids=(*self.diff_ids, layer.diff_id),
            layers=(*self.layers, layer.descriptor),
        )

    def document(self) -> dict[str, Any]:
        """The image config."""
        config = replace(self.config, image=self.base.id if self.base else "")
        document: dict[str, Any] = {
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": render_config(config),
            "created": rfc3339(self.stamp * _SECOND),
            "history": list(self.history),
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
        }
        if self.platform.variant:
            document["variant"] = self.platform.variant
        if self.settings.author:
            document["author"] = self.settings.author
        return document

    @property
    def identity(self) -> tuple[object, ...]:
        """What it is, whatever its times."""
        words = tuple(line.get("created_by") for line in self.history)
        return self.platform, self.base.id if self.base else "", self.chain, repr(self.settings), words

    @property
    def image_id(self) -> str:
        """The id that an image of this would have."""
        if self.base is not None and not self.stepped:
            return self.base.id
        return str(Digest.of(render(self.document())))
