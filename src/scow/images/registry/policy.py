"""How long, how often and how patiently registries are talked to: one value, given to whoever makes requests.

Tests give a policy whose sleep returns at once, so that the rules are checked and not the clock.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds. `attempts` counts the first try; between two there is an exponential back-off with jitter.

    A connection that brings fewer than `slowest` bytes a second, looked at after `patience` seconds, counts as broken.
    """

    attempts: int = 5
    first_delay: float = 0.25
    longest_delay: float = 30.0
    longest_retry_after: float = 60.0
    connect_timeout: float = 30.0
    read_timeout: float = 60.0
    patience: float = 60.0
    slowest: int = 512
    redirects: int = 10
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random

    def delay(self, attempt: int, retry_after: str = "") -> float | None:
        """Seconds to wait after failed attempt number `attempt`; None: the registry asks for more than is granted."""
        delay = min(self.first_delay * 2.0 ** (attempt - 1) * (0.5 + self.jitter()), self.longest_delay)
        asked = self.asked(retry_after)
        if asked is None:
            return delay
        return None if asked > self.longest_retry_after else max(delay, asked)

    def asked(self, retry_after: str) -> float | None:
        """What a Retry-After header asks for (RFC 9110 section 10.2.3: seconds or a date); None when it says nothing."""
        text = retry_after.strip()
        if text.isascii() and text.isdigit():
            return float(text[:12])
        if not text or len(text) > 64:
            return None
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - self.wall())
        except (ValueError, OverflowError, OSError):
            return None


DEFAULT_POLICY = Policy()
