"""The service's tables as SQL statements."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from creneau_notifications.storage.tables import metadata
from creneau_shared.fhir.storage.tables import SEARCH_EXTENSIONS


def statements() -> list[str]:
    """Extensions, tables and indexes, in the order in which they are created."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    made = [f"CREATE EXTENSION IF NOT EXISTS {name}" for name in SEARCH_EXTENSIONS]
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return made
