"""`$find`: what could really be booked, in the spellings of IHE, Argonaut and Medplum."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    CONSULTATION,
    SKIN,
    VIDEO,
    appointment,
    for_professionals,
    parameters,
    ref,
    slot,
    unique,
    utc,
)
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.operations.finding import find
from creneau_booking.storage.agendas.access_extensions import AGE_LIMIT, UCUM
from creneau_booking.storage.availability import agenda_walk


def window(agenda: Agenda, days: int = 1) -> dict[str, str]:
    return {"start": utc(agenda.start), "end": utc(agenda.start + timedelta(days=days))}


async def found(callers: Callers, **given: Any) -> list[str]:
    """The slots that are proposed, in order."""
    answer = await callers.nobody().post("Appointment/$find", parameters(**given))
    assert answer.status_code == 200, answer.text
    return slots_of(answer.json())


def slots_of(bundle: dict[str, Any]) -> list[str]:
    return [one["slot"][0]["reference"].removeprefix("Slot/") for one in matches_of(bundle)]


def matches_of(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]


async def test_ihe(callers: Callers, agenda: Agenda) -> None:
    """ITI-115: a searchset with its total; entries proposed, everyone needs-action, requestedPeriod filled."""
    patient = "Patient/quelqu-un"
    answer = await callers.nobody().post(
        "Appointment/$find",
        parameters(**window(agenda), practitioner=ref(agenda.practitioner), patient_reference=ref(patient)),
    )
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 3)
    first = bundle["entry"][0]["resource"]
    assert first["status"] == "proposed"
    assert {p["status"] for p in first["participant"]} == {"needs-action"}
    assert {p["actor"]["reference"] for p in first["participant"]} == {
        agenda.practitioner,
        agenda.location,
        patient,
    }
    assert first["requestedPeriod"] == [{"start": utc(agenda.at(0)), "end": utc(agenda.at(1))}]
    assert first["specialty"][0]["coding"][0]["code"] == "SM54"
    assert slots_of(bundle) == list(agenda.slots)


async def test_logical_references(callers: Callers, practice: Practice) -> None:
    """IHE's own example names the practitioner by identifier only."""
    identifier = {"system": "urn:oid:1.3.6.1.4.1.19376.1.2.999", "value": unique("PR")}
    practitioner = {"resourceType": "Practitioner", "id": unique("prat"), "identifier": [identifier]}
    agenda = await practice.open_agenda(practitioner=await practice.put(practitioner))
    assert await found(callers, **window(agenda), practitioner={"identifier": identifier}) == list(
        agenda.slots
    )
    unknown = {"identifier": {**identifier, "value": "personne"}}
    assert await found(callers, **window(agenda), practitioner=unknown) == []


async def test_argonaut_by_get(callers: Callers, agenda: Agenda) -> None:
    """Uris in the address, `_count`, and an OperationOutcome that says that there is more."""
    answer = await callers.nobody().get(
        "Appointment/$find", **window(agenda), practitioner=agenda.practitioner, _count="2"
    )
    bundle = answer.json()
    assert (slots_of(bundle), bundle["total"]) == (list(agenda.slots[:2]), 3)
    assert bundle["entry"][-1]["search"]["mode"] == "outcome"
    assert bundle["entry"][-1]["resource"]["issue"][0]["severity"] == "information"


