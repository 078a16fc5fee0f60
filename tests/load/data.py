"""What the benchmarks work on: agendas full of free slots, a directory of a few thousand entries, and people with
accounts and addresses, so that what follows a booking is part of what is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.storage.slots.store import SlotStore
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.visit import Fact
from creneau_notifications.storage import facts, recipients
from creneau_shared.clock import SystemClock
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import WriteContext

BASE = "http://127.0.0.1/fhir"
AGENDAS = 60
"""that bookings are made in, but for the last, whose slots stay free to be looked at"""
YARD_AGENDAS = 20
"""for the yardsticks alone: what they claim is not there to be booked"""
DAYS = 40
SLOTS_A_DAY = 24
SLOTS = int(os.environ.get("BENCH_SLOTS", "0"))
"""how many slots there are to be in all, the least being those of the agendas above; the rest is looked through"""
PROFESSIONALS = 3000
PATIENTS = 3000
"""enough that no patient's account books more than a person would"""
SPECIALTIES = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
ACT_CODES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
FIRST_DAY = datetime.now(UTC).replace(hour=7, minute=0, second=0, microsecond=0) + timedelta(days=2)
FAMILIES = (
    "Durand",
    "Martin",
    "Bernard",
    "Petit",
    "Moreau",
    "Lefèvre",
    "Garnier",
    "Faure",
    "Roussel",
    "Blanchet",
)


@dataclass(frozen=True)
class Slot:
    """A free slot of the agendas."""

    id: str
    agenda: int
    start: str
    end: str


@dataclass(frozen=True)
class Agenda:
    """The free slots, and one practitioner to look at."""

    slots: list[Slot]
    practitioner: str

    def appointment(self, slot: Slot, patient: str = "bench") -> dict[str, Any]:
        """A booking of the slot, as a frontend sends it."""
        return appointment(slot, patient)

    def week_query(self) -> str:
        """One practitioner's free slots of the week after next, the agenda included."""
        first, last = FIRST_DAY + timedelta(days=7), FIRST_DAY + timedelta(days=14)
        low, high = (quote(day.strftime("%Y-%m-%dT%H:%M:%SZ")) for day in (first, last))
        # The last agenda is booked last, so its slots are still free.
        return f"/fhir/Slot?schedule=bench-{AGENDAS - 1}&status=free&start=ge{low}&start=lt{high}&_count=50&_total=none"

    def find_query(self) -> str:
        """One practitioner's proposals of the coming month."""
        low, high = _coming_weeks()
        whom = f"Practitioner/bench-{AGENDAS - 1}"
        return f"/fhir/Appointment/$find?start={low}&end={high}&practitioner={whom}&_count=20"

    def find_together_query(self) -> str:
        """Times at which two practitioners are free, each in an agenda of their own."""
        other = f"practitioner=Practitioner/bench-{AGENDAS - 2}&all-required=true"
        return f"{self.find_query()}&{other}"

    def find_by_specialty_query(self) -> str:
        """Anybody's of a specialty: every slot of every agenda stands behind it."""
        low, high = _coming_weeks()
        return (
            f"/fhir/Appointment/$find?start={low}&end={high}&specialty={quote(SPECIALTIES)}%7CSM54&_count=20"
        )

    def soonest_query(self) -> str:
        """The soonest free slots of a specialty."""
        low, _ = _coming_weeks()
        return f"/fhir/Slot?specialty={quote(SPECIALTIES)}%7CSM54&status=free&start=ge{low}&_sort=start&_count=20&_total=none"


def _coming_weeks() -> tuple[str, str]:
    """The ends of the month from now on."""
    return _instant(FIRST_DAY), _instant(FIRST_DAY + timedelta(days=30))


