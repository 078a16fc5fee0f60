"""Reading and changing appointments over the FHIR base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from creneau_web.care.directory import Directory
from creneau_web.care.model import Professional
from creneau_web.care.reading import opening_of
from creneau_web.fhir.client import Answered, Fhir, next_cursor
from creneau_web.fhir.refusal import RefusedError
from creneau_web.fhir.values import entries, instant
from creneau_web.visits.company import with_company
from creneau_web.visits.model import LIVE, Visit
from creneau_web.visits.reading import Company, ids, is_or_was_hold, references_of, unplaced, visit_of

PAGE = "50"
LISTED = 20
"""visits of a page of a list, at least, unless there are no more"""
READ_ON = 5
"""pages of the base that are read for one of ours at most"""
OFF = ("cancelled", "entered-in-error", "noshow")
CANCELLATION_REASON = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
REASONS = ("pat", "pat-swl", "pat-fb", "pat-lt", "pat-mv", "oth-weath", "other")
"""why patients cancel, of the codes that they may give (docs/guides/patient-frontend.md)"""

NOT_THEIRS = (403, 404, 410)
FIRST_MOVE = 2
"""first version, from zero, in which a visit that was held and booked can have been moved: before, nothing is asked"""


class NoTimeYetError(Exception):
    """The appointment (id) has no time: it waits for one."""

    def __init__(self, appointment: str) -> None:
        super().__init__(appointment)
        self.appointment = appointment


async def visit(fhir: Fhir, directory: Directory, id_: str) -> Visit:
    """One appointment with its professional. RefusedError (404) for somebody else's; NoTimeYetError without a time."""
    read = await fhir.read("Appointment", id_)
    if "start" not in read.resource or "end" not in read.resource:
        raise NoTimeYetError(id_)
    [appointment] = await with_company(fhir, [read.resource])
    found = visit_of(appointment, await _company(fhir, directory, [appointment]), read.etag)
    return found if found.reason else await _with_reason_of_slot(fhir, found)


async def readable(fhir: Fhir, id_: str) -> Answered | None:
    """An Appointment with its version; None if the caller may not see it."""
    try:
        return await fhir.read("Appointment", id_)
    except RefusedError as error:
        if error.refusal.status not in NOT_THEIRS:
            raise
        return None


async def patient_of(fhir: Fhir, id_: str) -> str | None:
    """Whose appointment it is (id of the Patient), with a time or without. RefusedError where it cannot be read."""
    actors = [
        p.get("actor", {}) for p in (await fhir.read("Appointment", id_)).resource.get("participant", ())
    ]
    return next(iter(ids([str(actor.get("reference", "")) for actor in actors], "Patient")), None)


async def waits_for_answer(fhir: Fhir, id_: str, now: datetime) -> bool:
    """Whether the practice waits for the patient's answer to an appointment; not where it cannot be read."""
    try:
        read = await fhir.read("Appointment", id_)
    except RefusedError:
        return False
    if "start" not in read.resource:
        return False
    found = visit_of(read.resource, Company())
    return found.waits_for_answer(now) and not found.offered


async def _with_reason_of_slot(fhir: Fhir, visit: Visit) -> Visit:
    """Adds the reason of its slot, if everybody may still see that: an appointment that was held states none."""
    if visit.slot is None:
        return visit
    try:
        slot = (await fhir.as_(None).read("Slot", visit.slot)).resource
    except RefusedError:
        return visit
    opening = opening_of(slot, visit.zone)
    return replace(visit, reason=opening.reason, modes=visit.modes or opening.modes)


@dataclass(frozen=True, slots=True)
class Visits:
    """A page of appointments."""

    visits: tuple[Visit, ...]
    following: str | None = None
    """cursor of the next page"""


async def visits_from(
    fhir: Fhir, directory: Directory, start: datetime, patient: str | None, cursor: str | None = None
) -> Visits:
    """Appointments that begin from an instant on and still stand, by their start; of everybody, or of one patient."""
    query = [("date", f"ge{start.isoformat()}"), ("status", ",".join(sorted(LIVE))), ("_sort", "date")]
    return await _page(fhir, directory, query, patient, cursor)