async def test_medplum(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    other = await practice.open_agenda(start=agenda.start)
    several = f"Schedule/{agenda.id},Schedule/{other.id}"
    either = await callers.nobody().get("Appointment/$find", **window(agenda), schedule=several)
    assert set(slots_of(either.json())) == {*agenda.slots, *other.slots}
    service = f"HealthcareService/{unique('offre')}"
    answer = await callers.nobody().get(
        "Appointment/$find",
        **window(agenda),
        schedule=f"Schedule/{agenda.id}",
        **{"service-type-reference": service},
    )
    assert slots_of(answer.json()) == []


async def test_and_between_kinds_or_within(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    other = await practice.open_agenda(start=agenda.start)
    both = [ref(agenda.practitioner), ref(other.practitioner)]
    assert len(await found(callers, **window(agenda), practitioner=both)) == 6
    here = ref(agenda.location)
    assert await found(callers, **window(agenda), practitioner=both, location_reference=here) == list(
        agenda.slots
    )


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("Appointment/$find", "start"),
        ("Slot/$prefetch", "start"),
        ("Slot/$soonest", "near"),
    ],
)
async def test_what_is_said_once_at_most_is_not_heard_half(callers: Callers, address: str, name: str) -> None:
    """Every operation refuses a parameter that its definition allows once, and is given twice."""
    answer = await callers.nobody().get(f"{address}?{name}=2027-01-01&{name}=2027-01-02")
    [issue] = answer.json()["issue"]
    assert (answer.status_code, issue["expression"]) == (
        400,
        [f"Parameters.parameter.where(name='{name}')"],
    )


SEARCHES = ("Appointment/$find", "Slot/$prefetch", "Slot/$soonest")


@pytest.mark.parametrize("way", ["GET", "POST"])
@pytest.mark.parametrize("operation", SEARCHES)
async def test_what_is_not_known_is_left_out_and_said_or_refused(
    callers: Callers, agenda: Agenda, operation: str, way: str
) -> None:
    """Whoever wants to know whether all that they ask for counts says `handling=strict`. What is known by the suffix of an
    identifier, as the criterion of a search, is known."""
    known = {**window(agenda), "schedule": f"Schedule/{agenda.id}", "practitioner.identifier": "999"}

    async def asked(prefer: str, **more: str) -> httpx.Response:
        if way == "GET":
            path = f"{operation}?{urlencode({**known, **more})}"
            return await callers.nobody().send("GET", path, None, {"Prefer": prefer})
        return await callers.nobody().post(operation, parameters(**known, **more), Prefer=prefer)

    assert (await asked("handling=strict")).status_code == 200
    strict = await asked("handling=strict", colour="red")
    assert strict.status_code == 400, strict.text
    assert strict.json()["issue"][0]["expression"] == ["http.colour"]
    for prefer in ("handling=lenient", "return=minimal"):
        answer = await asked(prefer, colour="red")
        assert answer.status_code == 200
        told = [
            issue["details"]["coding"][0]["code"]
            for entry in answer.json()["entry"]
            if entry["resource"]["resourceType"] == "OperationOutcome"
            for issue in entry["resource"]["issue"]
            if "coding" in issue["details"]
        ]
        assert "ignored" in told


@pytest.mark.parametrize("operation", SEARCHES)
async def test_a_person_who_is_described_is_judged_and_not_left_out(
    callers: Callers, practice: Practice, operation: str
) -> None:
    """Before logging in, pages say how old somebody is; no warning says that this was left aside."""
    years = {
        "low": {"value": 0, "system": UCUM, "code": "a"},
        "high": {"value": 16, "system": UCUM, "code": "a"},
    }
    agenda = await practice.open_agenda(extension=[{"url": AGE_LIMIT, "valueRange": years}])
    for born, found_free in (("1990-01-01", False), ("2020-01-01", True)):
        described = {"resourceType": "Patient", "birthDate": born}
        body = parameters(
            **window(agenda), schedule=ref(f"Schedule/{agenda.id}"), **{"patient-resource": described}
        )
        answer = await callers.nobody().post(operation, body, Prefer="handling=strict")
        assert answer.status_code == 200, answer.text
        entries = answer.json().get("entry", [])
        assert any(entry["search"]["mode"] == "match" for entry in entries) is found_free


def a_role(practitioner: str, *places: str, **more: Any) -> dict[str, Any]:
    """The directory's word on what a professional does, and where."""
    return {
        "resourceType": "PractitionerRole",
        "id": unique("role"),
        "practitioner": ref(practitioner),
        "location": [ref(place) for place in places],
        **more,
    }