def appointment(slot: Slot, patient: str = "bench") -> dict[str, Any]:
    """An Appointment of ordinary size."""
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "serviceType": [{"coding": [{"system": ACT_CODES, "code": "AMB"}], "text": "Consultation"}],
        "specialty": [
            {"coding": [{"system": SPECIALTIES, "code": "SM54", "display": "Médecine générale (SM)"}]}
        ],
        "description": "Consultation de suivi",
        "start": slot.start,
        "end": slot.end,
        "slot": [{"reference": f"Slot/{slot.id}"}],
        "participant": [
            {"actor": {"reference": f"Patient/{patient}"}, "required": "required", "status": "accepted"},
            {
                "actor": {"reference": f"Practitioner/bench-{slot.agenda}"},
                "required": "required",
                "status": "accepted",
            },
        ],
    }


def patient_id(number: int) -> str:
    """The id of a patient with an account."""
    return f"bench-{number % PATIENTS}"


def patient(number: int) -> dict[str, Any]:
    """A patient with an account."""
    return {
        "resourceType": "Patient",
        "name": [{"family": FAMILIES[number % len(FAMILIES)], "given": [f"Prénom{number}"]}],
        "birthDate": f"19{number % 90 + 10}-01-01",
        "telecom": [{"system": "email", "value": address_of(number)}],
    }


def address_of(number: int) -> str:
    """The e-mail address of a patient."""
    return f"{patient_id(number)}@exemple.fr"


def practitioner(number: int) -> dict[str, Any]:
    """A professional of the directory."""
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": "https://exemple.fr/banc", "value": f"{number:08d}"}],
        "active": True,
        "name": [
            {"family": FAMILIES[number % len(FAMILIES)], "given": [f"Prénom{number}"], "prefix": ["DR"]}
        ],
        "telecom": [{"system": "phone", "value": f"+3319900{number:04d}"}],
        "gender": "female" if number % 2 else "male",
    }


def location(number: int) -> dict[str, Any]:
    """A place of the directory."""
    return {
        "resourceType": "Location",
        "status": "active",
        "name": f"Cabinet {number}",
        "address": {"line": [f"{number} rue du Banc"], "city": "Rennes", "postalCode": "35000"},
        "position": {"latitude": 48.0 + number % 100 / 100, "longitude": -1.6 + number % 70 / 100},
    }


def role(number: int) -> dict[str, Any]:
    """A practice situation of the directory."""
    return {
        "resourceType": "PractitionerRole",
        "active": True,
        "practitioner": {"reference": f"Practitioner/bench-{number}"},
        "location": [{"reference": f"Location/bench-{number % 500}"}],
        "specialty": [{"coding": [{"system": SPECIALTIES, "code": "SM54" if number % 3 else "SM15"}]}],
    }


