"""GAP (gestion d'agendas partagés), the agenda manager's side: the searches of its flows 4 and 5."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.conformance import builders
from tests.conformance.builders import Resource, created, ids, instant, next_day, unique
from tests.conformance.sas_facts import put
from tests.fixtures.stack import Stack

SPECIALTY = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
NATIONAL = "urn:oid:1.2.250.1.71.4.2.1"
ADDRESS_SYSTEM = "https://example.org/fictional"


@dataclass(frozen=True)
class Practice:
    """One professional in one place, with a free and a booked slot, and who booked."""

    word: str
    """a word that is nobody else's: in names, in the town and in the description"""
    window: tuple[str, str]
    number: str
    free: str
    busy: str
    appointment: Resource
    patient_number: str


@pytest.fixture(scope="module")
def practice(stack: Stack, system: httpx.Client) -> Practice:
    """Published as the creating and the resource-managing actors of GAP would."""
    word = f"w{unique()[:12]}"
    day = next_day()
    place = builders.location(
        id=f"{word}-l",
        identifier=[{"system": ADDRESS_SYSTEM, "value": f"{word}-l"}],
        address={"line": ["1 rue des Exemples"], "city": word, "postalCode": "35000"},
    )
    person = builders.practitioner(f"{word}-p", id=f"{word}-p")
    role = {
        "resourceType": "PractitionerRole",
        "id": f"{word}-r",
        "practitioner": {"reference": f"Practitioner/{word}-p"},
        "location": [{"reference": f"Location/{word}-l"}],
        "specialty": [{"coding": [{"system": SPECIALTY, "code": "SM54"}]}],
    }
    service = {"resourceType": "HealthcareService", "id": f"{word}-h", "name": f"Consultations {word}"}
    device = {
        "resourceType": "Device",
        "id": f"{word}-d",
        "identifier": [{"system": ADDRESS_SYSTEM, "value": f"{word}-d"}],
        "deviceName": [{"name": f"Échographe {word}", "type": "user-friendly-name"}],
        "type": {"coding": [{"system": ADDRESS_SYSTEM, "code": f"{word}-t"}]},
        "modelNumber": f"{word}-m",
    }
    for resource in (place, person, role, service, device):
        put(system, stack, resource)
    actors = [
        f"Practitioner/{word}-p",
        f"PractitionerRole/{word}-r",
        f"Location/{word}-l",
        f"HealthcareService/{word}-h",
        f"Device/{word}-d",
    ]
    agenda = created(
        system, builders.schedule(actors[0]) | {"actor": [{"reference": actor} for actor in actors]}
    )
    identifier = [{"system": ADDRESS_SYSTEM, "value": f"{word}-s"}]
    free = created(system, builders.slot(agenda["id"], day, identifier=identifier))
    taken = created(system, builders.slot(agenda["id"], day + timedelta(hours=1)))
    patient = created(system, builders.patient(f"{word}-patient"))
    booked = created(system, appointment(word, patient["id"], taken, actors))
    window = (instant(day - timedelta(hours=1)), instant(day + timedelta(hours=3)))
    return Practice(word, window, f"{word}-p", free["id"], taken["id"], booked, f"{word}-patient")


def appointment(word: str, patient_id: str, slot: Resource, actors: list[str]) -> Resource:
    """A declaration: booked, with everything that GAP's mapping demands."""
    resource = builders.appointment(
        patient_id,
        slot,
        identifier=[{"system": ADDRESS_SYSTEM, "value": f"{word}-a"}],
        created="2026-10-05T09:30:00+02:00",
        description=f"Suivi annuel {word}",
        comment=f"Apporter le carnet {word}",
        priority=3,
        serviceType=[{"text": "Suivi"}],
    )
    resource["participant"] += [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors[:3]]
    return resource


def slots(
    client: httpx.Client, practice: Practice, *criteria: tuple[str, str], status: str = "free"
) -> list[str]:
    first, last = practice.window
    bounds = [("start", f"ge{first}"), ("start", f"le{last}"), ("status", status)]
    return ids(client.get("/Slot", params=[*bounds, *criteria]))