@pytest.mark.parametrize("operation", ["Appointment/$find", "Slot/$prefetch"])
async def test_whom_an_agenda_names_by_a_role_is_found_by_name_and_by_place(
    callers: Callers, practice: Practice, operation: str
) -> None:
    """An agenda that names a role alone is its professional's, where the role is; as `$soonest` has it."""
    doctor, here, there = (f"{kind}/{unique('x')}" for kind in ("Practitioner", "Location", "Location"))
    roles = [await practice.put(a_role(doctor, place)) for place in (here, there)]
    first, second = [await practice.open_agenda(actor=[ref(role)]) for role in roles]

    async def found_by(**given: Any) -> set[str]:
        answer = await callers.nobody().post(operation, parameters(**window(first), **given))
        assert answer.status_code == 200, answer.text
        matches = [e["resource"] for e in answer.json()["entry"] if e["search"]["mode"] == "match"]
        return {r["id"] if r["resourceType"] == "Slot" else r["slot"][0]["reference"][5:] for r in matches}

    of_first, of_second = set(first.slots), set(second.slots)
    assert await found_by(practitioner=ref(doctor)) == of_first | of_second
    assert await found_by(location_reference=ref(here)) == of_first
    assert await found_by(practitioner=ref(doctor), location_reference=ref(there)) == of_second
    assert await found_by(practitioner_role=ref(roles[0])) == of_first
    assert await found_by(practitioner=ref(f"Practitioner/{unique('autre')}")) == set()
    for name, of in (("practitioner", doctor), ("location-reference", here)):
        soonest = await callers.nobody().get("Slot/$soonest", **{name: of})
        agendas = {
            e["resource"]["schedule"]["reference"]
            for e in soonest.json()["entry"]
            if "schedule" in e["resource"]
        }
        assert f"Schedule/{first.id}" in agendas


async def test_an_agenda_is_where_it_says(callers: Callers, practice: Practice) -> None:
    """That its professional is elsewhere, too, makes it no agenda of there; one that says no place is where they always
    are, and nowhere while they have two places."""
    doctor, here, there = (f"{kind}/{unique('x')}" for kind in ("Practitioner", "Location", "Location"))
    for place in (here, there):
        await practice.put(a_role(doctor, place))
    agenda = await practice.open_agenda(actor=[ref(doctor), ref(here)])
    everywhere = await practice.open_agenda(actor=[ref(doctor)])
    settled = f"Practitioner/{unique('x')}"
    await practice.put(a_role(settled, there))
    silent = await practice.open_agenda(actor=[ref(settled)])
    assert await found(callers, **window(agenda), location_reference=ref(here)) == list(agenda.slots)
    assert await found(callers, **window(agenda), location_reference=ref(there)) == list(silent.slots)
    both = {"practitioner": [ref(doctor), ref(settled)], "location_reference": ref(there)}
    assert await found(callers, **window(agenda), **both) == list(silent.slots)
    assert set(everywhere.slots) < set(await found(callers, **window(agenda), practitioner=ref(doctor)))


async def test_a_page_goes_on_for_whom_it_was_asked(callers: Callers, practice: Practice) -> None:
    """The place of a page is of one question: of somebody else's times it is none."""
    one, other = await practice.open_agenda(), await practice.open_agenda()
    asked = {**window(one), "_count": "2"}
    first = (await callers.nobody().get("Appointment/$find", **asked, practitioner=one.practitioner)).json()
    [following] = [link["url"] for link in first["link"] if link["relation"] == "next"]
    rest = (await callers.nobody().get(following.partition("/fhir/")[2])).json()
    assert slots_of(first) + slots_of(rest) == list(one.slots)
    elsewhere = following.partition("/fhir/")[2].replace(
        one.practitioner.rpartition("/")[2], other.practitioner.rpartition("/")[2]
    )
    assert (await callers.nobody().get(elsewhere)).status_code == 400