async def visits_before(
    fhir: Fhir, directory: Directory, end: datetime, patient: str | None, cursor: str | None = None
) -> Visits:
    """Appointments that began before, the latest first."""
    return await _page(
        fhir, directory, [("date", f"lt{end.isoformat()}"), ("_sort", "-date")], patient, cursor
    )


async def visits_off(fhir: Fhir, directory: Directory, start: datetime, patient: str | None) -> Visits:
    """Appointments from an instant on that do not take place: cancelled, above all."""
    query = [("date", f"ge{start.isoformat()}"), ("status", ",".join(OFF)), ("_sort", "-date")]
    return await _page(fhir, directory, query, patient, None)


async def visits_around(
    fhir: Fhir, directory: Directory, patient: str, moment: datetime, days: int
) -> list[Visit]:
    """Booked visits of one person so many days before and after an instant."""
    begin, end = moment - timedelta(days=days), moment + timedelta(days=days)
    query = [("patient", f"Patient/{patient}"), ("date", f"ge{begin.isoformat()}"), ("_sort", "date")]
    return await _search(fhir, directory, [*query, ("date", f"le{end.isoformat()}"), ("status", "booked")])


async def cancel(fhir: Fhir, id_: str, etag: str | None, reason: str | None = None) -> None:
    """Cancel the version that was shown; the time is free for others at once. `reason`: a code that patients may give.
    RefusedError: 412 when it was changed meanwhile, 422 when it is too late."""
    changes: list[dict[str, Any]] = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    if reason:
        coding = [{"system": CANCELLATION_REASON, "code": reason}]
        changes.append({"op": "add", "path": "/cancelationReason", "value": {"coding": coding}})
    await fhir.patch("Appointment", id_, changes, etag=etag)


async def cancel_series(
    fhir: Fhir, id_: str, etag: str | None, scope: str, reason: str | None = None
) -> None:
    """Cancel several visits of a series at once: this one and those that follow, or all. RefusedError as of `cancel`."""
    coding = {"coding": [{"system": CANCELLATION_REASON, "code": reason}]}
    said = [{"name": "reason", "valueCodeableConcept": coding}] if reason else []
    await fhir.operation(
        f"Appointment/{id_}/$cancel", [{"name": "scope", "valueCode": scope}, *said], etag=etag
    )


async def series_of(fhir: Fhir, directory: Directory, visit: Visit) -> list[Visit]:
    """The other visits of its series that still stand, by their start; none if the caller may not see them (by a link)."""
    if visit.series is None:
        return []
    query = [("identifier", visit.series), ("status", ",".join(sorted(LIVE))), ("_sort", "date")]
    try:
        return [other for other in await _search(fhir, directory, query) if other.id != visit.id]
    except RefusedError:
        return []


async def time_before(fhir: Fhir, directory: Directory, visit: Visit) -> datetime | None:
    """When the visit was to begin before its last move, in the zone of its place then; None if it was not moved, or the
    caller may not know."""
    if visit.sequence < FIRST_MOVE and visit.moved_because is None:
        return None
    try:
        read = await fhir.history("Appointment", visit.id)
    except RefusedError:
        return None
    booked = [
        a for a in entries(read, "Appointment") if a["status"] == "booked" and "start" in a and "end" in a
    ]
    before = next((a for a in booked if instant(a["start"]) != visit.start), None)
    if before is None:
        return None
    [accompanied] = await with_company(fhir, [before])
    return visit_of(accompanied, await _company(fhir, directory, [accompanied])).start


async def answer_for(
    fhir: Fhir, visit: Visit, status: str, times: tuple[datetime, datetime] | None = None
) -> None:
    """Sends the patient's answer to a visit or to another time for it: `accepted` or `declined`; `times`: which of both.
    RefusedError: 409 when that time has gone, 422 when nobody proposes it any more."""
    said = {"start": times[0].isoformat(), "end": times[1].isoformat()} if times else {}
    await fhir.create(
        {
            "resourceType": "AppointmentResponse",
            "appointment": {"reference": f"Appointment/{visit.id}"},
            "actor": {"reference": f"Patient/{visit.patient}"},
            "participantStatus": status,
            **said,
        }
    )


