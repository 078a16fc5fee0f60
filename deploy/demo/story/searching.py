"""Steps 1 and 2: find a professional, then their free slots in two ways."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from zoneinfo import ZoneInfo

from deploy.demo.codes import (
    APPOINTMENT_TYPE,
    EXTENSION_CAPACITY,
    EXTENSION_TIME_ZONE,
    SLOT_VISIBILITY,
    SPECIALTY,
    VISIT,
)
from deploy.demo.identifiers import IDNPS_SYSTEM
from deploy.demo.story.errors import StoryError
from deploy.demo.story.narrator import when
from deploy.demo.story.reading import (
    Resource,
    codes,
    entries,
    human_name,
    instant,
    name,
    postal_address,
    references,
)
from deploy.demo.story.scene import Opening, Professional, Scene

TOWN = "Rennes"
GENERAL_PRACTICE = "SM54"
NEAR_KM = 10
SHOWN = 5
ASKED_PROFESSIONALS = 5
"""The regulator's query takes up to 25."""
WINDOW = timedelta(days=21)
AHEAD = timedelta(days=4)
"""Far enough for reminders to be planned."""
OPENINGS_NEEDED = 4
SAS_JSON = "application/json+fhir"
"""What the SAS asks for, which is not the registered media type."""
EARTH_KM = 6371.0


def find_professionals(scene: Scene) -> list[Professional]:
    """Search by speciality and town; everything needed to show a result comes in one answer."""
    scene.narrator.say(f"Camille cherche un médecin généraliste à {TOWN}.")
    query = [
        ("specialty", f"{SPECIALTY}|{GENERAL_PRACTICE}"),
        ("location.address-city", TOWN),
        ("_include", "PractitionerRole:practitioner"),
        ("_include", "PractitionerRole:location"),
        ("_count", "20"),
    ]
    bundle = scene.dialogue.get("/fhir/PractitionerRole", query).body
    people = {name(resource): resource for resource in entries(bundle, "Practitioner")}
    places = {name(resource): resource for resource in entries(bundle, "Location")}
    found = [_professional(role, people, places) for role in entries(bundle, "PractitionerRole", "match")]
    if not found:
        raise StoryError(f"Aucun généraliste à {TOWN} : les données de démonstration sont-elles chargées ?")
    scene.narrator.fact(f"{bundle.get('total', len(found))} situations d'exercice trouvées, dont :")
    for professional in found[:SHOWN]:
        scene.narrator.fact(f"{professional.name} – {professional.place}, {professional.address}")
    _look_around(scene, places)
    return found


def _professional(role: Resource, people: dict[str, Resource], places: dict[str, Resource]) -> Professional:
    whom = references([role.get("practitioner", {})], "Practitioner")
    where = references(role.get("location", []), "Location")
    organization = references([role.get("organization", {})], "Organization")
    if not organization:
        raise StoryError(f"{name(role)} ne dit pas de quelle organisation il relève.")
    if not whom or whom[0] not in people or not where or where[0] not in places:
        raise StoryError(f"{name(role)} est venu sans son Practitioner ou sa Location (_include).")
    person, place = people[whom[0]], places[where[0]]
    national = [
        identifier["value"] for identifier in person["identifier"] if identifier.get("system") == IDNPS_SYSTEM
    ]
    if not national:
        raise StoryError(f"{whom[0]} n'a pas d'identifiant national (IDNPS).")
    return Professional(
        reference=whom[0],
        name=human_name(person),
        national_id=national[0],
        organization=organization[0].partition("/")[2],
        place_reference=where[0],
        place=place.get("name", "?"),
        address=postal_address(place),
        zone=_zone(place),
    )


def _zone(place: Resource) -> ZoneInfo:
    for extension in place.get("extension", []):
        if extension.get("url") == EXTENSION_TIME_ZONE:
            return ZoneInfo(extension["valueCode"])
    return ZoneInfo("Europe/Paris")


