"""Fixtures that every test may use: see tests/fixtures for how."""

from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import settings

from creneau_shared.security.discovery import PATIENCE

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

# Nor does how long a server of ours takes to answer: five seconds are httpx's own patience, and a busy machine's are more.
# Five seconds are a service's patience with its issuer, too, which in tests has its turn in the same loop.
for _patience in (DEFAULT_TIMEOUT_CONFIG, PATIENCE):
    for _part in ("connect", "read", "write", "pool"):
        setattr(_patience, _part, 60.0)
