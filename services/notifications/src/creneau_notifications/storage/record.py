"""What notifications keeps of a person, as sources of their record: each message with where it went, and who looked."""

from __future__ import annotations

from datetime import UTC, datetime

from creneau_shared.fhir.rest.record import PLACE, Source, trail_of
from creneau_shared.fhir.search.sql import SearchTable

DELIVERY = "https://creneau.sante.fr/fhir/StructureDefinition/message-delivery"
"""Extension on a Communication of a person's own record: the address that was used, the subject line, when."""

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)

_DELIVERED = f"""
(SELECT jsonb_build_object('extension', jsonb_agg(jsonb_build_object('url', '{DELIVERY}', 'extension',
   jsonb_build_array(jsonb_build_object('url', 'at', 'valueInstant',
     to_char(attempt.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
   || jsonb_build_array(jsonb_build_object('url', 'result', 'valueCode', attempt.result))
   || CASE WHEN sent_to IS NULL THEN '[]'
      ELSE jsonb_build_array(jsonb_build_object('url', 'sent-to', 'valueString', sent_to)) END
   || CASE WHEN subject IS NULL THEN '[]'
      ELSE jsonb_build_array(jsonb_build_object('url', 'subject', 'valueString', subject)) END)
   ORDER BY attempt.key))
 FROM attempt WHERE attempt.message = message.id HAVING count(*) > 0)"""

_MESSAGES = f"""
SELECT {PLACE}, main.id, main.version, main.last_updated,
  convert_to((convert_from(main.content, 'UTF8')::jsonb
    || coalesce({_DELIVERED}, '{{}}'))::text, 'UTF8')
FROM communication AS main JOIN message ON message.id::text = main.id
WHERE message.recipient = $3 AND NOT main.deleted AND main.last_updated >= $4"""


def sources(patient_id: str, trail: SearchTable, since: datetime | None) -> list[Source]:
    """The messages to a Patient, and the trail of accesses to them."""
    since = since or EARLIEST
    messages = Source("Communication", _MESSAGES, (f"Patient/{patient_id}", since))
    return [messages, trail_of(patient_id, trail, since)]
