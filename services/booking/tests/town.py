"""A small town in which anything may happen: two practices, their agendas side by side, and people who book in them.

Whatever happens is drawn by `Town.chance`, so that a seed tells a whole story again; `Town.story` is what happened.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    BASE,
    GENERAL,
    SKIN,
    VIDEO,
    appointment,
    for_professionals,
    patient,
    ref,
    schedule,
    slot,
    unique,
    utc,
)
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear
from services.booking.tests.telling import in_words

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.messaging.directory_replica import RESOURCE_CHANGED
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.agendas import access_extensions as said
from creneau_booking.storage.mapping.places import PARTS, SCHEDULE_CAPACITY
from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.topics import DIRECTORY
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.storage.store import Resource, WriteContext
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.national_numbers import NATIONAL_PERSON
from creneau_shared.security.rights import OWNER

GRID = timedelta(minutes=10)
LENGTHS = (GRID, 2 * GRID, 2 * GRID, 3 * GRID, 6 * GRID)
PUBLIC = {"security": [{"system": SLOT_TYPE_SYSTEM, "code": "PUBLIC"}]}
ROOM = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "ro"}]}
SITE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "si"}]}
ADULT, CHILD = "1985-04-02", "2018-09-20"
PEOPLE = {
    "adult": [ADULT],
    "child": [CHILD],
    "visitor": [ADULT],
    "parent": [ADULT, CHILD],
    "stranger": [ADULT, CHILD],
}
"""accounts, and when those were born for whom they act; the stranger never books"""
ENDED = ("cancelled", "noshow", "fulfilled", "entered-in-error")


def boundless(settings: BookingSettings) -> BookingSettings:
    """The settings without limits on accounts, which are no property of a slot, and on requests: the clock stands still
    while somebody looks in every way."""
    return settings.model_copy(
        update={name: 0 for name in BookingSettings.model_fields if name.endswith("_requests_per_s")}
        | {
            name: 1_000_000
            for name in BookingSettings.model_fields
            if name.endswith("_max")
            and name.startswith(("future_appointments_per_patient", "future_appointments_per_specialty",
                                 "bookings_", "holds_", "cancellations_", "requests_", "patients_per"))
        }
    )  # fmt: skip


GROUPS = ("first", "third", "elsewhere", "both")
"""agendas whose slots have several places, most of the time"""
Act = Callable[[], Awaitable[str | None]]
"""something that happens; what there is to say of it"""


@dataclass
class Person:
    """Somebody with an account (issuer, subject) and the Patients for whom it acts."""

    subject: str
    patients: tuple[str, ...]


@dataclass
class Town:
    """Agendas by name; ids of everything are of this town only."""

    practice: Practice
    issuer: str
    chance: random.Random
    ids: dict[str, str] = field(default_factory=dict)
    agendas: dict[str, tuple[str, ...]] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    hands_change: bool = True
    """whether agendas get other people now"""
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)
    _facts: dict[str, Resource] = field(default_factory=dict)

    @property
    def national(self) -> list[str]:
        """The national numbers of the professionals."""
        return [f"81000{number}0000{number}0" for number in range(3)]

    def is_for_sas(self, row: Mapping[str, Any]) -> bool:
        """Whether the SAS is told of a slot: it says to whom it is open, in an agenda of one professional in one
        situation (a role, with or without its professional), at a place."""
        kinds = [actor.partition(".")[0] for actor in self.agendas[row["agenda"]]]
        of_one = kinds.count("PractitionerRole") == 1 and kinds.count("Practitioner") <= 1
        return bool(row["labelled"]) and of_one and "Location" in kinds

    # -- who is there ----------------------------------------------------------------------------------------

    def ref(self, name: str) -> str:
        """`Practitioner.one` → the reference of the one of this town."""
        kind = name.partition(".")[0]
        return f"{kind}/{self.ids.setdefault(name, unique(name.lower().replace('.', '-')))}"

    def agenda(self, name: str) -> str:
        return self.ids.setdefault(name, unique(name))

    async def build(self, callers: Callers) -> None:
        """Two organisations, three professionals, one of whom works for both, a room, a device and seven agendas."""
        for organization in ("Organization.a", "Organization.b"):
            await self.state(organization, active=True)
        people = ("Practitioner.one", "Practitioner.two", "Practitioner.three")
        for name, number in zip(people, self.national, strict=True):
            national = {"system": NATIONAL_PERSON, "value": number}
            await self.state(name, active=True, identifier=[national], name=[{"family": "Exemple"}])
        for name, person, organization in (
            ("PractitionerRole.one", "Practitioner.one", "Organization.a"),
            ("PractitionerRole.two", "Practitioner.two", "Organization.a"),
            ("PractitionerRole.three", "Practitioner.three", "Organization.b"),
            ("PractitionerRole.elsewhere", "Practitioner.one", "Organization.b"),
        ):
            await self.state(
                name, active=True, practitioner=self._to(person), organization=self._to(organization)
            )
        address = {"line": ["1 rue des Exemples"], "city": "Rennes", "postalCode": "35000"}
        for name, organization, kind in (
            ("Location.a", "Organization.a", SITE),
            ("Location.b", "Organization.b", SITE),
            ("Location.room", "Organization.a", ROOM),
        ):
            await self.state(name, status="active", managingOrganization=self._to(organization),
                             physicalType=kind, address=address)  # fmt: skip
        await self.state("HealthcareService.a", active=True, providedBy=self._to("Organization.a"))
        self.agendas = {
            "first": ("Practitioner.one", "PractitionerRole.one", "Location.a"),
            "in-the-room": (
                "Practitioner.one",
                "PractitionerRole.one",
                "Location.room",
                "HealthcareService.a",
            ),
            "second": ("Practitioner.two", "PractitionerRole.two", "Location.room"),
            "third": ("Practitioner.three", "PractitionerRole.three", "Location.b"),
            "elsewhere": ("PractitionerRole.elsewhere", "Location.b"),
            "both": ("PractitionerRole.two", "PractitionerRole.three"),
            "scanner": ("Device.scanner", "Location.room"),
        }
        for name in self.agendas:
            await self.write_agenda(name)
        for name, births in PEOPLE.items():
            subject = unique(name)
            account = callers.patient(subject=subject)
            bodies = [patient(f"{name.title()}{n}", birthDate=birth) for n, birth in enumerate(births)]
            answers = [await account.post("Patient", body) for body in bodies]
            assert all(answer.status_code == 201 for answer in answers), answers[-1].text
            self.people[name] = Person(subject, tuple(f"Patient/{answer.json()['id']}" for answer in answers))
        for name in self.agendas:
            for _ in range(4):
                await self.open_slot(name)

    def _to(self, name: str) -> Resource:
        return ref(self.ref(name))

    # -- the directory's word --------------------------------------------------------------------------------

    async def state(self, name: str, /, **members: Any) -> None:
        """The directory says this of somebody, beside what it said before: of each one after the other, as a topic does."""
        kind, _, id_ = self.ref(name).partition("/")
        version = self._versions[name] = self._versions.get(name, 0) + 1
        facts = {**self._facts.get(name, {}), **members}
        self._facts[name] = {n: v for n, v in facts.items() if v is not None}
        meta = {"versionId": str(version), "lastUpdated": "2026-11-01T08:00:00Z"}
        said_now = {"resourceType": kind, "id": id_, "meta": meta, **self._facts[name]}
        async with self._turns.setdefault(name, asyncio.Lock()):
            await hear(self.practice, said_now)

    async def forget(self, name: str) -> None:
        """The directory has deleted somebody."""
        key = self.ref(name)
        event = ReceivedEvent(
            topic=DIRECTORY, key=key, type=RESOURCE_CHANGED, subject=key, source="/creneau/directory", data=None,
            time=self.practice.clock.now(), partition=0, offset=0, raw=None,
        )  # fmt: skip
        async with (
            self._turns.setdefault(name, asyncio.Lock()),
            self.practice.database.transaction() as connection,
        ):
            await self.practice.replica().apply(connection, event)

    async def write_agenda(self, name: str, names: tuple[str, ...] | None = None, **members: Any) -> None:
        """Write the Schedule anew, with some rules and some horizon; with other actors, unless one is elsewhere at the time of a
        visit in it."""
        names = names or self.agendas[name]
        actors = [self.ref(actor) for actor in names]
        rules = self._rules(groups=name in GROUPS)
        resource = schedule(self.agenda(name), actors, **rules, **self._horizon(), **members)
        store = ScheduleStore(BASE)
        async with self.practice.database.transaction() as connection:
            current = await store.lock(connection, resource["id"])
            if current is None:
                await store.create(connection, self.practice.context(), resource, resource["id"])
            else:
                await store.replace(connection, self.practice.context(), current, resource)
        self.agendas[name] = names

    def _rules(self, *, groups: bool = False) -> Resource:
        minutes = {"value": self.chance.choice([45, 1500, 3000]), "code": "min", "system": said.UCUM}
        window = [
            {"url": "days", "valueUnsignedInt": self.chance.choice([0, 1, 2])},
            {"url": "opensAt", "valueTime": self.chance.choice(["07:00:00", "09:30:00"])},
        ]
        ages = self.chance.choice([{"low": _years(18)}, {"high": _years(15)}])
        rules = (
            {"url": said.MINIMUM_NOTICE, "valueDuration": minutes},
            {"url": said.BOOKING_WINDOW, "extension": window},
            {"url": said.AGE_LIMIT, "valueRange": ages},
            {"url": said.APPOINTMENTS_MAX, "valuePositiveInt": self.chance.choice([1, 2])},
            {"url": PARTS, "valueBoolean": self.chance.choice([True, False])},
        )
        chosen = [rule for rule in rules if self.chance.random() < 0.2]
        if groups:
            chosen.append({"url": SCHEDULE_CAPACITY, "valuePositiveInt": self.chance.choice([1, 2, 2, 3])})
        return {"extension": chosen} if chosen else {}

    def _horizon(self) -> Resource:
        horizon = self.chance.choice(
            [None, None, None, {"end": "2026-11-18"}, {"start": "2026-11-17T09:00:00Z", "end": "2027-01-01"}]
        )
        return {} if horizon is None else {"planningHorizon": horizon}

    # -- slots -----------------------------------------------------------------------------------------------

    def moment(self) -> datetime:
        """Some time of these days: often the same, so that visits meet."""
        base = self.practice.clock.now().replace(minute=0, second=0)
        days = self.chance.choice([0, 0, 1, 1, 1, 2])
        return base + timedelta(days=days) + GRID * self.chance.choice([-6, 0, 1, 2, 2, 3, 4, 4, 5, 6, 8, 12])

    def _slot(self, id_: str, agenda: str, start: datetime, status: str) -> Resource:
        meta = self.chance.choice([None, PUBLIC, PUBLIC, for_professionals()])
        return slot(
            id_,
            self.agenda(agenda),
            start,
            self.chance.choice(LENGTHS),
            status,
            **({"meta": meta} if meta else {}),
            specialty=[self.chance.choice([GENERAL, GENERAL, SKIN])],
            **({"serviceType": [VIDEO]} if self.chance.random() < 0.2 else {}),
        )

    async def open_slot(self, agenda: str) -> None:
        """A new slot, on whatever else lies there."""
        status = self.chance.choice(["free", "free", "free", "busy", "busy-unavailable"])
        resource = self._slot(unique("creneau"), agenda, self.moment(), status)
        async with self.practice.database.transaction() as connection:
            await self.practice.slots.create(connection, self.practice.context(), resource, resource["id"])

    async def slots(self) -> list[Mapping[str, Any]]:
        """Every slot of the agendas: id, agenda (name), start, end, whether it says to whom it is open."""
        names = {self.agenda(name): name for name in self.agendas}
        rows = await self.practice.database.pool.fetch(
            'SELECT coalesce(slot.name, slot.id::text) AS id, schedule.id AS agenda, start, "end", status::text,'
            " taken_by, kind.meta <> '' AS labelled, kind.meta LIKE '%\"PRO\"%' AS hidden,"
            " ARRAY(SELECT substr(t, length($2) + 1) FROM unnest(schedule.terms) AS t WHERE starts_with(t, $2)) AS owners"
            " FROM slot"
            " JOIN schedule ON schedule.key = slot.schedule_key JOIN slot_kind kind ON kind.key = slot.kind_key"
            " WHERE schedule.id = ANY($1) ORDER BY start, 1",
            list(names),
            OWNER,
        )
        return [{**row, "agenda": names[row["agenda"]]} for row in rows]

    async def _some_slot(self) -> str | None:
        rows = await self.slots()
        return self.chance.choice(rows)["id"] if rows else None

    # -- what happens ----------------------------------------------------------------------------------------

    async def step(self) -> None:
        """Something happens; what is refused has happened, too."""
        name, act = self.chance.choice(self._acts())
        when = f"{self.practice.clock.now():%d %H:%M} {name}"
        try:
            with in_words():
                self.story.append(f"{when} {await act() or ''}")
        except CreneauError as refused:
            self.story.append(f"{when} → {refused.issues[0].details_code or refused.issues[0].en}")

    def _acts(self) -> Sequence[tuple[str, Act]]:
        agenda = self.chance.choice(sorted(self.agendas))
        often: list[tuple[str, Act]] = [
            ("a patient books", lambda: self._book(by_patient=True)),
            ("the practice books", self._book),
            ("a patient holds", lambda: self._book("proposed", by_patient=True)),
            ("somebody takes what they hold", self._take_own),
            ("the practice holds", lambda: self._book("proposed")),
            ("somebody moves", self._move),
            ("somebody cancels", lambda: self._become("cancelled")),
            ("a feed pushes a slot", self._push),
            (f"{agenda} opens a slot", lambda: self.open_slot(agenda)),
        ]
        sometimes: list[tuple[str, Act]] = [
            ("somebody confirms", lambda: self._become("booked")),
            ("somebody arrives", lambda: self._become("arrived")),
            ("a visit is done", lambda: self._become("fulfilled")),
            ("an error is corrected", lambda: self._become("entered-in-error")),
            ("somebody does not come", lambda: self._become("noshow")),
            ("a slot is deleted", self._delete_slot),
            ("the practice books several", self._book_several),
            ("a part of a slot is booked", self._book_part),
            ("somebody else comes too", self._book_with_another),
            ("a visit without a slot", self._book_without_slot),
            (f"{agenda} is written anew", lambda: self.write_agenda(agenda)),
            (f"{agenda} closes", lambda: self.write_agenda(agenda, active=False)),
            ("the directory speaks", self._speak),
            ("the directory takes it back", self._take_back),
            ("time passes", self._wait),
        ]
        if self.hands_change:
            sometimes.append((f"{agenda} changes hands", lambda: self._change_hands(agenda)))
        return [*often, *often, *often, *sometimes]

    def patient_context(self, person: Person) -> WriteContext:
        return self.practice.context(person.subject, person.patients, issuer=self.issuer, role="patient")

    def wanted(self, slots: Iterable[str], who: str | None, status: str = "booked", **more: Any) -> Resource:
        return appointment(status, slots=list(slots), patient=who, **more)

    async def _book(self, status: str = "booked", *, by_patient: bool = False) -> None:
        slot_id = await self._some_slot()
        if slot_id is None:
            return
        person = self.people[self.chance.choice(["visitor", "visitor", "parent", "adult"])]
        who = self.chance.choice(person.patients) if by_patient or self.chance.random() < 0.5 else None
        context = self.patient_context(person) if by_patient else self.practice.context()
        await self._do(self.wanted([slot_id], who, status), context)

    async def _take_own(self) -> str | None:
        """Who holds a slot holds or books it again, for one of those for whom they act."""
        rows = await self.practice.database.pool.fetch(
            "SELECT coalesce(slot.name, slot.id::text) AS id, hold.subject FROM slot"
            " JOIN hold ON hold.appointment_id = slot.taken_by WHERE hold.issuer = $1 ORDER BY slot.start, 1",
            self.issuer,
        )
        if not rows:
            return None
        row = self.chance.choice(rows)
        [person] = [person for person in self.people.values() if person.subject == row["subject"]]
        who, status = (
            self.chance.choice(person.patients),
            self.chance.choice(["booked", "proposed", "proposed"]),
        )
        await self._do(self.wanted([row["id"]], who, status), self.patient_context(person))
        return f"{row['id']} {status}"

    async def _do(self, resource: Resource, context: WriteContext | None = None) -> None:
        await (self.practice.hold if resource["status"] == "proposed" else self.practice.create)(
            resource, context
        )

    async def _book_several(self) -> None:
        """Two slots that follow each other, of one agenda, or of two at the same time."""
        rows = await self.slots()
        pairs = [
            (one["id"], other["id"])
            for one in rows
            for other in rows
            if (one["agenda"] == other["agenda"] and one["end"] == other["start"])
            or (
                one["agenda"] < other["agenda"]
                and (one["start"], one["end"]) == (other["start"], other["end"])
            )
        ]
        if pairs:
            await self._do(
                self.wanted(self.chance.choice(pairs), None, self.chance.choice(["booked", "proposed"]))
            )

    async def _book_part(self) -> None:
        rows = [row for row in await self.slots() if row["end"] - row["start"] > 2 * GRID]
        if not rows:
            return
        row = self.chance.choice(rows)
        start = row["start"] + self.chance.choice([0, 1]) * GRID
        person = self.people["visitor"]
        times = {"start": utc(start), "end": utc(start + GRID)}
        await self._do(
            {**self.wanted([row["id"]], person.patients[0]), **times}, self.patient_context(person)
        )

    async def _book_with_another(self) -> None:
        """A slot, and a professional, room or device of another agenda beside."""
        slot_id = await self._some_slot()
        if slot_id is not None:
            others = (
                "Practitioner.two",
                "Practitioner.three",
                "Location.room",
                "Device.scanner",
                "PractitionerRole.one",
            )
            another = self.ref(self.chance.choice(others))
            await self._do(self.wanted([slot_id], None, actors=[another]))

    async def _book_without_slot(self) -> None:
        actor = self.ref(self.chance.choice(["Practitioner.one", "Location.room", "Device.scanner"]))
        await self._do(
            self.wanted([], None, actors=[actor], start=self.moment(), length=self.chance.choice(LENGTHS))
        )

    async def _some_appointment(self) -> str | None:
        rows = await self.practice.database.pool.fetch(
            "SELECT id FROM appointment WHERE NOT deleted AND NOT terms && $1::text[] ORDER BY last_updated, id",
            [f"status={status}" for status in ENDED],
        )
        return self.chance.choice(rows)["id"] if rows else None

    async def _become(self, status: str) -> None:
        id_ = await self._some_appointment()
        if id_ is not None:
            await self.practice.change(id_, status=status)

    async def _move(self) -> None:
        id_, slot_id = await self._some_appointment(), await self._some_slot()
        if id_ is not None and slot_id is not None:
            to = [{"reference": f"Slot/{slot_id}"}]
            await self.practice.change(id_, move=True, slot=to, start=None, end=None)

    async def _push(self) -> None:
        """The agenda's software says again what it knows of a slot: free or not, here or at another time."""
        rows = await self.slots()
        if not rows:
            return
        row = self.chance.choice(rows)
        start = row["start"] if self.chance.random() < 0.7 else self.moment()
        status = self.chance.choice(["free", "free", "busy", "busy-unavailable", "busy-tentative"])
        resource = self._slot(row["id"], row["agenda"], start, status)
        if start == row["start"]:
            resource["end"] = utc(row["end"])
        async with self.practice.database.transaction() as connection:
            current = await self.practice.slots.lock(connection, row["id"])
            if current is not None:
                await self.practice.slots.replace(connection, self.practice.context(), current, resource)

    async def _delete_slot(self) -> None:
        slot_id = await self._some_slot()
        if slot_id is None:
            return
        async with self.practice.database.transaction() as connection:
            current = await self.practice.slots.lock(connection, slot_id)
            if current is not None and not current.deleted:
                await self.practice.slots.delete(connection, self.practice.context(), current)

    async def _change_hands(self, name: str) -> None:
        """Somebody joins the agenda, or leaves it again."""
        another = self.chance.choice(
            ["Practitioner.two", "Practitioner.three", "Location.room", "PractitionerRole.one"]
        )
        actors = self.agendas[name]
        without = tuple(actor for actor in actors if actor != another)
        await self.write_agenda(name, without if another in actors and without else (*without, another))

    async def _speak(self) -> str:
        """Somebody goes, for a while or for good; a room becomes a site."""
        others: list[tuple[str, Resource | None]] = [
            ("Location.room", {"physicalType": SITE}),
            ("PractitionerRole.two", {"practitioner": self._to("Practitioner.three")}),
        ]
        words: list[tuple[str, Resource | None]] = [
            ("Practitioner.one", {"active": False}),
            ("Practitioner.three", {"active": False}),
            ("PractitionerRole.one", {"active": False}),
            ("PractitionerRole.two", {"period": {"end": "2026-11-17"}}),
            ("PractitionerRole.three", {"period": {"start": "2026-11-17", "end": "2027-11-17"}}),
            ("Location.a", {"status": "suspended"}),
            ("Location.room", {"status": "inactive"}),
            ("HealthcareService.a", {"active": False}),
            ("Organization.a", {"active": False}),
            ("Practitioner.two", None),
            ("Location.b", None),
        ]
        name, members = self.chance.choice([*words, *(others if self.hands_change else [])])
        await (self.forget(name) if members is None else self.state(name, **members))
        return f"{name} {members}"

    async def _take_back(self) -> None:
        for name in list(self._facts):
            back: Resource = {"status": "active"} if name.startswith("Location") else {"active": True}
            if name == "Location.room" and self.hands_change:
                back["physicalType"] = ROOM
            if name == "PractitionerRole.two" and self.hands_change:
                back["practitioner"] = self._to("Practitioner.two")
            if name.startswith("PractitionerRole"):
                back["period"] = None
            if self.chance.random() < 0.7:
                await self.state(name, **back)

    async def _wait(self) -> None:
        self.practice.clock.advance(timedelta(minutes=self.chance.choice([1, 5, 11, 11, 60, 300, 1440])))

    async def sweep(self) -> None:
        """What the worker does within a second of a hold's end."""
        await self.practice.jobs().expire_holds()

    def tell(self) -> str:
        """What has happened, the last of it."""
        return "\n".join(self.story[-40:])


def _years(number: int) -> Resource:
    return {"value": number, "code": "a", "system": said.UCUM}