def transaction_of_locations(count: int) -> dict[str, Any]:
    """A transaction Bundle that creates places."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": location(number), "request": {"method": "POST", "url": "Location"}}
            for number in range(count)
        ],
    }


async def fill(database: Callable[[str], str]) -> Agenda:
    """Fill the databases (`database` gives the URL of a service's); the free slots in an order that takes every agenda
    in turn."""
    await _fill_directory(database("directory"))
    await _fill_notifications(database("notifications"))
    return Agenda(await _fill_booking(database("booking")), "bench-1")


async def _fill_directory(url: str) -> None:
    connection = await asyncpg.connect(url)
    context = WriteContext(now=SystemClock().now())
    async with connection.transaction():
        for name, make, count in (
            ("Practitioner", practitioner, PROFESSIONALS),
            ("Location", location, 500),
            ("PractitionerRole", role, PROFESSIONALS),
        ):
            store = GenericStore(name, BASE)
            for number in range(count):
                await store.create(connection, context, make(number), f"bench-{number}")
    await _analyze(connection)
    await connection.close()


async def _fill_notifications(url: str) -> None:
    """What booking and the directory would have told: whom messages go to, and of whom they speak."""
    connection = await asyncpg.connect(url)
    now = datetime.now(UTC)
    async with connection.transaction():
        for number in range(PATIENTS):
            name = f"Prénom{number} {FAMILIES[number % len(FAMILIES)]}"
            reference = f"Patient/{patient_id(number)}"
            contact = Contact(reference, name, email=address_of(number), email_vouched=True)
            await recipients.save(connection, contact, now)
        for number in range(AGENDAS):
            fact = Fact(
                f"Practitioner/bench-{number}", f"Dr Prénom{number} {FAMILIES[number % len(FAMILIES)]}"
            )
            await facts.save(connection, fact, now)
    await _analyze(connection)
    await connection.close()


async def _fill_booking(url: str) -> list[Slot]:
    connection = await asyncpg.connect(url)
    context = WriteContext(now=SystemClock().now())
    patients = GenericStore("Patient", BASE)
    async with connection.transaction():
        for number in range(PATIENTS):
            await patients.create(connection, context, patient(number), patient_id(number))
        await patients.create(connection, context, patient(0), "bench")  # for whom a practice books
        for agenda in _agendas():
            await _open(connection, context, agenda)
    rows = await connection.fetch(
        'SELECT slot.id::text, schedule.id AS agenda, start, "end" FROM slot'
        " JOIN schedule ON schedule.key = schedule_key WHERE schedule.id = ANY($1) ORDER BY start, schedule.key",
        [f"bench-{number}" for number in range(AGENDAS - 1)],
    )
    await _analyze(connection)
    await connection.close()
    return [
        Slot(
            row["id"], int(row["agenda"].removeprefix("bench-")), _instant(row["start"]), _instant(row["end"])
        )
        for row in rows
    ]


def _agendas() -> Iterator[int]:
    """Those that are worked in first, so that the yardsticks' have keys that follow on each other."""
    own = AGENDAS + YARD_AGENDAS
    yield from range(max(own, SLOTS // (DAYS * SLOTS_A_DAY)))


async def _analyze(connection: asyncpg.Connection) -> None:
    """As autovacuum would: of tables that nothing stands in, nothing is said. A table that is known to be empty is read
    from end to end by whoever has planned for it, long after it has been filled."""
    filled = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND pg_relation_size(oid) > 0"
        " AND relnamespace = 'public'::regnamespace"
    )
    await connection.execute(f"VACUUM ANALYZE {', '.join(row['name'] for row in filled)}")


async def _open(connection: asyncpg.Connection, context: WriteContext, agenda: int) -> None:
    """An agenda and its slots: one as software feeds it, the others like it."""
    actor = [{"reference": f"Practitioner/bench-{agenda}"}]
    schedule = {"resourceType": "Schedule", "active": True, "actor": actor}
    await ScheduleStore(BASE).create(connection, context, schedule, f"bench-{agenda}")
    await SlotStore(BASE).create(connection, context, slot(agenda, FIRST_DAY))
    await connection.execute(
        'INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)'
        " SELECT gen_random_uuid(), at, at + interval '15 minutes', schedule_key, kind_key, last_updated, 1,"
        " 'free', 'free'"
        " FROM slot, generate_series(0, $1 - 1) day, generate_series(0, $2 - 1) number,"
        " LATERAL (SELECT $3::timestamptz + day * interval '1 day' + number * interval '15 minutes' AS at)"
        " WHERE schedule_key = (SELECT key FROM schedule WHERE id = $4) AND start = $3 AND (day, number) <> (0, 0)",
        DAYS,
        SLOTS_A_DAY,
        FIRST_DAY,
        f"bench-{agenda}",
    )


def slot(agenda: int, start: datetime) -> dict[str, Any]:
    """A free Slot, as software feeds it."""
    return {
        "resourceType": "Slot",
        "schedule": {"reference": f"Schedule/bench-{agenda}"},
        "serviceType": [{"coding": [{"system": ACT_CODES, "code": "AMB"}]}, {"text": "Consultation"}],
        "specialty": [{"coding": [{"system": SPECIALTIES, "code": "SM54"}]}],
        "status": "free",
        "start": _instant(start),
        "end": _instant(start + timedelta(minutes=15)),
        "comment": "https://agenda.exemple.fr/banc",
    }


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
