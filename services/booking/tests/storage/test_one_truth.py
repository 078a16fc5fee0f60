"""One truth about a slot: what is shown as free to somebody is exactly what they could book at that moment.

Anything happens in a small town (`services.booking.tests.town`). Every now and then somebody looks: by every way of
looking, they are shown what a booking of theirs would get, slot by slot; each is tried, and undone.

Open time, of which patients take parts, is shown while they could take one of these; who is offered slots at their start
(WHOLE) is shown it while they could take the whole.

A hold that has run out gives way to whoever wants its time, and the worker ends it within a second. Until then what it
takes is not shown, although it could be had: less is shown than could be booked, never more.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from traceback import format_exception
from typing import Any

import asyncpg
import pytest
from services.booking.tests.client import Caller, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import NOW, parameters, ref, utc
from services.booking.tests.first_free import disagreeing
from services.booking.tests.issuer import running_issuer
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.practice import Practice
from services.booking.tests.telling import in_words
from services.booking.tests.town import Town, boundless

from creneau_booking.app import create_app
from creneau_booking.domain.rules import PART_MIN
from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.storage.availability import agenda_walk
from creneau_booking.storage.availability.rule import JUDGED
from creneau_booking.storage.outside.publication import published_agendas, published_slots
from creneau_booking.views.sas import codes as sas_codes
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.national_numbers import NATIONAL_PERSON

STEPS = {"short": 44, "long": int(os.environ.get("TRUTH_STEPS", "200"))}
"""of a history: as many as `make test` has time for, or many (`-m slow`)"""
SEEDS: Mapping[int, Mapping[str, Any]] = {
    1: {},
    2: {"WINDOWS_FROM": 1, "MANY": "50000"},
    4: {"WINDOWS_FROM": 1, "MANY": "1", "READ_AS_THEY_COME": 3},
}
"""Of each story, how free slots are looked for: as in a small town, and as where there are many agendas."""
ROUNDS = {"short": 2, "long": 10}
RIVALS, STEPS_OF_A_RIVAL = 12, 20
HISTORIES = pytest.mark.parametrize(
    "history", ["short", pytest.param("long", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
WHOLE = ("bookable as a whole", "free and bookable as a whole", "$find", "published in bulk")
"""Readers that offer slots at their start"""
BEGUN = ("slot-in-the-past", "notice-too-short")
"""Why the whole of open time cannot be had, although a part of it may be to come"""
NOT_THEIRS = ("actor-not-yours", "not-yours")
Row = Mapping[str, Any]
Ways = Callable[[], list[tuple[WriteContext, str | None]]]


class Undo(Exception):  # noqa: N818 - it was only tried
    pass


@dataclass(frozen=True)
class Onlooker:
    """Who looks, and as whom they would book: (context, Patient or None), any of which will do."""

    name: str
    caller: Caller
    ways: Ways
    organization: str | None = None
    """the practice (id) for which they look"""
    is_system: bool = False
    for_patient: str | None = None
    """the one of the patients for whom they look (bookable-by)"""

    @property
    def is_consumer(self) -> bool:
        return self.organization is None and not self.is_system

    def shown(self, row: Row) -> bool:
        """Whether they may see a slot at all."""
        return not row["hidden"] or self.is_system or self.organization in row["owners"]


def onlookers(town: Town, callers: Callers) -> list[Onlooker]:
    practice = town.practice
    a, b = (town.ref(f"Organization.{letter}").partition("/")[2] for letter in "ab")

    def of(name: str, number: int | None = None) -> Ways:
        person = town.people[name]
        patients = person.patients if number is None else person.patients[number : number + 1]
        return lambda: [(town.patient_context(person), id_) for id_ in patients]

    def staff(organization: str | None) -> Ways:
        organizations = None if organization is None else [organization]
        return lambda: [(practice.context("cabinet", organizations=organizations), None)]

    def account(name: str) -> Caller:
        person = town.people[name]
        return callers.patient(person.patients[0], subject=person.subject)

    child = town.people["parent"].patients[1]
    return [
        Onlooker("nobody", callers.nobody(), of("stranger")),
        *(Onlooker(name, account(name), of(name)) for name in ("adult", "child", "visitor", "parent")),
        Onlooker("a parent for the child", account("parent"), of("parent", 1), for_patient=child),
        Onlooker("practice a", callers.staff(a), staff(a), organization=a),
        Onlooker("practice b", callers.staff(b), staff(b), organization=b),
        Onlooker("software", callers.software(), staff(None), is_system=True),
    ]


async def could_book(connection: Connection, town: Town, who: Onlooker, row: Row) -> str:
    """What a booking of this slot alone would be answered: nothing, or why not. It is undone.

    Whoever takes appointments in their own agendas only is shown in others' what these could book.
    """
    why = "nobody"
    for context, patient in who.ways():
        why = await _attempt(connection, town, context, patient, row)
        if why in NOT_THEIRS and who.shown(row):
            why = await _attempt(connection, town, replace(context, organizations=None), patient, row)
        if not why:
            break
    return why


async def _could_take_a_part(connection: Connection, town: Town, who: Onlooker, row: Row) -> bool:
    """Whether a booking of the last part of this slot that patients may take would succeed. It is undone."""
    begins = row["start"] + max((row["end"] - row["start"]) // PART_MIN - 1, 0) * PART_MIN
    part = {"start": begins, "length": row["end"] - begins}
    return any([not await _attempt(connection, town, *way, row, **part) for way in who.ways()])


async def _attempt(
    connection: Connection, town: Town, context: WriteContext, patient: str | None, row: Row, **part: Any
) -> str:
    wanted = town.wanted([row["id"]], patient, **part)
    try:
        with in_words():
            async with connection.transaction():
                await town.practice.handlers.create(connection, context, wanted)
                raise Undo
    except Undo:
        return ""
    except CreneauError as refused:
        return refused.issues[0].details_code or refused.issues[0].en


async def bookable(town: Town, who: Onlooker, rows: list[Row]) -> tuple[dict[str, str], set[str]]:
    """For each slot: nothing when they could book it, else why not; and those of which they could book a part alone."""
    found: dict[str, str] = {}
    in_part: set[str] = set()
    try:
        async with town.practice.database.transaction() as connection:
            for row in rows:
                why = found[row["id"]] = await could_book(connection, town, who, row)
                if why in BEGUN and await _could_take_a_part(connection, town, who, row):
                    in_part.add(row["id"])
            raise Undo
    except Undo:
        return found, in_part


async def shown_free(town: Town, who: Onlooker) -> dict[str, tuple[set[str], Callable[[Row], bool]]]:
    """What each reader shows as free, and which slots it is about at all."""
    now = town.practice.clock.now()
    agendas = ",".join(town.agenda(name) for name in town.agendas)
    queries = {"free": "status=free", "free and others": "status=free,busy,busy-tentative,busy-unavailable"}
    if who.is_consumer:
        queries |= {
            "plain": "",
            "not busy": "status:not=busy",
            "bookable": "bookable=true",
            "bookable as a whole": "bookable=whole",
            "free and bookable as a whole": "status=free&bookable=whole&_sort=-start",
            "filtered": "_filter=status eq free or status eq busy",
            "with includes": "status=free&_include=Slot:schedule&_include:iterate=Schedule:actor&_sort=-start",
        }
    if who.for_patient:
        queries = {name: f"{query}&bookable-by={who.for_patient}" for name, query in queries.items()}
    found: dict[str, tuple[set[str], Callable[[Row], bool]]] = {}
    for name, query in queries.items():
        answer = await who.caller.get(f"Slot?schedule={agendas}&{query}&_count=500".replace("&&", "&"))
        assert answer.status_code == 200, (name, answer.text)
        found[name] = _free(answer.json()), lambda row: True
    if who.is_consumer and not who.for_patient:
        found |= await _met_otherwise(town, who)
    window = {"start": utc(now), "end": utc(now + timedelta(days=30)), "_count": "500"}
    named = {"patient_reference": ref(who.for_patient)} if who.for_patient else {}
    proposals: list[str] = []
    for name in town.agendas:  # those that are named together are wanted together
        schedule = ref(f"Schedule/{town.agenda(name)}")
        answer = await who.caller.post("Appointment/$find", parameters(**window, schedule=schedule, **named))
        assert answer.status_code == 200, answer.text
        found_now = [e for e in answer.json().get("entry", ()) if e["search"]["mode"] == "match"]
        proposals += [e["resource"]["slot"][0]["reference"] for e in found_now]
    found["$find"] = {p.removeprefix("Slot/") for p in proposals}, lambda row: row["start"] >= now
    if not who.for_patient:
        day = f"start=ge{now - timedelta(days=1):%Y-%m-%d}&start=le{now + timedelta(days=9):%Y-%m-%d}"
        people = ",".join(f"{NATIONAL_PERSON}|{number}" for number in town.national)
        query = f"_profile={sas_codes.SLOT}&{day}&status=free&schedule.actor:Practitioner.identifier={people}"
        query += "&_include=Slot:schedule&_include:iterate=Schedule:actor"
        answer = await who.caller.get(f"Slot?{query}")
        assert answer.status_code == 200, answer.text
        found["SAS"] = _free(answer.json()), lambda row: town.is_for_sas(row) and row["start"] >= now
    if who.name == "nobody":
        found["published in bulk"] = await _published(town, now), lambda row: True
    return found


async def _met_otherwise(town: Town, who: Onlooker) -> dict[str, tuple[set[str], Callable[[Row], bool]]]:
    """What is free to them of slots that they do not search for: led to, by their id, in a history."""
    agendas = ",".join(town.agenda(name) for name in town.agendas)
    rows = [row for row in await town.slots() if who.shown(row)]

    async def bundle(path: str) -> Any:
        answer = await who.caller.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    ids = ",".join(row["id"] for row in rows)
    paths = {
        "_revinclude": f"Schedule?_id={agendas}&_revinclude=Slot:schedule&_count=500",
        "_include": f"Slot?_id={ids}&_include=Slot:schedule&_revinclude:iterate=Slot:schedule&_count=500",
        "_id and a status": f"Slot?_id={ids}&status:not=busy&_filter=status eq free or status eq busy-unavailable&_count=500",
    }
    shown = {name: _free(await bundle(path)) for name, path in paths.items()}
    shown["by id"], shown["_history"] = set(), set()
    for row in rows:
        read = await bundle(f"Slot/{row['id']}")
        if read["status"] == "free":
            shown["by id"].add(row["id"])
        present = (await bundle(f"Slot/{row['id']}/_history?_count=1"))["entry"][0]["resource"]
        if present["status"] == "free":
            shown["_history"].add(row["id"])
        assert read == await bundle(f"Slot/{row['id']}/_history/{read['meta']['versionId']}")
    # What they hold themselves is theirs to have, and is told as held where they do not ask what is free.
    found: dict[str, tuple[set[str], Callable[[Row], bool]]] = {
        name: (met, (lambda row: True) if "status" in name else (lambda row: row["status"] == "free"))
        for name, met in shown.items()
    }
    for way in ("status=free", "status:not=busy,busy-tentative,busy-unavailable,entered-in-error"):
        name, _, codes = way.partition("=")
        met = await bundle(f"Schedule?_id={agendas}&_has:Slot:schedule:{name}={codes}&_count=500")
        of = {e["resource"]["id"] for e in met.get("entry", ()) if e["search"]["mode"] == "match"}
        could = await bundle(f"Slot?schedule={agendas}&status=free&_count=500")
        expected = {
            e["resource"]["schedule"]["reference"][9:]
            for e in could.get("entry", ())
            if e["search"]["mode"] == "match"
        }
        assert of == expected, f"{who.name} by _has and {way} at {town.practice.clock.now()}\n{town.tell()}"
    return found


async def _published(town: Town, now: datetime) -> set[str]:
    """What stands in the files that are written at this moment."""
    week, found = timedelta(days=7), set[str]()
    async with town.practice.database.connection() as connection, connection.transaction():
        agendas = {agenda.key for agenda in await published_agendas(connection, now)}
        async for agenda, content in published_slots(connection, now, now - week, now + 9 * week):
            if agenda in agendas:
                found.add(loads(content)["id"])
    return found


def _free(bundle: Any) -> set[str]:
    assert not any(link["relation"] == "next" for link in bundle["link"])
    slots = [e["resource"] for e in bundle.get("entry", ()) if e["resource"]["resourceType"] == "Slot"]
    return {slot["id"] for slot in slots if slot["status"] == "free"}


async def look(town: Town, who: Onlooker, *, swept: bool) -> int:
    """Compare what they are shown with what they could book; how many slots were free to them."""
    rows = await town.slots()
    answers, in_part = await bookable(town, who, rows)
    for reader, (shown, concerns) in (await shown_free(town, who)).items():
        parts = set() if reader in WHOLE else in_part
        could = {
            row["id"] for row in rows if concerns(row) and (not answers[row["id"]] or row["id"] in parts)
        }
        wrong = {row["id"]: (dict(row), answers[row["id"]]) for row in rows if row["id"] in shown - could}
        lost = {row["id"]: dict(row) for row in rows if row["id"] in could - shown}
        told = f"{who.name} by {reader} at {town.practice.clock.now()}, {swept=}\n{town.tell()}"
        assert not wrong, f"shown, and cannot be booked: {wrong}\n{told}"
        assert not lost or not swept, (
            f"could be booked, and is not shown by {reader} to {who.name}: {lost}\n{told}"
        )
    await look_for_the_first(town, who, [row for row in rows if not answers[row["id"]]], swept=swept)
    return sum(not why for why in answers.values())


async def look_for_the_first(town: Town, who: Onlooker, could: list[Row], *, swept: bool) -> None:
    """`$soonest` shows of each agenda the first of what they could book, in order."""
    firsts: dict[str, datetime] = {}
    for row in could:
        if row["start"] > town.practice.clock.now():
            firsts.setdefault(town.agenda(row["agenda"]), row["start"])
    named = {"patient-reference": who.for_patient} if who.for_patient else {}
    answer = await who.caller.get(
        "Slot/$soonest", schedule=",".join(town.agenda(name) for name in town.agendas), **named
    )
    assert answer.status_code == 200, answer.text
    slots = [e["resource"] for e in answer.json()["entry"] if e["search"]["mode"] == "match"]
    shown = [(slot["schedule"]["reference"].removeprefix("Schedule/"), slot["start"]) for slot in slots]
    told = f"{who.name} by $soonest at {town.practice.clock.now()}, {swept=}\n{town.tell()}"
    assert [start for _, start in shown] == sorted(start for _, start in shown), told
    assert not swept or dict(shown) == {agenda: utc(start) for agenda, start in firsts.items()}, told


STATUSES = f"""
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot.status::text, slot.said::text, slot.taken_by,
  {JUDGED.format(slot="slot", besides="''")}::text AS judged
