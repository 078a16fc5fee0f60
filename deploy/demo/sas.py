"""A small invented graph in the shape of the SAS example of individual practitioners.

Two professionals; the first has two places, so two Schedules. Four Slots with the variety of that example: several
specialties and reasons; at the practice, by video and at home. Public and for professionals, bookable and without
appointment, with and without an agenda address.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from deploy.demo.catalogue import Profession, communes, professions
from deploy.demo.codes import APPOINTMENT_TYPE, SLOT_VISIBILITY, SPECIALTY, VISIT, Resource, coding, concept
from deploy.demo.identifiers import finess, rpps
from deploy.demo.population import Post, Practice, Professional
from deploy.demo.resources import (
    healthcare_service,
    location,
    organization,
    practitioner,
    practitioner_role,
    schedule,
)
from deploy.demo.slots import AGENDA_URL

PARIS = ZoneInfo("Europe/Paris")
DAYS = 8 * 7
GENERAL = ("SM54", "Médecine générale (SM)")
SURGERY = ("SM05", "Chirurgie générale (SM)")
LUNGS = ("SM41", "Pneumologie (SM)")


def _post(person: Professional, rank: int, number: int, commune_name: str, street: str) -> Post:
    commune = next(commune for commune in communes() if commune.name == commune_name)
    practice = Practice(
        id=f"demo-sas-{number}",
        name=f"Maison de santé des soins non programmés {number}",
        commune=commune,
        street=street,
        latitude=commune.latitude,
        longitude=commune.longitude,
        phone=f"+332619199{number:02d}",
        category=("603", "Maison de santé (L.6223-3)"),
        finess=finess(commune.department, 9000 + number),
        siret=None,
    )
    return Post(f"{person.id}-{rank}", person, practice, ())


def _professional(
    family: str, given: str, gender: str, number: int, specialty: tuple[str, str]
) -> Professional:
    medicine = next(profession for profession in professions() if profession.key == "medecine-generale")
    fields = vars(medicine) | {"specialty": specialty, "service": specialty[1], "activity": None}
    return Professional(
        id=f"demo-sas-{family.lower()}",
        family=family,
        given=given,
        gender=gender,
        rpps=rpps(9_000_000 + number),
        profession=Profession(**fields),
        minutes=30,
        languages=(("fr", "Français"),),
    )


def posts() -> tuple[Post, Post, Post]:
    """The two places of the first professional, then the one of the second."""
    first = _professional("Kerandor", "Maïwenn", "female", 1, GENERAL)
    second = _professional("Belgarric", "Issa", "male", 2, LUNGS)
    return (
        _post(first, 1, 1, "Rennes", "3 rue des Exemples"),
        _post(first, 2, 2, "Cesson-Sévigné", "14 place du Modèle"),
        _post(second, 1, 3, "Vannes", "27 quai du Prototype"),
    )


def graph(start: datetime) -> Iterator[Resource]:
    """Every resource of the graph, targets of references first; the slots are of tomorrow in Paris."""
    home, branch, lungs = posts()
    for post in (home, branch, lungs):
        yield organization(post.practice)
        yield location(post.practice)
        yield healthcare_service([post])
        if post is not branch:
            yield practitioner(post.professional)
        yield practitioner_role(post, start, DAYS)
        yield schedule(post, start, DAYS)
    tomorrow = datetime.combine(start.astimezone(PARIS).date() + timedelta(days=1), time(), PARIS)
    at = tomorrow.replace
    checkup = ["Visite de contrôle"]
    yield _slot(1, home, at(hour=10), 30, ["PUBLIC"], ["AMB", "VR"], checkup, [GENERAL, SURGERY])
    yield _slot(2, branch, at(hour=12), 30, ["PRO"], ["AMB"], ["Visite urgente"], [GENERAL], walk_in=True)
    reasons = [*checkup, "Consultation de suivi en pneumologie"]
    yield _slot(3, lungs, at(hour=15, minute=20), 20, ["PUBLIC", "PRO"], ["VR"], reasons, [LUNGS])
    yield _slot(4, lungs, at(hour=15, minute=40), 20, ["PUBLIC", "PRO"], ["HH"], reasons, [LUNGS, GENERAL])


def _slot(
    number: int,
    post: Post,
    moment: datetime,
    minutes: int,
    visibility: list[str],
    visits: list[str],
    reasons: list[str],
    specialties: list[tuple[str, str]],
    *,
    walk_in: bool = False,
) -> Resource:
    resource: Resource = {
        "resourceType": "Slot",
        "id": f"demo-sas-{number}-{moment:%Y%m%d}",
        "meta": {"security": [coding(SLOT_VISIBILITY, code) for code in visibility]},
        "serviceType": [concept(VISIT, code) for code in visits] + [{"text": reason} for reason in reasons],
        "specialty": [concept(SPECIALTY, *specialty) for specialty in specialties],
        "appointmentType": concept(APPOINTMENT_TYPE, "WALKIN" if walk_in else "ROUTINE"),
        "schedule": {"reference": f"Schedule/{post.id}"},
        "status": "free",
        "start": moment.isoformat(),
        "end": (moment + timedelta(minutes=minutes)).isoformat(),
    }
    if not walk_in:
        resource["comment"] = f"{AGENDA_URL}{post.professional.id.removeprefix('demo-')}?rdv=en-ligne"
    return resource