async def test_by_organization_and_place(callers: Callers, practice: Practice) -> None:
    """Through the directory replica: the role's organisation, the place's address."""
    organization = await practice.put(
        {"resourceType": "Organization", "id": unique("org"), "name": "Cabinet"}
    )
    town = unique("Ville")
    place = {"resourceType": "Location", "id": unique("lieu"), "address": {"city": town}}
    role = {"resourceType": "PractitionerRole", "id": unique("role"), "organization": ref(organization)}
    actors = [{"reference": await practice.put(role)}, {"reference": await practice.put(place)}]
    agenda = await practice.open_agenda(actor=actors)
    assert await found(callers, **window(agenda), organization=ref(organization)) == list(agenda.slots)
    assert await found(callers, **window(agenda), location_string=town) == list(agenda.slots)
    assert await found(callers, **window(agenda), organization=ref("Organization/autre")) == []


async def test_by_specialty_and_visit_type(callers: Callers, practice: Practice) -> None:
    video = await practice.open_agenda(slot_members={"serviceType": [VIDEO], "specialty": [SKIN]})
    narrow = {**window(video), "practitioner": ref(video.practitioner)}
    for name, value, expected in (
        ("specialty", "SM15", video.slots),
        ("specialty", "urn:oid:1.2.250.1.213.2.28|SM15", video.slots),
        ("specialty", "SM54", ()),
        ("visit_type", "VR", video.slots),
        ("visit_type", "AMB", ()),
    ):
        assert await found(callers, **narrow, **{name: value}) == list(expected), (name, value)


SAID_BY = ("slot", "agenda", "role", "offer")


@pytest.mark.parametrize("said_by", SAID_BY)
@pytest.mark.parametrize("operation", SEARCHES)
async def test_what_a_slot_does_not_say_its_agenda_says_or_the_directory(
    callers: Callers, practice: Practice, operation: str, said_by: str
) -> None:
    """R4: what a Slot states overrides its Schedule's word, so that without one it has the Schedule's; the operations that
    search agree with each other. `visit-type` is `serviceType` or `appointmentType`."""
    words: dict[str, Any] = {"specialty": [SKIN], "serviceType": [VIDEO]}
    actors: dict[str, Any] = {}
    if said_by == "role":
        role = {"resourceType": "PractitionerRole", "id": unique("role"), "specialty": [SKIN]}
        actors = {"actor": [ref(await practice.put(role))]}
    elif said_by == "offer":
        offer = {
            "resourceType": "HealthcareService",
            "id": unique("offre"),
            "specialty": [SKIN],
            "type": [VIDEO],
        }
        actors = {"actor": [ref(await practice.put(offer))]}
    agenda = await practice.open_agenda(0, **actors, **(words if said_by == "agenda" else {}))
    bare = slot(unique("creneau"), agenda.id, agenda.start)
    own = words if said_by == "slot" else {}
    await practice.put({**{name: bare[name] for name in bare if name not in words}, **own})
    asked = {**window(agenda), "schedule": ref(f"Schedule/{agenda.id}")}
    codes = {"specialty": "SM15", "service_type": "VR", "visit_type": "VR"}
    for name, wanted in codes.items():
        if said_by == "role" and name != "specialty":
            continue  # a role says no type of service
        for value, expected in ((wanted, 1), ("SM54", 0)):
            answer = await callers.nobody().post(operation, parameters(**asked, **{name: value}))
            assert answer.status_code == 200, answer.text
            assert len(matches_of(answer.json())) == expected, (name, value)


