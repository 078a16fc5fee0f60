"""Slot's partitions are made and dropped by functions of the owner: the processes' role owns no table"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

MAKE = """
CREATE FUNCTION make_slot_partition(month timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '2s' SET timezone = 'UTC'
AS $$
DECLARE
    first timestamptz := date_trunc('month', month);
    following timestamptz := first + interval '1 month';
    name text := to_char(first, '"slot_"YYYY_MM');
BEGIN
    -- Several workers may do this at once.
    PERFORM pg_advisory_xact_lock(hashtext('slot partitions'));
    IF to_regclass(name) IS NOT NULL
       OR EXISTS (SELECT FROM slot_default WHERE start >= first AND start < following) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF slot FOR VALUES FROM (%L) TO (%L)', name, first, following);
    RETURN true;
END
$$
"""

DROP = """
CREATE FUNCTION drop_slot_partition(month timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '2s' SET timezone = 'UTC'
AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I', to_char(month, '"slot_"YYYY_MM'));
END
$$
"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    execute(MAKE)
    execute(DROP)


def downgrade() -> None:
    op.execute("DROP FUNCTION drop_slot_partition(timestamptz)")
    op.execute("DROP FUNCTION make_slot_partition(timestamptz)")
