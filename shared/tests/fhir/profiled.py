"""A resource of fictional people and places for each profile that is checked, which breaks nothing."""

from __future__ import annotations

import copy
from typing import Any

FR = "https://hl7.fr/ig/fhir/core/"
FR_TYPES = FR + "CodeSystem/fr-core-cs-v2-0203"
OLD_TYPES = "http://interopsante.org/fhir/CodeSystem/fr-v2-0203"
OLD_PLACES = "http://interopsante.org/fhir/CodeSystem/fr-location-identifier-type"
NOS = "https://mos.esante.gouv.fr/NOS/"
SPECIALTY = NOS + "TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
VISIBILITY = NOS + "TRE_R314-TypeCreneau/FHIR/TRE-R314-TypeCreneau"
CATEGORY = NOS + "TRE_R66-CategorieEtablissement/FHIR/TRE-R66-CategorieEtablissement"
VISIT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v2-0276"
OPERATOR = "http://interopsante.org/fhir/StructureDefinition/FrAppointmentOperator"
SERVICE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Slot.serviceType"
ORGANIZATION_TYPES = FR + "CodeSystem/fr-core-cs-v2-3307"

DROP: Any = object()
"""In place of a value: take the element away."""


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def identifier(types: str, code: str, system: str, value: str, **more: Any) -> dict[str, Any]:
    return {**more, "type": concept(types, code), "system": system, "value": value}