def test_the_query_of_the_guide_for_slots(anonymous: httpx.Client, practice: Practice) -> None:
    """Verbatim but for its values: no :iterate on the second include, and an address that only GAP's prose has."""
    first, last = practice.window
    answer = anonymous.get(
        f"/Slot?_include=Slot:schedule&_include=Schedule:actor&start=ge{first}&start=le{last}"
        f"&schedule.actor:PractitionerRole.specialty={SPECIALTY}|SM54"
        f"&schedule.actor:PractitionerRole.address={practice.word}&status=free"
    )
    assert ids(answer) == [practice.free]
    kinds = sorted(entry["resource"]["resourceType"] for entry in answer.json()["entry"])
    everybody = ["Device", "HealthcareService", "Location", "Practitioner", "PractitionerRole"]
    assert kinds == [*everybody, "Schedule", "Slot"]
    require_modes(answer.json(), "Slot")


def require_modes(bundle: Resource, matched: str) -> None:
    """GAP's Bundle profiles: match or include on every entry, and neither request nor response."""
    assert bundle["type"] == "searchset"
    for entry in bundle["entry"]:
        mode = "match" if entry["resource"]["resourceType"] == matched else "include"
        assert entry["search"]["mode"] == mode
        assert entry.keys().isdisjoint({"request", "response"})


@pytest.mark.parametrize(
    ("criterion", "value"),
    [
        ("schedule.actor:Practitioner.identifier", "{w}-p"),
        ("schedule.actor:PractitionerRole.location.address", "{w}"),
        ("schedule.actor:PractitionerRole.practitioner.identifier", f"{ADDRESS_SYSTEM}|{{w}}-p"),
        ("schedule.actor:Location.identifier", "{w}-l"),
        ("schedule.actor:Location.address", "{w}"),
        ("schedule.actor:HealthcareService.name", "Consultations {w}"),
        ("schedule.actor:Device.identifier", f"{ADDRESS_SYSTEM}|{{w}}-d"),
        ("schedule.actor:Device.type", "{w}-t"),
        ("schedule.actor:Device.device-name", "Échographe {w}"),
        ("schedule.actor:Device.model", "{w}-m"),
        ("schedule.actor", "Device/{w}-d"),
        ("schedule.actor", "PractitionerRole/{w}-r"),
        ("identifier", f"{ADDRESS_SYSTEM}|{{w}}-s"),
    ],
)
def test_slots_by_who_and_where(
    anonymous: httpx.Client, practice: Practice, criterion: str, value: str
) -> None:
    """Each chain finds the practice's slot, and no slot when its value is somebody else's."""
    found = value.format(w=practice.word)
    assert slots(anonymous, practice, (criterion, found)) == [practice.free]
    assert slots(anonymous, practice, (criterion, f"{found}x")) == []


def test_slots_by_the_names_of_the_guide_for_both_ends(anonymous: httpx.Client, practice: Practice) -> None:
    """`earliestStart` and `latestStart`, with a comparator or without."""
    first, last = practice.window
    whose = {"schedule.actor:Practitioner.identifier": practice.number}
    for low, high in ((first, last), (f"gt{first}", f"lt{last}")):
        within = {"earliestStart": low, "latestStart": high, "status": "free", **whose}
        assert ids(anonymous.get("/Slot", params=within)) == [practice.free]
    after = {"earliestStart": last, "status": "free", **whose}
    assert ids(anonymous.get("/Slot", params=after)) == []


def test_an_agenda_of_a_device_is_searched_by_it(anonymous: httpx.Client, practice: Practice) -> None:
    """`Schedule.actor:Device`, and what the device is."""
    for criterion, value in (
        ("actor:Device", f"{practice.word}-d"),
        ("actor:Device.device-name", f"échographe {practice.word}"),
    ):
        answer = anonymous.get("/Schedule", params={criterion: value, "_include": "Schedule:actor:Device"})
        assert len(ids(answer)) == 1
        kinds = {entry["resource"]["resourceType"] for entry in answer.json()["entry"]}
        assert kinds == {"Schedule", "Device"}


