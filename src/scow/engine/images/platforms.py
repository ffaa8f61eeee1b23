"""The `--platform` of commands that work on an image that is here."""

from scow.errors import NotFound
from scow.model.image import Image
from scow.oci.platform import Platform


def check_platform(image: Image, name: str, platform: str) -> None:
    """NotFound when the image `name` is not for `platform` ("": any)."""
    if not platform:
        return
    wanted = Platform.parse(platform)
    if wanted.runs(Platform.normalised(image.os, image.architecture, image.variant)) is None:
        raise NotFound(f"image with reference {name} was found but does not provide the specified platform ({wanted})")
