"""Words of resources, for _text and _content"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from creneau_shared.fhir.storage.words_backfill import FUNCTIONS, backfill

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    "organization",
    "location",
    "healthcare_service",
    "practitioner",
    "practitioner_role",
    "endpoint",
)
AUDIT_WORDS = """regexp_replace(regexp_replace(lower(normalize('rest ' || agent || ' ' || agent_level || ' ' || resource_type
|| ' ' || CASE action WHEN 'C' THEN 'create' WHEN 'U' THEN 'update' WHEN 'D' THEN 'delete' WHEN 'E' THEN 'operation'
ELSE CASE WHEN resource_id IS NULL THEN 'search type' ELSE 'read' END END, NFKD)),
U&'[\\0300-\\036F]+', '', 'g'), '[^[:alnum:]]+', ' ', 'g')::tsvector"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    for function in FUNCTIONS:
        execute(function)
    for table in TABLES:
        op.add_column(table, sa.Column("words", TSVECTOR(), server_default=sa.text("''"), nullable=False))
        execute(backfill(table))
        _index(table)
    op.add_column(
        "audit",
        sa.Column(
            "words", TSVECTOR(), sa.Computed(AUDIT_WORDS.replace(":alnum", "\\:alnum"), persisted=True)
        ),
    )
    _index("audit")


def downgrade() -> None:
    for table in ("audit", *TABLES):
        op.drop_index(f"ix_{table}_words", table_name=table)
        op.drop_column(table, "words")


def _index(table: str) -> None:
    op.create_index(
        f"ix_{table}_words",
        table,
        ["words"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 1024},
    )
