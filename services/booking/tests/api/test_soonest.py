"""`Slot/$soonest`: the first free slot of each agenda, in order, as the caller could book it (checklist 36, 39, 42, 47)."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    GENERAL,
    SKIN,
    VIDEO,
    appointment,
    for_professionals,
    parameters,
    ref,
    schedule,
    unique,
    utc,
)
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, role_resource

from creneau_booking.storage.agendas import access_extensions as said
from creneau_booking.storage.finding.soonest import bounds
from creneau_shared.fhir.storage.store import Resource

DAY = timedelta(days=1)
_places = itertools.count()


@dataclass
class Quarter:
    """Somewhere where nobody else has an agenda: offers are found by where they are."""

    practice: Practice
    latitude: float
    longitude: float

    @property
    def near(self) -> str:
        return f"{self.latitude}|{self.longitude}|20|km"

    async def open(
        self,
        *starts: datetime,
        east_km: float = 0.0,
        person: Resource | None = None,
        role: Resource | None = None,
        place: Resource | None = None,
        agenda: Resource | None = None,
        **slot_members: Any,
    ) -> Offer:
        """An agenda of somebody at a place so far east, with free slots at these times."""
        ids = {
            kind: unique(kind.lower())
            for kind in ("Practitioner", "PractitionerRole", "Location", "Schedule")
        }
        meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
        position = {"latitude": self.latitude, "longitude": round(self.longitude + east_km / 111.19, 6)}
        await hear(
            self.practice,
            {
                "resourceType": "Location",
                "id": ids["Location"],
                "meta": meta,
                "position": position,
                **(place or {}),
            },
        )
        await hear(
            self.practice,
            {"resourceType": "Practitioner", "id": ids["Practitioner"], "meta": meta, **(person or {})},
        )
        location = {"location": [ref(f"Location/{ids['Location']}")], **(role or {})}
        practitioner = f"Practitioner/{ids['Practitioner']}"
        await hear(
            self.practice, role_resource(ids["PractitionerRole"], practitioner, unique("cabinet"), **location)
        )
        actors = [f"PractitionerRole/{ids['PractitionerRole']}"]
        await self.practice.put(schedule(ids["Schedule"], actors, **(agenda or {})))
        slots = [
            (await self.practice.fill(ids["Schedule"], 1, start, **slot_members))[1][0] for start in starts
        ]
        return Offer(ids, tuple(slots))


@dataclass
class Offer:
    ids: dict[str, str]
    slots: tuple[str, ...]

    def ref(self, kind: str) -> str:
        return f"{kind}/{self.ids[kind]}"


@pytest.fixture
def quarter(practice: Practice) -> Quarter:
    """At the equator, where nobody is a doctor."""
    return Quarter(practice, 0.5, 20.0 + next(_places))


@pytest.fixture
def monday(practice: Practice) -> datetime:
    """Nine o'clock in Paris, a week from now."""
    return practice.clock.now().replace(hour=8, minute=0, second=0, microsecond=0) + 7 * DAY


