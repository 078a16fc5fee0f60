"""The index of people's search follows every change of what its rows are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from services.directory.tests.conftest import BASE, NOW, Directory

from creneau_directory.domain.care.around import Around
from creneau_directory.domain.care.places import gazetteer
from creneau_directory.domain.care.situation import cells, cells_around, situation_of
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_directory.domain.ror.urls import SENSITIVE_UNIT
from creneau_directory.handlers import resource_changed
from creneau_directory.jobs import CareIndex
from creneau_directory.storage import care
from creneau_directory.storage.bulk import BulkStore
from creneau_directory.storage.entries import EntryStore
from creneau_directory.storage.ownership import entry_belonging
from creneau_directory.views import indexed
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext

CLOCK = FixedClock(NOW)
R38 = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
R282 = "https://mos.esante.gouv.fr/NOS/TRE_R282-CNAMAmeliSecteurConventionnement/FHIR/TRE-R282-CNAMAmeliSecteurConventionnement"


def entries(family: str, **role: Any) -> list[dict[str, Any]]:
    """A professional in a place of their own."""
    id_ = f"t{uuid4().hex[:12]}"
    return [
        {
            "resourceType": "Practitioner",
            "id": id_,
            "active": True,
            "name": [{"family": family, "given": ["Ada"]}],
        },
        {
            "resourceType": "Location",
            "id": id_,
            "name": "Cabinet",
            "address": {"city": "Morlaix", "postalCode": "29600"},
            "position": {"latitude": 48.58, "longitude": -3.83},
        },
        {
            "resourceType": "PractitionerRole",
            "id": id_,
            "active": True,
            "practitioner": {"reference": f"Practitioner/{id_}"},
            "location": [{"reference": f"Location/{id_}"}],
            "specialty": [{"coding": [{"system": R38, "code": "SM15"}]}],
            **role,
        },
    ]


async def found(directory: Directory, text: str) -> list[str]:
    answer = await directory.client.get("/fhir/PractitionerRole/$find-care", params={"text": text})
    assert answer.status_code == 200, answer.text
    widened = [
        p
        for e in answer.json()["entry"]
        for p in e["resource"].get("parameter", ())
        if p["name"] == "widened"
    ]
    return (
        []
        if widened
        else [e["resource"]["id"] for e in answer.json()["entry"] if e["search"]["mode"] == "match"]
    )


async def put(directory: Directory, *resources: dict[str, Any]) -> None:
    for resource in resources:
        answer = await directory.put(resource)
        assert answer.status_code in (200, 201), answer.text


async def test_found_at_once_and_no_more_when_gone(directory: Directory) -> None:
    person, place, role = entries("Zorbec")
    await put(directory, person, place, role)
    assert await found(directory, "dermato zorbec morlaix") == [role["id"]]
    await put(directory, person | {"name": [{"family": "Quivron", "given": ["Ada"]}]})
    assert await found(directory, "quivron") == [role["id"]]
    assert role["id"] not in await found(directory, "dermato zorbec")
    await put(directory, place | {"address": {"city": "Brest", "postalCode": "29200"}})
    assert await found(directory, "quivron brest") == [role["id"]]
    await put(directory, role | {"active": False})
    assert await found(directory, "quivron") == []
    await put(directory, role)
    assert await found(directory, "quivron") == [role["id"]]
    assert (await directory.client.delete(f"/fhir/PractitionerRole/{role['id']}")).status_code == 204
    assert await found(directory, "quivron") == []


@pytest.mark.parametrize(
    "names",
    [
        [{"use": "old", "family": "Ancienix"}, {"use": "usual", "family": "Presentix"}],
        [{"use": "maiden", "family": "Ancienix"}, {"use": "official", "family": "Presentix"}],
        [{"family": "Ancienix", "period": {"end": "2020-01-31"}}, {"family": "Presentix"}],
    ],
)
async def test_somebody_is_suggested_by_the_name_that_they_bear(
    directory: Directory, names: list[dict[str, Any]]
) -> None:
    """Whatever the role calls them; a former name finds them still."""
    person, place, role = entries("", practitioner={"display": "Dr Lou Ancienix"})
    role["practitioner"]["reference"] = f"Practitioner/{person['id']}"
    await put(directory, person | {"name": [{**name, "given": ["Lou"]} for name in names]}, place, role)
    answer = await directory.client.get("/fhir/PractitionerRole/$suggest", params={"text": "presentix"})
    await directory.client.delete(f"/fhir/PractitionerRole/{role['id']}")
    shown = [
        part["valueString"]
        for suggestion in answer.json()["parameter"]
        for part in suggestion["part"]
        if part["name"] == "display"
    ]
    assert shown == ["Lou Presentix – Dermatologue, Morlaix"]


async def test_two_changes_at_once_leave_no_row_of_before(directory: Directory) -> None:
    person, place, role = entries("Avantin")
    await put(directory, person, place, role)
    for turn in range(5):
        family = f"Apres{'abcde'[turn]}x"
        await asyncio.gather(
            put(directory, person | {"name": [{"family": family}]}),
            put(directory, place | {"name": f"Cabinet {turn}"}),
            put(directory, role | {"availabilityExceptions": f"{turn}"}),
        )
        assert await found(directory, family) == [role["id"]]


async def test_what_is_written_past_the_api_is_entered_by_the_worker(directory: Directory) -> None:
    person, place, role = entries("Tardivon")
    await put(directory, person, place, role)
    await directory.database.pool.execute("DELETE FROM care_situation WHERE role = $1", role["id"])
    await directory.database.pool.execute("INSERT INTO care_due (role) VALUES ($1)", role["id"])
    assert await found(directory, "tardivon") == []
    assert await CareIndex(directory.database, CLOCK, 1.0).enter_due() >= 1
    assert await found(directory, "tardivon") == [role["id"]]


async def test_a_place_of_many_is_entered_by_the_worker(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(care, "AT_ONCE_MAX", 1)
    person, place, role = entries("Nombrel")
    await put(directory, person, place, role, role | {"id": f"{role['id']}-2"})
    await put(directory, place | {"address": {"city": "Brest", "postalCode": "29200"}})
    assert await found(directory, "nombrel brest") == []
    await CareIndex(directory.database, CLOCK, 1.0).enter_due()
    assert sorted(await found(directory, "nombrel brest")) == [role["id"], f"{role['id']}-2"]


@asynccontextmanager
async def under_way(directory: Directory) -> AsyncIterator[Connection]:
    """A transaction beside those of the API and the worker; it commits when the block ends."""
    async with directory.database.pool.acquire() as connection, connection.transaction():
        yield connection


async def due(directory: Directory, *roles: dict[str, Any]) -> list[str]:
    """Which of the roles wait for the worker."""
    rows = await directory.database.pool.fetch(
        "SELECT DISTINCT role FROM care_due WHERE role = ANY($1::text[]) ORDER BY role",
        [role["id"] for role in roles],
    )
    return [row["role"] for row in rows]


@pytest.mark.parametrize("way", ["by the API", "by a load"])
async def test_what_is_put_down_again_while_the_worker_enters_it_is_entered_too(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The worker looks between a change and its commit, and finds the state of before: the change is entered after it."""
    person, place, role = entries(f"Entrelac{'a' if way == 'by a load' else 'b'}")
    await put(directory, person, place, role)
    name = person["name"][0]["family"]
    moved = place | {"address": {"city": "Brest", "postalCode": "29200"}}
    async with under_way(directory) as earlier:
        await care.put_off(earlier, "Location", [place["id"]])
    async with under_way(directory) as writer:
        if way == "by a load":
            context = WriteContext(now=NOW, subject="load:test")
            await BulkStore("Location", BASE, indexed).write(writer, context, [moved])
        else:
            monkeypatch.setattr(care, "AT_ONCE_MAX", 0)
            await writer.execute(
                "UPDATE location SET content = convert_to(replace(replace(convert_from(content, 'UTF8'),"
                " 'Morlaix', 'Brest'), '29600', '29200'), 'UTF8') WHERE id = $1",
                place["id"],
            )
            await care.changed(writer, "Location", place["id"], CLOCK.now())
        await CareIndex(directory.database, CLOCK, 1.0).enter_due()
        assert await found(directory, f"{name} morlaix") == [role["id"]]
    await CareIndex(directory.database, CLOCK, 1.0).enter_due()
    assert await found(directory, f"{name} brest") == [role["id"]]
    assert await due(directory, role) == []


