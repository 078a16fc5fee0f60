"""Fixtures that every test may use: see tests/fixtures for how."""

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.broker",
    "tests.fixtures.stack",
    "tests.fixtures.local_run",
]
