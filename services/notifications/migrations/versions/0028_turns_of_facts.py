"""From when on what the directory says of somebody or something has another name or number, as far as its periods tell

Rows of before tell what they did until the directory says something of them again, or the consumer
`notifications-resources` is rebuilt.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("directory_fact", sa.Column("turns", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("directory_fact", "turns")