FROM slot
"""
CLAIMS = """
SELECT appointment.id, substr(status, 8) AS status, substr(t, 11) AS slot
FROM appointment, unnest(terms) AS status, unnest(terms) AS t
WHERE NOT deleted AND starts_with(status, 'status=') AND strpos(status, '|') = 0 AND starts_with(t, 'slot=Slot/')
  AND NOT EXISTS (SELECT FROM slot_place JOIN slot ON slot.id = slot_id
    WHERE slot_place.appointment_id = appointment.id AND coalesce(slot.name, slot.id::text) = substr(t, 11))
"""


async def check_tables(town: Town) -> None:
    """Nobody in two places; a slot's status is what it must be; slots and appointments say the same of each other."""
    pool, now = town.practice.database.pool, town.practice.clock.now()
    try:
        await require_one_truth(pool, now)
    except AssertionError as untrue:
        raise AssertionError(f"{untrue}\n{town.tell()}") from untrue
    claims = {
        row["slot"]: (row["id"], SLOT_STATUS_OF[row["status"]])
        for row in await pool.fetch(CLAIMS)
        if row["status"] in SLOT_STATUS_OF
    }
    for row in await pool.fetch(STATUSES):
        claim = claims.pop(row["id"], None)
        if row["taken_by"] is not None and row["taken_by"].startswith("Slot/"):
            assert claim is None, f"{dict(row)} {claim}\n{town.tell()}"
        elif row["taken_by"] is not None:
            assert claim == (row["taken_by"], row["status"]), f"{dict(row)}\n{town.tell()}"
        else:
            assert claim is None, f"{dict(row)} {claim}\n{town.tell()}"
            assert row["status"] == row["judged"] or row["start"] < now, f"{dict(row)}\n{town.tell()}"
    assert claims == {}, town.tell()
    assert await disagreeing(town.practice.database, now) == [], town.tell()


