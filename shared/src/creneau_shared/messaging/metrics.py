"""The metrics of messaging."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

OUTBOX_LAG_EVENTS = Gauge(
    "creneau_outbox_lag_events", "Events that wait to be published (at most 100,000 counted)"
)
OUTBOX_LAG_SECONDS = Gauge("creneau_outbox_lag_seconds", "Age of the oldest event that waits to be published")
RELAY_LEADS = Gauge("creneau_relay_leads", "1 while this process publishes the outbox")
PUBLISHED = Counter("creneau_events_published", "Events acknowledged by the broker", ["topic"])
REQUEUED = Counter(
    "creneau_events_requeued", "Events published again because the broker lost them", ["topic"]
)

CONSUMER_LAG_EVENTS = Gauge("creneau_consumer_lag_events", "Records not handled yet", ["consumer", "topic"])
CONSUMER_POLL_AGE_SECONDS = Gauge(
    "creneau_consumer_poll_age_seconds", "Time since the last poll, or the last event done with", ["consumer"]
)
HANDLED = Counter("creneau_events_handled", "Events that had their effect", ["consumer", "type"])
DUPLICATES = Counter("creneau_events_duplicate", "Events that had had their effect before", ["consumer"])
SKIPPED = Counter(
    "creneau_events_skipped", "Events of a type that this consumer does not handle", ["consumer"]
)
DEAD = Counter("creneau_events_dead", "Events put on the dead-letter topic", ["consumer", "topic"])
RETRIES = Counter("creneau_consumer_retries", "Batches read again after a failure that passes", ["consumer"])
REWINDS = Counter("creneau_consumer_rewinds", "Partitions read again from the beginning", ["consumer"])
