"""The last report on an appointment that was sent to the SAS platform is kept: later ones take from it what is gone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sas_report", sa.Column("report", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("sas_report", "report")
