"""A month of which the default partition holds a few rows is made, and takes them with it"""

from __future__ import annotations

from creneau_shared.database.partitioning import keep_outside_months, move_into_months

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    move_into_months()


def downgrade() -> None:
    keep_outside_months()
