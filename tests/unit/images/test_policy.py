"""How often, how long, by which way: the rules of requests to registries, without a network."""

import asyncio
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.images.registry import faults
from scow.images.registry.policy import Policy
from scow.images.registry.proxy import Proxies
from scow.images.registry.ranges import in_order

STEADY = Policy(jitter=lambda: 0.5, wall=lambda: 1_000_000.0)


def test_back_off_doubles_up_to_a_bound() -> None:
    assert [STEADY.delay(attempt) for attempt in (1, 2, 3, 4)] == [0.25, 0.5, 1.0, 2.0]
    assert STEADY.delay(50) == 30.0


def test_jitter() -> None:
    delays = {Policy(jitter=lambda value=value: value).delay(1) for value in (0.0, 0.3, 0.99)}
    assert len(delays) == 3 and all(delay is not None and 0.12 < delay < 0.38 for delay in delays)


def test_retry_after_is_honoured_up_to_a_minute() -> None:
    assert STEADY.delay(1, "60") == 60.0 and STEADY.delay(1, "0") == 0.25
    assert STEADY.delay(1, "61") is None and STEADY.delay(1, "9" * 40) is None
    assert STEADY.delay(1, formatdate(1_000_030, usegmt=True)) == 30.0
    assert STEADY.delay(1, formatdate(1_009_000, usegmt=True)) is None
    assert STEADY.delay(1, formatdate(999_000, usegmt=True)) == 0.25
    assert STEADY.delay(1, "soon") == 0.25


@given(st.text(max_size=80))
def test_any_retry_after(text: str) -> None:
    delay = STEADY.delay(1, text)
    assert delay is None or 0.25 <= delay <= 60.0


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://r.example.com/v2/", "", "http://secure:1"),
        ("http://r.example.com/v2/", "", "http://plain:2"),
        ("https://r.example.com/v2/", "*", None),
        ("https://r.example.com/v2/", "example.com", None),
        ("https://r.example.com/v2/", ".example.com", None),
        ("https://example.com/v2/", ".example.com", "http://secure:1"),
        ("https://badexample.com/v2/", "example.com", "http://secure:1"),
        ("https://r.example.com:5000/v2/", "r.example.com:5000", None),
        ("https://r.example.com/v2/", "r.example.com:5000", "http://secure:1"),
        ("https://10.1.2.3/v2/", "10.0.0.0/8", None),
        ("https://10.1.2.3/v2/", "11.0.0.0/8,10.1.2.3", None),
        ("https://[fd00::1]/v2/", "fd00::1", None),
        ("https://127.0.0.1:5000/v2/", "", None),
        ("http://localhost:5000/v2/", "", None),
    ],
)
def test_proxies(url: str, no_proxy: str, expected: str | None) -> None:
    environment = {"HTTPS_PROXY": "secure:1", "http_proxy": "http://plain:2", "NO_PROXY": no_proxy}
    assert Proxies(environment).of(url) == expected


def test_no_proxy_without_an_environment() -> None:
    assert Proxies({}).of("https://r.example.com/") is None


def test_limits_of_docker_hub_are_told() -> None:
    headers = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600", "Retry-After": "7200"}
    error = faults.from_answer(429, b"", "Too Many Requests", None, headers)
    assert isinstance(error, faults.TooManyRequests)
    assert error.message == (
        "toomanyrequests: too many requests to registry "
        "(ratelimit-limit: 100;w=21600, ratelimit-remaining: 0;w=21600, retry-after: 7200)"
    )


def test_parts_come_in_order_whatever_their_speed() -> None:
    data = bytes(range(256)) * 40
    running = most = 0

    async def fetch(start: int, end: int) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(1 + (start // 100) * 7 % 5):
            await asyncio.sleep(0)
        running -= 1
        return data[start:end]

    async def all_of(start: int, end: int) -> bytes:
        return b"".join([chunk async for chunk in in_order(fetch, start, end, 100, 3)])

    for start, end in ((0, len(data)), (57, len(data)), (0, 99), (5, 5), (250, 551)):
        assert asyncio.run(all_of(start, end)) == data[start:end]
    assert most == 3


def test_a_part_that_fails_ends_all() -> None:
    async def fetch(start: int, _end: int) -> bytes:
        if start == 200:
            raise faults.RegistryFailure("gone")
        await asyncio.sleep(0)
        return b"x"

    async def run() -> None:
        with pytest.raises(faults.RegistryFailure, match="gone"):
            async for _ in in_order(fetch, 0, 1000, 100, 3):
                pass
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
