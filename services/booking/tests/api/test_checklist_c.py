"""Availability (checklist 36-48), as an outsider would ask: the spellings and the corners that `test_find`,
`test_find_together`, `test_openings`, `test_soonest`, `test_places` and `tests/conformance` have not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SLOT_LENGTH, appointment, parameters, ref, slot, unique, utc
from services.booking.tests.openings import FOLLOW_UP, OWN, minutes, opening, ruled, service
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, role_resource

from creneau_booking.storage.agendas.access_extensions import AGE_LIMIT, UCUM
from creneau_booking.storage.agendas.joint import zones_of
from creneau_shared.fhir.storage.store import Resource

DAY = timedelta(days=1)
NATIONAL = "urn:oid:1.2.250.1.71.4.2.1"
META = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}


@pytest.fixture
def monday(practice: Practice) -> datetime:
    """Nine o'clock in Paris, a week from now."""
    return practice.clock.now().replace(hour=8, minute=0, second=0, microsecond=0) + 7 * DAY


def window(start: datetime) -> dict[str, str]:
    return {"start": utc(start), "end": utc(start + DAY)}


def slots_of(bundle: Any) -> list[list[str]]:
    found = [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]
    return [[s["reference"].removeprefix("Slot/") for s in one["slot"]] for one in found]


def codes_of(bundle: Any) -> list[str]:
    """What the outcome says, by code."""
    outcomes = [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "outcome"]
    return [
        i["details"]["coding"][0]["code"] for o in outcomes for i in o["issue"] if "coding" in i["details"]
    ]


async def found(caller: Caller, start: datetime, **query: str) -> list[list[str]]:
    answer = await caller.get("Appointment/$find", **window(start), **query)
    assert answer.status_code == 200, answer.text
    return slots_of(answer.json())


async def doctor(
    practice: Practice, monday: datetime, *places: str, count: int = 1
) -> tuple[Agenda, str, str]:
    """An agenda of a professional with a role at these places; the role, and the professional's number."""
    number, role = unique("8"), unique("role")
    who = await practice.put(
        {
            "resourceType": "Practitioner",
            "id": unique("prat"),
            "identifier": [{"system": NATIONAL, "value": number}],
        }
    )
    where = [ref(f"Location/{place}") for place in places]
    await hear(practice, role_resource(role, who, unique("org"), **({"location": where} if where else {})))
    agenda = await practice.open_agenda(
        count, practitioner=who, start=monday, actor=[ref(who), ref(f"PractitionerRole/{role}")]
    )
    return agenda, f"PractitionerRole/{role}", number


async def place(practice: Practice, **more: Any) -> str:
    id_ = unique("lieu")
    await hear(practice, {"resourceType": "Location", "id": id_, "meta": META, "status": "active", **more})
    return id_