def _look_around(scene: Scene, places: dict[str, Resource]) -> None:
    """The places of care near the first result, each of which must really be near."""
    here = next((place["position"] for place in places.values() if "position" in place), None)
    if here is None:
        raise StoryError("Aucun lieu trouvé n'a de position.")
    scene.narrator.say(f"Quels lieux de soins y a-t-il à moins de {NEAR_KM} km ?")
    near = f"{here['latitude']}|{here['longitude']}|{NEAR_KM}|km"
    bundle = scene.dialogue.get("/fhir/Location", [("near", near), ("_count", "10")]).body
    found = entries(bundle, "Location", "match")
    if not found:
        raise StoryError(f"Aucun lieu à moins de {NEAR_KM} km d'un lieu qui existe.")
    distances = {name(place): kilometres(here, place.get("position", here)) for place in found}
    for place in found[:SHOWN]:
        distance = f"{distances[name(place)]:.1f}".replace(".", ",")
        scene.narrator.fact(f"{place.get('name', '?')}, {postal_address(place)} – à {distance} km")
    farthest = max(distances.values())
    if farthest > NEAR_KM * 1.01:
        raise StoryError(f"Un lieu trouvé est à {farthest:.1f} km, au-delà des {NEAR_KM} km demandés.")


def kilometres(one: Resource, other: Resource) -> float:
    """The distance of two positions (degrees, WGS 84) along the surface (haversine)."""
    latitudes = radians(one["latitude"]), radians(other["latitude"])
    half = (
        sin((latitudes[1] - latitudes[0]) / 2) ** 2
        + cos(latitudes[0]) * cos(latitudes[1]) * sin(radians(other["longitude"] - one["longitude"]) / 2) ** 2
    )
    return 2 * EARTH_KM * asin(sqrt(half))


def find_slots(scene: Scene, professionals: list[Professional]) -> tuple[Professional, list[Opening]]:
    """The regulator's query word for word; keeps the professional with most slots that a patient may book."""
    asked = list(dict.fromkeys(professional.national_id for professional in professionals))
    asked = asked[:ASKED_PROFESSIONALS]
    scene.narrator.say("La requête du Service d'accès aux soins, telle que ses spécifications l'écrivent :")
    until = scene.now + WINDOW
    query = [
        ("_include", "Slot:schedule"),
        ("_include:iterate", "Schedule:actor"),
        ("start", f"ge{_milliseconds(scene.now)}"),
        ("start", f"le{_milliseconds(until)}"),
        (
            "schedule.actor:Practitioner.identifier",
            ",".join(f"{IDNPS_SYSTEM}|{national_id}" for national_id in asked),
        ),
        ("status", "free"),
    ]
    first = scene.dialogue.get("/fhir/Slot", query, accept=SAS_JSON).body
    with_them = _require_actors(first, set(asked))
    number = first.get("total", len(entries(first, "Slot", "match")))
    scene.narrator.fact(
        f"{number} créneaux libres en trois semaines ; les premiers viennent avec {with_them}"
    )
    known = {(found.reference, found.address): found for found in professionals}
    openings: dict[Professional, list[Opening]] = {professional: [] for professional in professionals}
    for page in scene.dialogue.pages(first, SAS_JSON):
        for post, opening in _openings(page, scene.now, until):
            if post in known:
                openings[known[post]].append(opening)
        professional = max(openings, key=lambda candidate: len(openings[candidate]))
        if len(openings[professional]) >= OPENINGS_NEEDED:
            break
    else:
        raise StoryError("Pas assez de créneaux ouverts au public chez les professionnels trouvés.")
    found = sorted(openings[professional], key=lambda opening: opening.start)
    scene.narrator.fact(f"{professional.name} a des créneaux que le public peut réserver, dont :")
    for opening in found[:SHOWN]:
        scene.narrator.fact(when(opening.start, professional.zone))
    return professional, found


def _require_actors(bundle: Resource, asked: set[str]) -> str:
    """Counts what came with the slots; a StoryError for what is missing or was not asked for."""
    included = {kind: len(entries(bundle, kind)) for kind in ("Schedule", "Practitioner", "PractitionerRole")}
    missing = [kind for kind, number in included.items() if not number]
    if missing:
        raise StoryError(f"Les créneaux sont venus sans {' ni '.join(missing)} (_include).")
    for person in entries(bundle, "Practitioner"):
        if asked.isdisjoint(identifier.get("value") for identifier in person.get("identifier", [])):
            raise StoryError(f"{name(person)} n'est aucun des professionnels demandés.")
    return ", ".join(f"{number} {kind}" for kind, number in included.items())


