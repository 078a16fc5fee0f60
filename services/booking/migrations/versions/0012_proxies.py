"""Who gave an invitation; and every account is told of on the bus"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ACCOUNTS = """
INSERT INTO outbox (event_id, topic, key, type, subject, source, data, time)
SELECT gen_random_uuid(), 'creneau.booking.accounts', digest, 'fr.creneau.booking.account.changed.v1',
       'Account/' || digest, '/creneau/booking',
       convert_to(json_build_object('account', digest, 'people', people)::text, 'UTF8'), now()
FROM (
  SELECT encode(sha256(convert_to(issuer || E'\\n' || subject, 'UTF8')), 'hex') AS digest,
         json_agg(json_strip_nulls(json_build_object(
           'patient', 'Patient/' || patient_id, 'may', may, 'oneself', oneself,
           'since', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           'until', to_char(until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
         )) ORDER BY patient_id) AS people
  FROM patient_account WHERE until IS NULL OR until > now() GROUP BY 1
) AS accounts
"""


def upgrade() -> None:
    op.execute("DELETE FROM proxy_invitation")
    for name in ("issuer", "subject"):
        op.add_column("proxy_invitation", sa.Column(name, sa.Text(), nullable=False))
    op.execute(ACCOUNTS)


def downgrade() -> None:
    op.execute("DELETE FROM outbox WHERE topic = 'creneau.booking.accounts'")
    for name in ("subject", "issuer"):
        op.drop_column("proxy_invitation", name)
