"""Alembic's way into the migrations of notifications."""

from creneau_notifications.storage.tables import metadata
from creneau_shared.database.migrations import run_migrations

run_migrations(metadata)
