"""Who stands for many in people's search is drawn by lots, of each day others: what was stored before there were small lots
is put down for the worker, which makes its rows again; until then only newer ones would be drawn.
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_SMALL_LOTS = "(SELECT array_agg('l:' || lpad(lot::text, 3, '0')) FROM generate_series(0, 255) AS lot)"


def upgrade() -> None:
    op.execute(
        f"INSERT INTO care_due (role) SELECT role FROM care_situation WHERE NOT terms && {_SMALL_LOTS} ON CONFLICT DO NOTHING"
    )


def downgrade() -> None:
    """The rows that were made again hold more terms than the older version asks for, and do no harm."""
