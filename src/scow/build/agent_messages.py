"""Messages of the ssh agent protocol: a length (4 bytes, network order), a type (1 byte), and what the type says. Pure."""

from __future__ import annotations

from scow.errors import InvalidArgument

LARGEST = 256 << 10
FAILURE = b"\x05"
_ALLOWED = (11, 13)


def packed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def allowed(message: bytes) -> bool:
    """Whether a build may ask it: for the public keys, and for a signature. Not to add, remove or lock keys (as BuildKit)."""
    return message[:1] in (bytes([kind]) for kind in _ALLOWED)


class Messages:
    """Bytes in any pieces to messages. InvalidArgument for one that is empty or too large."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now."""
        waiting = self._waiting
        waiting += data
        found: list[bytes] = []
        while len(waiting) >= 4:
            size = int.from_bytes(waiting[:4], "big")
            if not 0 < size <= LARGEST:
                raise InvalidArgument(f"a message of {size} bytes to an ssh agent")
            if len(waiting) < 4 + size:
                break
            found.append(bytes(waiting[4 : 4 + size]))
            del waiting[: 4 + size]
        return found
