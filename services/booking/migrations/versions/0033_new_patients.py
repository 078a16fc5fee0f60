"""Whether slots are for whom the practice knows: said by a slot, it is kept with its kind, as everything that slots share.

A trigger keeps it, so that a process of the version before, which knows nothing of it, writes no kind without.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

URL = "https://creneau.sante.fr/fhir/StructureDefinition/slot-new-patients"


def said(members: str) -> str:
    """SQL: what the members of a kind say of it."""
    return (
        "(SELECT (one ->> 'valueBoolean')::boolean"
        f" FROM jsonb_array_elements(('{{' || {members} || '}}')::jsonb -> 'extension') AS one"
        f" WHERE one ->> 'url' = '{URL}' AND jsonb_typeof(one -> 'valueBoolean') = 'boolean' LIMIT 1)"
    )


OF_KIND = f"""CREATE FUNCTION keep_kind_new_patients() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  NEW.new_patients := {said("NEW.members")};
  RETURN NEW;
END
$$"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    op.add_column("slot_kind", sa.Column("new_patients", sa.Boolean(), nullable=True))
    execute(OF_KIND)
    execute(
        "CREATE TRIGGER keep_kind_new_patients BEFORE INSERT ON slot_kind FOR EACH ROW"
        f" WHEN (strpos(NEW.members, '{URL}') > 0) EXECUTE FUNCTION keep_kind_new_patients()"
    )
    execute(f"UPDATE slot_kind SET new_patients = {said('members')} WHERE strpos(members, '{URL}') > 0")


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_kind_new_patients ON slot_kind")
    op.execute("DROP FUNCTION keep_kind_new_patients()")
    op.drop_column("slot_kind", "new_patients")
