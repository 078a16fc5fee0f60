"""Renders an appointment for the SAS platform (INT_R03): FrAppointmentSAS, or sas-sos-appointment if the agenda is of a
place and of no professional (SOS Médecins). It contains nothing of the patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from creneau_booking.domain.appointment import OF_PRACTICES
from creneau_booking.storage.mapping.appointment import HELD_UNTIL
from creneau_shared.fhir.current import current
from creneau_shared.national_numbers import NATIONAL_PERSON, spellings

PROFILE = "http://sas.fr/fhir/StructureDefinition/FrAppointmentSAS"
SOS_PROFILE = "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/sas-sos-appointment"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
OPERATOR = "http://interopsante.org/fhir/StructureDefinition/FrAppointmentOperator"
OPERATOR_OF_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-appointment-operator"
TYPES = "http://interopsante.org/fhir/CodeSystem/fr-v2-0203"
OF_PLATFORM = "urn:oid:1.2.250.1.213.3.6"
"""System of the numbers that SAS gives to regulators who have no national one."""
_TYPE_OF = {NATIONAL_PERSON: "IDNPS", OF_PLATFORM: "INTRN"}
STATUSES = {
    "booked": "booked",
    "arrived": "booked",
    "checked-in": "booked",
    "fulfilled": "fulfilled",
    "noshow": "noshow",
    "cancelled": "cancelled",
    "entered-in-error": "cancelled",
}
"""Status of an appointment → one of the four that the platform takes; in other statuses it is not told."""
SOS_STATUSES = {**STATUSES, "pending": "pending"}
"""For a centre of SOS Médecins: also `pending`, while somebody there has to agree."""
GIVEN_BACK = frozenset({"proposed", "waitlist"})
"""Statuses of an appointment without a time of its own. If the platform knows of it, it is told as cancelled."""
_PEOPLE = ("Practitioner", "PractitionerRole")

Resource = dict[str, Any]


def is_sos(actors: Iterable[str]) -> bool:
    """Whether these references of an appointment, or of its agenda, name a place and no professional, as those of a SOS
    Médecins centre."""
    kinds = {parts[-2] for actor in actors if len(parts := actor.split("/_history/")[0].split("/")) > 1}
    return "Location" in kinds and kinds.isdisjoint(_PEOPLE)


def told_status(
    appointment: Mapping[str, Any], *, of_centre: bool = False, known: bool = False
) -> str | None:
    """Returns the status that the platform is told; None if it is not told of an appointment in this state. `of_centre`: it
    is an SOS Médecins centre's (`is_sos`); `known`: the platform may know of the appointment."""
    status = appointment.get("status", "")
    if status == "pending" and not _awaits_centre(appointment):
        return None  # a hold: nothing has been asked of anybody yet
    if known and status in GIVEN_BACK:
        return "cancelled"
    return (SOS_STATUSES if of_centre else STATUSES).get(status)


def _awaits_centre(appointment: Mapping[str, Any]) -> bool:
    """Whether a pending appointment asks its place, or is no hold and names nobody who could be asked: its agenda's place is."""
    people = [
        (str(p.get("actor", {}).get("reference", "")), p.get("status"))
        for p in appointment.get("participant", ())
    ]
    if any("Location/" in reference and status == "needs-action" for reference, status in people):
        return True
    names_practice = any(f"{kind}/" in reference for reference, _ in people for kind in OF_PRACTICES)
    is_hold = any(extension.get("url") == HELD_UNTIL for extension in appointment.get("extension", ()))
    return not names_practice and not is_hold


def may_begin(appointment: Mapping[str, Any]) -> bool:
    """Whether the platform is first told of an appointment in this state, if its agenda is such that it is told."""
    return told_status(appointment, of_centre=True) not in (None, "cancelled")


def operators_of(appointment: Mapping[str, Any]) -> list[Resource]:
    """Returns References to the operators who asked for the appointment, whoever they are: FR Core's extensions name a
    regulator as they name a referring doctor."""
    return [
        extension["valueReference"]
        for extension in appointment.get("extension", ())
        if extension.get("url") in (OPERATOR, OPERATOR_OF_CORE) and "valueReference" in extension
    ]


def regulators_named(operator: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the identifier (system, value) by which an operator reference names a regulator; none if it cannot be a
    regulator's."""
    identifier = operator.get("identifier", {})
    system, value = identifier.get("system", ""), identifier.get("value", "")
    return [(system, value)] if any(spelled in _TYPE_OF for spelled, _ in spellings(system, value)) else []


def regulator_number(practitioner: Mapping[str, Any], now: datetime) -> tuple[str, str] | None:
    """Returns the number (system, value) that a regulator's account has at `now`, the national one first; None if it has
    none, or the Practitioner is no such account. The directory writes `meta.source` on every account."""
    if practitioner.get("meta", {}).get("source") != OF_PLATFORM:
        return None
    identifiers = current(practitioner.get("identifier", ()), now)
    numbers = {i["system"]: i["value"] for i in identifiers if i.get("system") in _TYPE_OF and i.get("value")}
    return next(((system, numbers[system]) for system in _TYPE_OF if system in numbers), None)


def sas_appointment(
    appointment: Mapping[str, Any], regulator: tuple[str, str], professional: str | None, system: str
) -> Resource:
    """Returns the appointment, which must have a start and an end, as the platform takes it. `professional`: a national
    number, prefixed; None for a SOS Médecins centre, which names nobody. `system`: that of our own technical ids."""
    status = told_status(appointment, of_centre=professional is None, known=True)
    created = {"created": appointment["created"]} if "created" in appointment else {}
    return {
        "resourceType": "Appointment",
        "meta": {"profile": [PROFILE if professional is not None else SOS_PROFILE]},
        "extension": [{"url": OPERATOR, "valueReference": {"identifier": _identifier(*regulator)}}],
        "identifier": [{"system": system, "value": appointment["id"]}],
        "status": status,
        "start": appointment["start"],
        "end": appointment["end"],
        **created,
        "participant": [_participant(status, professional)],
    }


def regulator_told(report: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the number (system, value) of the regulator whom a report names."""
    identifier = report["extension"][0]["valueReference"]["identifier"]
    return identifier["system"], identifier["value"]


def professional_told(report: Mapping[str, Any]) -> str | None:
    """Returns the national number of the professional whom a report names; None: it is that of a SOS Médecins centre."""
    number = report["participant"][0].get("actor", {}).get("identifier", {}).get("value")
    return None if number is None else str(number)


def _participant(status: str | None, professional: str | None) -> Resource:
    """Returns who sees the patient; for a centre, that it takes them in (ADM), and whether it has agreed."""
    if professional is not None:
        return {"actor": {"identifier": _identifier(NATIONAL_PERSON, professional)}, "status": "accepted"}
    agreed = "needs-action" if status == "pending" else "accepted"
    return {"type": [{"coding": [{"system": PARTICIPATION, "code": "ADM"}]}], "status": agreed}


def _identifier(system: str, value: str) -> Resource:
    return {
        "type": {"coding": [{"system": TYPES, "code": _TYPE_OF[system]}]},
        "system": system,
        "value": value,
    }