def _milliseconds(moment: datetime) -> str:
    """`2026-11-22T10:00:00.000+00:00`: how the SAS writes instants."""
    return moment.isoformat(timespec="milliseconds")


def _openings(page: Resource, since: datetime, until: datetime) -> Iterator[tuple[tuple[str, str], Opening]]:
    """What a patient may book, with whom (reference) and where (address); a StoryError for a slot not asked for.

    Group visits are left out: their slot stays free while there are places, and the story shows one taken.
    """
    groups = {name(schedule) for schedule in entries(page, "Schedule") if _is_of_a_group(schedule)}
    agendas = {name(schedule): schedule.get("actor", []) for schedule in entries(page, "Schedule")}
    places = {name(role): role.get("contained", []) for role in entries(page, "PractitionerRole")}
    for slot in entries(page, "Slot", "match"):
        start = instant(slot, "start")
        if slot.get("status") != "free" or not since - timedelta(seconds=1) <= start <= until:
            raise StoryError(f"{name(slot)} n'est pas libre ou n'est pas dans la période demandée.")
        agenda = next(iter(references([slot["schedule"]], "Schedule")), "")
        whom = references(agendas.get(agenda, []), "Practitioner")
        roles = references(agendas.get(agenda, []), "PractitionerRole")
        where = [postal_address(place) for role in roles for place in places.get(role, [])]
        if not whom or not where:
            raise StoryError(f"{name(slot)} est venu sans son agenda, qui dit chez qui et où (_include).")
        if agenda not in groups and _is_for_patients(slot) and start >= since + AHEAD:
            yield (whom[0], where[0]), _opening(slot)


def _is_of_a_group(schedule: Resource) -> bool:
    return any(extension.get("url") == EXTENSION_CAPACITY for extension in schedule.get("extension", []))


def _is_for_patients(slot: Resource) -> bool:
    """Open to the public, with appointment, at the practice."""
    visible = [
        label["code"]
        for label in slot.get("meta", {}).get("security", [])
        if label.get("system") == SLOT_VISIBILITY
    ]
    by_appointment = "ROUTINE" in codes([slot.get("appointmentType", {})], APPOINTMENT_TYPE)
    return "PUBLIC" in visible and by_appointment and "AMB" in codes(slot.get("serviceType", []), VISIT)


def _opening(slot: Resource) -> Opening:
    return Opening(
        reference=name(slot),
        start=instant(slot, "start"),
        end=instant(slot, "end"),
        start_text=slot["start"],
        end_text=slot["end"],
        specialty=tuple(slot.get("specialty", [])),
        service_type=tuple(slot.get("serviceType", [])),
    )


def propose(scene: Scene, professional: Professional, token: str) -> None:
    """`$find`: the server proposes appointments with a professional known by identifier, not id."""
    scene.narrator.say("Ou bien laisser le serveur proposer des rendez-vous ($find) :")
    identifier = {"system": IDNPS_SYSTEM, "value": professional.national_id}
    since, until = scene.now + AHEAD, scene.now + WINDOW
    parameters = [
        {"name": "start", "valueDateTime": _milliseconds(since)},
        {"name": "end", "valueDateTime": _milliseconds(until)},
        {"name": "practitioner", "valueReference": {"identifier": identifier}},
        {"name": "_count", "valueInteger": SHOWN},
    ]
    body = {"resourceType": "Parameters", "parameter": parameters}
    bundle = scene.dialogue.post("/fhir/Appointment/$find", body, token=token, expected=(200,)).body
    proposed = entries(bundle, "Appointment")
    if not proposed:
        raise StoryError(
            f"$find ne propose rien chez {professional.name}, qui a pourtant des créneaux libres."
        )
    if len(proposed) > SHOWN:
        raise StoryError(f"$find propose {len(proposed)} rendez-vous ; {SHOWN} étaient demandés (_count).")
    for appointment in proposed:
        start = instant(appointment, "start")
        if appointment.get("status") != "proposed" or not since - timedelta(seconds=1) <= start <= until:
            raise StoryError(
                "$find a proposé un rendez-vous hors de la période, ou qui n'est pas « proposed »."
            )
        scene.narrator.fact(f"proposé : {when(start, professional.zone)}")
