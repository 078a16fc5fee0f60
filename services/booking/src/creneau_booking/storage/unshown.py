"""Conditions by which no search and no list of versions shows the rehearsal (`domain.rehearsal`)."""

from __future__ import annotations

from creneau_booking.domain.rehearsal import PATIENT, SCHEDULE

_AGENDA = f"coalesce((SELECT rehearsal.key FROM schedule AS rehearsal WHERE rehearsal.id = '{SCHEDULE}'), 0)"
_OF_PATIENT = f"ARRAY['patient=Patient/{PATIENT}']"


def real_slot(row: str) -> str:
    """Condition: the slot (or another row with a schedule_key) is not the rehearsal's. Looked up once a statement."""
    return f"{row}.schedule_key <> {_AGENDA}"


def real(resource_type: str, row: str, terms: str = "terms") -> str:
    """Condition: a resource of a generic type is not the rehearsal's; `terms`: the column of its search terms."""
    if resource_type == "Schedule":
        return f"{row}.id <> '{SCHEDULE}'"
    if resource_type == "Patient":
        return f"{row}.id <> '{PATIENT}'"
    if resource_type == "Appointment":
        return f"NOT {row}.{terms} @> {_OF_PATIENT}"
    return "true"
