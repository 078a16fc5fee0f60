"""What booking keeps of a person, as sources of their record; of shared resources only the versions that name them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial

from creneau_booking.storage.mapping.fellow_patients import as_seen_by
from creneau_booking.storage.people.erasures import Named
from creneau_shared.fhir.rest.record import Source, trail_of, versions_of
from creneau_shared.fhir.search.sql import SearchTable

TYPES = (
    "Patient",
    "Person",
    "RelatedPerson",
    "Appointment",
    "AppointmentResponse",
    "Provenance",
    "AuditEvent",
)
"""In the order of the record; Person: an account that is the Patient's own."""

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)

_NAMES = "{terms} && ARRAY['patient=Patient/' || $5::text]"
_NOBODY_ELSE = (
    "NOT EXISTS (SELECT FROM unnest({terms}) AS t WHERE split_part(t, '=', 2) ~ '^(Patient|RelatedPerson)/'"
    " AND split_part(t, '=', 2) <> ALL($5::text[]))"
)
"""Condition: names no person but these (references)."""
_NAMES_THEM = "EXISTS (SELECT FROM unnest({terms}) AS t WHERE split_part(t, '=', 2) = ANY($5::text[]))"
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
FROM patient_account WHERE patient_id = $3 AND oneself"""


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
    people = [f"Patient/{patient_id}", *(f"RelatedPerson/{id_}" for id_ in named.related_persons)]
    made = [
        _patient(patient_id, since, versions),
        Source("Person", _ACCOUNTS, (patient_id,)),
        _generic("RelatedPerson", "related_person", patient_id, named.related_persons, since, versions),
        _appointments(patient_id, named, since, period, versions),
        _responses(people, named, since, versions),
        _provenances(people, named, since),
        trail_of(patient_id, trail, since),
    ]
    return [source for source in made if source.resource_type in types]


def _patient(patient_id: str, since: datetime, versions: bool) -> Source:
    condition = "id = $3 AND last_updated >= $4"
    past = condition if versions else None
    return Source(
        "Patient", versions_of("Patient", "patient", condition, superseded=past), (patient_id, since)
    )


def _versions(resource_type: str, table: str, wanted: str, *, versions: bool, current: str = "true") -> str:
    """The `select` of resources `$3` that have changed since `$4` and whose terms (`{terms}`) are as wanted."""
    condition = f"id = ANY($3::text[]) AND last_updated >= $4 AND {wanted}"
    now = f"{condition.format(terms='terms')} AND {current}"
    past = condition.format(terms="compartment") if versions else None
    return versions_of(resource_type, table, now, superseded=past)


def _generic(
    resource_type: str, table: str, patient_id: str, ids: Collection[str], since: datetime, versions: bool
) -> Source:
    """Returns the source of resources whose versions name the person."""
    select = _versions(resource_type, table, _NAMES, versions=versions)
    return Source(resource_type, select, (list(ids), since, patient_id))


def _appointments(
    patient_id: str,
    named: Named,
    since: datetime,
    period: tuple[datetime, datetime] | None,
    versions: bool,
) -> Source:
    current = "true" if period is None else _BETWEEN.format(begin=6, until=7)
    select = _versions("Appointment", "appointment", _NAMES, versions=versions, current=current)
    arguments = (list(named.appointments), since, patient_id, *(period or ()))
    return Source("Appointment", select, arguments, partial(as_seen_by, (patient_id,)))


def _responses(people: list[str], named: Named, since: datetime, versions: bool) -> Source:
    """The answers of the person and theirs (`people`), and those of others to their appointments, except another
    patient's."""
    select = _versions("AppointmentResponse", "appointment_response", _NOBODY_ELSE, versions=versions)
    return Source("AppointmentResponse", select, (list(named.responses), since, people))


def _provenances(people: list[str], named: Named, since: datetime) -> Source:
    """The record of changes, without those that another patient made when the appointment was theirs, before or after."""
    wanted = f"({_NAMES_THEM} OR {_NOBODY_ELSE})".format(terms="terms")
    select = versions_of(
        "Provenance",
        "provenance",
        f"id = ANY($3::text[]) AND last_updated >= $4 AND {wanted}",
        superseded=None,
    )
    return Source("Provenance", select, (list(named.provenances), since, people))
