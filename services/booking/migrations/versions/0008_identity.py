"""One Patient for each INS; who answers for an address

What stands in the database is taken over: an INS belongs to the Patient that was registered first, and a practice
answers for the addresses of the Patients that no patient's account has registered.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PATIENTS = """SELECT id, key, convert_from(content, 'UTF8')::jsonb AS patient FROM patient WHERE content IS NOT NULL"""

HOLDERS = f"""
INSERT INTO patient_ins (digest, patient_id)
SELECT sha256(convert_to(one ->> 'system' || E'\\n' ||
       left(regexp_replace(upper(one ->> 'value'), '[^0-9A-Z]', '', 'g'), 13), 'UTF8')), id
FROM ({PATIENTS}) AS p, jsonb_array_elements(coalesce(patient -> 'identifier', '[]')) AS one
WHERE one ->> 'system' ~ '^urn:oid:1[.]2[.]250[.]1[.]213[.]1[.]4[.](8|9|10|11)$' AND one ->> 'value' <> ''
  AND coalesce(patient ->> 'active', 'true') <> 'false'
ORDER BY key
ON CONFLICT DO NOTHING
"""

VOUCHED = f"""
INSERT INTO vouched_address (patient_id, digest)
SELECT id, sha256(convert_to(id || E'\\n' || CASE one ->> 'system' WHEN 'email' THEN 'email' ELSE 'phone' END
       || E'\\n' || CASE one ->> 'system' WHEN 'email' THEN lower(btrim(one ->> 'value'))
       ELSE regexp_replace(regexp_replace(regexp_replace(replace(one ->> 'value', '(0)', ''), '[^0-9+]', '', 'g'),
            '^00', '+'), '^0(?=[1-9][0-9]{{8}}$)', '+33') END, 'UTF8'))
FROM ({PATIENTS}) AS p, jsonb_array_elements(coalesce(patient -> 'telecom', '[]')) AS one
WHERE one ->> 'system' IN ('email', 'phone', 'sms') AND one ->> 'value' <> ''
  AND NOT EXISTS (SELECT FROM patient_account WHERE patient_account.patient_id = p.id)
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    op.create_table(
        "patient_ins",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("patient_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_patient_ins")),
    )
    op.create_index(op.f("ix_patient_ins_patient_id"), "patient_ins", ["patient_id"], unique=False)
    op.create_table(
        "vouched_address",
        sa.Column("patient_id", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "digest", name=op.f("pk_vouched_address")),
    )
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    for statement in (HOLDERS, VOUCHED):
        execute(statement)


def downgrade() -> None:
    op.drop_table("vouched_address")
    op.drop_table("patient_ins")