@pytest.mark.parametrize("by", ["practitioner", "place", "device"])
@pytest.mark.parametrize("operation", SEARCHES[:2])
async def test_the_organization_and_the_address_of_an_agenda_that_names_no_role(
    callers: Callers, practice: Practice, operation: str, by: str
) -> None:
    """An agenda of a person alone is where their roles are, and of whom these are; a device's is its owner's."""
    organization, elsewhere = [
        await practice.put({"resourceType": "Organization", "id": unique("org"), "name": "Cabinet"})
        for _ in range(2)
    ]
    town, other_town = unique("Ville"), unique("Ville")
    here, there = [
        await practice.put({"resourceType": "Location", "id": unique("lieu"), "address": {"city": name}})
        for name in (town, other_town)
    ]
    practitioner = f"Practitioner/{unique('prat')}"
    owned = {"owner": ref(organization), "location": ref(here)}
    device = await practice.put({"resourceType": "Device", "id": unique("appareil"), **owned})
    role = {
        "resourceType": "PractitionerRole",
        "id": unique("role"),
        "practitioner": ref(practitioner),
        "organization": ref(organization),
        "location": [ref(here), *([ref(there)] if by == "place" else [])],
    }
    await practice.put(role)
    actors = {"practitioner": [practitioner], "place": [practitioner, here], "device": [device]}[by]
    agenda = await practice.open_agenda(1, actor=[ref(actor) for actor in actors])
    offer = await practice.put(
        {
            "resourceType": "HealthcareService",
            "id": unique("offre"),
            "type": [CONSULTATION],
            "providedBy": ref(organization),
        }
    )
    for asked, expected in (
        ({"organization": ref(organization)}, 1),
        ({"organization": ref(elsewhere)}, 0),
        ({"location_string": town}, 1),
        ({"location_string": other_town}, 0),
        ({"location_string": town, "organization": ref(organization)}, 1),
        ({"service_type_reference": ref(offer)}, 1),
    ):
        answer = await callers.nobody().post(operation, parameters(**window(agenda), **asked))
        assert answer.status_code == 200, answer.text
        assert len(matches_of(answer.json())) == expected, asked


