"""Fixtures that every test may use: see tests/fixtures for how."""

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.broker",
    "tests.fixtures.stack",
    "tests.fixtures.local_run",
    "tests.fixtures.bells",
]

# How long an example takes says what else the machine does, not whether the rule holds.
settings.register_profile("creneau", deadline=None)
settings.load_profile("creneau")

RUNS = {"browser": "browser", "e2e": "make run", "resilience": "make run"}
"""Folder of tests → whose whole system it shares: with `--dist loadgroup` each system is one worker's."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks, or it hands every test to whoever is free
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a running system stay together, whatever else runs beside them."""
    for item in items:
        if item.path.parent.name in RUNS:
            item.add_marker(pytest.mark.xdist_group(RUNS[item.path.parent.name]))