def changed(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at `path` (`identifier.0.system`; `+` appends) replaced, or taken away by DROP."""
    result = copy.deepcopy(resource)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = result
    for step in steps:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    if last == "+":
        place.append(value)
    elif value is DROP:
        del place[last]
    else:
        place[last] = value
    return result


RPPS = "10100000012"
NATIONAL = "urn:oid:1.2.250.1.71.4.2.1"
STRUCTURES = "urn:oid:1.2.250.1.71.4.2.2"

SLOT = {
    "resourceType": "Slot",
    "serviceCategory": [{"text": "Consultation"}],
    "specialty": [concept(SPECIALTY, "SM54")],
    "schedule": {"reference": "Schedule/1"},
    "status": "free",
    "start": "2030-01-07T09:00:00+01:00",
    "end": "2030-01-07T09:20:00+01:00",
}
SAS_SLOT = SLOT | {
    "meta": {"security": [{"system": VISIBILITY, "code": "PUBLIC"}]},
    "serviceType": [concept(VISIT, "AMB"), {"text": "Suivi"}],
    "appointmentType": concept(REASON, "ROUTINE"),
}
SCHEDULE = {
    "resourceType": "Schedule",
    "serviceCategory": [{"text": "Consultation"}],
    "specialty": [concept(SPECIALTY, "SM54")],
    "actor": [{"reference": "Location/1"}],
}
APPOINTMENT = {
    "resourceType": "Appointment",
    "status": "booked",
    "specialty": [concept(SPECIALTY, "SM54")],
    "start": SLOT["start"],
    "end": SLOT["end"],
    "slot": [{"reference": "Slot/1"}],
    "participant": [{"actor": {"reference": "Patient/1"}, "status": "accepted"}],
}
SAS_APPOINTMENT = APPOINTMENT | {
    "extension": [
        {
            "url": OPERATOR,
            "valueReference": {"identifier": identifier(OLD_TYPES, "IDNPS", NATIONAL, "8" + RPPS)},
        }
    ],
    "identifier": [{"system": "urn:oid:1.1.1", "value": "a"}],
    "participant": [
        {
            "actor": {"identifier": identifier(OLD_TYPES, "IDNPS", NATIONAL, "8" + RPPS)},
            "status": "accepted",
        }
    ],
}
PATIENT = {
    "resourceType": "Patient",
    "identifier": [
        identifier(
            "http://terminology.hl7.org/CodeSystem/v2-0203",
            "NH",
            "urn:oid:1.2.250.1.213.1.4.13",
            "1",
            use="official",
        ),
    ],
    "name": [
        {
            "use": "official",
            "family": "Martin",
            "given": ["Camille"],
            "prefix": ["MME"],
            "extension": [
                {
                    "url": FR + "StructureDefinition/fr-core-patient-birth-list-given-name",
                    "valueString": "Camille",
                }
            ],
        }
    ],
    "telecom": [{"system": "phone", "value": "+33102030405"}],
    "gender": "female",
    "birthDate": "1980-02-29",
}
PATIENT_INS = PATIENT | {
    "extension": [
        {
            "url": FR + "StructureDefinition/fr-core-identity-reliability",
            "extension": [
                {
                    "url": "identityStatus",
                    "valueCoding": {"system": FR + "CodeSystem/fr-core-cs-v2-0445", "code": "VALI"},
                }
            ],
        },
        {
            "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
            "valueAddress": {
                "extension": [
                    {
                        "url": FR + "StructureDefinition/fr-core-address-insee-code",
                        "valueCoding": {
                            "system": NOS + "TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM",
                            "code": "63220",
                        },
                    }
                ]
            },
        },
    ],
    "identifier": [
        identifier(FR_TYPES, "INS-NIR", "urn:oid:1.2.250.1.213.1.4.8", "200002A00000165", use="official"),
    ],
}
PRACTITIONER = {
    "resourceType": "Practitioner",
    "identifier": [
        identifier(FR_TYPES, "IDNPS", NATIONAL, "8" + RPPS),
        identifier(FR_TYPES, "RPPS", "https://rpps.esante.gouv.fr", RPPS),
    ],
    "name": [{"family": "Durand", "given": ["Lou"], "prefix": ["M"]}],
    "telecom": [{"system": "email", "value": "lou.durand@example.fr"}],
}
SAS_PRACTITIONER = PRACTITIONER | {"identifier": [identifier(OLD_TYPES, "IDNPS", NATIONAL, "8" + RPPS)]}
ROLE = {
    "resourceType": "PractitionerRole",
    "identifier": [{"system": "https://www.ameli.fr", "value": "1"}],
    "practitioner": {"reference": "Practitioner/1"},
    "specialty": [concept(SPECIALTY, "SM54")],
    "location": [{"reference": "Location/1"}],
}
SAS_LOCATION = {
    "resourceType": "Location",
    "identifier": [identifier(OLD_PLACES, "INTRN", "https://example.fr/lieux", "1")],
    "name": "Cabinet du Parc",
    "address": {"line": ["1 rue du Parc"], "city": "Lyon", "postalCode": "69003"},
    "managingOrganization": {"reference": "Organization/1"},
}
SAS_ROLE = ROLE | {
    "contained": [SAS_LOCATION | {"id": "lieu"}],
    "organization": {"identifier": identifier(OLD_TYPES, "IDNST", STRUCTURES, "1690000001")},
    "location": [{"reference": "#lieu"}],
}
ORGANIZATION = {
    "resourceType": "Organization",
    "name": "Maison de santé du Parc",
    "telecom": [{"system": "phone", "value": "+33102030405"}],
}
HOUSE = ORGANIZATION | {
    "identifier": [
        identifier(FR_TYPES, "IDNST", STRUCTURES, "1690000001", use="official"),
        identifier(FR_TYPES, "SIREN", "https://sirene.fr", "123456782"),
    ]
}
SAS_ORGANIZATION = ORGANIZATION | {"identifier": [identifier(FR_TYPES, "IDNST", STRUCTURES, "1690000001")]}
SOS_ORGANIZATION = ORGANIZATION | {
    "identifier": [identifier(OLD_PLACES, "IDNST", STRUCTURES, "312345678200010")]
}
SERVICE_OFFER = {
    "resourceType": "HealthcareService",
    "id": "1",
    "category": [{"text": "Consultation"}],
    "providedBy": {"reference": "Organization/1"},
    "specialty": [concept(SPECIALTY, "SM54")],
    "location": [{"reference": "Location/1"}],
}

VALID: dict[str, dict[str, Any]] = {
    "fr-core-slot": SLOT,
    "fr-core-schedule": SCHEDULE,
    "fr-core-appointment": APPOINTMENT,
    "gap-fr-slot": SLOT,
    "gap-fr-schedule": SCHEDULE,
    "gap-fr-appointment": APPOINTMENT,
    "fr-core-patient": PATIENT,
    "fr-core-patient-ins": PATIENT_INS,
    "fr-core-practitioner": PRACTITIONER,
    "fr-core-practitioner-role": ROLE,
    "fr-core-organization": ORGANIZATION,
    "fr-core-organization-etablissement": HOUSE,
    "fr-core-organization-uf": ORGANIZATION | {"type": [concept(ORGANIZATION_TYPES, "UF")]},
    "fr-core-organization-uac": ORGANIZATION | {"type": [concept(ORGANIZATION_TYPES, "UAC")]},
    "fr-core-location": {
        "resourceType": "Location",
        "type": [concept(FR + "CodeSystem/fr-core-cs-location-type", "CHAMB")],
    },
    "fr-core-healthcare-service": SERVICE_OFFER,
    "ror-healthcareservice": SERVICE_OFFER,
    "ror-location": {"resourceType": "Location", "name": "Salle 2"},
    "ror-organization": ORGANIZATION,
    "ror-practitioner": PRACTITIONER,
    "ror-practitionerrole": ROLE,
    "fr-core-related-person": {
        "resourceType": "RelatedPerson",
        "identifier": [{"system": "https://example.fr/aidants", "value": "1"}],
        "patient": {"reference": "Patient/1"},
    },
    "FrSlotAgregateur": SAS_SLOT,
    "FrScheduleAgregateur": SCHEDULE,
    "FrPractitionerAgregateur": SAS_PRACTITIONER,
    "FrPractitionerRegul": SAS_PRACTITIONER
    | {"meta": {"source": "urn:oid:1.2.250.1.213.3.6"}, "active": True},
    "FrPractitionerRoleExerciceAgregateur": SAS_ROLE,
    "FrLocationAgregateur": SAS_LOCATION,
    "FrAppointmentSAS": SAS_APPOINTMENT,
    "sas-cpts-slot-aggregator": SAS_SLOT
    | {
        "serviceType": [
            concept(VISIT, "AMB"),
            concept(CATEGORY, "604")
            | {"extension": [{"url": SERVICE, "valueReference": {"reference": "HealthcareService/1"}}]},
        ]
    },
    "sas-cpts-organization-aggregator": SAS_ORGANIZATION,
    "sas-cpts-healthcareservice-aggregator": SERVICE_OFFER,
    "sas-sos-slot-aggregator": SAS_SLOT | {"serviceType": [concept(VISIT, "AMB")]},
    "sas-sos-schedule-aggregator": SCHEDULE,
    "sas-sos-location-aggregator": SAS_LOCATION,
    "sas-sos-organization-aggregator": SOS_ORGANIZATION,
    "sas-sos-appointment": SAS_APPOINTMENT,
}
"""By the id of the profile."""