async def test_what_is_taken_or_held_is_not_offered(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    await practice.create(appointment("booked", slots=agenda.slots[:1]))
    await practice.hold(appointment("proposed", slots=agenda.slots[1:2]))
    assert await found(callers, **window(agenda), practitioner=ref(agenda.practitioner)) == [agenda.slots[2]]


async def test_time_that_is_taken_through_another_agenda_is_not_offered(
    callers: Callers, practice: Practice
) -> None:
    """However much of it there is, the page is full and the total true. The appointment to move does not count for
    whoever may read it; to anybody else it would tell when it is."""
    one = await practice.open_agenda(10)
    two = await practice.open_agenda(10, practitioner=one.practitioner)
    taken = [await practice.create(appointment("booked", slots=[id_])) for id_ in two.slots[:8]]
    free = {**window(one), "schedule": ref(f"Schedule/{one.id}")}
    answer = await callers.nobody().post("Appointment/$find", parameters(**free, _count="1"))
    assert (slots_of(answer.json()), answer.json()["total"]) == ([one.slots[8]], 2)
    to_move = ref(f"Appointment/{taken[3].id}")
    moving = await callers.software().post(
        "Appointment/$find", parameters(**free, ignore_appointment=to_move)
    )
    assert slots_of(moving.json()) == [one.slots[3], *one.slots[8:]]
    assert await found(callers, **free, ignore_appointment=to_move) == [*one.slots[8:]]


async def test_what_would_be_refused_is_not_offered(callers: Callers, practice: Practice) -> None:
    """Closed agendas, slots beyond the horizon, and, for patients, slots for professionals."""
    closed = await practice.open_agenda(active=False)
    assert await found(callers, **window(closed), practitioner=ref(closed.practitioner)) == []
    horizon = {"start": utc(closed.start), "end": utc(closed.at(1))}
    short = await practice.open_agenda(planningHorizon=horizon, start=closed.start)
    assert await found(callers, **window(short), practitioner=ref(short.practitioner)) == [short.slots[0]]
    inner = await practice.open_agenda(slot_members={"meta": for_professionals()})
    asked = parameters(**window(inner), practitioner=ref(inner.practitioner))
    for caller, count in ((callers.nobody(), 0), (callers.patient(), 0), (callers.software(), 3)):
        answer = await caller.post("Appointment/$find", asked)
        assert len(slots_of(answer.json())) == count


@pytest.mark.parametrize(
    ("given", "status", "expected"),
    [
        ({"end": "2026-11-24"}, 400, ""),
        ({"start": "2026-11-24"}, 400, ""),
        ({"start": "demain", "end": "2026-11-24"}, 400, ""),
        ({"start": "2026-11-25", "end": "2026-11-24"}, 422, "window-order"),
        ({"start": "2026-11-25", "end": "2027-11-24"}, 422, "window-too-long"),
        ({"start": "2026-11-24", "end": "2026-11-24", "_count": "-1"}, 400, ""),
        ({"start": "2026-11-24", "end": "2026-11-24", "_count": "beaucoup"}, 400, ""),
        ({"start": "2026-11-24", "end": "2026-11-24", "_count": "²"}, 400, ""),
        ({"start": "2026-11-24", "end": "2026-11-24", "all-required": "oui"}, 400, ""),
        ({"start": "2026-11-24", "end": "2026-11-24", "occurrence-count": "²"}, 400, ""),
        ({"start": "2026-11-24", "end": "2026-11-24", "all-required": "perhaps"}, 400, ""),
        ({"start": "2026-11-24", "end": "2026-11-24", "occurrence-count": "9" * 5_000}, 400, ""),
    ],
)
async def test_windows_that_are_refused(
    callers: Callers, given: dict[str, str], status: int, expected: str
) -> None:
    """Start and end are needed, in order, and no longer apart than the setting says: the sentence says which."""
    answer = await callers.nobody().get("Appointment/$find", **given)
    assert (answer.status_code, code(answer)) == (status, expected)
    assert answer.json()["issue"][0]["expression"]


async def test_nobody_is_offered_the_past(callers: Callers, practice: Practice) -> None:
    """Nor what begins this very moment: it could not be booked either."""
    agenda = await practice.open_agenda(3, start=practice.clock.now() - timedelta(minutes=20))
    assert await found(callers, **window(agenda), practitioner=ref(agenda.practitioner)) == list(
        agenda.slots[2:]
    )


async def test_a_wide_search_says_that_there_is_more_than_it_counts(
    callers: Callers, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting is bounded: IHE wants a total, which then is how many were counted, and the sentence says that it is the least;
    on the next page as well."""
    monkeypatch.setattr(find, "TOTAL_MAX", 4)
    agenda = await practice.open_agenda(8)
    asked = parameters(**window(agenda), schedule=ref(f"Schedule/{agenda.id}"), _count="2")
    bundle = (await callers.nobody().post("Appointment/$find", asked)).json()
    [following] = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    next_page = (await callers.nobody().get(following.partition("/fhir/")[2])).json()
    for page in (bundle, next_page):
        assert page["total"] == 5
        assert page["entry"][-1]["resource"]["issue"][0]["details"]["text"].startswith("Au moins 5 créneaux")


async def test_of_a_speciality_alone_there_is_a_total(
    callers: Callers, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whosever agendas they are, and however many: exact as long as few slots have to be looked through."""
    skill = unique("SM")
    said = {"specialty": [{"coding": [{"system": "urn:test", "code": skill}]}]}
    start = practice.clock.now().replace(hour=9, minute=0, second=0) + timedelta(days=25)
    agendas = [
        await practice.open_agenda(3, start=start, slot_members=said)
        for _ in range(agenda_walk.WINDOWS_FROM + 2)
    ]
    asked = parameters(**window(agendas[0]), specialty=skill, _count="10")
    for walked, expected in ((5_000, 3 * len(agendas)), (50, None)):
        monkeypatch.setattr(agenda_walk, "ROWS_COUNTED_MAX", walked)
        bundle = (await callers.nobody().post("Appointment/$find", asked)).json()
        if expected:
            assert bundle["total"] == expected
        else:
            assert 0 < bundle["total"] < 3 * len(agendas)
            assert bundle["entry"][-1]["resource"]["issue"][0]["details"]["text"].startswith("Au moins")
