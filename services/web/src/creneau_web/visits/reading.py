"""From an Appointment to what a page shows of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

from creneau_web.care.model import PARIS, Place, Professional
from creneau_web.care.reading import VISIT
from creneau_web.fhir.values import codes, extension, first_text, instant, instant_in
from creneau_web.visits.model import LIVE, Cancellation, OtherTime, Visit

CANCELABLE = "https://creneau.sante.fr/fhir/StructureDefinition/cancelable-until"
RESCHEDULABLE = "https://creneau.sante.fr/fhir/StructureDefinition/reschedulable-until"

_OURS = "https://creneau.sante.fr/fhir/StructureDefinition/"
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment."
WAITING = f"{_OURS}waiting-since"
HELD_UNTIL = f"{_OURS}held-until"
COUNTER_PROPOSAL = f"{_OURS}counter-proposal"
RESCHEDULE_REASON = f"{_OURS}reschedule-reason"
CANCELLED_BY, REPLACED_BY = f"{_OURS}cancelled-by", f"{_OURS}replaced-by"
NOTE, RECURRENCE_ID = f"{_R5}note", f"{_R5}recurrenceId"
PATIENTS_SIDE = ("Patient/", "RelatedPerson/")
PRACTICES_SIDE = ("Device/", "HealthcareService/", "Location/", "Practitioner/", "PractitionerRole/")
HIDDEN = {
    "system": "https://creneau.sante.fr/fhir/CodeSystem/confidentiality",
    "code": "HIDDEN-FROM-PROXIES",
}
"""label of an appointment that representatives do not see (docs/guides/patient-frontend.md)"""
SERIES = "https://creneau.sante.fr/fhir/identifier/series"


@dataclass(frozen=True, slots=True)
class Company:
    """The professionals whom appointments name (perhaps others too), and the places that they name."""

    professionals: Sequence[Professional] = ()
    places: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    """by the reference of a Location or HealthcareService"""


def visit_of(appointment: Mapping[str, Any], company: Company, etag: str | None = None) -> Visit:
    """Reads an Appointment; `company` has to contain whoever it names."""
    actors = [p.get("actor", {}) for p in appointment.get("participant", ())]
    references = references_of(appointment)
    professional = _professional(references, company.professionals)
    place, zone = _where(references, professional, company.places)
    services = appointment.get("serviceType", ())
    slots = _slots(appointment)
    version = appointment.get("meta", {}).get("versionId")
    asks_practice, asks_patient = _asked(appointment)
    return Visit(
        id=appointment["id"],
        status=appointment["status"],
        start=instant(appointment["start"]).astimezone(zone),
        end=instant(appointment["end"]).astimezone(zone),
        patient=next(iter(ids(references, "Patient")), None),
        patient_name=_display(actors, "Patient"),
        professional=professional,
        reason=first_text(services),
        modes=frozenset(codes(services, VISIT)),
        comment=appointment.get("comment"),
        instructions=appointment.get("patientInstruction"),
        slot=next(iter(slots), None),
        etag=etag or (f'W/"{version}"' if version else None),
        cancelable_until=instant_in(appointment, CANCELABLE),
        reschedulable_until=instant_in(appointment, RESCHEDULABLE),
        professional_name=_display(actors, "Practitioner"),
        place=place,
        zone=zone,
        place_name=_display(actors, "Location"),
        updated=instant(appointment["meta"]["lastUpdated"])
        if "lastUpdated" in appointment.get("meta", {})
        else None,
        offered=appointment["status"] == "pending" and extension(appointment, WAITING) is not None,
        sequence=max(0, int(version or 1) - 1) if str(version or "1").isdigit() else 0,
        hidden=HIDDEN["code"]
        in [label.get("code") for label in appointment.get("meta", {}).get("security", ())],
        asks_practice=asks_practice,
        asked_until=instant_in(appointment, HELD_UNTIL) if asks_practice else None,
        asks_patient=asks_patient,
        other_time=_other_time(appointment, zone),
        moved_because=(extension(appointment, RESCHEDULE_REASON) or {}).get("valueString"),
        cancellation=_cancellation(appointment),
        series=_series(appointment),
        number=int((extension(appointment, RECURRENCE_ID) or {}).get("valuePositiveInt", 1)),
    )


def references_of(appointment: Mapping[str, Any]) -> list[str]:
    """References to an appointment's actors; empty for one that it hides."""
    return [str(p.get("actor", {}).get("reference", "")) for p in appointment.get("participant", ())]


def unplaced(appointment: Mapping[str, Any], professionals: Sequence[Professional]) -> list[str]:
    """The references that say where an appointment is if its professional does not: its places, else its offers."""
    references = references_of(appointment)
    professional = _professional(references, professionals)
    if professional is not None and professional.place is not None:
        return []
    return _of_type(references, "Location") or _of_type(references, "HealthcareService")


def _of_type(references: Sequence[str], type_: str) -> list[str]:
    return [reference for reference in references if reference.startswith(f"{type_}/")]


