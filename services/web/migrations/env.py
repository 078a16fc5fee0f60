"""Alembic's way into the migrations of the pages' own database."""

from creneau_shared.database.migrations import run_migrations
from creneau_web.storage.tables import metadata

run_migrations(metadata)
