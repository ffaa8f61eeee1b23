"""The driver `none`: nothing is recorded."""


class Discard:
    """See `Driver`."""

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Forget it."""

    def close(self, now: int) -> None:
        """Nothing is held."""
