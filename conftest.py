"""Fixtures that every test may use: see tests/fixtures for how."""

from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.broker",
    "tests.fixtures.stack",
    "tests.fixtures.local_run",
    "tests.fixtures.bells",
    "tests.fixtures.sharing_out",
]

# How long an example takes says what else the machine does, not whether the rule holds.
settings.register_profile("creneau", deadline=None)
settings.load_profile("creneau")
