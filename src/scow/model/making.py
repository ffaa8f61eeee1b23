"""An image that is being made on this machine: everything but the bytes of its layer."""

from dataclasses import dataclass

from scow.model.container import ContainerConfig
from scow.model.image import Image
from scow.oci.platform import Platform
from scow.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class NewImage:
    """`created` is in Unix nanoseconds. `container_id` and `container_config` say which container it came from ("" and
    None for none); `created_by` is its line in the history. Without `base` the layer is the whole image.
    """

    config: ContainerConfig
    created: int
    base: Image | None = None
    names: tuple[Reference, ...] = ()
    author: str = ""
    comment: str = ""
    created_by: str = ""
    container_id: str = ""
    container_config: ContainerConfig | None = None
    platform: Platform | None = None
