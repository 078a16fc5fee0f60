"""A fictional professional with an agenda, as the FHIR base tells of them."""

from __future__ import annotations

from typing import Any

SPECIALTY = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
VISIT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ZONE = "https://creneau.sante.fr/fhir/StructureDefinition/time-zone"

ROLE: dict[str, Any] = {
    "resourceType": "PractitionerRole",
    "id": "role-1",
    "practitioner": {"reference": "Practitioner/p-1", "display": "Dr Inès Bianchi"},
    "location": [{"reference": "Location/l-1"}],
    "specialty": [
        {"coding": [{"system": SPECIALTY, "code": "SM15", "display": "Dermatologie et Vénéréologie (SM)"}]}
    ],
}
PRACTITIONER: dict[str, Any] = {
    "resourceType": "Practitioner",
    "id": "p-1",
    "name": [{"use": "official", "text": "Dr Inès Bianchi", "family": "Bianchi", "given": ["Inès"]}],
}
PLACE: dict[str, Any] = {
    "resourceType": "Location",
    "id": "l-1",
    "extension": [{"url": ZONE, "valueCode": "Indian/Reunion"}],
    "name": "Cabinet du Belvédère",
    "telecom": [{"system": "phone", "value": "+262262980143"}],
    "address": {"line": ["83 boulevard de la République"], "city": "Saint-Denis", "postalCode": "97400"},
}
SLOT: dict[str, Any] = {
    "resourceType": "Slot",
    "id": "slot-1",
    "schedule": {"reference": "Schedule/role-1"},
    "status": "free",
    "start": "2026-12-01T06:00:00Z",
    "end": "2026-12-01T06:15:00Z",
    "serviceType": [{"coding": [{"system": VISIT, "code": "AMB"}]}, {"text": "Suivi d'acné"}],
}
SCHEDULE: dict[str, Any] = {
    "resourceType": "Schedule",
    "id": "role-1",
    "actor": [{"reference": "Practitioner/p-1"}, {"reference": "PractitionerRole/role-1"}],
}
CAMILLE: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "camille",
    "name": [{"use": "official", "family": "Martin", "given": ["Camille"]}],
    "birthDate": "1984-05-17",
    "telecom": [{"system": "email", "value": "camille@exemple.fr"}],
}


def appointment(status: str = "pending", **other: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "id": "a-1",
        "meta": {"versionId": "1"},
        "status": status,
        "start": SLOT["start"],
        "end": SLOT["end"],
        "slot": [{"reference": "Slot/slot-1"}],
        "participant": [
            {"actor": {"reference": "Patient/camille", "display": "Camille Martin"}},
            {"actor": {"reference": "PractitionerRole/role-1"}},
        ],
        **other,
    }


def held() -> dict[str, Any]:
    """The same while its time is only kept: its professional is tentative."""
    whom, with_whom = appointment()["participant"]
    states = [{**whom, "status": "accepted"}, {**with_whom, "status": "tentative"}]
    return appointment(participant=states)
