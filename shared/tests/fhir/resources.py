"""Fictional resources that the tests start from; each call gives a new one."""

from __future__ import annotations

from typing import Any


def appointment(**changes: Any) -> dict[str, Any]:
    """A booked appointment of the size that softwares send; an argument None takes the element away."""
    resource: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": "rdv-1",
        "meta": {"versionId": "3"},
        "identifier": [{"system": "https://logiciel.example/rdv", "value": "A-12345"}],
        "status": "booked",
        "serviceType": [{"coding": [{"system": "http://snomed.info/sct", "code": "394814009"}]}],
        "specialty": [{"coding": [{"system": "https://mos.example/TRE-R38", "code": "SM26"}]}],
        "reasonCode": [{"text": "Consultation de suivi"}],
        "start": "2026-12-01T08:00:00+01:00",
        "end": "2026-12-01T08:20:00+01:00",
        "minutesDuration": 20,
        "slot": [{"reference": "Slot/creneau-1"}],
        "created": "2026-11-20T10:00:00+01:00",
        "comment": "Première visite",
        "participant": [
            {"actor": {"reference": "Patient/camille"}, "required": "required", "status": "accepted"},
            {
                "type": [{"coding": [{"code": "ATND"}]}],
                "actor": {"reference": "Practitioner/martin", "display": "Dr Martin"},
                "status": "accepted",
            },
            {"actor": {"reference": "Location/cabinet"}, "status": "accepted"},
        ],
    }
    return _changed(resource, changes)


def patient(**changes: Any) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": "camille",
        "name": [{"family": "Martin", "given": ["Camille", "Anne"]}],
        "gender": "female",
        "birthDate": "1980-02-29",
    }
    return _changed(resource, changes)


def organization(**changes: Any) -> dict[str, Any]:
    return _changed({"resourceType": "Organization", "id": "cabinet", "name": "Cabinet du port"}, changes)


def slot(**changes: Any) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Slot",
        "schedule": {"reference": "Schedule/agenda"},
        "status": "free",
        "start": "2026-12-01T08:00:00+01:00",
        "end": "2026-12-01T08:20:00+01:00",
    }
    return _changed(resource, changes)


def _changed(resource: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (resource | changes).items() if value is not None}
