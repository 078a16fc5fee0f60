"""A code ends the earlier one once it has left, and so does a link: those on their way stand beside the one that was received

Codes of processes of before end the earlier one as they are made; a link of theirs has the number after the one that works.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

COMMENTS = (
    (
        "contact_code",
        "The one live code of a contact (a keyed hash): a keyed hash of the code, and how often one was tried.",
        "The code that a contact (a keyed hash) received last: a keyed hash of it, and how often one was tried.",
    ),
    (
        "visit_link",
        "Of the links that were used: the number of the one that works, and the wrong answers to it.",
        "Of the links that were used: the number of the one that left last, the wrong answers since, and the highest made.",
    ),
)


def upgrade() -> None:
    op.create_table(
        "contact_code_leaving",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", "address", "digest", name=op.f("pk_contact_code_leaving")),
        comment="Codes on their way to a contact, which end the earlier one once they have left; as contact_code.",
    )
    op.create_index(
        "ix_contact_code_leaving_expires_at", "contact_code_leaving", ["expires_at"], unique=False
    )
    op.add_column("visit_link", sa.Column("made", sa.Integer(), server_default=sa.text("0"), nullable=False))
    for table, before, after in COMMENTS:
        op.create_table_comment(table, after, existing_comment=before)


def downgrade() -> None:
    for table, before, after in COMMENTS:
        op.create_table_comment(table, before, existing_comment=after)
    op.drop_column("visit_link", "made")
    op.drop_table("contact_code_leaving")
