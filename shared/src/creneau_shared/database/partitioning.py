"""Partitions a table by month, for migrations. Since migrations use it, its effect on a database is never changed.

The former table becomes the partition for everything before a coming month (`<table>_before`); no row moves. A
constraint is validated before, beside the running service, so that attaching the partition scans no row. The exclusive
lock is held for a few milliseconds, whatever the table's size. An empty table is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alembic import op

READY_MONTHS = 3
"""months after the present one that a migration prepares; the worker prepares later ones"""
MOVED_MAX = 20_000
"""most rows that a new month takes over from the default partition (`MAKE_MOVING`); writers of the table wait meanwhile"""

PARTITIONS_OF = r"""
CREATE OR REPLACE FUNCTION partitions_of(parent text) RETURNS TABLE (name text, low timestamptz, high timestamptz)
LANGUAGE sql STABLE
SET search_path = public, pg_temp SET timezone = 'UTC'
AS $$
SELECT part.relname::text, substring(part.bound FROM $b$FROM \('([^']+)'\)$b$)::timestamptz,
  substring(part.bound FROM $b$TO \('([^']+)'\)$b$)::timestamptz
FROM (SELECT relname, pg_get_expr(relpartbound, pg_class.oid) AS bound FROM pg_inherits
  JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass(quote_ident(parent))) AS part
$$
"""
"""The partitions of a table and their bounds. Both NULL: default partition; only `low` NULL: everything before `high`."""

MAKE = """
CREATE OR REPLACE FUNCTION make_month(parent text, month timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '2s' SET timezone = 'UTC'
AS $$
DECLARE
    first timestamptz := date_trunc('month', month);
    following timestamptz := first + interval '1 month';
    part text := parent || to_char(first, '"_"YYYY_MM');
    instant name;
    taken boolean;
    may record;
    option text;
BEGIN
    SELECT attname INTO STRICT instant FROM pg_partitioned_table JOIN pg_attribute
        ON attrelid = partrelid AND attnum = partattrs[0]
        WHERE partrelid = to_regclass(quote_ident(parent)) AND partstrat = 'r' AND atttypid = 'timestamptz'::regtype;
    -- Several workers may do this at once.
    PERFORM pg_advisory_xact_lock(hashtext('partitions of ' || parent));
    IF EXISTS (SELECT FROM partitions_of(parent)
               WHERE high > first AND (low IS NULL OR low < following)) THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= %L AND %I < %L)',
                   parent || '_default', instant, first, instant, following) INTO taken;
    IF taken THEN
        RETURN false;
    END IF;
    -- Attached rather than made in place: only the default partition is locked, and readers and writers of months go on.
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent || '_default');
    FOR option IN SELECT unnest(reloptions) FROM pg_class WHERE oid = to_regclass(quote_ident(parent || '_default')) LOOP
        EXECUTE format('ALTER TABLE %I SET (%s)', part, option);
    END LOOP;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   parent, part, first, following);
    -- Statements that are about one month name its partition (`partitions.month_of`), and need a right of their own to it.
    FOR may IN SELECT privilege_type, grantee FROM pg_class, aclexplode(relacl)
               WHERE pg_class.oid = to_regclass(quote_ident(parent)) AND grantee <> relowner AND grantee <> 0 LOOP
        EXECUTE format('GRANT %s ON %I TO %s', may.privilege_type, part, may.grantee::regrole);
    END LOOP;
    RETURN true;
