"""Alembic's entrance: the tables that the migrations lead to."""

from creneau_booking.storage.tables import metadata
from creneau_shared.database.migrations import run_migrations

run_migrations(metadata)