async def asked(caller: Caller, **query: str) -> Any:
    answer = await caller.get("Slot/$soonest", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def slots_of(bundle: Any) -> list[str]:
    return [e["resource"]["id"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]


def facets_of(bundle: Any) -> dict[str, Any]:
    [found] = [
        e["resource"]
        for e in bundle["entry"]
        if e["search"]["mode"] == "outcome" and e["resource"]["resourceType"] == "Parameters"
    ]
    return {
        p["name"]: p.get("valueInteger", {c["name"]: c["valueInteger"] for c in p.get("part", ())})
        for p in found["parameter"]
    }


async def test_the_first_of_each_agenda_in_order_of_time_or_distance(
    callers: Callers, quarter: Quarter, monday: datetime
) -> None:
    """One match an agenda; its distance; its agenda and whom it names once each; counts."""
    late = await quarter.open(monday + 3 * DAY, monday + 2 * DAY, east_km=1)
    soon = await quarter.open(monday, monday + DAY, east_km=5, specialty=[SKIN])
    await quarter.open(monday, east_km=30)
    bundle = await asked(callers.nobody(), near=quarter.near)
    assert slots_of(bundle) == [soon.slots[0], late.slots[1]]
    assert (bundle["type"], bundle["total"]) == ("searchset", 2)
    first = bundle["entry"][0]["search"]["extension"][0]["valueDistance"]
    assert first["value"] == pytest.approx(5, abs=0.05)
    included = [
        e["fullUrl"].partition("/fhir/")[2] for e in bundle["entry"] if e["search"]["mode"] == "include"
    ]
    kinds = ("Schedule", "PractitionerRole", "Practitioner", "Location")
    assert sorted(included) == sorted(offer.ref(kind) for offer in (late, soon) for kind in kinds)
    assert facets_of(bundle) == {
        "agendas": 2,
        "service-type": {"AMB": 2},
        "specialty": {"SM15": 1, "SM54": 1},
    }
    nearest = await asked(callers.nobody(), near=quarter.near, sort="distance")
    assert slots_of(nearest) == [late.slots[1], soon.slots[0]]


async def test_by_what_is_asked(callers: Callers, quarter: Quarter, monday: datetime) -> None:
    """Each parameter alone; what the slot says goes before what the directory says of whose it is."""
    contracted = {
        "url": "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-practitionerrole-contracted",
        "valueCodeableConcept": {"coding": [{"code": "1"}]},
    }
    refused = {"url": "https://exemple.fr/accepts-new-patients", "valueBoolean": False}
    plain = await quarter.open(
        monday,
        person={"communication": [{"coding": [{"system": "urn:ietf:bcp:47", "code": "br"}]}]},
        role={"specialty": [SKIN], "extension": [contracted]},
        specialty=[],
        agenda={"extension": [refused]},
    )
    video = await quarter.open(
        monday + DAY, role={"specialty": [SKIN]}, serviceType=[VIDEO], specialty=[GENERAL]
    )
    everything = {"plain": plain.slots[0], "video": video.slots[0]}
    days = (monday - quarter.practice.clock.now()) // DAY + 1
    for query, expected in (
        ({}, ("plain", "video")),
        ({"specialty": "SM15"}, ("plain",)),
        ({"specialty": "urn:oid:1.2.250.1.213.2.28|SM54"}, ("video",)),
        ({"specialty": "SM15,SM54"}, ("plain", "video")),
        ({"specialty": "urn:other|SM54"}, ()),
        ({"mode": "video"}, ("video",)),
        ({"mode": "on-site"}, ("plain",)),
        ({"service-type": "VR"}, ("video",)),
        ({"visit-type": "AMB"}, ("plain",)),
        ({"language": "br"}, ("plain",)),
        ({"sector": "1"}, ("plain",)),
        ({"sector": "2"}, ()),
        ({"new-patient": "true"}, ("video",)),
        ({"place": plain.ids["Location"]}, ("plain",)),
        ({"practitioner": f"{plain.ids['Practitioner']},{video.ref('Practitioner')}"}, ("plain", "video")),
        ({"role": video.ref("PractitionerRole")}, ("video",)),
        ({"schedule": video.ref("Schedule")}, ("video",)),
        ({"practitioner": plain.ids["Practitioner"], "schedule": video.ids["Schedule"]}, ()),
        ({"after": utc(monday + timedelta(hours=1))}, ("video",)),
        ({"before": utc(monday + timedelta(hours=1))}, ("plain",)),
        ({"days": str(days + 1)}, ("plain", "video")),
        ({"days": str(days)}, ("plain",)),
        ({"days": "tue"}, ("video",)),
        ({"times": "morning"}, ("plain", "video")),
        ({"times": "afternoon,evening"}, ()),
        ({"times": "08:30-09:10"}, ("plain", "video")),
    ):
        bundle = await asked(callers.nobody(), near=quarter.near, **query)
        assert slots_of(bundle) == [everything[name] for name in expected], query


async def test_only_what_the_caller_could_book(
    callers: Callers, practice: Practice, quarter: Quarter, monday: datetime
) -> None:
    """Time that has passed, a rule of the agenda, a visit of one's own, what is held: the next slot is looked for, and an
    agenda without one is left out. What the account itself holds is free to it."""
    now = practice.clock.now()
    begun = await quarter.open(now - timedelta(minutes=5), monday)
    notice = {
        "url": said.MINIMUM_NOTICE,
        "valueDuration": {"value": 3000, "code": "min", "system": said.UCUM},
    }
    ruled = await quarter.open(now + DAY, monday + DAY, agenda={"extension": [notice]})
    await quarter.open(monday, meta=for_professionals())
    await quarter.open(monday, agenda={"active": False})
    held = await quarter.open(monday + 2 * DAY, monday + 3 * DAY)
    patient = await practice.new_patient()
    someone = callers.patient(patient)
    answer = await someone.post(
        "Appointment/$hold",
        parameters(appointment=appointment("proposed", slots=held.slots[:1], patient=patient)),
    )
    assert answer.status_code == 201, answer.text
    everybody = await asked(callers.nobody(), near=quarter.near)
    assert slots_of(everybody) == [begun.slots[1], ruled.slots[1], held.slots[1]]
    assert slots_of(await asked(someone, near=quarter.near)) == [
        begun.slots[1],
        ruled.slots[1],
        held.slots[0],
    ]
    professionals = slots_of(await asked(callers.software(), near=quarter.near))
    assert len(professionals) == 4
    assert ruled.slots[0] in professionals
    busy = await practice.create(
        appointment("booked", patient=patient, actors=["Location/ailleurs"], start=monday)
    )
    assert slots_of(await asked(someone, near=quarter.near)) == [ruled.slots[1], held.slots[0]]
    await practice.change(busy.id, status="cancelled")
    assert len(slots_of(await asked(someone, near=quarter.near))) == 3


async def test_it_follows_every_write(
    callers: Callers, practice: Practice, quarter: Quarter, monday: datetime
) -> None:
    """Booked, cancelled, put, deleted, taken through another agenda; the directory moves the place and takes it back."""
    offer = await quarter.open(*(monday + n * DAY for n in range(3)))
    other = unique("agenda")
    await practice.put(schedule(other, [offer.ref("Practitioner")]))
    _, [elsewhere] = await practice.fill(other, 1, monday + DAY)
    software = callers.software()

    async def first() -> list[str]:
        return slots_of(await asked(callers.nobody(), near=quarter.near, schedule=offer.ids["Schedule"]))

    assert await first() == [offer.slots[0]]
    booked = await practice.create(appointment("booked", slots=offer.slots[:1]))
    assert await first() == [offer.slots[1]]
    beside = await practice.create(appointment("booked", slots=[elsewhere]))
    assert await first() == [offer.slots[2]]
    await practice.change(beside.id, status="cancelled")
    assert await first() == [offer.slots[1]]
    await practice.change(booked.id, status="cancelled")
    assert await first() == [offer.slots[0]]
    current = (await software.get(f"Slot/{offer.slots[0]}")).json()
    later = {
        **current,
        "start": utc(monday + 2 * DAY + timedelta(hours=1)),
        "end": utc(monday + 2 * DAY + timedelta(hours=2)),
    }
    assert (await software.put(f"Slot/{offer.slots[0]}", later)).status_code == 200
    assert await first() == [offer.slots[1]]
    assert (await software.delete(f"Slot/{offer.slots[1]}")).status_code in (200, 204)
    assert await first() == [offer.slots[2]]
    moved = {"latitude": -quarter.latitude - 1, "longitude": quarter.longitude}
    meta = {"versionId": "2", "lastUpdated": "2026-11-02T08:00:00Z"}
    await hear(
        practice, {"resourceType": "Location", "id": offer.ids["Location"], "meta": meta, "position": moved}
    )
    assert await first() == []
    assert slots_of(await asked(callers.nobody(), near=f"{moved['latitude']}|{moved['longitude']}|1|km")) == [
        elsewhere,
        offer.slots[2],
    ]


@pytest.mark.parametrize("gathered", [4_000, 0])
@pytest.mark.parametrize("sort", ["time", "distance"])
async def test_pages_follow_each_other(
    callers: Callers, practice: Practice, quarter: Quarter, monday: datetime, monkeypatch: pytest.MonkeyPatch,
    gathered: int, sort: str,
) -> None:  # fmt: skip
    """However agendas are found: every agenda once, in order, also where heads are past or of several kinds."""
    monkeypatch.setattr(bounds, "GATHERED_MAX", gathered)
    monkeypatch.setattr(bounds, "GATHERED_NEAREST_MAX", gathered)
    monkeypatch.setattr(bounds, "PROBED_FIRST", 2)
    monkeypatch.setattr(bounds, "READ_FIRST", 3)
    offers = [
        await quarter.open(
            practice.clock.now() - timedelta(minutes=30), monday + (n * 5 % 7) * DAY, east_km=n % 4 + n / 10
        )
        for n in range(7)
    ]
    await practice.fill(offers[3].ids["Schedule"], 1, monday + 9 * DAY, serviceType=[VIDEO])
    expected = sorted(range(7), key=lambda n: n * 5 % 7 if sort == "time" else n % 4 + n / 10)
    query = {"near": quarter.near, "sort": sort, "_count": "3"}
    bundle = await asked(callers.nobody(), **query)
    found = slots_of(bundle)
    while following := [link["url"] for link in bundle["link"] if link["relation"] == "next"]:
        answer = await callers.nobody().get(following[0].partition("/fhir/")[2])
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found += slots_of(bundle)
    assert found == [offers[n].slots[1] for n in expected]


WAYS: dict[str, dict[str, float]] = {
    "gathered": {},
    "as they come": {"GATHERED_MAX": 0, "READ_FIRST": 2},
    "gathered, as few fit": {"READ_FIRST": 1, "RARE_AFTER": 0, "RARE": 1.1},
    "agenda after agenda": {"GATHERED_MAX": 0, "AT_AN_INSTANT_MAX": 0, "AT_AN_INSTANT_FIRST": 1},
}


@pytest.mark.parametrize("way", WAYS)
async def test_however_they_are_looked_for(
    callers: Callers, quarter: Quarter, monday: datetime, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The same answer, in surroundings and anywhere, from now and from a later day on, at any hour and at some."""
    for name, value in WAYS[way].items():
        monkeypatch.setattr(bounds, name, value)
    monkeypatch.setattr(bounds, "PROBED_FIRST", 1)
    language = unique("x")
    person = {"communication": [{"coding": [{"code": language}]}]}
    hours = [(0, 50), (24, 48), (0,), (48, 49), (27, 48), (48,)]
    offers = [
        await quarter.open(*(monday + timedelta(hours=h) for h in starts), person=person) for starts in hours
    ]
    # Who speaks no language that is asked for, at one moment after another.
    await quarter.open(*(monday + timedelta(hours=28, minutes=20 * n) for n in range(15)), monday + 2 * DAY)
    # Of two kinds at one time, in front of another agenda.
    await quarter.practice.fill(offers[1].ids["Schedule"], 1, monday + 2 * DAY, serviceType=[VIDEO])
    for near in (quarter.near, quarter.near.replace("|20|", "|500|")):
        for since, times in ((0, None), (24, None), (25, None), (25, "morning"), (49, None), (51, None)):
            query = {"near": near, "language": language, "_count": "2"}
            query |= {"after": utc(monday + timedelta(hours=since))} if since else {}
            query |= {"times": times} if times else {}
            expected = [
                (min(fitting), offer.ref("Schedule"))
                for offer, starts in zip(offers, hours, strict=True)
                if (fitting := [h for h in starts if h >= since and not (times and h == 27)])
            ]
            bundle = await asked(callers.nobody(), **query)
            found = agendas_of(bundle, monday)
            while following := [link["url"] for link in bundle["link"] if link["relation"] == "next"]:
                bundle = (await callers.nobody().get(following[0].partition("/fhir/")[2])).json()
                found += agendas_of(bundle, monday)
            assert found == sorted(expected, key=lambda one: one[0]), query


NEAREST_WAYS: dict[str, dict[str, float]] = {
    "gathered": {},
    "in circles": {"GATHERED_MAX": 0},
    "in narrow circles": {"GATHERED_MAX": 0, "CIRCLE_M": 40, "CIRCLE_HOLDS": 1, "READ_FIRST": 1},
    "in circles, and gathered, as few fit": {
        "CIRCLE_M": 40,
        "RARE_AFTER": 1,
        "RARE": 1.1,
        "GATHERED_MAX": 20,
    },
}


async def test_nearest_first_is_what_a_full_scan_finds(
    callers: Callers, quarter: Quarter, monday: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they are looked for, page by page, from now and from a later day on: several at one place, in the order of
    their keys; of several kinds; on all sides; who does not fit between those who do; nobody beyond the distance."""
    chance, language = random.Random(3), unique("x")
    spoken = {"communication": [{"coding": [{"code": language}]}]}
    offers: list[tuple[float, int, Offer, int]] = []
    for n in range(36):
        # Some at the very point, others on the diagonals, where a square around a circle reaches farthest.
        out, angle = chance.choice(
            ((0, 0), (0.3, 45), (2, 135), (2.2, 0), (6, 250), (19.5, 45), (19.9, 90), (21, 45))
        )
        north, east = out * math.sin(math.radians(angle)), out * math.cos(math.radians(angle))
        place = {
            "latitude": quarter.latitude + north / 111.195,
            "longitude": quarter.longitude + east / 111.195,
        }
        fits, day = n % 4 > 0, chance.choice((0, 1, 2))
        offer = await quarter.open(
            monday + day * DAY, person=spoken if fits else {}, place={"position": place}
        )
        if n % 5 == 0:
            await quarter.practice.fill(offer.ids["Schedule"], 1, monday + 2 * DAY, serviceType=[VIDEO])
        if fits and out < 20:
            offers.append((out, n, offer, 2 if n % 5 == 0 else day))
    for way, values in NEAREST_WAYS.items():
        with monkeypatch.context() as patched:
            patched.setattr(bounds, "PROBED_FIRST", 2)
            for name, value in values.items():
                patched.setattr(bounds, name, value)
            for since, count in itertools.product((0, 2), ("1", "4", "50")):
                query = {"near": quarter.near, "sort": "distance", "language": language, "_count": count}
                query |= {"after": utc(monday + since * DAY)} if since else {}
                expected = [
                    offer.ref("Schedule") for *_, offer, last in sorted_by_place(offers) if last >= since
                ]
                assert await every_page(callers, query) == expected, (way, query)


def sorted_by_place(offers: list[tuple[float, int, Offer, int]]) -> list[tuple[float, int, Offer, int]]:
    """By distance, then by which was made first, which is the order of keys."""
    return sorted(offers, key=lambda one: one[:2])


async def every_page(callers: Callers, query: dict[str, str]) -> list[str]:
    """The agendas of all matches, from the first page to the last; each page says how many, where the first does."""
    bundle = await asked(callers.nobody(), **query)
    total, found = bundle.get("total"), list[str]()
    while True:
        assert total is None or bundle["total"] == total
        found += [
            e["resource"]["schedule"]["reference"] for e in bundle["entry"] if e["search"]["mode"] == "match"
        ]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not following:
            return found
        bundle = (await callers.nobody().get(following[0].partition("/fhir/")[2])).json()


async def test_facets_count_all_or_nothing(
    callers: Callers, quarter: Quarter, monday: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearest first, the counts are of all who fit, however few are shown; where too many fit to count them there are none,
    rather than those of a circle."""
    for n in range(4):
        await quarter.open(monday, east_km=n)
    query = {"near": quarter.near, "sort": "distance", "_count": "1"}
    assert facets_of(await asked(callers.nobody(), **query))["agendas"] == 4
    monkeypatch.setattr(bounds, "GATHERED_MAX", 3)
    bundle = await asked(callers.nobody(), **query)
    [counted] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Parameters"]
    assert "parameter" not in counted
    assert len(slots_of(bundle)) == 1


def agendas_of(bundle: Any, monday: datetime) -> list[tuple[int, str]]:
    """Of each slot, in how many hours it begins, and whose it is."""
    slots = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
    return [
        ((datetime.fromisoformat(s["start"]) - monday) // timedelta(hours=1), s["schedule"]["reference"])
        for s in slots
    ]


async def test_what_follows_the_first_comes_beside_it(
    callers: Callers, quarter: Quarter, monday: datetime
) -> None:
    """`per-agenda`: as many slots of each as a card of results shows, every one of them bookable; the agendas stay the
    matches, and their order and number those of the first slots."""
    long = await quarter.open(*(monday + n * timedelta(hours=1) for n in range(5)))
    await quarter.practice.create(
        appointment("booked", slots=long.slots[1:2], start=monday + timedelta(hours=1))
    )
    short = await quarter.open(monday + timedelta(minutes=30))
    bundle = await asked(
        callers.nobody(), near=quarter.near, **{"per-agenda": "3", "_include": "Slot:schedule"}
    )
    assert slots_of(bundle) == [long.slots[0], short.slots[0]]
    assert bundle["total"] == 2
    beside = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "include"]
    assert tuple(r["id"] for r in beside if r["resourceType"] == "Slot") == long.slots[2:4]
    assert {r["resourceType"] for r in beside} == {"Slot", "Schedule"}
    without = await asked(callers.nobody(), near=quarter.near, _include="Slot:schedule")
    assert slots_of(without) == slots_of(bundle)
    assert {e["resource"]["resourceType"] for e in without["entry"] if e["search"]["mode"] == "include"} == {
        "Schedule"
    }


async def test_post_and_logical_references(callers: Callers, quarter: Quarter, monday: datetime) -> None:
    """A Parameters says the same; a professional by their number; the link to the next page is an address."""
    number = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": unique("81")}
    offers = [await quarter.open(monday + n * DAY, person={"identifier": [number]}) for n in range(2)]
    body = parameters(practitioner={"identifier": number}, specialty="SM54", _count="1")
    answer = await callers.nobody().post("Slot/$soonest", body)
    assert answer.status_code == 200, answer.text
    assert slots_of(answer.json()) == [offers[0].slots[0]]
    [following] = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
    second = await callers.nobody().get(following.partition("/fhir/")[2])
    assert slots_of(second.json()) == [offers[1].slots[0]]
    unknown = parameters(practitioner={"identifier": {**number, "value": "personne"}})
    assert slots_of((await callers.nobody().post("Slot/$soonest", unknown)).json()) == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"near": "ici"}, 400),
        ({"sort": "prix"}, 400),
        ({"facets": "non"}, 400),
        ({"new-patient": "oui"}, 400),
        ({"sort": "distance"}, 422),
        ({"mode": "fax"}, 400),
        ({"days": "0"}, 400),
        ({"times": "nuit"}, 400),
        ({"after": "2026-12-02", "before": "2026-12-01"}, 422),
        ({"_count": "zéro"}, 400),
        ({"_count": "²"}, 400),
        ({"days": "²"}, 400),
        ({"days": "9" * 5_000}, 400),
        ({"per-agenda": "0"}, 400),
        ({"facets": "perhaps"}, 400),
        ({"new-patient": "perhaps"}, 400),
        ({"_include": "Schedule:location"}, 400),
        ({"cursor": "inventé"}, 400),
    ],
)
async def test_what_cannot_be_read_is_refused(callers: Callers, query: dict[str, str], status: int) -> None:
    answer = await callers.nobody().get("Slot/$soonest", **query)
    assert answer.status_code == status
    assert answer.json()["issue"][0]["expression"]


async def test_passed_starts_are_moved_on(
    practice: Practice, callers: Callers, quarter: Quarter, monday: datetime
) -> None:
    """The worker brings them up to now; what is found is the same before and after."""
    offer = await quarter.open(practice.clock.now() - timedelta(minutes=5), monday, monday + DAY)
    start = (
        "SELECT first_free.start FROM first_free JOIN schedule ON schedule.key = schedule_key WHERE id = $1"
    )
    assert slots_of(await asked(callers.nobody(), near=quarter.near)) == [offer.slots[1]]
    assert await practice.database.pool.fetchval(start, offer.ids["Schedule"]) < practice.clock.now()
    assert await practice.jobs().keep_first_free() >= 1
    assert await practice.database.pool.fetchval(start, offer.ids["Schedule"]) == monday
    assert slots_of(await asked(callers.nobody(), near=quarter.near)) == [offer.slots[1]]


def remarks_of(bundle: Any) -> list[tuple[str, str]]:
    """The codes of what is remarked, with whom each is about."""
    outcomes = [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "outcome"]
    return [
        (issue["details"]["coding"][0]["code"], issue.get("diagnostics", ""))
        for outcome in outcomes
        for issue in outcome.get("issue", ())
        if issue["severity"] == "information"
    ]


async def test_why_nothing_is_free(
    callers: Callers, practice: Practice, quarter: Quarter, monday: datetime
) -> None:
    """No free slot, no agenda at all, an Endpoint out of use, an agenda not up to date: told apart by $soonest, $find and
    a search of Slot."""
    full = await quarter.open(monday)
    await practice.create(appointment("booked", slots=full.slots))
    empty = await quarter.open()
    endpoint = unique("endpoint")
    meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
    cut_off = await quarter.open(monday, role={"endpoint": [ref(f"Endpoint/{endpoint}")]})
    await practice.create(appointment("booked", slots=cut_off.slots))
    await hear(
        practice,
        {
            "resourceType": "Endpoint",
            "id": endpoint,
            "meta": meta,
            "status": "off",
            "connectionType": {"code": "hl7-fhir-rest"},
            "payloadType": [{"text": "agenda"}],
            "address": "https://agenda.exemple.fr",
        },
    )
    nobody = f"PractitionerRole/{unique('role')}"
    window = {"start": utc(monday), "end": utc(monday + 3 * DAY)}
    cases = [
        (full.ref("PractitionerRole"), "no-free-slot"),
        (empty.ref("PractitionerRole"), "agenda-not-connected"),
        (cut_off.ref("PractitionerRole"), "agenda-not-connected"),
        (nobody, "agenda-not-connected"),
        (full.ref("Schedule"), "no-free-slot"),
    ]
    for reference, expected in cases:
        name = "schedule" if reference.startswith("Schedule/") else "practitioner-role"
        bundle = await asked(callers.nobody(), **{name: reference})
        assert (slots_of(bundle), remarks_of(bundle)) == ([], [(expected, reference)])
        named = "schedule" if name == "schedule" else "schedule.actor"
        searched = (await callers.nobody().get("Slot", status="free", **{named: reference})).json()
        assert remarks_of(searched) == [(expected, reference)]
        found = await callers.nobody().post(
            "Appointment/$find", parameters(**window, **{name: ref(reference)})
        )
        assert remarks_of(found.json()) == [(expected, reference)], found.text
    several = await asked(
        callers.nobody(),
        **{"practitioner-role": f"{full.ids['PractitionerRole']},{empty.ids['PractitionerRole']}"},
    )
    assert remarks_of(several) == [(code, reference) for reference, code in cases[:2]]
    late = await quarter.open(monday)
    await practice.database.pool.execute(
        "UPDATE agenda SET stale_after_s = 60, synchronised_at = $2"
        " WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1)",
        late.ids["Schedule"],
        practice.clock.now() - timedelta(hours=1),
    )
    stale = await asked(callers.nobody(), schedule=late.ids["Schedule"])
    assert remarks_of(stale) == [("agenda-not-up-to-date", late.ref("Schedule"))]
