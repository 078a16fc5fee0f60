"""What a higher source has stopped giving is the next one's to say: its next load writes such entries, although they are as in
its last one, which was left to the higher source.
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE load_known AS own SET digest = 'left to others' FROM load_known AS higher"
        " WHERE (higher.resource_type, higher.id) = (own.resource_type, own.id) AND higher.source <> own.source"
        " AND higher.gone AND higher.digest = '' AND NOT own.gone"
    )


def downgrade() -> None:
    pass
