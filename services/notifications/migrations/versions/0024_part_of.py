"""A room is told with the site that it is part of

Rows of before count as part of nothing, as they did, until the directory says something of them again, or the consumer
`notifications-resources` is rebuilt.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("directory_fact", sa.Column("part_of", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("directory_fact", "part_of")
