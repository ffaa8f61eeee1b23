"""The `--platform` of commands that work on an image that is here."""

from scow.engine.context import Engine
from scow.errors import NotFound
from scow.model.image import Image, best
from scow.oci.platform import Platform


def choose(engine: Engine, name: str, platform: str) -> Image:
    """The image that a name means on `platform` ("": on this host, or what there is). NotFound when it has none for it."""
    images = engine.images.variants(name)
    if not platform:
        return images[0]
    wanted = Platform.parse(platform)
    found = best(images, wanted)
    if found is None:
        raise NotFound(f"image with reference {name} was found but does not provide the specified platform ({wanted})")
    return found


def is_id(image: Image, name: str) -> bool:
    """Whether `name`, which led to `image`, is its id or the beginning of that."""
    plain = name.removeprefix("sha256:")
    return (
        len(plain) >= 1
        and image.id.removeprefix("sha256:").startswith(plain)
        and name not in image.tags
        and f"{name}:latest" not in image.tags
    )
