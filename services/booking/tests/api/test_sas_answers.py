"""What the SAS is answered: one Bundle with everything that there is, for it follows no page."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import schedule, unique
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear

from creneau_booking.storage.availability.alone import ROLES_ALONE
from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.views.sas import query as sas_query
from creneau_shared.fhir.search import page_bytes
from creneau_shared.fhir.storage.store import Resource

RPPS = "https://rpps.esante.gouv.fr"


def said(kind: str, id_: str, **members: object) -> Resource:
    meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
    return {"resourceType": kind, "id": id_, "meta": meta, **members}


async def professional(practice: Practice, number: str) -> tuple[str, str]:
    """Somebody with a national number, in a situation at a place; references of the person and the role."""
    person, role, place = (unique(name) for name in ("prat", "role", "lieu"))
    address = {"line": ["3 rue des Exemples"], "city": "Rennes", "postalCode": "35000"}
    await hear(practice, said("Location", place, status="active", address=address))
    await hear(practice, said("Practitioner", person, identifier=[{"system": RPPS, "value": number}]))
    at = {"location": [{"reference": f"Location/{place}"}]}
    of = {"practitioner": {"reference": f"Practitioner/{person}"}}
    await hear(practice, said("PractitionerRole", role, active=True, **of, **at))
    return f"Practitioner/{person}", f"PractitionerRole/{role}"


async def test_what_there_is_is_one_answer(
    callers: Callers, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages it is read by; who asks for pages gets these, and all of it by their links."""
    monkeypatch.setattr(sas_query, "SLOTS_ON_A_PAGE", 3)
    number = f"{uuid4().int % 10**11:011}"
    person, role = await professional(practice, number)
    agendas, slots, start = [unique("agenda"), unique("agenda")], set[str](), practice.clock.now()
    for id_ in agendas:
        await practice.put(schedule(id_, [person, role]))
    for id_, count in zip(agendas, (4, 3), strict=True):
        label = {"meta": {"security": [{"system": SLOT_TYPE_SYSTEM, "code": "PUBLIC"}]}}
        day = practice.clock.now().replace(hour=9, minute=0) + timedelta(days=7 if count == 4 else 8)
        start, ids = await practice.fill(id_, count, day, **label)
        slots |= set(ids)
    query = (
        "Slot?_include=Slot:schedule&_include:iterate=Schedule:actor&status=free"
        f"&start=ge{practice.clock.now():%Y-%m-%d}&start=le{start + timedelta(days=1):%Y-%m-%d}"
        f"&schedule.actor:Practitioner.identifier=urn:oid:1.2.250.1.71.4.2.1|8{number}"
    )
    bundle = (await callers.nobody().get(query)).json()
    shown = [e["resource"]["id"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Slot"]
    assert (set(shown), len(shown), bundle["total"]) == (slots, 7, 7)
    assert [link["relation"] for link in bundle["link"]] == ["self"]
    entries = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(entries) == len(set(entries)) == 7 + 1 + 1 + 1
    found: list[str] = []
    following: str | None = f"{query}&_count=2"
    while following is not None:
        page = (await callers.nobody().get(following)).json()
        assert "total" not in page
        found += [e["resource"]["id"] for e in page["entry"] if e["resource"]["resourceType"] == "Slot"]
        next_ = [link["url"] for link in page["link"] if link["relation"] == "next"]
        following = f"Slot?{next_[0].partition('?')[2]}" if next_ else None
    assert found == shown
    monkeypatch.setattr(page_bytes, "WHOLE_BYTES_MAX", 1)
    full = (await callers.nobody().get(query)).json()
    assert [e["resource"]["id"] for e in full["entry"] if e["search"]["mode"] == "match"] == shown[:3]
    assert ([link["relation"] for link in full["link"]], full.get("total")) == (["self", "next"], None)


async def test_an_agenda_of_a_role_or_a_person_alone_is_in_the_answer(
    callers: Callers, practice: Practice
) -> None:
    """It is its professional's, in their role; beside one that names both, each slot comes once."""
    number = f"{uuid4().int % 10**11:011}"
    person, role = await professional(practice, number)
    _, others = await professional(practice, f"{uuid4().int % 10**11:011}")
    label = {"meta": {"security": [{"system": SLOT_TYPE_SYSTEM, "code": "PUBLIC"}]}}
    day, expected = practice.clock.now().replace(hour=9, minute=0) + timedelta(days=7), set[str]()
    for number_of_days, actors in enumerate(([role], [person, role], [person], [others])):
        id_ = unique("agenda")
        await practice.put(schedule(id_, actors))
        _, ids = await practice.fill(id_, 2, day + timedelta(days=number_of_days), **label)
        expected |= set(ids) if actors != [others] else set()
    query = (
        "Slot?_include=Slot:schedule&_include:iterate=Schedule:actor&status=free"
        f"&start=ge{day:%Y-%m-%d}&start=le{day + timedelta(days=5):%Y-%m-%d}"
        f"&schedule.actor:Practitioner.identifier=urn:oid:1.2.250.1.71.4.2.1|8{number}"
    )
    bundle = (await callers.nobody().get(query)).json()
    shown = [e["resource"]["id"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Slot"]
    assert (len(shown), set(shown)) == (6, expected)
    found = {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]}
    assert {person, role} <= found


@pytest.mark.parametrize(
    ("gone", "is_gone"),
    [
        ("nothing", False),
        ("an offer of two", False),
        ("the offers", True),
        ("the building", True),
        ("the structure", True),
        ("the situation", True),
        ("the period", True),
    ],
)
@pytest.mark.parametrize("names_the_place", [False, True])
async def test_the_sas_is_told_of_the_role_that_everything_else_knows(
    callers: Callers, practice: Practice, gone: str, is_gone: bool, names_the_place: bool
) -> None:
    """Somebody works in two places; what of the one is gone closes it for the SAS as in `ROLES_ALONE`."""
    number = f"{uuid4().int % 10**11:011}"
    person, role = await professional(practice, number)
    other, building, place, structure = (unique(name) for name in ("role", "site", "lieu", "cabinet"))
    offers = [unique("offre"), unique("offre")]
    closed = {"nothing": 0, "an offer of two": 1, "the offers": 2}.get(gone, 0)
    for index, offer in enumerate(offers):
        await hear(practice, said("HealthcareService", offer, active=index >= closed))
    status = "inactive" if gone == "the building" else "active"
    await hear(practice, said("Location", building, status=status))
    address = {"line": ["5 rue des Exemples"], "city": "Rennes", "postalCode": "35000"}
    part = {"reference": f"Location/{building}"}
    await hear(practice, said("Location", place, status="active", address=address, partOf=part))
    await hear(practice, said("Organization", structure, active=gone != "the structure"))
    over = {"end": f"{practice.clock.now() - timedelta(days=2):%Y-%m-%d}"} if gone == "the period" else None
    beside = said(
        "PractitionerRole",
        other,
        active=gone != "the situation",
        practitioner={"reference": person},
        organization={"reference": f"Organization/{structure}"},
        location=[{"reference": f"Location/{place}"}],
        healthcareService=[{"reference": f"HealthcareService/{offer}"} for offer in offers],
        **({"period": over} if over else {}),
    )
    await hear(practice, beside)
    label = {"meta": {"security": [{"system": SLOT_TYPE_SYSTEM, "code": "PUBLIC"}]}}
    day, id_ = practice.clock.now().replace(hour=9, minute=0) + timedelta(days=7), unique("agenda")
    await practice.put(schedule(id_, [person, *([f"Location/{place}"] if names_the_place else [])]))
    await practice.fill(id_, 2, day, **label)
    query = (
        "Slot?_include=Slot:schedule&_include:iterate=Schedule:actor&status=free"
        f"&start=ge{day:%Y-%m-%d}&start=le{day + timedelta(days=1):%Y-%m-%d}"
        f"&schedule.actor:Practitioner.identifier=urn:oid:1.2.250.1.71.4.2.1|8{number}"
    )
    bundle = (await callers.nobody().get(query)).json()
    kinds = [e["resource"]["resourceType"] for e in bundle.get("entry", [])]
    told = {
        e["resource"]["id"]
        for e in bundle.get("entry", [])
        if e["resource"]["resourceType"] == "PractitionerRole"
    }
    rows = await practice.database.pool.fetch(
        f"SELECT alone.id FROM schedule CROSS JOIN LATERAL {ROLES_ALONE} AS alone WHERE schedule.id = $1", id_
    )
    known = {row["id"] for row in rows}
    here = {other} if names_the_place else {role.removeprefix("PractitionerRole/")}
    assert known == (here if is_gone != names_the_place else set())
    assert told == known
    assert ("Slot" in kinds) == bool(known)