def _where(
    references: Sequence[str], professional: Professional | None, places: Mapping[str, tuple[Place, ...]]
) -> tuple[Place | None, ZoneInfo]:
    """Place and time zone of an appointment: its professional's; else the place that it names, one with an address first;
    else the only place of its offers. If there are several, the zone that all share."""
    if professional is not None and professional.place is not None:
        return professional.place, professional.zone
    named = [place for one in _of_type(references, "Location") for place in places.get(one, ())]
    if named:
        place = next((place for place in named if place.address), named[0])
        return place, place.zone
    offers = _of_type(references, "HealthcareService")
    theirs = list(dict.fromkeys(place for one in offers for place in places.get(one, ())))
    zones = {place.zone for place in theirs}
    zone = professional.zone if professional else PARIS
    return theirs[0] if len(theirs) == 1 else None, next(iter(zones)) if len(zones) == 1 else zone


def _professional(references: Sequence[str], professionals: Sequence[Professional]) -> Professional | None:
    """The professional of an appointment: in the role that it names, else in the one at the place that it names, else in all
    of their roles, as far as these agree."""
    by_role = {one.id: one for one in professionals}
    named = [by_role[id_] for id_ in ids(references, "PractitionerRole") if id_ in by_role]
    person = next(iter(ids(references, "Practitioner")), None)
    meant = named[:1] or [one for one in professionals if person is not None and one.practitioner == person]
    places = ids(references, "Location")
    there = [one for one in meant if one.place is not None and one.place.id in places]
    return reduce(Professional.or_as, there or meant) if meant else None


def _asked(appointment: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the practice has still to agree, and whether the patient has."""
    said = _said(appointment)
    other = _other_time(appointment, PARIS)
    asks_patient = (True, "needs-action") in said and (other is None or other.by_practice)
    return (False, "needs-action") in said, asks_patient


def _is_hold(appointment: Mapping[str, Any]) -> bool:
    """Whether the time is only kept while somebody makes up their mind (Argonaut's states: the practice's side of a held
    visit is tentative, unless another time is proposed)."""
    return extension(appointment, COUNTER_PROPOSAL) is None and (False, "tentative") in _said(appointment)


def _said(appointment: Mapping[str, Any]) -> list[tuple[bool, str | None]]:
    """Of each participant whether it is the patient, and their status; empty if nothing is open any more, or it waits."""
    if appointment["status"] not in ("pending", "proposed") or extension(appointment, WAITING):
        return []
    return [(_is_patient(p), p.get("status")) for p in appointment.get("participant", ())]


def _other_time(appointment: Mapping[str, Any], zone: ZoneInfo) -> OtherTime | None:
    found = extension(appointment, COUNTER_PROPOSAL)
    if found is None or appointment["status"] in ("cancelled", "entered-in-error"):
        return None
    parts = {part["url"]: part for part in found.get("extension", ())}
    start, end = (instant(parts[name]["valueInstant"]).astimezone(zone) for name in ("start", "end"))
    return OtherTime(start, end, by_practice=not _is_of_patients_side(parts["by"]["valueReference"]))


def _cancellation(appointment: Mapping[str, Any]) -> Cancellation | None:
    if appointment["status"] != "cancelled":
        return None
    by = (extension(appointment, CANCELLED_BY) or {}).get("valueCode")
    reason = (appointment.get("cancelationReason") or {}).get("text")
    notes = [
        e.get("valueAnnotation", {}).get("text")
        for e in appointment.get("extension", ())
        if e.get("url") == NOTE
    ]
    instead = (extension(appointment, REPLACED_BY) or {}).get("valueReference", {}).get("reference", "")
    return Cancellation(
        by=by,
        words=tuple(dict.fromkeys(words for words in (reason, *notes) if words)) if by == "provider" else (),
        instead=instead.removeprefix("Appointment/") or None,
    )


def _series(appointment: Mapping[str, Any]) -> str | None:
    value = next(
        (i.get("value") for i in appointment.get("identifier", ()) if i.get("system") == SERIES), None
    )
    return f"{SERIES}|{value}" if value else None


def _is_patient(participant: Mapping[str, Any]) -> bool:
    return _is_of_patients_side(participant.get("actor", {}))


def _is_of_patients_side(actor: Mapping[str, Any]) -> bool:
    """Whether a reference is to a patient or a relative; one to another patient has its type alone."""
    return f"{actor.get('type') or actor.get('reference', '')}/".startswith(PATIENTS_SIDE)


def was_only_held(appointment: Mapping[str, Any]) -> bool:
    """Whether a time was only held and then given back: the practice's side was never more than tentative (Argonaut's
    states: a hold that is released is cancelled/tentative)."""
    others = [
        p for p in appointment.get("participant", ())
        if not _is_patient(p)
    ]  # fmt: skip
    return appointment["status"] == "cancelled" and any(p.get("status") == "tentative" for p in others)


def is_or_was_hold(appointment: Mapping[str, Any]) -> bool:
    """Whether an appointment is a hold, or was never more."""
    return _is_hold(appointment) or was_only_held(appointment)


def stands_at(appointment: Mapping[str, Any], slot: str) -> bool:
    """Whether a visit that is still to be takes this slot."""
    return appointment["status"] in LIVE and slot in _slots(appointment)


def _slots(appointment: Mapping[str, Any]) -> list[str]:
    return ids([s.get("reference", "") for s in appointment.get("slot", ())], "Slot")


def ids(references: Iterable[str], kind: str) -> list[str]:
    """The ids of the references to one type."""
    return [r.partition("/")[2] for r in references if r.startswith(f"{kind}/")]


def _display(actors: Iterable[Mapping[str, Any]], kind: str) -> str | None:
    return next(
        (
            a["display"]
            for a in actors
            if str(a.get("reference", "")).startswith(f"{kind}/") and a.get("display")
        ),
        None,
    )
