"""The choice of the broker by the settings."""

from __future__ import annotations

from creneau_shared.messaging.broker.apache import Apache
from creneau_shared.messaging.broker.contract import Broker
from creneau_shared.messaging.broker.in_memory import InMemory
from creneau_shared.settings import ServiceSettings

KINDS: dict[str, type[Broker]] = {"apache": Apache, "in-memory": InMemory}
"""Value of `KAFKA_BROKER` → the kind of broker."""


def broker_of(settings: ServiceSettings) -> Broker:
    """The brokers at `KAFKA_BOOTSTRAP_SERVERS`, of the kind that `KAFKA_BROKER` names."""
    return KINDS[settings.kafka_broker](settings)
