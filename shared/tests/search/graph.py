"""Fictional resources: two practices in Paris and Lyon, three professionals, their agendas and slots."""

from __future__ import annotations

from typing import Any

RPPS = "urn:oid:1.2.250.1.71.4.2.1"
SPECIALTY = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
SERVICE = "urn:example:service"


def resource(kind: str, logical_id: str, **elements: Any) -> dict[str, Any]:
    """A resource with its meta."""
    meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"} | elements.pop("meta", {})
    return {"resourceType": kind, "id": logical_id, "meta": meta, **elements}


def ref(reference: str) -> dict[str, str]:
    """A literal reference."""
    return {"reference": reference}


def concept(system: str | None, code: str, display: str | None = None) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [{name: value for name, value in coding.items() if value is not None}]}


def practitioner(logical_id: str, rpps: str, family: str, given: str, **elements: Any) -> dict[str, Any]:
    """A Practitioner with a national identifier."""
    return resource(
        "Practitioner",
        logical_id,
        identifier=[
            {
                "system": RPPS,
                "value": rpps,
                "type": concept("http://interopsante.org/CodeSystem/v2-0203", "RPPS"),
            }
        ],
        active=True,
        name=[{"family": family, "given": [given], "prefix": ["Dr"]}],
        **elements,
    )


def slot(
    logical_id: str, schedule: str, status: str, start: str, end: str, **elements: Any
) -> dict[str, Any]:
    """A Slot."""
    return resource(
        "Slot",
        logical_id,
        schedule=ref(f"Schedule/{schedule}"),
        status=status,
        start=start,
        end=end,
        **elements,
    )


def appointment(
    logical_id: str, status: str, start: str, end: str, *actors: str, **elements: Any
) -> dict[str, Any]:
    """An Appointment with its participants, all accepted."""
    participants = [{"actor": ref(actor), "status": "accepted"} for actor in actors]
    return resource(
        "Appointment", logical_id, status=status, start=start, end=end, participant=participants, **elements
    )


