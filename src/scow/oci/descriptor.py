"""Descriptors: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md."""

from dataclasses import dataclass, field
from typing import Any

from scow.errors import InvalidArgument
from scow.oci.digest import Digest
from scow.oci.documents import InvalidDocument, object_field, text_field
from scow.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to a blob: what it is, which bytes, how many. `platform` is set in indexes only."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Any, what: str) -> "Descriptor":
        """The descriptor that a JSON value is. Its URLs are not read: nothing is fetched from where a manifest says."""
        if not isinstance(value, dict):
            raise InvalidDocument(f"{what} is not an object")
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 53:
            raise InvalidDocument(f"{what}: invalid size {str(size)[:40]}")
        try:
            digest = Digest.parse(text_field(value, "digest", what))
        except InvalidArgument as error:
            raise InvalidDocument(f"{what}: {error.message}") from None
        platform = object_field(value, "platform", what)
        annotations = object_field(value, "annotations", what)
        if not all(isinstance(text, str) for text in annotations.values()):
            raise InvalidDocument(f"{what}: annotations must be strings")
        return cls(
            media_type=text_field(value, "mediaType", what),
            digest=digest,
            size=size,
            platform=_platform(platform, what) if platform else None,
            annotations=annotations,
        )

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        result: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.platform is not None:
            result["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                result["platform"]["variant"] = self.platform.variant
        if self.annotations:
            result["annotations"] = dict(self.annotations)
        return result


def _platform(value: dict[str, Any], what: str) -> Platform:
    return Platform.normalised(
        text_field(value, "os", what), text_field(value, "architecture", what), text_field(value, "variant", what)
    )
