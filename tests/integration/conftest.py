"""Tests with a scratch daemon that has its own roots, socket, bridge and address range; fixtures: tests/conftest.py."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if "tests/integration" in str(item.path):
            item.add_marker(pytest.mark.skip(reason="needs root"))
