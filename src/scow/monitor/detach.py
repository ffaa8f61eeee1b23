"""The key sequence by which a user leaves an attached terminal."""


class DetachKeys:
    """Looks for `keys` in what a client types; bytes that may be the start of them are held back until it is clear."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(bytes to pass on, whether the keys were typed). What follows the keys is dropped."""
        if not self._keys:
            return data, False
        data = self._held + data
        found = data.find(self._keys)
        if found >= 0:
            self._held = b""
            return data[:found], True
        keep = min(len(self._keys) - 1, len(data))
        while keep and not self._keys.startswith(data[-keep:]):
            keep -= 1
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep], False

    def flush(self) -> bytes:
        """What is still held back, at the end of input."""
        held, self._held = self._held, b""
        return held
