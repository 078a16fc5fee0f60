"""The same rows in pgbench's language: what PostgreSQL alone gives on this machine.

Everything is read off the product's own code (search terms, statements), so that the yardstick cannot drift away
from what the product writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.load import data

from creneau_booking.storage.mapping.slot import SUPERSEDE, SUPERSEDED, SUPERSEDED_COLUMNS, content_sql
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.index import index_resource

_SAMPLE = data.Slot("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000", 1, "2026-12-01T08:00:00Z", "2026-12-01T08:15:00Z")


_SAMPLE_SLOT = f"slot=Slot/{_SAMPLE.id}"
_TOLD = f"'\\x{b'x'.hex() * 700}'::bytea"
"""an event of ordinary length"""


def _literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _moment(moment: datetime) -> str:
    return f"to_timestamp({moment.timestamp()})"


def _array(values: Sequence[object]) -> str:
    return f"ARRAY[{', '.join(_literal(v) for v in values)}]"


def _bytes(content: bytes) -> str:
    return f"'\\x{content.hex()}'::bytea"


def _side_inserts(table: str, source: str, entries: Any) -> list[str]:
    """CTEs that write the side rows of one resource."""
    parts = []
    if entries.strings:
        rows = ", ".join(f"({_literal(p)}, {_literal(v)}, {_literal(e)})" for p, v, e in entries.strings)
        parts.append(
            f"strings AS (INSERT INTO {table}_string (key, parameter, value, exact)"
            f" SELECT {source}.key, v.* FROM {source}, (VALUES {rows}) v)"
        )
    if entries.dates:
        rows = ", ".join(
            f"({_literal(p)}, {_moment(low)}, {_moment(high)})" for p, low, high in entries.dates
        )
        parts.append(
            f"dates AS (INSERT INTO {table}_date (key, parameter, low, high)"
            f" SELECT {source}.key, v.* FROM {source}, (VALUES {rows}) v)"
        )
    return parts


def _audited(action: str, interaction: str, role: str, resource_type: str, resource_id: str) -> str:
    """The CTE that leaves one row in the trail."""
    return (
        "audited AS (INSERT INTO audit (id, recorded, action, interaction, purpose, agent, issuer, role, resource_type,"
        f" resource_id, version, terms) VALUES (gen_random_uuid(), now(), '{action}', '{interaction}', 'PATADMIN',"
        f" 'bench', 'https://issuer.example', '{role}', {resource_type}, {resource_id}, 1,"
        " ARRAY['altid=bench', 'entity=Appointment/x', 'patient=Patient/x']))"
    )


def _book() -> str:
    resource = data.appointment(_SAMPLE)
    entries = index_resource("Appointment", resource)
    # Each in a slot of its own: thousands in one would be looked into as double bookings for as long as is measured.
    terms = _array(entries.terms).replace(
        _literal(_SAMPLE_SLOT), f"{_literal('slot=Slot/')} || gen_random_uuid()"
    )
    assert "gen_random_uuid" in terms
    ctes = [
        "claimed AS (UPDATE slot SET status = 'busy', taken_by = gen_random_uuid()::text, version = slot.version + 1,"
        " last_updated = clock_timestamp() WHERE schedule_key = :agenda AND start = to_timestamp(:at)"
        f" RETURNING {SUPERSEDED})",
        f"past AS ({SUPERSEDE} SELECT {SUPERSEDED_COLUMNS} FROM claimed)",
        "taken AS (INSERT INTO occupancy (appointment_id, actor, period)"
        " VALUES (gen_random_uuid()::text, 'Practitioner/' || gen_random_uuid(), tstzrange(now(), now() + interval '15 min'))"
        " ON CONFLICT ON CONSTRAINT ex_occupancy DO NOTHING)",
        "resource AS (INSERT INTO appointment (id, version, last_updated, content, terms)"
        f" VALUES (gen_random_uuid()::text, 1, now(), {_bytes(dumps(resource))}, {terms}) RETURNING key)",
        *_side_inserts("appointment", "resource", entries),
        # As if told already: the relay would be at these for minutes, ahead of what is measured next.
        "told AS (INSERT INTO outbox (event_id, topic, key, type, subject, source, data, time, published_at)"
        " VALUES (gen_random_uuid(), 'creneau.bench', gen_random_uuid()::text, 'fr.creneau.bench.v1', 'Appointment/x',"
        f" '/creneau/booking', {_TOLD}, now(), now()))",
        _audited("C", "create", "software", "'Appointment'", "'x'"),
    ]
    # The slot by its key, in agendas that nobody books in.
    agenda = (
        f"\\set agenda random({data.AGENDAS + 1}, {data.AGENDAS + data.YARD_AGENDAS})\n"
        f"\\set day random(0, {data.DAYS - 1})\n\\set place random(0, {data.SLOTS_A_DAY - 1})\n"
        f"\\set at {int(data.FIRST_DAY.timestamp())} + :day * 86400 + :place * 900\n"
    )
    return f"{agenda}WITH {', '.join(ctes)} SELECT key FROM resource;\n"


def _transaction() -> str:
    resource = data.location(1)
    entries = index_resource("Location", resource)
    content, terms = _bytes(dumps(resource)), _array(entries.terms)
    ctes = [
        "resource AS (INSERT INTO location (id, version, last_updated, content, terms, latitude, longitude)"
        f" SELECT gen_random_uuid()::text, 1, now(), {content}, {terms}, 48.1, -1.6 FROM generate_series(1, 20)"
        " RETURNING key)",
        *_side_inserts("location", "resource", entries),
        "told AS (INSERT INTO outbox (event_id, topic, key, type, subject, source, data, time, published_at)"
        " SELECT gen_random_uuid(), 'creneau.bench', gen_random_uuid()::text, 'fr.creneau.bench.v1', 'Location/x',"
        f" '/creneau/directory', {content}, now(), now() FROM resource)",
    ]
    return f"WITH {', '.join(ctes)} SELECT count(*) FROM resource;\n"


def free_slots(agenda: data.Agenda) -> str:
    """The same select as the search of one practitioner's free week."""
    content = content_sql("slot", "kind")
    low, high = (_moment(data.FIRST_DAY + timedelta(days=days)) for days in (7, 14))
    return (
        f"SELECT slot.id, slot.version, slot.last_updated, {content} FROM slot"
        " JOIN slot_kind kind ON kind.key = slot.kind_key"
        f" WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = 'bench-{data.AGENDAS - 1}')"
        f" AND slot.status = 'free' AND slot.start >= {low} AND slot.start < {high}"
        " ORDER BY slot.start, slot.id LIMIT 50;\n"
    )


