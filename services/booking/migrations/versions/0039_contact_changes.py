"""When a contact changes by itself, because a period of the Patient's begins or ends"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contact_change",
        sa.Column("patient_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("contact_change_at", "contact_change", ["at"])
    # Whoever has a period at all is looked at once; what is found then is kept.
    op.execute(
        "INSERT INTO contact_change SELECT id, now() FROM patient"
        " WHERE content IS NOT NULL AND position('\"period\"'::bytea IN content) > 0"
    )


def downgrade() -> None:
    op.drop_table("contact_change")
