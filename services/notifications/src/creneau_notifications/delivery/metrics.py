"""What the senders count."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

ATTEMPTS = Counter("creneau_notification_attempts", "Tries to send a message", ["channel", "result"])
FINISHED = Counter("creneau_notification_messages", "Messages closed", ["channel", "status"])
NOT_SENT = Counter(
    "creneau_notification_not_sent",
    "Messages that a sender closed without sending them",
    ["channel", "reason"],
)
LATENESS_SECONDS = Histogram(
    "creneau_notification_lateness_seconds",
    "From when a message was due to when it was accepted",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
)