BOOK = _book()
TRANSACTION = _transaction()
READ = "SELECT id, version, last_updated, content FROM practitioner WHERE id = 'bench-1';\n"
_PATIENT_TYPE, _PATIENT_ID = "'Patient'", "'bench-' || :patient"
READ_OWN = (
    f"\\set patient random(0, {data.PATIENTS - 1})\n"
    f"WITH {_audited('R', 'read', 'patient', _PATIENT_TYPE, _PATIENT_ID)}"
    " SELECT id, version, last_updated, content FROM patient WHERE id = 'bench-' || :patient;\n"
)
"""what is read of a person leaves a row in the trail"""
SEARCH = (
    "SELECT key, id, version, last_updated, content FROM practitioner WHERE NOT deleted AND key IN"
    " (SELECT key FROM practitioner_string WHERE parameter = 'family' AND value >= 'durand' AND value < 'durane')"
    " ORDER BY key LIMIT 50;\n"
)
INCLUDES = (
    "WITH role AS (SELECT id, version, last_updated, content, terms FROM practitioner_role"
    " WHERE NOT deleted AND terms && ARRAY['specialty=SM54'] ORDER BY key LIMIT 20)"
    " SELECT id, version, last_updated, content FROM role UNION ALL"
    " SELECT id, version, last_updated, content FROM practitioner WHERE id IN"
    " (SELECT substr(t, 27) FROM role, unnest(terms) t WHERE starts_with(t, 'practitioner=Practitioner/'))"
    " UNION ALL SELECT id, version, last_updated, content FROM location WHERE id IN"
    " (SELECT substr(t, 19) FROM role, unnest(terms) t WHERE starts_with(t, 'location=Location/'));\n"
)