def test_slots_that_are_taken_can_be_looked_for(anonymous: httpx.Client, practice: Practice) -> None:
    """free: can be booked; busy: an appointment is there."""
    whose = ("schedule.actor:Practitioner.identifier", practice.number)
    assert slots(anonymous, practice, whose, status="busy") == [practice.busy]
    assert slots(anonymous, practice, whose, status="free,busy") == [practice.free, practice.busy]


def appointments(client: httpx.Client, practice: Practice, **criteria: Any) -> list[str]:
    own = {"identifier": f"{ADDRESS_SYSTEM}|{practice.word}-a"}
    return ids(client.get("/Appointment", params={**own, **criteria}))


def around(text: str, hours: int) -> str:
    return instant(datetime.fromisoformat(text) + timedelta(hours=hours))


@pytest.mark.parametrize(("name"), ["start", "date"])
@pytest.mark.parametrize(
    ("prefix", "hours", "found"),
    [
        ("ge", -1, True),
        ("ge", 0, True),
        ("gt", 0, False),
        ("ge", 1, False),
        ("le", 0, True),
        ("lt", 0, False),
        ("lt", 1, True),
    ],
)
def test_appointments_by_their_start(
    system: httpx.Client, practice: Practice, name: str, prefix: str, hours: int, found: bool
) -> None:
    """`start` on Appointment is GAP's own; R4 has `date`."""
    value = prefix + around(practice.appointment["start"], hours)
    assert appointments(system, practice, **{name: value}) == [practice.appointment["id"]] * found


@pytest.mark.parametrize(
    ("criterion", "value", "found"),
    [
        ("created", "2026-10-05", True),
        ("created", "ge2026-10-05T07:30:00Z", True),
        ("created", "gt2026-10-06", False),
        ("created", "lt2026-10-05", False),
        ("description", "Suivi annuel", True),
        ("description", "Apporter", True),
        ("description", "suivi ANNUEL", True),
        ("description", "Vaccin", False),
        ("description:contains", "annuel", True),
        ("priority", "3", True),
        ("priority", "2", False),
        ("priority", "le3", True),
        ("status", "booked", True),
        ("status", "proposed", False),
    ],
)
def test_appointments_by_what_they_say(
    system: httpx.Client, practice: Practice, criterion: str, value: str, found: bool
) -> None:
    assert appointments(system, practice, **{criterion: value}) == [practice.appointment["id"]] * found


@pytest.mark.parametrize(
    ("criterion", "value"),
    [
        ("actor:Patient.identifier", "{w}-patient"),
        ("patient.identifier", "{w}-patient"),
        ("actor:Practitioner.identifier", "{w}-p"),
        ("practitioner.identifier", "{w}-p"),
        ("actor:Location.identifier", "{w}-l"),
        ("location.identifier", "{w}-l"),
    ],
)
def test_appointments_by_their_actors(
    system: httpx.Client, practice: Practice, criterion: str, value: str
) -> None:
    """Both forms that the guide allows."""
    found = value.format(w=practice.word)
    assert appointments(system, practice, **{criterion: found}) == [practice.appointment["id"]]
    assert appointments(system, practice, **{criterion: f"{found}x"}) == []


def test_every_entry_of_an_appointment_search_says_its_mode(system: httpx.Client, practice: Practice) -> None:
    answer = system.get(
        "/Appointment",
        params=[
            ("identifier", f"{ADDRESS_SYSTEM}|{practice.word}-a"),
            ("_include", "Appointment:slot"),
            ("_include", "Slot:schedule"),
            ("_include", "Appointment:actor"),
        ],
    )
    assert ids(answer) == [practice.appointment["id"]]
    kinds = sorted(entry["resource"]["resourceType"] for entry in answer.json()["entry"])
    assert kinds == [
        "Appointment",
        "Location",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Schedule",
        "Slot",
    ]
    require_modes(answer.json(), "Appointment")
