"""Digests: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests.

A `Digest` is text that has been proven to be one: a known algorithm and exactly its number of lower-case hex digits.
It may become a path component or a part of a URL; unparsed text may not (CVE-2024-3727).
"""

from scow.errors import InvalidArgument

_HEX = frozenset("0123456789abcdef")
_LENGTHS = {"sha256": 64, "sha512": 128}


class InvalidDigest(InvalidArgument):
    """Text that should be a digest is not one."""


class Digest(str):
    """`algorithm:hex`. Made by `Digest.parse` (checks) or `Digest.of` (computes), never by hand."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """The digest that `text` is; InvalidDigest says what is wrong with it in the words that Docker uses."""
        algorithm, colon, digits = text.partition(":")
        if not colon or not algorithm or not digits or len(text) > 200:
            raise InvalidDigest("invalid checksum digest format")
        length = _LENGTHS.get(algorithm)
        if length is None:
            raise InvalidDigest("unsupported digest algorithm")
        if len(digits) != length:
            raise InvalidDigest("invalid checksum digest length")
        if not _HEX.issuperset(digits):
            raise InvalidDigest("invalid checksum digest format")
        return cls(text)

    @classmethod
    def of(cls, data: bytes) -> "Digest":
        """The SHA-256 digest of bytes in memory."""
        import hashlib  # not needed by the CLI, which parses references at every start

        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first twelve hex digits, as Docker shows ids."""
        return self.hex[:12]


def is_hex(text: str) -> bool:
    """Whether `text` is made of lower-case hex digits (and not empty)."""
    return bool(text) and _HEX.issuperset(text)
