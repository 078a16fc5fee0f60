"""Until when a patient may cancel or move: added to each Appointment that they read or find, never stored.

The practice's rule may change after booking, and its current rule counts: a stored instant would be wrong then. So the
deadlines are computed for patients alone, with one statement for each page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.deadlines import Deadlines, deadlines_of
from creneau_booking.domain.transitions import MOVABLE
from creneau_booking.storage.agendas.rules import change_deadlines
from creneau_booking.storage.mapping.appointment import CANCELABLE_UNTIL, RESCHEDULABLE_UNTIL, fhir_instant
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.access import Access

MAY_CANCEL = frozenset({"book", "cancel"})
MAY_MOVE = frozenset({"book", "move"})


class WithDeadlines:
    """Completes appointments for patients."""

    def __init__(self, repository: AppointmentRepository) -> None:
        self._repository = repository

    async def __call__(
        self, connection: Connection, access: Access, now: datetime, contents: Sequence[bytes]
    ) -> Sequence[bytes]:
        """Returns the appointments (JSON), each with its deadlines if the caller may cancel or move it."""
        if not access.by_patient:
            return contents
        resources = [loads(content) for content in contents]
        facts = [self._repository.facts(resource) for resource in resources]
        open_ones = [one for one in facts if one.status in MOVABLE and one.start is not None]
        slots = sorted({slot for one in open_ones for slot in one.slots})
        starts = [one.start for one in open_ones if one.start is not None]
        known = await change_deadlines(connection, slots, min(starts), max(starts)) if slots else {}
        return [
            _with(content, resource, _theirs(access, one, known))
            for content, resource, one in zip(contents, resources, facts, strict=True)
        ]


def _theirs(access: Access, appointment: Appointment, known: dict[str, timedelta]) -> Deadlines:
    agendas = [known[slot] for slot in appointment.slots if slot in known]
    found = deadlines_of(appointment, agendas)
    people = access.rights.people
    may = frozenset[str]().union(*(people.get(p.removeprefix("Patient/"), ()) for p in appointment.patients))
    movable = bool(may & MAY_MOVE) and not appointment.is_offer
    return Deadlines(found.cancelable if may & MAY_CANCEL else None, found.reschedulable if movable else None)


def _with(content: bytes, resource: Resource, deadlines: Deadlines) -> bytes:
    said = [
        {"url": url, "valueInstant": fhir_instant(until)}
        for url, until in (
            (CANCELABLE_UNTIL, deadlines.cancelable),
            (RESCHEDULABLE_UNTIL, deadlines.reschedulable),
        )
        if until is not None
    ]
    return dumps({**resource, "extension": [*resource.get("extension", ()), *said]}) if said else content
