"""A replica is built again beside itself"""

from __future__ import annotations

from creneau_shared.database.shared_tables import v1_rebuild, v1_rebuild_dropped

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    v1_rebuild()


def downgrade() -> None:
    v1_rebuild_dropped()
