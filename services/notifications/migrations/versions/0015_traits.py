"""Communications have traits beside their terms: what no index holds. Rows from before are found as they were."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE communication ADD COLUMN IF NOT EXISTS traits text[] COLLATE \"C\" NOT NULL DEFAULT '{}'"
    )


def downgrade() -> None:
    # What no index holds would be found no more: it goes back among the terms; strings are found again once written anew.
    op.execute(
        "UPDATE communication SET terms = terms || ARRAY(SELECT t FROM unnest(traits) AS t WHERE strpos(t, E'\\x1f') = 0)"
        " WHERE traits <> '{}'"
    )
    op.drop_column("communication", "traits")
