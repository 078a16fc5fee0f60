"""Words of resources, for _text and _content"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from creneau_shared.fhir.storage.words_backfill import FUNCTIONS, backfill

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    "schedule",
    "appointment",
    "appointment_response",
    "patient",
    "related_person",
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
    _slots(execute)
    op.add_column(
        "audit",
        sa.Column(
            "words", TSVECTOR(), sa.Computed(AUDIT_WORDS.replace(":alnum", "\\:alnum"), persisted=True)
        ),
    )
    _index("audit")


def downgrade() -> None:
    op.drop_index("ix_slot_name", table_name="slot")
    op.drop_index("ix_slot_start", table_name="slot")
    op.drop_index("ix_slot_words", table_name="slot")
    op.drop_column("slot", "words")
    op.drop_index("ix_slot_kind_words", table_name="slot_kind")
    op.drop_column("slot_kind", "words")
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


KIND_MEMBERS = """kind.members || CASE WHEN kind.meta <> '' THEN ',"meta":{' || substr(kind.meta, 2) || '}' ELSE '' END"""


def _slots(execute: Callable[[str], object]) -> None:
    op.add_column("slot_kind", sa.Column("words", TSVECTOR(), server_default=sa.text("''"), nullable=False))
    execute(f"UPDATE slot_kind AS kind SET words = pg_temp.words(('{{' || {KIND_MEMBERS} || '}}')::json)")
    _index("slot_kind")
    op.add_column("slot", sa.Column("words", TSVECTOR(), nullable=True))
    execute(
        f"UPDATE slot SET words = pg_temp.words(('{{' || slot.extra || {KIND_MEMBERS} || '}}')::json)"
        " FROM slot_kind AS kind WHERE kind.key = slot.kind_key AND slot.extra IS NOT NULL"
    )
    op.create_index("ix_slot_start", "slot", ["start", "id"], unique=False)
    op.create_index(
        "ix_slot_name", "slot", ["name"], unique=False, postgresql_where=sa.text("name IS NOT NULL")
    )
    op.create_index(
        "ix_slot_words",
        "slot",
        ["words"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("words IS NOT NULL"),
    )