END
$$
"""

DROP = """
CREATE OR REPLACE FUNCTION drop_months(parent text, before timestamptz, OUT partitions integer, OUT rows bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '2s' SET timezone = 'UTC'
AS $$
DECLARE
    part text;
    known bigint;
BEGIN
    partitions := 0;
    rows := 0;
    PERFORM pg_advisory_xact_lock(hashtext('partitions of ' || parent));
    FOR part IN SELECT name FROM partitions_of(parent) WHERE high <= before ORDER BY high LOOP
        SELECT reltuples INTO known FROM pg_class WHERE oid = to_regclass(quote_ident(part));
        IF known < 0 THEN  -- never analysed: small
            EXECUTE format('SELECT count(*) FROM %I', part) INTO known;
        END IF;
        EXECUTE format('DROP TABLE %I', part);
        partitions := partitions + 1;
        rows := rows + known;
    END LOOP;
END
$$
"""

REFUSE = """
CREATE OR REPLACE FUNCTION refuse_delete() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are deleted in a partition', TG_TABLE_NAME USING ERRCODE = 'feature_not_supported';
END
$$
"""

MAKE_MOVING = f"""
CREATE OR REPLACE FUNCTION make_month(parent text, month timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '2s' SET timezone = 'UTC'
AS $$
DECLARE
    first timestamptz := date_trunc('month', month);
    following timestamptz := first + interval '1 month';
    part text := parent || to_char(first, '"_"YYYY_MM');
    instant name;
    taken boolean;
    many boolean;
    may record;
    option text;
BEGIN
    SELECT attname INTO STRICT instant FROM pg_partitioned_table JOIN pg_attribute
        ON attrelid = partrelid AND attnum = partattrs[0]
        WHERE partrelid = to_regclass(quote_ident(parent)) AND partstrat = 'r' AND atttypid = 'timestamptz'::regtype;
    -- Several workers may do this at once.
    PERFORM pg_advisory_xact_lock(hashtext('partitions of ' || parent));
    IF EXISTS (SELECT FROM partitions_of(parent)
               WHERE high > first AND (low IS NULL OR low < following)) THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= %L AND %I < %L)',
                   parent || '_default', instant, first, instant, following) INTO taken;
    IF taken THEN
        -- Whoever writes there has done so, or waits until the month has its rows.
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
        EXECUTE format('SELECT count(*) > {MOVED_MAX} FROM'
                       ' (SELECT FROM %I WHERE %I >= %L AND %I < %L LIMIT {MOVED_MAX} + 1) AS few',
                       parent || '_default', instant, first, instant, following) INTO many;
        IF many THEN
            RETURN false;
        END IF;
    END IF;
    -- Attached rather than made in place: only the default partition is locked, and readers and writers of months go on.
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent || '_default');
    FOR option IN SELECT unnest(reloptions) FROM pg_class WHERE oid = to_regclass(quote_ident(parent || '_default')) LOOP
        EXECUTE format('ALTER TABLE %I SET (%s)', part, option);
    END LOOP;
    IF taken THEN
        -- No row comes or goes: the triggers of those that do have nothing to tell.
        EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', parent || '_default');
        EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %I >= %L AND %I < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
                       parent || '_default', instant, first, instant, following, part);
        EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', parent || '_default');
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   parent, part, first, following);
    -- Statements that are about one month name its partition (`partitions.month_of`), and need a right of their own to it.
    FOR may IN SELECT privilege_type, grantee FROM pg_class, aclexplode(relacl)
               WHERE pg_class.oid = to_regclass(quote_ident(parent)) AND grantee <> relowner AND grantee <> 0 LOOP
        EXECUTE format('GRANT %s ON %I TO %s', may.privilege_type, part, may.grantee::regrole);
    END LOOP;
    RETURN true;
END
$$
"""
"""`make_month` from when rows may be moved: a new month takes over its rows of the default partition, if they are few."""

FUNCTIONS = (PARTITIONS_OF, MAKE, DROP, REFUSE)
REMOVALS = (
    "DROP FUNCTION refuse_delete()",
    "DROP FUNCTION drop_months(text, timestamptz)",
    "DROP FUNCTION make_month(text, timestamptz)",
    "DROP FUNCTION partitions_of(text)",
)


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table to be partitioned by month of `by` (timestamptz), with its indexes so far.

    `key`: the columns of its primary key. Each partition has this key; the parent has none, since its key would have to
    contain `by`. The writer ensures that a key is in one month only.
    """

    name: str
    by: str
    key: str
    indexes: Mapping[str, str]
    """name → what follows `ON <table>`"""


AUDIT = Partitioned(
    "audit",
    "recorded",
    "id",
    {
        "ix_audit_recorded": "(recorded)",
        "ix_audit_terms": "USING gin (terms) WITH (gin_pending_list_limit = 1024)",
    },
)
HISTORY = Partitioned(
    "resource_history",
    "superseded_at",
    "resource_type, id, version",
    {"ix_resource_history_time": "(resource_type, last_updated)"},
)
"""The two that every service has."""


def add_superseded_at() -> None:
    """Adds the time at which each version was replaced. Existing rows get the present time, without being rewritten."""
    op.execute(
        "ALTER TABLE resource_history ADD COLUMN IF NOT EXISTS superseded_at timestamptz NOT NULL DEFAULT now()"
    )


def make_functions() -> None:
    """Creates the SQL functions that make and drop months."""
    execute = op.get_bind().exec_driver_sql  # sent unchanged: a colon is no parameter
    for function in FUNCTIONS:
        execute(function)


def move_into_months() -> None:
    """Changes `make_month`: a new month takes over its rows of the default partition, if they are few."""
    op.get_bind().exec_driver_sql(MAKE_MOVING)


def keep_outside_months() -> None:
    """Changes `make_month` back: a month is not made while the default partition holds a row of it."""
    op.get_bind().exec_driver_sql(MAKE)


def drop_functions() -> None:
    for removal in REMOVALS:
        op.execute(removal)


def partition(*tables: Partitioned) -> None:
    """Partitions these tables, with the present and the next `READY_MONTHS` months."""
    bounds = _check_rows(tables)
    for table in tables:
        _exchange(table, bounds[table.name])
        for offset in range(READY_MONTHS + 1):
            op.execute(f"SELECT make_month('{table.name}', now() + interval '{offset} months')")


def refuse_deletes(table: Partitioned) -> None:
    """Refuses DELETE on the partitioned table as a whole; rows are deleted in a partition.

    The retention job of an older version names rows by `ctid`, which is unique in one partition only: it would delete
    today's rows in place of those of three years ago.
    """
    op.execute(
        f"CREATE TRIGGER refuse_delete BEFORE DELETE ON {table.name}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete()"
    )


