"""What messages tell of stands once, with the appointment; a claim changes no column of an index; attempts have one index.

`message.event` stays for the version before, which reads it; this version neither reads nor writes it, and the next one
drops it. Workers of the version before could not go on with what this one plans: what they withdraw or plan is refused as
a collision, which they try again until they are replaced; what they have claimed they send and put down.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

PENDING = "status IN ('planned', 'sending') AND NOT superseded"
# The last event of each appointment keeps what the version before has left to its pending messages alone.
KEEP_TOLD = f"""
INSERT INTO appointment_state AS kept (appointment, version, recipient, ends_at, event)
SELECT DISTINCT ON (appointment) appointment, (event -> 'appointment' ->> 'version')::integer, recipient,
  (event -> 'appointment' ->> 'end')::timestamptz, event
FROM message WHERE {PENDING} AND kind <> 'reminder' ORDER BY appointment, planned_at DESC
ON CONFLICT (appointment) DO UPDATE SET event = kept.event || jsonb_build_object(
  'previous_start', excluded.event -> 'previous_start', 'cancelled_by', excluded.event -> 'cancelled_by')
WHERE kept.event -> 'previous_start' IS DISTINCT FROM excluded.event -> 'previous_start'
  OR kept.event -> 'cancelled_by' IS DISTINCT FROM excluded.event -> 'cancelled_by'"""
KEEP_REMINDED = f"""
INSERT INTO appointment_state (appointment, version, recipient, ends_at, event)
SELECT DISTINCT ON (appointment) appointment, (event -> 'appointment' ->> 'version')::integer, recipient,
  (event -> 'appointment' ->> 'end')::timestamptz, event
FROM message WHERE {PENDING} ORDER BY appointment, planned_at DESC
ON CONFLICT (appointment) DO NOTHING"""
# Statements of the version before name the column; of those by which senders put down, the claim.
REFUSE = """
CREATE OR REPLACE FUNCTION refuse_version_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE serialization_failure USING MESSAGE = 'this worker is of the version before: replace it';
END
$$"""
REFUSE_ON = """
CREATE OR REPLACE TRIGGER refuse_version_before BEFORE INSERT OR UPDATE ON message FOR EACH STATEMENT
WHEN (current_query() LIKE '%, event, %' AND current_query() NOT LIKE '%given.attempts%')
EXECUTE FUNCTION refuse_version_before()"""
INDEXES = {
    "ix_message_pending": "next_attempt_at",
    "ix_message_pending_appointment": "appointment",
}
BEFORE = ("ix_message_due", "ix_message_lease", "ix_message_appointment")


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a percent sign is no parameter
    op.alter_column("message", "event", existing_type=postgresql.JSONB(), nullable=True)
    execute(REFUSE)
    execute(REFUSE_ON)
    execute(KEEP_TOLD)
    execute(KEEP_REMINDED)
    execute("ALTER TABLE message SET (fillfactor = 60)")
    with op.get_context().autocommit_block():
        execute = op.get_bind().exec_driver_sql
        for name, column in INDEXES.items():
            execute(f"DROP INDEX IF EXISTS {name}")  # of an upgrade that was stopped
            execute(f"CREATE INDEX CONCURRENTLY {name} ON message ({column}) WHERE finished_at IS NULL")
        for name in BEFORE:
            execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        execute("DROP INDEX IF EXISTS pk_attempt_of_message")
        execute("CREATE UNIQUE INDEX CONCURRENTLY pk_attempt_of_message ON attempt (message, key)")
    for change in (
        "DROP CONSTRAINT pk_attempt",
        "ADD CONSTRAINT pk_attempt PRIMARY KEY USING INDEX pk_attempt_of_message",
    ):
        op.execute(f"ALTER TABLE attempt {change}")
    op.drop_index("ix_attempt_message", table_name="attempt")


def downgrade() -> None:
    op.create_index("ix_attempt_message", "attempt", ["message"])
    op.drop_constraint("pk_attempt", "attempt")
    op.create_primary_key("pk_attempt", "attempt", ["key"])
    op.create_index("ix_message_appointment", "message", ["appointment"])
    op.create_index(
        "ix_message_lease", "message", ["lease_until"], postgresql_where=sa.text("status = 'sending'")
    )
    op.create_index(
        "ix_message_due", "message", ["next_attempt_at"], postgresql_where=sa.text("status = 'planned'")
    )
    for name in INDEXES:
        op.drop_index(name, table_name="message")
    op.execute("ALTER TABLE message SET (fillfactor = 80)")
    op.execute("DROP TRIGGER refuse_version_before ON message")
    op.execute("DROP FUNCTION refuse_version_before()")
    # Of messages that are over, what they told of may be past keeping.
    op.execute(
        "UPDATE message SET event = coalesce((SELECT told.event FROM appointment_state AS told"
        " WHERE told.appointment = message.appointment), '{}') WHERE event IS NULL"
    )
    op.alter_column("message", "event", existing_type=postgresql.JSONB(), nullable=False)
