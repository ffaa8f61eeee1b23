"""From a NewImage and the writer of its layer to an image in the store: the image config as Docker's commit writes it."""

import calendar
import time
from collections.abc import Callable
from typing import Any

from scow import __version__
from scow.images.archive.writer import Emit
from scow.images.compose import make, platform_fields
from scow.images.config import render_config
from scow.images.parts import Parts
from scow.model.image import Image
from scow.model.making import NewImage
from scow.oci.platform import Platform, host_platform


async def make_image(parts: Parts, new: NewImage, write: Callable[[Emit], None]) -> Image:
    """`write` (run in a thread) writes the layer's archive. Either the image is there with its names, or nothing is."""
    return await make(parts, write, document_of(new), base=new.base, names=new.names)


def document_of(new: NewImage) -> dict[str, Any]:
    """The image config but for its `rootfs` and the base's history."""
    created = rfc3339(new.created)
    line = {
        "created": created,
        "created_by": new.created_by,
        "author": new.author,
        "comment": new.comment,
    }
    document: dict[str, Any] = {
        **platform_fields(_platform(new)),
        "config": render_config(new.config),
        "created": created,
        "docker_version": __version__,
        "history": [{key: value for key, value in line.items() if value}],
    }
    if new.author:
        document["author"] = new.author
    if new.container_id:
        document["container"] = new.container_id
    if new.container_config is not None:
        document["container_config"] = render_config(new.container_config)
    return document


def _platform(new: NewImage) -> Platform:
    if new.platform is not None:
        return new.platform
    if new.base is not None:
        return Platform(new.base.os, new.base.architecture, new.base.variant)
    return host_platform()


def rfc3339(nanoseconds: int) -> str:
    """A moment in UTC with as many digits as it needs, as Go writes it."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def seconds_of(text: str) -> int:
    """The Unix seconds of such a text, 0 when it is none."""
    try:
        return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return 0