async def test_36_42_whoever_is_named_as_a_search_names_them(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """36, 42: by number, by a chain to it, by role: one of them, never everybody."""
    agenda, role, number = await doctor(practice, monday)
    await practice.open_agenda(1, start=monday)
    for name, value in (
        ("practitioner", f"{NATIONAL}|{number}"),
        ("practitioner.identifier", f"{NATIONAL}|{number}"),
        ("practitioner:identifier", f"{NATIONAL}|{number}"),
        ("practitioner.identifier", number),
        ("practitioner", role),
        ("practitioner", f"{role},Practitioner/{unique('autre')}"),
        ("practitioner", f"{agenda.practitioner},{role}"),
    ):
        assert await found(callers.nobody(), monday, **{name: value}) == [[agenda.slots[0]]], name
    logical = ref(role) | {"type": "PractitionerRole"}
    answer = await callers.nobody().post(
        "Appointment/$find", parameters(**window(monday), practitioner=logical)
    )
    assert slots_of(answer.json()) == [[agenda.slots[0]]]


async def test_36_what_is_not_known_is_said(callers: Callers, monday: datetime) -> None:
    """36: a misspelled name is left out, and the answer says so, as a search does."""
    for operation in ("Appointment/$find", "Slot/$prefetch"):
        answer = await callers.nobody().get(operation, **window(monday), practicioner="Practitioner/1")
        assert "ignored" in codes_of(answer.json()), answer.text


async def test_36_whose_agenda_and_where_by_every_way(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """36: an agenda is of an organisation through its offer or its place too, and at the address of its role's place."""
    town = unique("Ville")
    organization = await practice.put(
        {"resourceType": "Organization", "id": unique("org"), "name": "Cabinet"}
    )
    site = await place(practice, address={"city": town}, managingOrganization=ref(organization))
    by_role, _, _ = await doctor(practice, monday, site)
    assert await found(callers.nobody(), monday, **{"location-string": town}) == [[by_role.slots[0]]]
    offer = await practice.put(
        {"resourceType": "HealthcareService", "id": unique("offre"), "providedBy": ref(organization)}
    )
    of_offer = await practice.open_agenda(1, start=monday, actor=[ref(offer)])
    of_place = await practice.open_agenda(1, start=monday, actor=[ref(f"Location/{site}")])
    theirs = await found(callers.nobody(), monday, organization=organization)
    assert sorted(theirs) == sorted([[of_offer.slots[0]], [of_place.slots[0]]])


async def test_38_agendas_that_are_named_are_wanted_together(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """38: Medplum's `schedule`, one parameter each, is of all of them, of one kind or not; by commas, one will do."""
    first, second = [
        await practice.open_agenda(2, start=monday + n * timedelta(minutes=20)) for n in range(2)
    ]
    ids = [f"Schedule/{agenda.id}" for agenda in (first, second)]
    body = parameters(**window(monday), schedule=[ref(id_) for id_ in ids])
    answer = await callers.nobody().post("Appointment/$find", body)
    assert slots_of(answer.json()) == [[first.slots[1], second.slots[0]]], answer.text
    everybody = {p["actor"]["reference"] for p in answer.json()["entry"][0]["resource"]["participant"]}
    assert {first.practitioner, second.practitioner} <= everybody
    either = await found(callers.nobody(), monday, schedule=",".join(ids))
    assert either == [[first.slots[0]], [first.slots[1]], [second.slots[0]], [second.slots[1]]]


async def test_38_nobody_elses_agenda_stands_for_a_place(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """37, 38: who works at a place is found there alone; with another's agenda at the place nobody is put together."""
    site, elsewhere = [await place(practice) for _ in range(2)]
    there, _, _ = await doctor(practice, monday, site)
    away, _, _ = await doctor(practice, monday, elsewhere)
    asked = {"location-reference": f"Location/{site}"}
    assert await found(callers.nobody(), monday, practitioner=there.practitioner, **asked) == [
        [there.slots[0]]
    ]
    assert await found(callers.nobody(), monday, practitioner=away.practitioner, **asked) == []


@pytest.mark.parametrize("several", [False, True])
async def test_36_the_preferred_times(
    callers: Callers, practice: Practice, monday: datetime, several: bool
) -> None:
    """36: IHE's `timing` says on which days, in which part of the day and at which times, by the clock of the place."""
    agenda = await practice.open_agenda(0)
    for hours in (0, 4, 24):  # Monday at nine and at one, Tuesday at nine
        await practice.put(slot(unique("creneau"), agenda.id, monday + timedelta(hours=hours)))
    whom = [ref(agenda.practitioner), *([ref("Practitioner/nobody")] if several else [])]
    given = {"start": utc(monday), "end": utc(monday + 2 * DAY), "practitioner": whom}
    for repeat, expected in (
        ({"dayOfWeek": ["tue"]}, [24]),
        ({"when": ["MORN"]}, [0, 24]),
        ({"when": ["AFT.early"], "dayOfWeek": ["mon"]}, [4]),
        ({"timeOfDay": ["09:00:00"]}, [0, 24]),
        ({"timeOfDay": ["10:00:00", "13:00:00"]}, [4]),
        ({"dayOfWeek": ["wed"]}, []),
    ):
        body = parameters(**given)
        body["parameter"].append({"name": "timing", "valueTiming": {"repeat": repeat}})
        bundle = (await callers.nobody().post("Appointment/$find", body)).json()
        starts = [e["resource"]["start"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]
        assert starts == [utc(monday + timedelta(hours=hours)) for hours in expected], repeat


SEARCHES = ("Appointment/$find", "Slot/$prefetch", "Slot/$soonest")


def following(bundle: Resource) -> str | None:
    """The path of the next page."""
    urls = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    return urls[0].partition("/fhir/")[2] if urls else None


@pytest.mark.parametrize("several", [False, True])
async def test_36_the_next_page_keeps_the_preferred_times(
    callers: Callers, practice: Practice, monday: datetime, several: bool
) -> None:
    """36, 40: `next` is the rest of the same answer. Tuesday's times are in none of the pages."""
    agenda = await practice.open_agenda(0)
    for hours in (0, 24, 168):
        await practice.put(slot(unique("creneau"), agenda.id, monday + timedelta(hours=hours)))
    whom = [ref(agenda.practitioner), *([ref("Practitioner/nobody")] if several else [])]
    body = parameters(start=utc(monday), end=utc(monday + 9 * DAY), practitioner=whom, _count="1")
    body["parameter"].append({"name": "timing", "valueTiming": {"repeat": {"dayOfWeek": ["mon"]}}})
    bundle = (await callers.nobody().post("Appointment/$find", body)).json()
    starts = []
    while True:
        starts += [e["resource"]["start"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
        if (path := following(bundle)) is None:
            break
        answer = await callers.nobody().get(path)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
    assert starts == [utc(monday), utc(monday + 7 * DAY)]


@pytest.mark.parametrize("several", [False, True])
async def test_81_the_next_page_is_of_series_as_well(
    callers: Callers, practice: Practice, monday: datetime, several: bool
) -> None:
    """40, 81: how often stands in the same `timing`."""
    agenda = await practice.open_agenda(2, start=monday)
    await practice.fill(agenda.id, 2, monday + 7 * DAY)
    weekly = {"count": 2, "frequency": 1, "period": 1, "periodUnit": "wk"}
    whom = [ref(agenda.practitioner), *([ref("Practitioner/nobody")] if several else [])]
    body = parameters(**window(monday), practitioner=whom, _count="1")
    body["parameter"].append({"name": "timing", "valueTiming": {"repeat": weekly}})
    first = (await callers.nobody().post("Appointment/$find", body)).json()
    path = following(first)
    assert path is not None
    second = await callers.nobody().get(path)
    assert second.status_code == 200, second.text
    for bundle in (first, second.json()):
        modes = [entry["search"]["mode"] for entry in bundle["entry"]]
        assert [mode for mode in modes if mode != "outcome"] == ["match", "include"]


@pytest.mark.parametrize("operation", SEARCHES)
async def test_26_the_next_page_is_for_the_person_who_was_described(
    callers: Callers, practice: Practice, monday: datetime, operation: str
) -> None:
    """26, 40: who is ten is offered nothing of an agenda for adults, on whichever page. The link, which is sealed, says the
    birth date and no more of them."""
    organization = await practice.put({"resourceType": "Organization", "id": unique("org"), "name": "x"})
    role = await practice.put(
        {"resourceType": "PractitionerRole", "id": unique("role"), "organization": ref(organization)}
    )
    adults = {"low": {"value": 18, "system": UCUM, "code": "a"}}
    limits = [{"url": AGE_LIMIT, "valueRange": adults}]
    for_all = [
        await practice.open_agenda(1, start=monday + number * SLOT_LENGTH, actor=[ref(role)])
        for number in (0, 1)
    ]
    await practice.open_agenda(3, start=monday + SLOT_LENGTH, actor=[ref(role)], extension=limits)
    birth_date = utc(monday - 3_700 * DAY)[:10]
    born = {"resourceType": "Patient", "birthDate": birth_date, "name": [{"family": "Dupont"}]}
    body = parameters(
        **window(monday), organization=ref(organization), _count="1", **{"patient-resource": born}
    )
    bundle = (await callers.nobody().post(operation, body)).json()
    slots = []
    for _ in range(4):
        matches = [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]
        slots += [one["id"].removeprefix("proposal.") for one in matches]
        path = following(bundle)
        if path is None:
            break
        assert "Dupont" not in path
        assert birth_date not in path
        answer = await callers.nobody().get(path)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
    assert slots == [agenda.slots[0] for agenda in for_all]


async def test_36_a_leap_second_is_a_time_of_day_and_what_is_no_time_prefers_none(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """Valid FHIR both: the second before it, and an element of which extensions alone are given."""
    agenda = await practice.open_agenda(1, start=monday)
    beside = {"extension": [{"url": "urn:x", "valueString": "x"}]}
    repeat = {"timeOfDay": ["08:00:60", None], "_timeOfDay": [None, beside]}
    body = parameters(**window(monday), practitioner=ref(agenda.practitioner))
    body["parameter"].append({"name": "timing", "valueTiming": {"repeat": repeat}})
    answer = await callers.nobody().post("Appointment/$find", body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("several", [False, True])
async def test_40_no_more_than_the_total(
    callers: Callers, practice: Practice, monday: datetime, several: bool
) -> None:
    """40: `_count=0` is the total and nothing else."""
    agenda = await practice.open_agenda(3, start=monday)
    whom = f"{agenda.practitioner},Practitioner/{unique('autre')}" if several else agenda.practitioner
    answer = await callers.nobody().get("Appointment/$find", **window(monday), practitioner=whom, _count="0")
    assert (answer.status_code, answer.json()["total"], answer.json().get("entry")) == (200, 3, None), (
        answer.text
    )


@pytest.mark.parametrize("said_by", ["role", "professional", "role, later", "professional, later"])
async def test_44_the_clock_of_an_agenda_is_that_of_its_people(
    callers: Callers, practice: Practice, said_by: str
) -> None:
    """44: an agenda of a role is where the role's place is, one of a professional where they say that they are, whichever
    of them the directory told of first; for its openings and for its rules."""
    role, who, where = unique("role"), unique("prat"), unique("lieu")
    stated = {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "Indian/Reunion"}
    of_role = said_by.startswith("role")

    async def directory() -> None:
        if of_role:
            at_home = {"postalCode": "97400", "city": "Saint-Denis"}
            await hear(practice, {"resourceType": "Location", "id": where, "meta": META, "address": at_home})
            at = {"location": [ref(f"Location/{where}")]}
            await hear(practice, role_resource(role, f"Practitioner/{who}", unique("org"), **at))
        else:
            await hear(
                practice, {"resourceType": "Practitioner", "id": who, "meta": META, "extension": [stated]}
            )

    if "later" not in said_by:
        await directory()
    actors = [f"Practitioner/{who}", *([f"PractitionerRole/{role}"] if of_role else [])]
    # Whole days of the place: from its midnight on.
    resource = ruled(unique("agenda"), actors, opening("2026-12-15", "2026-12-15"), service(FOLLOW_UP, 60))
    answer = await callers.software().put(f"Schedule/{resource['id']}", resource)
    assert answer.status_code in (200, 201), answer.text
    if "later" in said_by:
        await directory()
        await practice.jobs().openings.sweep()
    listed = await callers.software().get("Slot", schedule=resource["id"], _sort="start", _count="1")
    assert listed.json()["entry"][0]["resource"]["start"] == "2026-12-14T20:00:00Z"
    async with practice.database.connection() as connection:
        zones = await zones_of(connection, [resource["id"]])
    assert str(zones[resource["id"]]) == "Indian/Reunion"


@pytest.mark.parametrize("way", ["GET", "POST"])
async def test_46_47_free_slots_are_fetched_beforehand(
    callers: Callers, practice: Practice, monday: datetime, way: str
) -> None:
    """46, 47: Argonaut's `$prefetch` gives the slots themselves under the ids that they are read by, page by page; what is
    held is not among them, and without dates it looks from now on."""
    agenda = await practice.open_agenda(4, start=monday)
    camille = await practice.new_patient()
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    assert (await callers.patient(camille).post("Appointment/$hold", wanted)).status_code == 201
    nobody = callers.nobody()
    if way == "GET":
        answer = await nobody.get("Slot/$prefetch", practitioner=agenda.practitioner, _count="2")
    else:
        body = parameters(**window(monday), practitioner=ref(agenda.practitioner), _count="2")
        answer = await nobody.post("Slot/$prefetch", body)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 3)
    seen = [e["resource"]["id"] for e in bundle["entry"]]
    following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    rest = (await nobody.get(following.partition("/fhir/")[2])).json()
    assert [*seen, *(e["resource"]["id"] for e in rest["entry"])] == list(agenda.slots[1:])
    assert (await nobody.get(f"Slot/{seen[0]}")).json() == bundle["entry"][0]["resource"]


@pytest.mark.parametrize("operation", ["$hold", "$book"])
@pytest.mark.parametrize("spelling", ["proposal", "contained", "contained without id"])
async def test_49_56_a_proposal_is_taken_as_it_was_found(
    callers: Callers, practice: Practice, monday: datetime, operation: str, spelling: str
) -> None:
    """49, 56: what `$find` proposes names no patient, and is for whom the caller can only mean; Medplum's proposals contain
    their slots and refer to none of them."""
    agenda = await practice.open_agenda(1, start=monday)
    camille = await practice.new_patient()
    caller = callers.patient(camille)
    answer = await caller.get("Appointment/$find", **window(monday), schedule=agenda.id)
    proposed: Resource = answer.json()["entry"][0]["resource"]
    if spelling != "proposal":
        named: Resource = slot("x", agenda.id, monday, status="busy")
        named["id"] = "1"
        if spelling.endswith("id"):
            del named["id"]
        proposed = {**{k: v for k, v in proposed.items() if k not in ("slot", "id")}, "contained": [named]}
    taken = await caller.post(f"Appointment/{operation}", parameters(appointment=proposed))
    assert taken.status_code == 201, taken.text
    people = [p["actor"]["reference"] for p in taken.json()["participant"]]
    assert camille in people
    assert taken.json()["slot"] == [ref(f"Slot/{agenda.slots[0]}")]


async def test_41_who_is_only_described_is_not_registered(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """41: a Patient in the call is looked for, by whoever asks, and stored nowhere; one whom nobody knows finds as anybody."""
    agenda = await practice.open_agenda(1, start=monday)
    family = unique("inconnu")
    described = {"resourceType": "Patient", "name": [{"family": family}], "birthDate": "1990-01-01"}
    software = callers.software()
    for caller in (callers.nobody(), software):
        body = parameters(**window(monday), practitioner=ref(agenda.practitioner), patient_resource=described)
        answer = await caller.post("Appointment/$find", body)
        assert slots_of(answer.json()) == [[agenda.slots[0]]], answer.text
    body = parameters(
        **window(monday), practitioner=ref(agenda.practitioner), patient_reference=ref("Patient/nobody")
    )
    assert slots_of((await software.post("Appointment/$find", body)).json()) == [[agenda.slots[0]]]
    assert (await software.get("Patient", family=family)).json()["total"] == 0


async def test_43_how_slots_follow_from_rules(callers: Callers, practice: Practice) -> None:
    """43, 70: in one agenda a duration, buffers, a grid, places, an absence, and a public holiday on which it is closed. More
    of each, and what is refused: `test_openings`; by which clock (44): there, in `domain/test_openings`, and above."""
    rules = [
        service(FOLLOW_UP, 20),
        minutes("schedule-buffer-before", 5),
        minutes("schedule-buffer-after", 5),
        minutes("schedule-alignment-grid", 10),
        {"url": f"{OWN}schedule-capacity", "valuePositiveInt": 2},
        opening("2026-12-24T09:02:00+01:00", "2026-12-24T11:05:00+01:00", freq="DAILY", count=3),
        opening("2026-12-26T09:40:00+01:00", "2026-12-26T10:15:00+01:00", kind="busy-unavailable"),
    ]
    resource = ruled(unique("agenda"), [f"Practitioner/{unique('prat')}"], *rules)
    software = callers.software()
    assert (await software.put(f"Schedule/{resource['id']}", resource)).status_code == 201
    listed = (await software.get("Slot", schedule=resource["id"], _sort="start")).json()
    slots = [entry["resource"] for entry in listed["entry"]]
    assert [one["start"][8:16] for one in slots] == [
        *("24T08:10", "24T08:40", "24T09:10", "24T09:40"),
        *("26T08:10", "26T09:40"),
    ]
    people = [await practice.new_patient() for _ in range(3)]
    wanted = [appointment("proposed", slots=[slots[0]["id"]], patient=who) for who in people]
    answers = [
        await callers.patient(w).post("Appointment/$book", a) for w, a in zip(people, wanted, strict=True)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 409]


async def test_45_a_visit_that_is_to_be_moved_stands_in_nobodys_way(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """45: its own slot is proposed too, to whoever may read it, by reference or by id; to others it is taken."""
    agenda = await practice.open_agenda(2, start=monday)
    camille = await practice.new_patient()
    caller = callers.patient(camille)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    visit = (await caller.post("Appointment/$book", wanted)).json()["id"]
    whole, rest = [[id_] for id_ in agenda.slots], [[agenda.slots[1]]]
    for who, named, shown in (
        (caller, f"Appointment/{visit}", whole),
        (caller, visit, whole),
        (callers.software(), f"Appointment/{visit}", whole),
        (callers.nobody(), f"Appointment/{visit}", rest),
        (callers.patient(await practice.new_patient()), f"Appointment/{visit}", rest),
    ):
        asked = {"practitioner": agenda.practitioner, "ignore-appointment": named}
        assert await found(who, monday, **asked) == shown, named


async def test_48_a_part_of_a_slot_and_slots_that_follow(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """48: ISiK's test data (five past eleven in a slot of eleven hours), and two slots of one visit; two that do not follow
    each other, and a time that is in no slot, are refused. The policies: `test_places`."""
    camille = await practice.new_patient()
    caller = callers.patient(camille)
    long = await practice.open_agenda(0)
    await practice.put(slot(whole := unique("long"), long.id, monday, timedelta(hours=11)))
    begin = monday + timedelta(hours=2, minutes=5)
    part = appointment("proposed", slots=[whole], patient=camille, start=begin, length=timedelta(minutes=50))
    assert (await caller.post("Appointment/$book", part)).status_code == 201
    listed = (await callers.software().get("Slot", schedule=long.id, _sort="start")).json()
    assert [e["resource"]["status"] for e in listed["entry"]] == ["free", "busy", "free"]
    day = monday + DAY
    short = await practice.open_agenda(4, start=day)
    apart = appointment("proposed", slots=[short.slots[0], short.slots[2]], patient=camille)
    assert (await caller.post("Appointment/$book", apart)).status_code == 422
    beyond = appointment("proposed", slots=short.slots[:1], patient=camille, start=day + timedelta(hours=9))
    assert (await caller.post("Appointment/$book", beyond)).status_code in (409, 422)
    both = await caller.post(
        "Appointment/$book", appointment("proposed", slots=short.slots[:2], patient=camille)
    )
    assert (both.status_code, len(both.json()["slot"])) == (201, 2), both.text


async def test_57_58_all_of_it_or_nothing(callers: Callers, practice: Practice, monday: datetime) -> None:
    """57: of two agendas of which one is taken nothing is booked: no appointment, no slot, no event. 58, by many at once and
    over two processes: `storage/test_rivals`, `tests/resilience`."""
    first, second = [await practice.open_agenda(1, start=monday) for _ in range(2)]
    taker, camille = [await practice.new_patient() for _ in range(2)]
    held = appointment("proposed", slots=second.slots, patient=taker)
    assert (await callers.patient(taker).post("Appointment/$book", held)).status_code == 201
    told = await practice.database.pool.fetchval("SELECT count(*) FROM outbox")
    wanted = appointment("proposed", slots=[*first.slots, *second.slots], patient=camille)
    refused = await callers.patient(camille).post("Appointment/$book", wanted)
    assert refused.status_code == 409, refused.text
    assert second.slots[0] in refused.text
    assert await practice.slot_statuses([*first.slots, *second.slots]) == ["free", "busy"]
    mine = await callers.patient(camille).get("Appointment", patient=camille)
    assert mine.json()["total"] == 0
    assert await practice.database.pool.fetchval("SELECT count(*) FROM outbox") == told


async def test_56_a_request_is_given_its_slot_by_a_patch(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """56: Oracle's two operations in one patch, status and slot; the request had neither start nor end, and has the slot's."""
    agenda = await practice.open_agenda(2, start=monday)
    for caller, slot_id in ((callers.software(), agenda.slots[0]), (None, agenda.slots[1])):
        camille = await practice.new_patient()
        asking = caller or callers.patient(camille)
        asked = appointment("proposed", patient=camille, requestedPeriod=[window(monday)])
        stored = (await asking.post("Appointment", asked)).json()["id"]
        answer = await asking.patch(
            f"Appointment/{stored}",
            [
                {"op": "replace", "path": "/status", "value": "booked"},
                {"op": "add", "path": "/slot", "value": [ref(f"Slot/{slot_id}")]},
            ],
        )
        assert answer.status_code == 200, answer.text
        kept = (await callers.software().get(f"Slot/{slot_id}")).json()
        assert [answer.json()[name] for name in ("status", "start", "end")] == [
            "booked",
            kept["start"],
            kept["end"],
        ]
        assert kept["status"] == "busy"


async def test_56_what_every_guide_fills_in_is_taken_where_it_is_true(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """56: a patient's frontend says when it books (GP Connect, GAP) and how long the visit is (Cerner); what is not so is
    the practice's to say."""
    agenda = await practice.open_agenda(1, start=monday)
    camille = await practice.new_patient()
    caller = callers.patient(camille)
    wanted = appointment("booked", slots=agenda.slots, patient=camille, start=monday, length=SLOT_LENGTH)
    length = int(SLOT_LENGTH.total_seconds()) // 60
    true = {"created": practice.clock.now().date().isoformat(), "minutesDuration": length}
    for untrue in ({"created": "2026-11-01"}, {"created": "2026"}, {"minutesDuration": length + 5}):
        refused = await caller.post("Appointment", {**wanted, **true, **untrue})
        assert (refused.status_code, code(refused)) == (403, "element-not-yours"), refused.text
    booked = await caller.post("Appointment", {**wanted, **true})
    assert booked.status_code == 201, booked.text
    assert {name: booked.json()[name] for name in true} == true