@asynccontextmanager
async def a_town(url: str, seed: int) -> AsyncIterator[tuple[Town, Callers]]:
    async with (
        Database(url, size=20, statement_timeout_s=60, name="test") as database,
        running_issuer() as issuer,
    ):
        settings = boundless(settings_for(url, issuer.url))
        town = Town(Practice(database, settings, FixedClock(NOW)), issuer.url, random.Random(seed))
        async with serving(create_app(settings, town.practice.clock)) as client:
            callers = Callers(client, issuer, town.practice.clock)
            await town.build(callers)
            yield town, callers


@HISTORIES
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_shown_can_be_booked_and_the_other_way_round(
    new_database: Callable[..., str], template: str, monkeypatch: pytest.MonkeyPatch, seed: int, history: str
) -> None:
    """To everybody, by every reader, whatever has happened; and the tables agree with each other."""
    for name, value in SEEDS[seed].items():
        monkeypatch.setattr(agenda_walk, name, value)
    free = places = 0
    async with a_town(new_database(template=template), seed) as (town, callers):
        watching = onlookers(town, callers)
        for number in range(STEPS[history]):
            await town.step()
            if number % 2:
                continue
            swept = town.chance.random() < 0.8
            if swept:
                await town.sweep()
            await check_tables(town)
            places += await town.practice.database.pool.fetchval("SELECT count(*) FROM slot_place")
            free += await look(town, watching[number // 2 % len(watching)], swept=swept)
    assert free > STEPS[history] // 2, free  # there was something to see
    assert places


@HISTORIES
async def test_what_is_shown_can_be_booked_after_rivals(
    new_database: Callable[..., str], template: str, history: str
) -> None:
    """Everybody at once, through two pools: nobody waits in a circle, and when all is quiet it all agrees again.

    While agendas get other people, a feed that writes their slots at that moment may have to try again; so they do
    between the rounds.
    """
    url = new_database(template=template)
    async with (
        a_town(url, 1) as (town, callers),
        Database(url, size=20, statement_timeout_s=60, name="other") as database,
    ):
        watching = onlookers(town, callers)
        for _ in range(ROUNDS[history]):
            for _ in range(STEPS_OF_A_RIVAL):
                await town.step()
            here = replace(town, hands_change=False)
            there = replace(here, practice=Practice(database, town.practice.settings, town.practice.clock))
            rivals = [_live(here if number % 2 else there) for number in range(RIVALS)]
            circles = [circle for found in await asyncio.gather(*rivals) for circle in found]
            assert circles == [], "\n\n".join(circles)
            await town.sweep()
            await check_tables(town)
            for who in town.chance.sample(watching, 3):
                await look(town, who, swept=True)


async def _live(town: Town) -> list[str]:
    """Many steps, one after the other; the circles that PostgreSQL had to break, and what was on its way there."""
    circles = []
    for _ in range(STEPS_OF_A_RIVAL):
        try:
            await town.step()
        except asyncpg.DeadlockDetectedError as circle:
            circles.append("".join(format_exception(circle)) + f"{circle.detail} {circle.context}")
    return circles
