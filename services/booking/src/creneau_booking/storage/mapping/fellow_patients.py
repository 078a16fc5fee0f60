"""An Appointment of several patients as one of them sees it: that others come, and not who.

A practice may name several people in one appointment. Each of them reads it, and is not told who the others are
(docs/guides/patient-frontend.md). The stand-in for another keeps their place and their answer, so that positions in the
list, and whether all have agreed, are as stored. A stand-in that is sent back means the person stored there. Of the rest
they are shown what is of the visit (`VISIT`): why one comes, and whatever anybody has written, may be the other's. What is
not shown is not found, does not sort, and stays when they write.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from creneau_booking.storage.mapping.appointment import (
    COUNTER_PROPOSAL,
    DOUBLE_BOOKING_REASON,
    NOTE,
    OVERBOOKING_REASON,
)
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.search.request import Clause, ReferenceValue
from creneau_shared.fhir.search.sql import AsSeen, SeenClause
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.access import Access

SOMEBODY = {"type": "Patient", "display": "Autre patient"}
"""stand-in for the actor of another patient, and of anybody who accompanies one"""
REDACTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "REDACTED",
}
"""in `meta.security`: not the whole of what is stored (HL7 security labels)"""
VISIT = frozenset(
    {
        *(
            "resourceType",
            "id",
            "meta",
            "implicitRules",
            "language",
            "extension",
            "modifierExtension",
            "participant",
        ),
        *("status", "cancelationReason", "serviceCategory", "serviceType", "specialty", "appointmentType"),
        *("start", "end", "minutesDuration", "slot", "created", "requestedPeriod", "patientInstruction"),
    }
)
"""elements that each of several patients is shown: when, where and what it is, and what all of them are to do"""
_OF_THE_VISIT = "https://creneau.sante.fr/fhir/", "http://hl7.org/fhir/5.0/"
"""beginnings of the extensions that are shown: those that say when, and of which series; never what somebody writes"""
_WRITTEN = frozenset({NOTE, DOUBLE_BOOKING_REASON, OVERBOOKING_REASON})
KEPT = ("type", "required", "status", "period")
"""elements of a hidden participant that are shown"""
PEOPLE = frozenset({"Patient", "RelatedPerson"})
_PARTICIPANTS = frozenset({"patient", "actor"})
"""search parameters whose references may be those of people"""
_UNSHOWN = frozenset(
    {
        "identifier",
        "description",
        "reason-code",
        "reason-reference",
        "based-on",
        "supporting-info",
        "priority",
    }
)
"""search parameters of elements that are not of `VISIT`"""


def shown(access: Access, content: bytes) -> bytes:
    """Returns the Appointment (JSON) as the caller may see it: all of it, unless they act as a patient."""
    return content if access.patient_ids is None else as_seen_by(access.patient_ids, content)


def as_seen_by(patients: Collection[str], content: bytes) -> bytes:
    """The Appointment (JSON) as these Patients (ids) see it."""
    if content.count(b"Patient/") + content.count(b'"Patient"') < 2:
        return content
    appointment = loads(content)
    seen = seen_by(patients, appointment)
    return content if seen is appointment else dumps(seen)


def seen_by(patients: Collection[str], appointment: Resource) -> Resource:
    """The Appointment as these Patients (ids) see it; the same one, when it names no other patient."""
    people = appointment.get("participant", ())
    own = {f"Patient/{id_}" for id_ in patients}
    if not any(_is_other(one, own) for one in people):
        return appointment
    meta = appointment.get("meta", {})
    seen = {
        **{name: value for name, value in appointment.items() if name.removeprefix("_") in VISIT},
        "meta": {**meta, "security": [*meta.get("security", ()), REDACTED]},
        "participant": [_unnamed(one) if _is_other(one, own) or _accompanies(one) else one for one in people],
    }
    for name in ("extension", "modifierExtension"):
        told = [_without_author(one, own) for one in appointment.get(name, ()) if _is_told(one)]
        seen.pop(name, None)
        if told:
            seen[name] = told
    return seen


def searched_as_seen(access: Access) -> AsSeen | None:
    """How the conditions of the caller's searches hold of Appointments as they see them; None: they see the whole."""
    if access.patient_ids is None:
        return None
    patients = [f"Patient/{id_}" for id_ in access.patient_ids]
    statements = [f"RelatedPerson/{id_}" for id_ in access.rights.statements.values()]
    return partial(_asked_of_seen, frozenset((*patients, *statements)))


