"""An appointment as the SAS platform is told of it (INT_R03): FrAppointmentSAS, without anything of the patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from creneau_booking.views.identifiers import NATIONAL_PERSON

PROFILE = "http://sas.fr/fhir/StructureDefinition/FrAppointmentSAS"
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
"""Status of an appointment → the one of four that the platform takes; others are not told of."""

Resource = dict[str, Any]


def is_begun(status: str) -> bool:
    """Whether an appointment of this status is one of which the platform is to be told."""
    return STATUSES.get(status, "cancelled") != "cancelled"


def operators_of(appointment: Mapping[str, Any]) -> list[Resource]:
    """Who has asked for it, as References: by a number, or by a Practitioner of this base."""
    return [
        extension["valueReference"]
        for extension in appointment.get("extension", ())
        if extension.get("url") in (OPERATOR, OPERATOR_OF_CORE) and "valueReference" in extension
    ]


def regulator_number(
    operator: Mapping[str, Any], account: Mapping[str, Any] | None
) -> tuple[str, str] | None:
    """The number (system, value) of the regulator whom an operator names: that of their account, if it names one, else
    the one that stands there under SAS's own extension; None: it is somebody else."""
    identifiers = [operator["identifier"]] if "identifier" in operator else []
    if account is not None:
        if account.get("meta", {}).get("source") != OF_PLATFORM:
            return None
        identifiers = list(account.get("identifier", ()))
    numbers = {i["system"]: i["value"] for i in identifiers if i.get("system") in _TYPE_OF and i.get("value")}
    return next(((system, numbers[system]) for system in _TYPE_OF if system in numbers), None)


def sas_appointment(
    appointment: Mapping[str, Any], regulator: tuple[str, str], professional: str, system: str
) -> Resource:
    """The FrAppointmentSAS of an appointment that has a start and an end. `professional`: a national number, prefixed;
    `system`: of our own technical ids."""
    created = {"created": appointment["created"]} if "created" in appointment else {}
    return {
        "resourceType": "Appointment",
        "meta": {"profile": [PROFILE]},
        "extension": [{"url": OPERATOR, "valueReference": {"identifier": _identifier(*regulator)}}],
        "identifier": [{"system": system, "value": appointment["id"]}],
        "status": STATUSES[appointment["status"]],
        "start": appointment["start"],
        "end": appointment["end"],
        **created,
        "participant": [
            {"actor": {"identifier": _identifier(NATIONAL_PERSON, professional)}, "status": "accepted"}
        ],
    }


def _identifier(system: str, value: str) -> Resource:
    return {
        "type": {"coding": [{"system": TYPES, "code": _TYPE_OF[system]}]},
        "system": system,
        "value": value,
    }
