"""The replica of the directory: what the ROR searches by, as the directory has it (its 0015).

Entries of what is held already come with a rebuild of the replica, or with the next change of each.
"""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_DATES = ("organization", "location", "healthcare_service")
_NUMBERS = ("organization", "location", "healthcare_service")
_OCCURRENCES = ("organization", "location")


def upgrade() -> None:
    for table in _OCCURRENCES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN occurrences jsonb NOT NULL DEFAULT '[]'")
    for table in _DATES:
        op.execute(
            f"CREATE TABLE {table}_date (key bigint NOT NULL, parameter text NOT NULL,"
            " low timestamptz NOT NULL, high timestamptz NOT NULL)"
        )
        op.execute(f"CREATE INDEX ix_{table}_date_key ON {table}_date (key)")
        op.execute(f"CREATE INDEX ix_{table}_date_low ON {table}_date (parameter, low, key)")
        op.execute(f"CREATE INDEX ix_{table}_date_high ON {table}_date (parameter, high, key)")
    for table in _NUMBERS:
        op.execute(
            f"CREATE TABLE {table}_number (key bigint NOT NULL, parameter text NOT NULL, value numeric NOT NULL)"
        )
        op.execute(f"CREATE INDEX ix_{table}_number_key ON {table}_number (key)")
        op.execute(f"CREATE INDEX ix_{table}_number_value ON {table}_number (parameter, value, key)")


def downgrade() -> None:
    for table in _NUMBERS:
        op.execute(f"DROP TABLE {table}_number")
    for table in _DATES:
        op.execute(f"DROP TABLE {table}_date")
    for table in _OCCURRENCES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN occurrences")
