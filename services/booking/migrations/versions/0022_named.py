"""What agendas and roles refer to has narrow tables of its own, so that thousands of places are looked up at once.

Triggers keep them, so that a process of the version before keeps them as well. They are filled a thousand rows at a time,
each batch in a transaction of its own, while others read and write; what stopped halfway goes on.
"""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BATCH = 1_000


class Narrow(NamedTuple):
    """A table of references: those that the terms of `source` hold under `start`, by the column `of` of its rows."""

    name: str
    reference: str
    row: str
    row_type: str
    source: str
    of: str
    start: str

    def create(self) -> tuple[str, ...]:
        name, row = self.name, self.row
        return (
            f'CREATE TABLE IF NOT EXISTS {name} ({self.reference} text COLLATE "C" NOT NULL,'
            f" {row} {self.row_type} NOT NULL,"
            f" CONSTRAINT pk_{name} PRIMARY KEY ({self.reference}, {row}))",
            f"CREATE INDEX IF NOT EXISTS ix_{name}_{row} ON {name} ({row})",
            f"""CREATE OR REPLACE FUNCTION keep_{name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM {name} WHERE {row} = OLD.{self.of};
    RETURN NULL;
  END IF;
  IF TG_OP = 'UPDATE' THEN
    DELETE FROM {name} WHERE {row} = NEW.{self.of} AND NOT '{self.start}' || {self.reference} = ANY (NEW.terms);
  END IF;
  INSERT INTO {name} ({self.reference}, {row})
  SELECT substr(t, {len(self.start) + 1}), NEW.{self.of} FROM unnest(NEW.terms) AS t WHERE {self.is_one}
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$""",
            f"CREATE OR REPLACE TRIGGER keep_{name} AFTER INSERT OR DELETE ON {self.source}"
            f" FOR EACH ROW EXECUTE FUNCTION keep_{name}()",
            f"CREATE OR REPLACE TRIGGER keep_{name}_anew AFTER UPDATE OF terms ON {self.source}"
            f" FOR EACH ROW WHEN (OLD.terms IS DISTINCT FROM NEW.terms) EXECUTE FUNCTION keep_{name}()",
        )

    @property
    def is_one(self) -> str:
        """SQL: the term `t` is a reference of this base, without a version."""
        return f"starts_with(t, '{self.start}') AND substr(t, {len(self.start) + 1}) ~ '^([A-Z][A-Za-z]+/)?[^/|]+$'"

    def fill(self, first: int) -> str:
        """Rows that are being written meanwhile are waited for, and are then read as they have become."""
        return (
            f"WITH rows AS MATERIALIZED (SELECT {self.of} AS row, terms FROM {self.source}"
            f" WHERE key >= {first} AND key < {first + BATCH} ORDER BY key FOR SHARE)"
            f" INSERT INTO {self.name} ({self.reference}, {self.row})"
            f" SELECT substr(t, {len(self.start) + 1}), row FROM rows, unnest(terms) AS t WHERE {self.is_one}"
            " ON CONFLICT DO NOTHING"
        )


NARROW = (
    Narrow("agenda_named", "reference", "schedule_key", "bigint", "schedule", "key", "actor="),
    Narrow(
        "role_place", "place", "role", 'text COLLATE "C"', "practitioner_role", "id", "location=Location/"
    ),
)


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    for table in NARROW:
        for statement in table.create():
            execute(statement)
    with op.get_context().autocommit_block():
        execute = op.get_bind().exec_driver_sql
        for table in NARROW:
            last = execute(f"SELECT coalesce(max(key), 0) FROM {table.source}").scalar_one()
            for first in range(0, last + 1, BATCH):
                execute(table.fill(first))
            execute(f"ANALYZE {table.name}")


def downgrade() -> None:
    for table in NARROW:
        for trigger in (f"keep_{table.name}", f"keep_{table.name}_anew"):
            op.execute(f"DROP TRIGGER {trigger} ON {table.source}")
        op.execute(f"DROP FUNCTION keep_{table.name}()")
        op.drop_table(table.name)
