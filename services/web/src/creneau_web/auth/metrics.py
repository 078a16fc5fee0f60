"""How logging in goes. No label says who."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

DONE = "done"

LOGINS = Counter(
    "creneau_logins", "Log-ins that came to an end: done, or the reason why not", ["provider", "outcome"]
)
LOGIN_SECONDS = Histogram(
    "creneau_login_seconds",
    "From coming back from the provider to being logged in",
    ["provider"],
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
)
RENEWALS = Counter(
    "creneau_login_renewals",
    "Access tokens renewed: done, ended (logged out at the issuer), silent (no answer)",
    ["outcome"],
)