def index_beside(table: str, name: str, definition: str) -> None:
    """Adds an index to a partitioned table, partition by partition, while others read and write; outside a transaction.
    An interrupted run begins again. `definition`: the SQL after `ON <table>`."""
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX IF EXISTS {name}")
        # On the parent alone: new months get the index, and it becomes valid once every partition has it.
        op.execute(f"CREATE INDEX {name} ON ONLY {table} {definition}")
        partitions = op.get_bind().exec_driver_sql(
            f"SELECT name FROM partitions_of('{table}') WHERE NOT EXISTS (SELECT FROM pg_inherits JOIN pg_index ON"
            f" indexrelid = inhrelid WHERE inhparent = '{name}'::regclass AND indrelid = to_regclass(name)) ORDER BY name"
        )
        for partition in partitions.scalars().all():
            part = f"{name}_of_{partition}"
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {part}")
            op.execute(f"CREATE INDEX CONCURRENTLY {part} ON {partition} {definition}")
            op.execute(f"ALTER INDEX {name} ATTACH PARTITION {part}")


def join_together(table: Partitioned) -> None:
    """Makes one table again: copies every row; nobody can read or write meanwhile."""
    name = table.name
    op.execute(f"CREATE TABLE {name}_whole (LIKE {name} INCLUDING ALL EXCLUDING INDEXES)")
    op.execute(f"INSERT INTO {name}_whole SELECT * FROM {name}")
    op.execute(f"DROP TABLE {name}")
    op.execute(f"ALTER TABLE {name}_whole RENAME TO {name}")
    op.execute(f"ALTER TABLE {name} ADD CONSTRAINT pk_{name} PRIMARY KEY ({table.key})")
    _create_indexes(table)


def _check_rows(tables: Sequence[Partitioned]) -> dict[str, datetime]:
    """Validates that every row lies before a coming month, while others read and write; table → that month.

    Outside a transaction; an interrupted run begins again.
    """
    bounds: dict[str, datetime] = {}
    with op.get_context().autocommit_block():
        for table in tables:
            bounds[table.name] = bound = _bound(table)
            check = f"ck_{table.name}_before"
            op.execute(f"ALTER TABLE {table.name} DROP CONSTRAINT IF EXISTS {check}")
            op.execute(
                f"ALTER TABLE {table.name} ADD CONSTRAINT {check} CHECK ({table.by} < '{bound.isoformat()}') NOT VALID"
            )
            op.execute(f"ALTER TABLE {table.name} VALIDATE CONSTRAINT {check}")
    return bounds


def _bound(table: Partitioned) -> datetime:
    """The first instant of the month (UTC) after the latest row and after tomorrow."""
    sql = (
        "SELECT (date_trunc('month', (greatest(now(), max(t.moment)) + interval '1 day') AT TIME ZONE 'UTC')"
        f" + interval '1 month') AT TIME ZONE 'UTC' FROM (SELECT max({table.by}) AS moment FROM {table.name}) AS t"
    )
    bound: datetime = op.get_bind().exec_driver_sql(sql).scalar_one()
    return bound


def _exchange(table: Partitioned, bound: datetime) -> None:
    """Replaces a table by a partitioned one, of which the former table becomes the first partition."""
    name, former = table.name, f"{table.name}_before"
    execute = op.get_bind().exec_driver_sql
    execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    execute(f"ALTER TABLE {name} RENAME TO {former}")
    indexes = execute(
        f"SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = '{former}'::regclass"
    )
    for index in indexes.scalars().all():
        execute(f"ALTER INDEX {index} RENAME TO {index.replace(name, former)}")
    execute(
        f"CREATE TABLE {name} (LIKE {former} INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE ({table.by})"
    )
    _create_indexes(table)
    filled = execute(f"SELECT EXISTS (SELECT FROM {former})").scalar_one()
    if filled:
        execute(
            f"ALTER TABLE {name} ATTACH PARTITION {former} FOR VALUES FROM (MINVALUE) TO ('{bound.isoformat()}')"
        )
        execute(f"ALTER TABLE {former} DROP CONSTRAINT ck_{former}")
    execute(
        f"CREATE TABLE {name}_default PARTITION OF {name}"
        f" (CONSTRAINT pk_{name}_default PRIMARY KEY ({table.key})) DEFAULT"
    )
    for heir in (name, f"{name}_default"):
        _bequeath(former, heir)
    if not filled:
        execute(f"DROP TABLE {former}")


def _create_indexes(table: Partitioned) -> None:
    for index, definition in table.indexes.items():
        op.get_bind().exec_driver_sql(f"CREATE INDEX {index} ON {table.name} {definition}")


def _bequeath(former: str, heir: str) -> None:
    """Copies the grants of the former table to `heir`, so that nobody has to wait for the next grant."""
    grants = op.get_bind().exec_driver_sql(
        f"SELECT format('GRANT %s ON {heir} TO %s', privilege_type, grantee::regrole) FROM pg_class,"
        f" aclexplode(relacl) WHERE oid = '{former}'::regclass AND grantee <> relowner AND grantee <> 0"
    )
    for grant in grants.scalars().all():
        op.get_bind().exec_driver_sql(grant)
