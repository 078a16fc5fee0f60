"""What the senders count."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from creneau_shared.metrics import fine_steps

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
    buckets=(*fine_steps(0.1, 60), 300, 900, 3600, 4 * 3600, 24 * 3600),
)
OVERDUE = Gauge("creneau_notification_overdue", "Messages that are of no use any more and still wait")
