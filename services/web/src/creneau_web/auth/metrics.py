"""How logging in goes. No label says who."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from creneau_shared.metrics import fine_steps

DONE = "done"

LOGINS = Counter(
    "creneau_logins", "Log-ins that came to an end: done, or the reason why not", ["provider", "outcome"]
)
LOGIN_SECONDS = Histogram(
    "creneau_login_seconds",
    "From coming back from the provider to being logged in",
    ["provider"],
    buckets=fine_steps(0.02, 20.0),
)
RENEWALS = Counter(
    "creneau_login_renewals",
    "Access tokens renewed: done, ended (logged out at the issuer), silent (no answer)",
    ["outcome"],
)
ENDED_AT_PROVIDER = Counter(
    "creneau_login_ended_at_provider", "Sessions that ended because the provider said so", ["provider"]
)
