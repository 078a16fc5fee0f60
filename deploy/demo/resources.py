"""The population as FHIR resources in the manner of FR Core 2.2.0, without a claim to any profile.

A place (Location) has the id of its organisation, and a Schedule that of its PractitionerRole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from zlib import crc32

from deploy.demo import identifiers
from deploy.demo.agenda import WEEKDAYS, Session, absences
from deploy.demo.catalogue import Profession
from deploy.demo.codes import (
    ACTIVITY,
    CATEGORY_OF_PROFESSION,
    COMMUNE,
    EXTENSION_CONTRACTED,
    EXTENSION_DURATION,
    EXTENSION_INSEE_CODE,
    EXTENSION_TIME_ZONE,
    FIELD_OF_ACTIVITY,
    KIND_OF_EXPERTISE,
    LANGUAGE,
    ORGANISATION_CATEGORY,
    OWN_EXTENSION,
    PROFESSION,
    SECTOR,
    SPECIALTY,
    TEST_DATA,
    UCUM,
    VISIT,
    Resource,
    coding,
    concept,
)
from deploy.demo.population import Post, Practice, Professional


def _resource(resource_type: str, resource_id: str) -> Resource:
    """The head of a resource that says that it is test data."""
    tag = coding(TEST_DATA, "HTEST", "test health data")
    return {"resourceType": resource_type, "id": resource_id, "meta": {"tag": [tag]}}


def service_id(post: Post) -> str:
    """The id of the offer that `post` takes part in: one for each profession of a practice."""
    return f"{post.practice.id}-{post.professional.profession.key}"


def address(practice: Practice) -> Resource:
    """The postal address of a practice, with its INSEE code (FR Core)."""
    commune = practice.commune
    code = {"url": EXTENSION_INSEE_CODE, "valueCoding": coding(COMMUNE, commune.insee_code, commune.name)}
    return {
        "extension": [code],
        "use": "work",
        "line": [practice.street],
        "city": commune.name,
        "postalCode": commune.postal_code,
        "country": "FRA",
    }


def _phone(practice: Practice) -> list[Resource]:
    return [{"system": "phone", "value": practice.phone, "use": "work"}]


def organization(practice: Practice) -> Resource:
    """The structure: a centre or maison de santé with its FINESS, a cabinet with its SIRET."""
    resource = _resource("Organization", practice.id) | {
        "identifier": identifiers.of_structure(finess=practice.finess, siret=practice.siret),
        "active": True,
        "name": practice.name,
        "telecom": _phone(practice),
        "address": [address(practice)],
    }
    if practice.category is not None:
        resource["type"] = [concept(ORGANISATION_CATEGORY, *practice.category)]
    return resource


def location(practice: Practice) -> Resource:
    """The place, with its position (degrees, WGS 84), its time zone and whether wheelchairs come in."""
    extensions: list[Resource] = [{"url": EXTENSION_TIME_ZONE, "valueCode": practice.commune.time_zone.key}]
    if _one_in(practice.id, 5, but=2):
        extensions.append({"url": f"{OWN_EXTENSION}accessibility", "valueCode": "wheelchair"})
    return _resource("Location", practice.id) | {
        "extension": extensions,
        "status": "active",
        "name": practice.name,
        "mode": "instance",
        "telecom": _phone(practice),
        "address": address(practice),
        "position": {"longitude": practice.longitude, "latitude": practice.latitude},
        "managingOrganization": {"reference": f"Organization/{practice.id}", "display": practice.name},
    }


def healthcare_service(posts: list[Post]) -> Resource:
    """The offer that `posts` give together: same practice, same profession."""
    practice, profession = posts[0].practice, posts[0].professional.profession
    specialties = [concept(SPECIALTY, *profession.specialty)] if profession.specialty else []
    if profession.activity is not None:
        specialties.append(concept(ACTIVITY, *profession.activity))
    resource = _resource("HealthcareService", service_id(posts[0])) | {
        "active": True,
        "providedBy": {"reference": f"Organization/{practice.id}", "display": practice.name},
        "type": [concept(FIELD_OF_ACTIVITY, "05")],
        "location": [{"reference": f"Location/{practice.id}", "display": practice.name}],
        "name": f"{profession.service} – {practice.name}",
        "telecom": _phone(practice),
        "appointmentRequired": not profession.walk_in,
    }
    rules = list(_access_rules(profession))
    modes = ["AMB", *(["VR"] if profession.video else []), *(["HH"] if profession.home else [])]
    resource["characteristic"] = [concept(VISIT, mode) for mode in modes]
    return (
        resource
        | ({"specialty": specialties} if specialties else {})
        | ({"extension": rules} if rules else {})
    )


def _access_rules(profession: Profession) -> Iterator[Resource]:
    """The offer's rules for patients who book online (see the integrators' guide); its agendas inherit them."""
    if profession.ages is not None:
        low, high = ({"value": age, "unit": "a", "system": UCUM, "code": "a"} for age in profession.ages)
        yield {"url": f"{OWN_EXTENSION}age-limit", "valueRange": {"low": low, "high": high}}
    if profession.change_hours:
        hours = {"value": profession.change_hours, "unit": "h", "system": UCUM, "code": "h"}
        yield {"url": f"{OWN_EXTENSION}change-deadline", "valueDuration": hours}
    if profession.confirms:
        yield {"url": f"{OWN_EXTENSION}schedule-confirmation-required", "valueBoolean": True}


def practitioner(person: Professional) -> Resource:
    """The professional: national identifiers, name, profession and expertise, languages."""
    name: Resource = {
        "use": "official",
        "text": display_name(person),
        "family": person.family,
        "given": [person.given],
        "prefix": ["MME" if person.gender == "female" else "M"],
    }
    if person.profession.doctor:
        name["suffix"] = ["DR"]
    return _resource("Practitioner", person.id) | {
        "identifier": identifiers.of_practitioner(person.rpps),
        "active": True,
        "name": [name],
        "gender": person.gender,
        "qualification": _qualifications(person),
        "communication": [concept(LANGUAGE, code, label) for code, label in person.languages],
    }


def display_name(person: Professional) -> str:
    """`Dr Enora Diallo`, or `Enora Diallo` for a non-doctor."""
    return f"{'Dr ' if person.profession.doctor else ''}{person.given} {person.family}"


def _qualifications(person: Professional) -> list[Resource]:
    system, code, label = person.profession.profession
    exercise = [coding(CATEGORY_OF_PROFESSION, "C", "Civil"), coding(PROFESSION[system], code, label)]
    found: list[Resource] = [{"code": {"coding": exercise}}]
    if person.profession.specialty is not None:
        expertise = [
            coding(KIND_OF_EXPERTISE, "S", "Spécialité ordinale"),
            coding(SPECIALTY, *person.profession.specialty),
        ]
        found.append({"code": {"coding": expertise}})
    return found


def practitioner_role(post: Post, start: datetime, days: int) -> Resource:
    """The professional in one place; its leaves are those of the `days` days from `start`."""
    person, practice = post.professional, post.practice
    system, code, label = person.profession.profession
    resource = _resource("PractitionerRole", post.id) | {
        "extension": [_duration(post), *_terms_of_practice(post)],
        "active": True,
        "practitioner": {"reference": f"Practitioner/{person.id}", "display": display_name(person)},
        "organization": {"reference": f"Organization/{practice.id}", "display": practice.name},
        "code": [concept(PROFESSION[system], code, label)],
        "location": [{"reference": f"Location/{practice.id}", "display": practice.name}],
        "healthcareService": [{"reference": f"HealthcareService/{service_id(post)}"}],
        "telecom": _phone(practice),
        "availabilityExceptions": "Fermé les jours fériés.",
    }
    if post.sessions:
        resource["availableTime"] = list(_available_times(post.sessions))
    if person.profession.specialty is not None:
        resource["specialty"] = [concept(SPECIALTY, *person.profession.specialty)]
    leaves = absences(person.id, start.astimezone(practice.commune.time_zone).date(), days)
    if leaves:
        resource["notAvailable"] = [
            {"description": "Congés", "during": {"start": first.isoformat(), "end": last.isoformat()}}
            for first, last in leaves
        ]
    return resource


def _duration(post: Post) -> Resource:
    """How long a visit lasts (FR Core extension, minutes)."""
    minutes = {
        "value": post.professional.minutes,
        "unit": "min",
        "system": UCUM,
        "code": "min",
    }
    parts = [
        {"url": "serviceType", "valueCodeableConcept": concept(VISIT, "AMB")},
        {"url": "duration", "valueDuration": minutes},
    ]
    return {"url": EXTENSION_DURATION, "extension": parts}


def _terms_of_practice(post: Post) -> Iterator[Resource]:
    """A doctor's fee sector (sector 2: one specialist in two, one other in sixteen), and whether new patients are taken."""
    profession = post.professional.profession
    if profession.doctor:
        free = _one_in(post.professional.id, 2 if profession.town else 16)
        yield {"url": EXTENSION_CONTRACTED, "valueCodeableConcept": concept(SECTOR, "3" if free else "1")}
    if _one_in(post.id, 3, but=1):
        yield {"url": f"{OWN_EXTENSION}new-patients", "valueBoolean": True}