async def move(fhir: Fhir, id_: str, slot: str, key: str, *, etag: str | None = None) -> str:
    """Moves it to another slot; `etag`: only the version that was shown. The old time is freed only if the new one is had.
    Returns its status then: `pending` if the practice has still to agree. RefusedError: 409 when somebody was faster, 412
    when it was changed meanwhile, 422 when it is too late."""
    to = {"name": "slot", "valueReference": {"reference": f"Slot/{slot}"}}
    moved = await fhir.operation(f"Appointment/{id_}/$reschedule", [to], key=key, etag=etag)
    return str(moved.resource.get("status", ""))


async def messages_to_patient(fhir: Fhir, visit: Visit) -> list[dict[str, Any]]:
    """The Communications to the patient of a visit, about others too, the latest first; none for who may not see them (a
    link's account)."""
    if visit.patient is None:
        return []
    query = [("recipient", f"Patient/{visit.patient}"), ("_sort", "-sent"), ("_count", PAGE)]
    try:
        bundle = await fhir.search_privately("Communication", query)
    except RefusedError:
        return []
    return list(entries(bundle, "Communication"))


async def _page(
    fhir: Fhir,
    directory: Directory,
    query: Sequence[tuple[str, str]],
    patient: str | None,
    cursor: str | None,
) -> Visits:
    """Reads on until there is a page of visits: times that were only held are among the Appointments, and are none."""
    whose = [("patient", f"Patient/{patient}")] if patient else []
    asked, found = [*query, *whose, ("_count", str(LISTED))], list[Mapping[str, Any]]()
    for _ in range(READ_ON):
        bundle = await fhir.page_of("Appointment", asked, cursor)
        found += _timed(bundle)
        cursor = next_cursor(bundle)
        if cursor is None or len(found) >= LISTED:
            break
    return Visits(tuple(await _visits_of(fhir, directory, found)), cursor)


async def _search(fhir: Fhir, directory: Directory, query: Sequence[tuple[str, str]]) -> list[Visit]:
    bundle = await fhir.search_privately("Appointment", [*query, ("_count", PAGE)])
    return await _visits_of(fhir, directory, _timed(bundle))


def _timed(bundle: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The Appointments with a time that is not, and was not, only held."""
    return [
        a for a in entries(bundle, "Appointment") if "start" in a and "end" in a and not is_or_was_hold(a)
    ]


async def _visits_of(
    fhir: Fhir, directory: Directory, appointments: Sequence[Mapping[str, Any]]
) -> list[Visit]:
    found = await with_company(fhir, appointments)
    company = await _company(fhir, directory, found)
    return [visit_of(a, company) for a in found]


async def _company(fhir: Fhir, directory: Directory, appointments: Sequence[Mapping[str, Any]]) -> Company:
    """With whom and where these appointments are; places are asked for only where no professional says where one is."""
    people = await _professionals(fhir, directory, appointments)
    asked = dict.fromkeys(one for a in appointments for one in unplaced(a, people))
    return Company(people, await directory.places(fhir, asked))


async def _professionals(
    fhir: Fhir, directory: Directory, appointments: Sequence[Mapping[str, Any]]
) -> list[Professional]:
    """The professionals whom these appointments name, with their places: by their roles, else wherever they work."""
    references = [reference for a in appointments for reference in references_of(a)]
    roles = sorted({*ids(references, "PractitionerRole")})
    named = await directory.of_roles(fhir, roles) if roles else []
    met = {professional.practitioner for professional in named}
    alone = sorted({*ids(references, "Practitioner")} - met)
    return [*named, *(await directory.of_practitioners(fhir, alone) if alone else ())]


def recent(now: datetime) -> datetime:
    """Appointments from this start on are shown as present: one that is going on still is."""
    return now - timedelta(hours=3)
