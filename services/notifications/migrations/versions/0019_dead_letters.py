"""Which events could not be handled, and what became of them"""

from __future__ import annotations

from creneau_shared.database.shared_tables import v1_dead_letter, v1_dead_letter_dropped

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    v1_dead_letter()


def downgrade() -> None:
    v1_dead_letter_dropped()