def _one_in(id_: str, many: int, *, but: int = 0) -> bool:
    """Draws by the id alone, so nothing else changes. All but `but` of `many` have it; without `but`, one in `many`."""
    drawn = crc32(id_.encode()) % many
    return drawn >= but if but else drawn == 0


def _available_times(sessions: Iterable[Session]) -> Iterator[Resource]:
    """The openings; days with equal hours are grouped."""

    def hours(session: Session) -> tuple[str, str]:
        return session.start.isoformat(), session.end.isoformat()

    for (start, end), alike in groupby(sorted(sessions, key=hours), key=hours):
        days = [WEEKDAYS[session.weekday] for session in sorted(alike, key=lambda session: session.weekday)]
        yield {"daysOfWeek": days, "availableStartTime": start, "availableEndTime": end}


def schedule(post: Post, start: datetime, days: int) -> Resource:
    """The agenda of one PractitionerRole; FR Core forbids Schedule.serviceType."""
    person, practice = post.professional, post.practice
    zone = practice.commune.time_zone
    opens = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    resource = _resource("Schedule", post.id) | {
        "extension": [_duration(post)],
        "active": True,
        "actor": [
            {"reference": f"Practitioner/{person.id}", "display": display_name(person)},
            {"reference": f"PractitionerRole/{post.id}"},
            {"reference": f"Location/{practice.id}", "display": practice.name},
            {"reference": f"HealthcareService/{service_id(post)}"},
        ],
        "planningHorizon": {"start": opens.isoformat(), "end": (opens + timedelta(days=days)).isoformat()},
        "comment": f"Agenda – {display_name(person)}, {practice.name} ({practice.commune.name})",
    }
    if person.profession.specialty is not None:
        resource["specialty"] = [concept(SPECIALTY, *person.profession.specialty)]
    return resource