def _asked_of_seen(own: Collection[str], clause: Clause) -> SeenClause | None:
    """The clause without the people who are none of these; None: it names nobody else. What they are not shown
    of a shared visit is asked only of appointments that name no other."""
    name = clause.parameter.name
    if (
        clause.parameter.full_text
        or name in _UNSHOWN
        or (name in _PARTICIPANTS and clause.modifier == "identifier")
    ):
        patients = tuple(f"patient={person}" for person in sorted(own) if person.startswith("Patient/"))
        return SeenClause(clause, {"patient=": patients, "patient:identifier=": ()})
    if name not in _PARTICIPANTS or clause.modifier == "missing":
        return SeenClause(clause)
    values = (_without_others(own, value) for value in clause.values_as(ReferenceValue))
    named = tuple(value for value in values if value.references)
    return SeenClause(replace(clause, groups=(named,))) if named else None


def _without_others(own: Collection[str], value: ReferenceValue) -> ReferenceValue:
    return ReferenceValue(
        tuple(
            reference
            for reference in value.references
            if _last_two(reference) in own or not _is_person(reference)
        )
    )


def _is_person(reference: str) -> bool:
    return _last_two(reference).partition("/")[0] in PEOPLE


def with_unseen(patients: Collection[str], sent: Resource, stored: Resource) -> Resource:
    """Returns what these Patients (ids) send back, with the stored people in place of their stand-ins."""
    seen = seen_by(patients, stored)
    if seen is stored:
        return sent
    unshown = {name: value for name, value in stored.items() if name.removeprefix("_") not in VISIT}
    meant = {**unshown, **sent}
    if "participant" in sent:
        hidden = _pairs(seen["participant"], stored["participant"])
        meant["participant"] = [_as_stored(part, hidden) for part in sent["participant"]]
    for name in ("extension", "modifierExtension"):
        kept = stored.get(name, ())
        hidden = _pairs(seen.get(name, ()), [one for one in kept if _is_told(one)])
        both = [_as_stored(part, hidden) for part in sent.get(name, ())]
        both += [one for one in kept if not _is_told(one)]
        if both:
            meant[name] = both
    meta = sent.get("meta", {})
    labels = [label for label in meta.get("security", ()) if label != REDACTED]
    rest = {name: value for name, value in meta.items() if name != "security"}
    return {**meant, "meta": {**rest, "security": labels} if labels else rest}


def _pairs(seen: Sequence[Resource], stored: Sequence[Resource]) -> list[tuple[Resource, Resource]]:
    """What was shown in place of something else, and that."""
    return [(shown, kept) for shown, kept in zip(seen, stored, strict=True) if shown is not kept]


def _as_stored(part: Resource, hidden: list[tuple[Resource, Resource]]) -> Resource:
    """Returns the stored part in whose place this part was shown, each once; otherwise the part."""
    for place, (shown, kept) in enumerate(hidden):
        if part == shown:
            del hidden[place]
            return kept
    return part


def _is_other(participant: Resource, own: Collection[str]) -> bool:
    """Whether a participant is a patient who is none of these."""
    actor = participant.get("actor", {})
    return _kind(actor) == "Patient" and _reference(actor) not in own


def _accompanies(participant: Resource) -> bool:
    """Whether a participant is somebody's relative: whose, the appointment does not say."""
    return _kind(participant.get("actor", {})) == "RelatedPerson"


def _unnamed(participant: Resource) -> Resource:
    kept: Resource = {name: participant[name] for name in KEPT if name in participant}
    return {**kept, "actor": SOMEBODY}


def _is_told(extension: Resource) -> bool:
    """Whether an extension says something of the visit, and not what somebody has written."""
    url = str(extension.get("url", ""))
    return url.startswith(_OF_THE_VISIT) and url not in _WRITTEN


def _without_author(extension: Resource, own: Collection[str]) -> Resource:
    """Returns the extension; without its author if it is a counter-proposal of another patient."""
    if extension.get("url") != COUNTER_PROPOSAL:
        return extension
    parts = [
        {"url": part["url"], "valueReference": SOMEBODY} if _is_anothers(part, own) else part
        for part in extension.get("extension", ())
    ]
    return extension if parts == extension.get("extension") else {**extension, "extension": parts}


def _is_anothers(part: Resource, own: Collection[str]) -> bool:
    by: Any = part.get("valueReference")
    return by is not None and _kind(by) in PEOPLE and _reference(by) not in own


def _kind(reference: Resource) -> str:
    said: str = reference.get("type") or _reference(reference).partition("/")[0]
    return said


def _reference(reference: Resource) -> str:
    """`Type/id`, whichever version is meant, of this base or another."""
    return _last_two(str(reference.get("reference", "")))


def _last_two(url: str) -> str:
    return "/".join(url.partition("/_history/")[0].split("/")[-2:])
