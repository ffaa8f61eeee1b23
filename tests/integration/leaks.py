"""The leak counter for the integration tests; it lives in tests/harness, where other suites find it too."""

from tests.harness.leaks import at_rest, count, remember, settle

__all__ = ["at_rest", "count", "remember", "settle"]
