"""What booking keeps of a person, as sources of their record. In versions of shared resources only those that name them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from creneau_booking.storage.erasures import Named
from creneau_shared.fhir.rest.record import Source, versions_of
from creneau_shared.fhir.search.sql import Columns, SearchTable

TYPES = (
    "Patient",
    "Person",
    "RelatedPerson",
    "Appointment",
    "AppointmentResponse",
    "Provenance",
    "AuditEvent",
)
"""In the order of the record; Person: an account that acts for the Patient."""

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)

_NAMES = "patients_named(content) @> ARRAY[{id}::text]"
_BETWEEN = (
    "EXISTS (SELECT FROM appointment_date AS began WHERE began.key = main.key AND began.parameter = 'date'"
    " AND began.low < ${until} AND began.high > ${begin})"
)
_ACCOUNTS = """
SELECT md5(issuer || ' ' || subject)::uuid::text, md5(issuer || ' ' || subject)::uuid::text, 1, to_timestamp(0),
  convert_to(json_build_object('resourceType', 'Person', 'id', md5(issuer || ' ' || subject)::uuid::text,
    'identifier', json_build_array(json_build_object('system', issuer, 'value', subject)), 'active', true,
    'link', json_build_array(json_build_object('target',
      json_build_object('reference', 'Patient/' || patient_id))))::text, 'UTF8')
FROM patient_account WHERE patient_id = $3"""


def sources(
    patient_id: str,
    named: Named,
    trail: SearchTable,
    *,
    types: Collection[str] = TYPES,
    since: datetime | None = None,
    period: tuple[datetime, datetime] | None = None,
    versions: bool = False,
) -> list[Source]:
    """The sources of a Patient's record.

    `since`: only what has changed since then; `period`: only appointments of that time; `versions`: superseded ones too.
    """
    since = since or EARLIEST
    made = [
        _patient(patient_id, since, versions),
        Source("Person", _ACCOUNTS, (patient_id,)),
        _generic("RelatedPerson", "related_person", patient_id, named.related_persons, since, versions),
        _appointments(patient_id, named, since, period, versions),
        _responses(patient_id, named, since, versions),
        _generic("Provenance", "provenance", patient_id, named.provenances, since, versions, whole=True),
        _trail(patient_id, named, trail, since),
    ]
    return [source for source in made if source.resource_type in types]


def _patient(patient_id: str, since: datetime, versions: bool) -> Source:
    condition = "id = $3 AND last_updated >= $4"
    past = condition if versions else None
    return Source("Patient", versions_of("Patient", "patient", condition, superseded=past), (patient_id, since))


def _generic(
    resource_type: str,
    table: str,
    patient_id: str,
    ids: Collection[str],
    since: datetime,
    versions: bool,
    *,
    whole: bool = False,
) -> Source:
    """`whole`: the resources themselves belong to the record, whomever a version names."""
    condition = "id = ANY($3::text[]) AND last_updated >= $4 AND $5::text <> ''"
    if not whole:
        condition += f" AND {_NAMES.format(id='$5')}"
    select = versions_of(resource_type, table, condition, superseded=condition if versions else None)
    return Source(resource_type, select, (list(ids), since, patient_id))


def _appointments(
    patient_id: str,
    named: Named,
    since: datetime,
    period: tuple[datetime, datetime] | None,
    versions: bool,
) -> Source:
    condition = f"id = ANY($3::text[]) AND last_updated >= $4 AND {_NAMES.format(id='$5')}"
    current = condition
    arguments: tuple[Any, ...] = (list(named.appointments), since, patient_id)
    if period is not None:
        current += f" AND {_BETWEEN.format(begin=6, until=7)}"
        arguments = (*arguments, *period)
    past = condition if versions else None
    return Source("Appointment", versions_of("Appointment", "appointment", current, superseded=past), arguments)


def _responses(patient_id: str, named: Named, since: datetime, versions: bool) -> Source:
    """The person's answers, and those of others to their appointments, unless they are another patient's."""
    condition = (
        "id = ANY($3::text[]) AND last_updated >= $4 AND patients_named(content) <@ ARRAY[$5::text]"
    )
    past = condition if versions else None
    select = versions_of("AppointmentResponse", "appointment_response", condition, superseded=past)
    return Source("AppointmentResponse", select, (list(named.responses), since, patient_id))


def _trail(patient_id: str, named: Named, table: SearchTable, since: datetime) -> Source:
    """Who has seen or changed any of it."""
    columns: Columns = table.columns("a")
    kinds = ["Patient", "RelatedPerson", "Appointment", "AppointmentResponse"]
    ids = [[patient_id], named.related_persons, named.appointments, named.responses]
    pairs = [(kind, id_) for kind, some in zip(kinds, ids, strict=True) for id_ in some]
    select = (
        f"SELECT to_char({columns.key}, 'FM0000000000000000000'), {columns.id}, 1, {columns.last_updated},"
        f" {columns.content} FROM {table.source('a')} WHERE (a.resource_type, a.resource_id) IN"
        " (SELECT * FROM unnest($3::text[], $4::text[])) AND a.recorded >= $5"
    )
    return Source("AuditEvent", select, ([k for k, _ in pairs], [i for _, i in pairs], since))
