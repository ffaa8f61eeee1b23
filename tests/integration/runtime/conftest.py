"""One scratch area per test; it leaves nothing behind, and says so when it would."""

from collections.abc import Iterator

import pytest

from tests.integration.runtime.harness import Area


@pytest.fixture
def area() -> Iterator[Area]:
    made = Area()
    try:
        yield made
    finally:
        made.close()
