"""What has changed of what people's search is made of is put down as what it is, and the rows to be made again as often as
they are found due: neither meets a row of somebody else's. A process of before goes on as it did, its `ON CONFLICT DO NOTHING`
never meeting any.
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE care_due ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY, DROP CONSTRAINT pk_care_due,"
        " ADD CONSTRAINT pk_care_due PRIMARY KEY (role, id)"
    )
    op.execute(
        'CREATE TABLE care_change (id bigint GENERATED ALWAYS AS IDENTITY, reference text COLLATE "C" NOT NULL,'
        " CONSTRAINT pk_care_change PRIMARY KEY (id))"
    )


def downgrade() -> None:
    # What was put down and is not entered yet is of any role: all of them are made again.
    op.execute("DROP TABLE care_change")
    op.execute("TRUNCATE care_due")
    op.execute(
        "ALTER TABLE care_due DROP CONSTRAINT pk_care_due, DROP COLUMN id, ADD CONSTRAINT pk_care_due PRIMARY KEY (role)"
    )
    op.execute("INSERT INTO care_due (role) SELECT id FROM practitioner_role WHERE NOT deleted")
