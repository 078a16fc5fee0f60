"""The town in which the model and the database live the same lives: two practices, their agendas, four patients, a clock
that stands before the night in which the hours change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from services.booking.tests.client import Caller, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import patient, ref, schedule, slot
from services.booking.tests.issuer import running_issuer
from services.booking.tests.life.facts import Agenda, Key
from services.booking.tests.life.model import Model
from services.booking.tests.openings import FOLLOW_UP, opening, ruled, service
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear
from services.booking.tests.town import ROOM, boundless

from creneau_booking.app import create_app
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.agendas import access_extensions as said
from creneau_booking.storage.mapping.places import ADJACENT_MAX, PARTS, SCHEDULE_CAPACITY
from creneau_booking.storage.slots.partitions import ensure_partitions
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.fhir.storage.store import Resource

START = datetime(2027, 3, 26, 8, 0, tzinfo=UTC)
"""a Friday; in the night to Sunday the clocks of Paris go from two to three (01:00 UTC)"""
PARIS = ZoneInfo("Europe/Paris")
VISIT = timedelta(minutes=20)
WIDTH = 3
BLOCKS = (
    datetime(2027, 3, 27, 8, 0, tzinfo=UTC),
    datetime(2027, 3, 28, 0, 40, tzinfo=UTC),
    datetime(2027, 4, 3, 7, 0, tzinfo=UTC),
    datetime(2027, 4, 10, 7, 0, tzinfo=UTC),
)
"""when the agendas have their slots, `WIDTH` visits long each: the first, the third and the fourth are at nine in Paris, a
week apart, and in the second the clocks change"""
PATIENTS = ("p0", "p1", "p2", "p3")
STALE_AFTER = timedelta(hours=20)
DEADLINE = timedelta(hours=6)
ROLES = {
    "one-a": ("one", "a"),
    "one-b": ("one", "b"),
    "two-a": ("two", "a"),
    "three-b": ("three", "b"),
    "four-a": ("four", "a"),
}
"""who works for which practice"""


def agendas() -> dict[str, Agenda]:
    """`annexe` and `cabinet` share a professional, `salle` a room with `cabinet` and a professional with `confirme`."""

    def one(name: str, role: str, *more: str, **rules: Any) -> Agenda:
        people = {f"Practitioner/{ROLES[role][0]}", *more}
        stands_on = {f"PractitionerRole/{role}", *(who for who in more if who.startswith("Location/"))}
        return Agenda(name, frozenset(people), stands_on=frozenset(stands_on), **rules)

    found = (
        one("cabinet", "one-a", "Location/room", adjacent_max=2),
        one("annexe", "one-b", deadline=DEADLINE),
        one("salle", "two-a", "Location/room", "Device/scanner", parts=True),
        one("groupe", "three-b", capacity=2),
        one("confirme", "two-a", confirms=True),
        one("flux", "three-b", stale_after=STALE_AFTER),
        one("regles", "four-a"),
    )
    return {agenda.name: agenda for agenda in found}


def stated(agenda: Agenda) -> Resource:
    """The Schedule that says so."""
    actors = sorted({*agenda.people, *agenda.stands_on})
    minutes = {"unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}
    extensions: list[Resource] = []
    if agenda.capacity > 1:
        extensions.append({"url": SCHEDULE_CAPACITY, "valuePositiveInt": agenda.capacity})
    if agenda.confirms:
        extensions.append({"url": said.CONFIRMATION_REQUIRED, "valueBoolean": True})
    if agenda.parts:
        extensions.append({"url": PARTS, "valueBoolean": True})
    if agenda.deadline:
        value = {"value": int(agenda.deadline.total_seconds()) // 60, **minutes}
        extensions.append({"url": said.CHANGE_DEADLINE, "valueDuration": value})
    if agenda.stale_after:
        value = {"value": int(agenda.stale_after.total_seconds()) // 60, **minutes}
        url = "https://creneau.sante.fr/fhir/StructureDefinition/schedule-stale-after"
        extensions.append({"url": url, "valueDuration": value})
    extensions.append({"url": ADJACENT_MAX, "valuePositiveInt": agenda.adjacent_max})
    return schedule(agenda.name, actors, extension=extensions)


# -- an agenda of rules ----------------------------------------------------------------------------------------

WEEKENDS = (
    date(2027, 3, 27),
    date(2027, 3, 28),
    date(2027, 4, 3),
    date(2027, 4, 4),
    date(2027, 4, 10),
    date(2027, 4, 11),
)
VARIANTS = (
    (time(9), time(10), 20),
    (time(9, 20), time(10, 40), 20),
    (time(9), time(10, 30), 30),
    (time(2), time(4), 60),
)
"""from when to when on weekends, by the clock of Paris, and how long a visit is; the last where an hour is missing"""


def rule_of(variant: int) -> Resource:
    """The Schedule that states it."""
    start, end, minutes = VARIANTS[variant]
    first = WEEKENDS[0]
    stated_opening = opening(
        datetime.combine(first, start, PARIS),
        datetime.combine(first, end, PARIS),
        freq="WEEKLY",
        byDay=["SA", "SU"],
    )
    actors = ["Practitioner/four", "PractitionerRole/four-a"]
    horizon = {"planningHorizon": {"start": "2027-03-26", "end": "2027-04-11"}}
    return ruled("regles", actors, stated_opening, service(FOLLOW_UP, minutes), **horizon)


def asked_by(variant: int) -> set[tuple[datetime, datetime]]:
    """The times of its visits."""
    start, end, minutes = VARIANTS[variant]
    found = set()
    for day in WEEKENDS:
        low, high = (datetime.combine(day, at, PARIS).astimezone(UTC) for at in (start, end))
        while low + timedelta(minutes=minutes) <= high:
            found.add((low, low + timedelta(minutes=minutes)))
            low += timedelta(minutes=minutes)
    return found


def keys(agenda: str) -> Iterator[Key]:
    """Where an agenda that is pushed has its slots at first."""
    length = VISIT * WIDTH if agenda == "salle" else VISIT
    for block in BLOCKS:
        start = block
        while start < block + VISIT * WIDTH:
            yield agenda, start, start + length
            start += length


def new_model() -> Model:
    """The town as it is built."""
    model = Model(agendas(), START, settings_for("postgresql://town").patience.answer)
    for name in model.agendas:
        if name == "regles":
            model.restate(name, asked_by(0))
        else:
            for key in keys(name):
                model.add_slot(*key)
        model.synchronised[name] = START
    model.freed = {}
    return model


# -- the same in the database ------------------------------------------------------------------------------------

_TABLES = """
SELECT format('%I', relname) AS name, ARRAY(
    SELECT quote_ident(attname) FROM pg_attribute
    WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum) AS columns
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version' ORDER BY 1
"""


@dataclass
class Town:
    """The service over a database of its own, which can be put back to its beginning."""

    practice: Practice
    callers: Callers
    settings: BookingSettings

    def software(self) -> Caller:
        return self.callers.software()

    def patient(self, name: str) -> Caller:
        return self.callers.patient(f"Patient/{name}", subject=f"sub-{name}")

    async def build(self) -> None:
        """The town, and a copy of it to go back to."""
        practice = self.practice
        for name, (person, organization) in ROLES.items():
            role = {
                "resourceType": "PractitionerRole",
                "id": name,
                "active": True,
                "practitioner": ref(f"Practitioner/{person}"),
                "organization": ref(f"Organization/{organization}"),
            }
            await hear(practice, version(role, 1))
        await hear(practice, version(room("active"), 1))
        for name in PATIENTS:
            await practice.put({**patient(name), "id": name})
        for name, agenda in agendas().items():
            if name == "regles":
                answer = await self.software().put("Schedule/regles", rule_of(0))
                assert answer.status_code == 201, answer.text
                continue
            answer = await self.software().put(f"Schedule/{name}", stated(agenda))
            assert answer.status_code == 201, answer.text
            async with practice.database.transaction() as connection:
                for number, (_, start, end) in enumerate(keys(name)):
                    made = slot(f"{name}-{number}", name, start, end - start)
                    await practice.slots.create(connection, practice.context(), made, made["id"])
        pool = practice.database.pool
        await pool.execute("DELETE FROM outbox")
        await pool.execute("CREATE SCHEMA beginning")
        for table in await pool.fetch(_TABLES):
            if await pool.fetchval(f"SELECT EXISTS (SELECT FROM {table['name']})"):
                await pool.execute(f"CREATE TABLE beginning.{table['name']} AS TABLE {table['name']}")

    async def begin_again(self) -> None:
        """Everything as it was built."""
        self.practice.clock.advance(START - self.practice.clock.now())
        async with self.practice.database.transaction() as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            kept = {
                row["tablename"]
                for row in await connection.fetch(
                    "SELECT quote_ident(tablename) AS tablename FROM pg_tables WHERE schemaname = 'beginning'"
                )
            }
            tables = await connection.fetch(_TABLES)
            emptied = [f"DELETE FROM {table['name']}" for table in tables]
            filled = [
                f"INSERT INTO {table['name']} ({', '.join(table['columns'])}) OVERRIDING SYSTEM VALUE"
                f" SELECT {', '.join(table['columns'])} FROM beginning.{table['name']}"
                for table in tables
                if table["name"] in kept
            ]
            await connection.execute("; ".join([*emptied, *filled]))


def room(status: str) -> Resource:
    return {
        "resourceType": "Location",
        "id": "room",
        "status": status,
        "managingOrganization": ref("Organization/a"),
        "physicalType": ROOM,
    }


def version(resource: Resource, number: int) -> Resource:
    return {**resource, "meta": {"versionId": str(number), "lastUpdated": "2026-11-01T08:00:00Z"}}


@asynccontextmanager
async def a_town(url: str) -> AsyncIterator[Town]:
    """Built, and ready to begin."""
    connection = await asyncpg.connect(url)
    await ensure_partitions(connection, START, 2)
    await connection.close()
    async with (
        Database(url, size=4, statement_timeout_s=60, name="test") as database,
        running_issuer() as issuer,
    ):
        settings = boundless(settings_for(url, issuer.url)).model_copy(
            update={"future_appointments_per_agenda_max": 1_000_000}
        )
        practice = Practice(database, settings, FixedClock(START))
        async with serving(create_app(settings, practice.clock)) as client:
            town = Town(practice, Callers(client, issuer, practice.clock), settings)
            await town.build()
            yield town
