"""The trail by the patient who asked: whoever leaves is found without it being read from end to end"""

from __future__ import annotations

from alembic import op

from creneau_shared.database.partitioning import index_beside

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_beside("audit", "ix_audit_own", "(who) WHERE role = 'patient'")


def downgrade() -> None:
    op.execute("DROP INDEX ix_audit_own")
