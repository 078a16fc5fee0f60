"""Appointments have traits beside their terms, and who may write a table may write the months that are made for it.

Nothing is moved: rows from before have all their terms in the index, and no traits, and are found as they were. Their next
version is written as new rows are.
"""

from __future__ import annotations

from alembic import op

from creneau_shared.database.partitioning import MAKE

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE appointment ADD COLUMN IF NOT EXISTS traits text[] COLLATE \"C\" NOT NULL DEFAULT '{}'"
    )
    op.get_bind().exec_driver_sql(MAKE)  # as it is: a colon is no parameter


def downgrade() -> None:
    # What no index holds would be found no more: it goes back among the terms; strings are found again once written anew.
    op.execute(
        "UPDATE appointment SET terms = terms || ARRAY(SELECT t FROM unnest(traits) AS t WHERE strpos(t, E'\\x1f') = 0)"
        " WHERE traits <> '{}'"
    )
    op.drop_column("appointment", "traits")