@pytest.mark.parametrize("last", ["the role", "the place"])
async def test_a_role_and_its_place_written_at_once_end_as_both_say(directory: Directory, last: str) -> None:
    """Neither sees the other: who changes a place finds none of its new roles, who enters a role finds the place of before.
    Whichever commits last, with the worker looking between, people find the role where the place is."""
    family = f"Simultan{last.removeprefix('the ')}"
    person, place, role = entries(family)
    await put(directory, person, place)
    moved = place | {"address": {"city": "Brest", "postalCode": "29200"}}
    context = WriteContext(now=NOW, subject="somebody")
    worker = CareIndex(directory.database, CLOCK, 1.0)
    async with under_way(directory) as writer:
        if last == "the role":
            roles = EntryStore("PractitionerRole", BASE, resource_changed, entry_belonging, indexed=indexed)
            await roles.create(writer, context, role, role["id"])
            await put(directory, moved)
        else:
            await BulkStore("Location", BASE, indexed).write(writer, context, [moved])
            await put(directory, role)
        await worker.enter_due()
    await worker.enter_due()
    assert await found(directory, f"{family} brest") == [role["id"]]


async def test_the_worker_waits_for_nobody_who_writes(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody makes again now is left until they are done, and the rest entered, in whichever batch it is: each waiting
    for what the other has, neither would ever come to an end."""
    monkeypatch.setattr(care, "BATCH", 1)
    person, place, role = entries("Patientin")
    other = role | {"id": f"{role['id']}-2"}
    await put(directory, person, place, role, other)
    await CareIndex(directory.database, CLOCK, 1.0).enter_due()
    for one in (role, other):
        await directory.database.pool.execute("INSERT INTO care_due (role) VALUES ($1)", one["id"])
    async with under_way(directory) as writer:
        await care.refresh(writer, [role["id"]], CLOCK.now())
        await CareIndex(directory.database, CLOCK, 1.0).enter_due()
        assert await due(directory, role, other) == [role["id"]]
        await care.refresh(writer, [other["id"]], CLOCK.now())
    await CareIndex(directory.database, CLOCK, 1.0).enter_due()
    assert await due(directory, role, other) == []


async def test_what_is_put_down_by_many_at_once_makes_nobody_wait(directory: Directory) -> None:
    """Two loads write entries of the same professional before either has committed; they are entered once both have."""
    person, place, role = entries("Doublet")
    await put(directory, person, place, role)
    await CareIndex(directory.database, CLOCK, 1.0).enter_due()
    async with under_way(directory) as one, under_way(directory) as two:
        for connection in (one, two):
            await care.put_off(connection, "PractitionerRole", [role["id"]])
    await directory.database.pool.execute("DELETE FROM care_situation WHERE role = $1", role["id"])
    await CareIndex(directory.database, CLOCK, 1.0).enter_due()
    assert await found(directory, "doublet") == [role["id"]]
    assert await due(directory, role) == []


@pytest.mark.parametrize(
    ("role", "terms"),
    [
        (
            {
                "extension": [
                    {
                        "url": "https://x/contracted",
                        "valueCodeableConcept": {"coding": [{"system": R282, "code": "c1"}]},
                    }
                ]
            },
            {"sector:1"},
        ),
        (
            {
                "extension": [
                    {
                        "url": "https://creneau.sante.fr/fhir/StructureDefinition/new-patients",
                        "valueBoolean": True,
                    }
                ]
            },
            {"new-patient:true"},
        ),
        (
            {
                "extension": [
                    {
                        "url": "https://creneau.sante.fr/fhir/StructureDefinition/new-patients",
                        "valueBoolean": False,
                    }
                ]
            },
            set(),
        ),
        ({}, {"R38:SM15", "c:29151", "d:29", "r:53", "z:29600", "n:zorbec", "n:ada", "mode:AMB"}),
    ],
)
def test_terms_of_a_situation(role: dict[str, Any], terms: set[str]) -> None:
    person, place, described = entries("Zorbec", **role)
    made = situation_of(Around(described, person, [place]), vocabulary(), gazetteer())
    assert made is not None
    assert terms <= set(made.terms)
    if not terms:
        assert "new-patient:true" not in made.terms


@pytest.mark.parametrize(("country", "there"), [("ESP", False), ("99134", False), ("FR", True), ("", True)])
def test_a_place_abroad_is_in_no_commune_of_france(country: str, there: bool) -> None:
    """17300 is Blanes in Spain as well as Rochefort."""
    person, place, role = entries("Zorbec")
    abroad = place | {"address": {"city": "Blanes", "postalCode": "17300", "country": country}}
    made = situation_of(Around(role, person, [abroad]), vocabulary(), gazetteer())
    assert made is not None
    assert ({"c:17299", "z:17300"} <= set(made.terms)) is there
    assert any(term.startswith(("c:", "d:", "z:")) for term in made.terms) is there


def test_cells_around_hold_the_point_and_what_is_near() -> None:
    for km in (1.0, 5.0, 12.0, 30.0, 200.0):
        around = cells_around(48.11, -1.67, km)
        assert len(around) < 400
        fine, coarse = cells(48.11, -1.67)
        assert fine in around or coarse in around
    north = cells(48.11 + 4.9 / 111.195, -1.67)[0]
    assert north in cells_around(48.11, -1.67, 5.0)


async def test_a_sensitive_unit_is_not_found(directory: Directory) -> None:
    person, place, role = entries("Discretin")
    unit = {
        "resourceType": "HealthcareService",
        "id": role["id"],
        "active": True,
        "extension": [{"url": SENSITIVE_UNIT, "valueBoolean": True}],
    }
    with_unit = role | {"healthcareService": [{"reference": f"HealthcareService/{unit['id']}"}]}
    await put(directory, person, place, unit, with_unit)
    assert await found(directory, "discretin") == []
    await put(directory, unit | {"extension": [{"url": SENSITIVE_UNIT, "valueBoolean": False}]})
    assert await found(directory, "discretin") == [role["id"]]


def place_of(role: dict[str, Any], suffix: str, **more: Any) -> dict[str, Any]:
    """A place beside those of `entries`."""
    place = {"resourceType": "Location", "id": f"{role['id']}-{suffix}", "name": "Annexe"}
    return place | {"address": {"city": "Brest", "postalCode": "29200"}} | more


def reference(resource: dict[str, Any]) -> dict[str, str]:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


async def test_who_no_longer_works_there_is_not_found(directory: Directory) -> None:
    """Whatever of it is out of use: an agenda of theirs is closed for the same reasons."""
    person, place, role = entries("Partikan")
    building = place_of(role, "b", name="Tour")
    practice = {"resourceType": "Organization", "id": role["id"], "name": "Cabinet", "active": True}
    role["organization"] = reference(practice)
    room = place | {"partOf": reference(building)}
    await put(directory, person, building, practice, room, role)
    assert await found(directory, "partikan") == [role["id"]]
    worker = CareIndex(directory.database, CLOCK, 1.0)
    for out_of_use, before in (
        (practice | {"active": False}, practice),
        (room | {"status": "inactive"}, room),
        (room | {"status": "suspended"}, room),
        (building | {"status": "inactive"}, building),
    ):
        await put(directory, out_of_use)
        await worker.enter_due()
        assert await found(directory, "partikan") == [], out_of_use
        await put(directory, before)
        await worker.enter_due()
        assert await found(directory, "partikan") == [role["id"]]


async def test_of_several_places_those_out_of_use_are_not_searched(directory: Directory) -> None:
    person, place, role = entries("Duplex")
    other = place_of(role, "b")
    role["location"] += [reference(other)]
    await put(directory, person, place, other, role)
    assert await found(directory, "duplex brest") == [role["id"]]
    await put(directory, other | {"status": "inactive"})
    assert await found(directory, "duplex brest") == []
    assert await found(directory, "duplex morlaix") == [role["id"]]


@pytest.mark.parametrize(
    ("period", "is_there"),
    [
        ({"end": "2026-11-15"}, False),
        ({"end": "2026-11-16"}, True),
        ({"end": "2026"}, True),
        ({"end": "2026-10"}, False),
        ({"start": "2026-11-17"}, False),
        ({"start": "2026-11-16T23:00:00+01:00"}, True),
        ({"start": "0001-01-01", "end": "9999-12-31"}, True),
        ({}, True),
    ],
)
async def test_who_has_left_or_not_begun_is_not_found(
    directory: Directory, period: dict[str, str], is_there: bool
) -> None:
    """Nor suggested by name. Today is the 16th of November 2026; nobody has to write the role again as the day comes."""
    family = f"Periodon{''.join(sorted(period))}x{sum(map(ord, str(period)))}"
    person, place, role = entries(family, **({"period": period} if period else {}))
    role["practitioner"]["display"] = family
    await put(directory, person, place, role)
    assert await found(directory, family) == ([role["id"]] if is_there else [])
    answer = await directory.client.get("/fhir/PractitionerRole/$suggest", params={"text": f"dr {family}"})
    assert (role["id"] in answer.text) is is_there


def test_an_offer_out_of_use_counts_for_nothing() -> None:
    """Nor one whose organisation has gone, or the last of its places."""
    person, place, role = entries("Zorbec")
    offer = {
        "resourceType": "HealthcareService",
        "id": "o",
        "specialty": [{"coding": [{"system": "https://x/TRE_R211-ActiviteOperationnelle", "code": "471"}]}],
    }
    closed = place_of(role, "b", status="inactive")
    practice = {"resourceType": "Organization", "id": "p", "active": False}
    others = {"Location/" + closed["id"]: closed, "Organization/p": practice}

    def terms(service: dict[str, Any]) -> tuple[str, ...]:
        made = situation_of(
            Around(role, person, [place], [service], others=others), vocabulary(), gazetteer()
        )
        assert made is not None
        return made.terms

    assert "new-patient:true" in terms(offer)
    for gone in (
        offer | {"active": False},
        offer | {"providedBy": reference(practice)},
        offer | {"location": [reference(closed)]},
    ):
        assert "new-patient:true" not in terms(gone)
    assert "new-patient:true" in terms(offer | {"location": [reference(closed), {"display": "ailleurs"}]})


async def at_an_offer(directory: Directory, family: str) -> dict[str, dict[str, Any]]:
    """Somebody who names no place, but an offer that is in a room of a building (as ROR has it)."""
    person, place, role = entries(family)
    building = place | {"id": f"{role['id']}-b", "name": "Bâtiment Calixte"}
    room = {"resourceType": "Location", "id": role["id"], "name": "Salle 3", "partOf": reference(building)}
    offer = {"resourceType": "HealthcareService", "id": role["id"], "location": [reference(room)]}
    role = role | {"healthcareService": [reference(offer)]}
    del role["location"]
    await put(directory, person, building, room, offer, role)
    return {"building": building, "room": room, "offer": offer, "role": role}


async def test_who_names_no_place_is_where_their_offer_is(directory: Directory) -> None:
    """A room without an address is where its building is; the answer has both."""
    role = (await at_an_offer(directory, "Offrandin"))["role"]
    assert await found(directory, "dermato offrandin morlaix") == [role["id"]]
    assert await found(directory, "offrandin calixte") == [role["id"]]
    near = {"text": "offrandin", "near": "48.58|-3.83|1|km"}
    answer = await directory.client.get("/fhir/PractitionerRole/$find-care", params=near)
    places = [
        e["resource"]["id"] for e in answer.json()["entry"] if e["resource"]["resourceType"] == "Location"
    ]
    assert places == [role["id"], f"{role['id']}-b"]


@pytest.mark.parametrize("moved", ["building", "room", "offer"])
async def test_who_names_no_place_moves_with_their_offer(directory: Directory, moved: str) -> None:
    family = f"Demenagin{moved}"
    made = await at_an_offer(directory, family)
    brest = {"city": "Brest", "postalCode": "29200"}
    elsewhere = {
        "resourceType": "Location", "id": f"{made['role']['id']}-c", "name": "Annexe", "address": brest
    }  # fmt: skip
    await put(directory, elsewhere)
    await put(
        directory,
        {
            "building": made["building"] | {"address": brest},
            "room": made["room"] | {"partOf": reference(elsewhere)},
            "offer": made["offer"] | {"location": [reference(elsewhere)]},
        }[moved],
    )
    await CareIndex(directory.database, CLOCK, 1.0).enter_due()
    assert await found(directory, f"{family} brest") == [made["role"]["id"]]
    assert await found(directory, f"{family} morlaix") == []


async def test_a_circle_of_buildings_is_gone_round_once(directory: Directory) -> None:
    person, place, role = entries("Circulin")
    other = place_of(role, "b", partOf=reference(place))
    await put(directory, person, place, other)
    async with (
        directory.database.transaction() as connection
    ):  # as it could be written before that was refused
        whole = reference(other)["reference"]
        await connection.execute(
            "UPDATE location SET terms = terms || $2::text, content = convert_to((convert_from(content, 'UTF8')::jsonb"
            " || jsonb_build_object('partOf', jsonb_build_object('reference', $3::text)))::text, 'UTF8') WHERE id = $1",
            place["id"],
            f"partof={whole}",
            whole,
        )
    await put(directory, role)
    assert await found(directory, "circulin morlaix") == [role["id"]]