ORGANISATIONS = [
    resource("Organization", "group", active=True, name="Groupe des Cliniques", type=[concept("urn:t", "group")]),
    resource(
        "Organization", "paris", active=True, name="Maison de santé de l’Œuvre", alias=["MSP Œuvre"],
        partOf=ref("Organization/group"),
        identifier=[{"system": "urn:oid:1.2.250.1.71.4.2.2", "value": "334173748400020"}],
    ),
    resource("Organization", "lyon", active=False, name="Clinique du Rhône", partOf=ref("Organization/group")),
]  # fmt: skip
LOCATIONS = [
    resource(
        "Location", "paris", status="active", name="Cabinet Paris",
        address={"line": ["1 rue de l’Œillet"], "city": "Paris", "postalCode": "75011", "use": "work"},
        position={"latitude": 48.8566, "longitude": 2.3522}, managingOrganization=ref("Organization/paris"),
    ),
    resource(
        "Location", "versailles", status="active", name="Cabinet Versailles",
        address={"city": "Versailles", "postalCode": "78\u202f000"},
        position={"latitude": 48.8049, "longitude": 2.1204}, managingOrganization=ref("Organization/paris"),
    ),
    resource(
        "Location", "lyon", status="suspended", name="Cabinet Lyon", address={"city": "Lyon", "postalCode": "69003"},
        position={"latitude": 45.7640, "longitude": 4.8357}, managingOrganization=ref("Organization/lyon"),
    ),
    resource("Location", "nowhere", status="active", name="Sans position"),
]  # fmt: skip
PROFESSIONALS = [
    practitioner(
        "lefevre", "810101288385", "Lefèvre", "François", gender="male", birthDate="1970-05-01",
        telecom=[{"system": "email", "value": "F.Lefevre@Exemple.fr"},
                 {"system": "phone", "use": "work", "value": "01 42 00 00 01"}],
    ),
    practitioner("martin", "800001288385", "Martin", "Zoé", gender="female"),
    practitioner("dupont", "810106738385", "Dupont, fils", "Anne"),
    resource(
        "PractitionerRole", "lefevre-paris", active=True, practitioner=ref("Practitioner/lefevre"),
        organization=ref("Organization/paris"), location=[ref("Location/paris")],
        healthcareService=[ref("HealthcareService/consultation")],
        specialty=[concept(SPECIALTY, "SM54", "Médecine générale")],
        period={"start": "2020-01-01"},
    ),
    resource(
        "PractitionerRole", "martin-lyon", active=True, practitioner=ref("Practitioner/martin"),
        organization=ref("Organization/lyon"), location=[ref("Location/lyon")],
        specialty=[concept(SPECIALTY, "SM15")], period={"start": "2020-01-01", "end": "2024-06-30"},
    ),
    resource(
        "HealthcareService", "consultation", active=True, name="Consultation", providedBy=ref("Organization/paris"),
        location=[ref("Location/paris")], type=[concept(SERVICE, "consultation")],
    ),
]  # fmt: skip
AGENDAS = [
    resource(
        "Schedule", "lefevre", active=True, serviceType=[concept(SERVICE, "consultation")],
        actor=[ref("Practitioner/lefevre"), ref("PractitionerRole/lefevre-paris"), ref("Location/paris")],
        planningHorizon={"start": "2026-12-01T00:00:00+01:00", "end": "2026-12-31T00:00:00+01:00"},
    ),
    resource(
        "Schedule", "martin", active=True, actor=[ref("https://creneau.example/fhir/Practitioner/martin")],
        planningHorizon={"start": "2026-12-01T00:00:00+01:00"},
    ),
    resource("Schedule", "service", actor=[ref("HealthcareService/consultation"), ref("Location/lyon")]),
    slot("l1", "lefevre", "free", "2026-12-01T09:00:00+01:00", "2026-12-01T09:20:00+01:00"),
    slot("l2", "lefevre", "busy", "2026-12-01T09:20:00+01:00", "2026-12-01T09:40:00+01:00"),
    slot("l3", "lefevre", "free", "2026-12-02T09:00:00+01:00", "2026-12-02T09:20:00+01:00",
         serviceType=[concept(SERVICE, "consultation", "Consultation")]),
    slot("m1", "martin", "free", "2026-12-01T10:00:00+01:00", "2026-12-01T10:30:00+01:00"),
    slot("s1", "service", "free", "2026-12-01T10:00:00+01:00", "2026-12-01T10:30:00+01:00"),
]  # fmt: skip
PATIENTS = [
    resource(
        "Patient", "camille", active=True, gender="female", birthDate="1980-02-29",
        name=[{"family": "D’Œuvre-Müller", "given": ["Camille", "Noëlle"], "text": "Camille D’Œuvre-Müller"}],
        identifier=[{"system": "urn:example:patient", "value": "A|1,2"}], managingOrganization=ref("Organization/paris"),
        telecom=[{"system": "phone", "value": "+33 6 12 34 56 78", "use": "mobile"}],
    ),
    resource("Patient", "yann", active=False, gender="male", birthDate="1980", name=[{"family": "Le Goff"}],
             deceasedDateTime="2025-03-01"),
    resource("Patient", "sans", active=True),
    resource("RelatedPerson", "parent", active=True, patient=ref("Patient/camille"), name=[{"family": "Müller"}]),
]  # fmt: skip
APPOINTMENTS = [
    appointment(
        "a1", "booked", "2026-12-01T09:20:00+01:00", "2026-12-01T09:40:00+01:00",
        "Patient/camille", "Practitioner/lefevre", "Location/paris",
        slot=[ref("Slot/l2")], created="2026-11-19", priority=5, description="Suivi annuel",
        supportingInformation=[ref("DocumentReference/x")],
    ),
    appointment(
        "a2", "cancelled", "2026-12-03T09:00:00+01:00", "2026-12-03T09:20:00+01:00",
        "Patient/camille", "Practitioner/martin", created="2026-11-20T10:00:00+01:00", priority=1,
    ),
    appointment(
        "a3", "booked", "2026-12-02T09:00:00+01:00", "2026-12-02T09:20:00+01:00",
        "Patient/yann", "Practitioner/lefevre", meta={"lastUpdated": "2026-11-10T08:00:00Z"},
    ),
    resource(
        "Appointment", "a4", status="waitlist",
        participant=[{"actor": {"identifier": {"system": RPPS, "value": "810101288385"}}, "status": "needs-action"}],
        requestedPeriod=[{"start": "2026-12-10", "end": "2026-12-12"}, {"start": "2026-12-20"}],
        meta={"tag": [{"system": "urn:tag", "code": "attente"}], "profile": ["https://hl7.fr/ig/fr-core-appointment"]},
    ),
    resource("AppointmentResponse", "r1", appointment=ref("Appointment/a1"), actor=ref("Patient/camille"),
             participantStatus="accepted"),
]  # fmt: skip

GRAPH = [*ORGANISATIONS, *LOCATIONS, *PROFESSIONALS, *AGENDAS, *PATIENTS, *APPOINTMENTS]
