"""Free slots published in bulk: nothing is shown as free that a patient could not book, and nothing of a patient."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import httpx
from services.booking.tests.client import code, serving
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import appointment, for_professionals, ref, schedule, unique
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_booking.app import create_app, create_publication
from creneau_booking.handlers.outside.publication import AVAILABILITY, DEEP_LINK, PHONE
from creneau_booking.storage.availability.freshness import STALE_AFTER
from creneau_booking.storage.outside.publication import last_publication
from creneau_shared.fhir.storage.store import Resource


def read(folder: Path, manifest: Resource, type_: str) -> list[Resource]:
    lines: list[Resource] = []
    for output in manifest["output"]:
        if output["type"] == type_:
            name = output["url"].removeprefix("http://127.0.0.1:8080/bulk/")
            found = [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
            assert len(found) == output["count"]
            lines += found
    return lines


def whole(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("*.ndjson"))


async def test_what_is_published(fresh: Practice, tmp_path: Path) -> None:
    settings = fresh.settings.model_copy(
        update={"bulk_publish_folder": str(tmp_path), "bulk_publish_days": 20, "bulk_publish_kept_s": 600.0}
    )
    surgery = await open_surgery(fresh, 3)
    await hear(
        fresh,
        {
            "resourceType": "Location",
            "id": "cabinet",
            "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
            "address": {"postalCode": "35000"},
        },
    )
    placed = await fresh.open_agenda(
        2, practitioner=surgery.practitioner, start=surgery.start + timedelta(days=1)
    )
    await open_surgery(fresh, 1, meta=for_professionals())
    quantity = {"value": 1, "code": "min", "system": "http://unitsofmeasure.org"}
    await fresh.open_agenda(1, extension=[{"url": STALE_AFTER, "valueDuration": quantity}])
    await fresh.open_agenda(1, active=False)
    patient = await fresh.new_patient(given="Secrète")
    await fresh.create(
        appointment("booked", slots=[surgery.slots[0]], patient=patient, actors=[surgery.practitioner])
    )
    fresh.clock.advance(timedelta(minutes=2))
    publication = create_publication(settings, fresh.database)
    assert publication is not None
    assert await publication.publish(fresh.clock.now()) == 4
    async with running_issuer() as issuer:
        app = create_app(settings_for(str(fresh.settings.database_url), issuer.url), fresh.clock)
        async with serving(app) as client:
            await require_served(client, tmp_path, {*surgery.slots[1:], *placed.slots})
            await require_kept(client, publication, fresh, tmp_path, surgery.slots[1])


async def require_served(client: httpx.AsyncClient, folder: Path, free: set[str]) -> None:
    """The manifest, and what stands in its files."""
    answer = await client.get("/fhir/$bulk-publish")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert "max-age=300" in answer.headers["cache-control"]
    manifest = answer.json()
    assert manifest["request"] == "http://127.0.0.1:8080/fhir/$bulk-publish"
    slots = read(folder, manifest, "Slot")
    assert {slot["id"] for slot in slots} == free
    assert {slot["status"] for slot in slots} == {"free"}
    links = {
        e["valueUrl"].rpartition("/")[0]
        for s in slots
        for e in s.get("extension", ())
        if e["url"] == DEEP_LINK
    }
    assert links == {"http://127.0.0.1:8080/soignants"}
    schedules = read(folder, manifest, "Schedule")
    offers = {
        s["id"]: next(e["valueCode"] for e in s["extension"] if e["url"] == AVAILABILITY) for s in schedules
    }
    assert sorted(offers.values()) == ["none", "some", "some"]
    assert {slot["schedule"]["reference"].removeprefix("Schedule/") for slot in slots} == {
        id_ for id_, said in offers.items() if said == "some"
    }
    assert {role["practitioner"]["reference"] for role in read(folder, manifest, "PractitionerRole")}
    everything = whole(folder)
    assert b"Patient" not in everything
    assert "Secrète".encode() not in everything


async def require_kept(
    client: httpx.AsyncClient, publication: object, practice: Practice, folder: Path, taken: str
) -> None:
    """What has not changed keeps its name; what has is all that is told of a moment since; old files go in the end."""
    first = await client.get("/fhir/$bulk-publish")
    again = await client.get("/fhir/$bulk-publish", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    any_version = await client.get("/fhir/$bulk-publish", headers={"If-None-Match": "*"})
    assert any_version.status_code == 304
    before, moment = first.json(), practice.clock.now()
    practice.clock.advance(timedelta(minutes=5))
    patient = await practice.new_patient()
    await practice.create(appointment("booked", slots=[taken], patient=patient))
    assert await publication.publish(practice.clock.now()) == 3  # type: ignore[attr-defined]
    second = await client.get("/fhir/$bulk-publish", headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    names = {output["url"] for output in second.json()["output"]}
    kept = {output["url"] for output in before["output"]}
    [changed] = names - kept
    since = await client.get("/fhir/$bulk-publish", params={"_since": moment.isoformat()})
    assert [output["url"] for output in since.json()["output"]] == [changed]
    [gone] = kept - names
    name = gone.rpartition("/")[2]
    assert (folder / name).exists()
    practice.clock.advance(timedelta(days=900))
    await publication.publish(practice.clock.now())  # type: ignore[attr-defined]
    assert not (folder / name).exists()


async def test_an_agenda_of_a_person_alone_leads_where_they_are(fresh: Practice, tmp_path: Path) -> None:
    """To the page of the role that the pages show it with, by the telephone of its place, which stands in the files; of who is
    received at two places only where the agenda says at which."""
    placed, alone_there, undecided = (f"Practitioner/{unique('prat')}" for _ in range(3))
    agendas: dict[str, list[str]] = {
        await at_work(fresh, placed, "un", "+33 1 00 00 00 01"): [placed],
        await at_work(fresh, alone_there, "deux", "+33 1 00 00 00 02"): [alone_there, "Location/deux"],
        await at_work(fresh, undecided, "quatre", "+33 1 00 00 00 04"): [undecided],
    }
    await at_work(fresh, alone_there, "a-trois", "+33 1 00 00 00 03")
    await at_work(fresh, undecided, "cinq", "+33 1 00 00 00 05")
    for role, actors in agendas.items():
        await fresh.put(schedule(f"agenda-{role}", actors))
        await fresh.fill(f"agenda-{role}", 1)
    manifest = await published(fresh, tmp_path)
    found = {
        slot["schedule"]["reference"]: {
            e["url"]: e.get("valueUrl", e.get("valueString")) for e in slot["extension"]
        }
        if "extension" in slot
        else {}
        for slot in read(tmp_path, manifest, "Slot")
    }
    first, second, third = agendas
    assert found == {
        f"Schedule/agenda-{role}": {DEEP_LINK: f"http://127.0.0.1:8080/soignants/{role}", PHONE: phone}
        for role, phone in ((first, "+33 1 00 00 00 01"), (second, "+33 1 00 00 00 02"))
    } | {f"Schedule/agenda-{third}": {}}
    actors_of = {s["id"]: s["actor"][0]["reference"] for s in read(tmp_path, manifest, "Schedule")}
    assert list(actors_of.values()) == ["Location/un", "Location/deux", undecided]
    assert {p["id"] for p in read(tmp_path, manifest, "Location")} == {"un", "deux"}
    assert {r["id"] for r in read(tmp_path, manifest, "PractitionerRole")} == {first, second}


async def test_only_numbers_in_use_are_published_and_each_department_by_its_number(
    fresh: Practice, tmp_path: Path
) -> None:
    """Overseas by three digits, Corsica by its two halves, whichever way the postal code is written."""
    old = {"system": "phone", "value": "+33 1 00 00 00 08", "use": "old"}
    ended = {"system": "phone", "value": "+33 1 00 00 00 09", "period": {"end": "2020-01-01"}}
    for code_ in ("98800", "97400", "20200", "20167", "97133", "35 000"):
        agenda = await fresh.open_agenda(1)
        place = {"resourceType": "Location", "id": agenda.location.removeprefix("Location/")}
        now = {"system": "phone", "value": f"n° {code_}"}
        await fresh.put({**place, "address": {"postalCode": code_}, "telecom": [old, ended, now]})
    manifest = await published(fresh, tmp_path)
    phones = {e["valueString"] for s in read(tmp_path, manifest, "Slot") for e in s["extension"]}
    assert phones == {f"n° {code_}" for code_ in ("98800", "97400", "20200", "20167", "97133", "35 000")}
    states = {tuple(output["extension"]["state"]) for output in manifest["output"]}
    assert states == {("2A", "2B", "35", "974", "977", "988")}


async def at_work(practice: Practice, person: str, place: str, phone: str) -> str:
    """A role (its id) of the person at a place with a telephone."""
    role = unique("role")
    telecom = [{"system": "phone", "value": phone}]
    await practice.put({"resourceType": "Location", "id": place, "name": place, "telecom": telecom})
    there = {"location": [ref(f"Location/{place}")]}
    await hear(practice, role_resource(role, person, unique("cabinet"), **there))
    return role


async def published(practice: Practice, folder: Path) -> Resource:
    """What is published now: the manifest."""
    settings = practice.settings.model_copy(update={"bulk_publish_folder": str(folder)})
    publication = create_publication(settings, practice.database)
    assert publication is not None
    await publication.publish(practice.clock.now())
    async with practice.database.connection() as connection:
        last = await last_publication(connection)
    assert last is not None
    manifest: Resource = json.loads(last.manifest)
    return manifest


async def test_without_a_folder_nothing_is_published(fresh: Practice) -> None:
    assert create_publication(fresh.settings, fresh.database) is None
    async with running_issuer() as issuer:
        app = create_app(settings_for(str(fresh.settings.database_url), issuer.url), fresh.clock)
        async with serving(app) as client:
            answer = await client.get("/fhir/$bulk-publish")
            assert (answer.status_code, code(answer)) == (404, "not-published")
