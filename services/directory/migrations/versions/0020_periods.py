"""Who no longer works somewhere, or not yet, is not found there: a row of people's search has the first and the last day of
its role. What was stored before is put down for the worker, which makes its rows again, without places and offers out of
use. A process of before fills the columns with nothing, and finds its rows whichever day it is.
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO care_due (role) SELECT id FROM practitioner_role WHERE NOT deleted")
    # Last: searches wait from here to the commit.
    op.execute("ALTER TABLE care_situation ADD COLUMN since date, ADD COLUMN until date")


def downgrade() -> None:
    op.execute("ALTER TABLE care_situation DROP COLUMN since, DROP COLUMN until")
