"""What time brings: what is past keeping goes."""

from __future__ import annotations

from creneau_directory.storage.tables import TYPES
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.retention.job import Retention
from creneau_shared.retention.rules import Rule, common_rules, idempotency_rule
from creneau_shared.retention.settings import RetentionSettings


def rules(common: RetentionSettings) -> list[Rule]:
    """How long the directory keeps what; the directory itself is public, and kept as long as it is true."""
    return [idempotency_rule(common), *common_rules(common, TYPES)]


def retention(database: Database, clock: Clock) -> Retention:
    """The directory's job of retention."""
    settings = RetentionSettings()
    return Retention(database, clock, rules(settings), settings)
