"""The rules as columns: what the SQL shows is what the domain allows; and where an agenda's rules come from."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from services.booking.tests.domain.facts import a_slot, an_appointment
from services.booking.tests.factories import BASE, schedule, unique
from services.booking.tests.practice import Practice
from services.booking.tests.telling import in_words

from creneau_booking.domain import access_rules as rules
from creneau_booking.domain.access_rules import (
    AccessRules,
    AgeLimit,
    AgendaRules,
    Birth,
    BookingWindow,
)
from creneau_booking.domain.openings.days_off import SCHOOL_CALENDAR
from creneau_booking.domain.rules import PART_MIN, claim_for
from creneau_booking.messaging.directory_replica import RESOURCE_CHANGED
from creneau_booking.storage.agendas import access_extensions as said
from creneau_booking.storage.agendas.rules import rules_of_schedules, schedule_changed
from creneau_booking.storage.availability.rule import is_open, takes_age
from creneau_booking.storage.openings.whose import actors_of, place_of
from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.zones import TIME_ZONE
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.refusal import Refusal

AFTERWARDS = datetime(2027, 1, 1, tzinfo=UTC)
"""when something is deleted here, unless it is said otherwise"""
CASES = 4000
NO_RULES = AccessRules()
ZONES = ("Europe/Paris", "America/Miquelon", "Indian/Reunion", "Pacific/Noumea")
CLOCK_CHANGES = (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Case:
    """An agenda's rules, a slot of it, and a moment at which a patient wants it."""

    agenda: AgendaRules
    parts: bool | None
    start: datetime
    end: datetime
    now: datetime
    birth: Birth

    def allows(self, begins: datetime) -> bool:
        """Whether the domain lets them take what is left of the slot from a moment on."""
        slot = a_slot(start=self.start, end=self.end, parts=self.parts)
        wanted = an_appointment(start=begins, end=self.end)
        try:
            claim_for(wanted, [slot], by_patient=True, now=self.now)
            rules.require_open(self.agenda, self.start, self.now, begins=begins)
        except Refusal:
            return False
        return True


def cases(seed: int) -> Iterator[Case]:
    """Rules, a slot and a present near what opens or closes it, many of them about the clock changes."""
    chance = random.Random(seed)
    for _ in range(CASES):
        near = chance.choice(CLOCK_CHANGES) + timedelta(minutes=chance.randint(-3000, 3000))
        window = BookingWindow(chance.randint(0, 30), time(chance.randint(0, 23), chance.choice((0, 30))))
        one = AgendaRules(
            "a",
            AccessRules(
                minimum_notice=chance.choice([None, timedelta(minutes=chance.randint(0, 4000))]),
                window=chance.choice([None, window]),
                age=chance.choice([None, AgeLimit(chance.randint(0, 40), chance.choice([None, 41]))]),
            ),
            ZoneInfo(chance.choice(ZONES)),
        )
        start = near + timedelta(days=chance.choice((0, window.days)))
        length = timedelta(minutes=chance.choice((4, 20, 119, 120, 123, 600, 1500)))
        now = start - timedelta(days=window.days) + timedelta(minutes=chance.randint(-2000, 2000))
        if chance.random() < 0.2:  # the very instant
            last = start + max(length // PART_MIN - 1, 0) * PART_MIN
            now = chance.choice(
                (
                    rules.opens(window, start, one.zone),
                    *(begins - (one.rules.minimum_notice or timedelta(0)) for begins in (start, last)),
                )
            )
        born = start.date() - timedelta(days=chance.randint(0, 1300))
        birth = Birth(born, born + timedelta(days=chance.choice((0, 30))))
        yield Case(one, chance.choice((None, True, False)), start, start + length, now, birth)


async def test_a_search_shows_what_a_booking_allows(practice: Practice) -> None:
    """Both say the same of every case, to the minute, across both clock changes and overseas: of the whole slot, and of some
    part of it, of which there is one if the last that may be taken is."""
    opened = f"{is_open('a', 'a.now', whole=True)} AS whole, {is_open('a', 'a.now')} AS in_part"
    sql = (
        f"SELECT {opened}, {takes_age('a', 'a.first', 'a.last')} AS aged"
        " FROM (SELECT $2::timestamptz AS start, $3::timestamptz AS now, $4::date AS first, $5::date AS last,"
        ' $11::timestamptz AS "end", NULL::int AS places, 0::bigint AS kind_key) AS a,'
        " LATERAL (SELECT 1::bigint AS schedule_key, $1::text AS zone, $6::int AS minimum_notice_min, $7::int AS window_days,"
        " $8::time AS opens_at, $9::int AS age_from_months, $10::int AS age_below_months, $12::boolean AS parts) AS a_agenda"
    )
    seen: set[tuple[bool, bool, bool]] = set()
    async with practice.database.connection() as connection:
        for case in cases(26):
            one, limits, birth = case.agenda, case.agenda.rules, case.birth
            row = await connection.fetchrow(
                sql,
                str(one.zone),
                case.start,
                case.now,
                birth.first,
                birth.last,
                None if limits.minimum_notice is None else int(limits.minimum_notice.total_seconds()) // 60,
                limits.window.days if limits.window else None,
                limits.window.opens_at if limits.window else None,
                limits.age.from_months if limits.age else None,
                limits.age.below_months if limits.age else None,
                case.end,
                case.parts,
            )
            assert row is not None
            aged = limits.age is None or rules.fits(limits.age, birth, case.start.astimezone(one.zone).date())
            whole = case.allows(case.start)
            steps = range((case.end - case.start) // PART_MIN)
            some = whole or any(case.allows(case.start + step * PART_MIN) for step in reversed(steps))
            expected = (whole, some, aged)
            assert (row["whole"], row["in_part"], row["aged"]) == expected, case
            seen.add(expected)
    assert len(seen) == 6  # whoever could have the whole could have a part


# -- where they come from ----------------------------------------------------------------------------------------


def notice(hours: int) -> Resource:
    return {"url": said.MINIMUM_NOTICE, "valueDuration": {"value": hours, "system": said.UCUM, "code": "h"}}


def window(days: int, opens_at: str | None = None) -> Resource:
    parts: list[Resource] = [{"url": "days", "valueUnsignedInt": days}]
    if opens_at:
        parts.append({"url": "opensAt", "valueTime": opens_at})
    return {"url": said.BOOKING_WINDOW, "extension": parts}


def zone(name: str) -> Resource:
    return {"url": TIME_ZONE, "valueCode": name}


async def write(practice: Practice, resource: Resource) -> None:
    """Put a Schedule as the API does."""
    store = GenericStore("Schedule", BASE, schedule_changed)
    async with practice.database.transaction() as connection:
        await store.put(connection, practice.context(), resource["id"], resource)


async def hear(
    practice: Practice, kind: str, id_: str, version: int, *extensions: Resource, **more: object
) -> None:
    """The directory tells of an offer or a place; without extensions of their own when none are given."""
    resource = {
        "resourceType": kind,
        "id": id_,
        "meta": {"versionId": str(version), "lastUpdated": "2026-11-16T08:00:00Z"},
        **({"extension": list(extensions)} if extensions else {}),
        **more,
    }
    await deliver(practice, f"{kind}/{id_}", dumps({"resource": resource}))


async def deliver(practice: Practice, key: str, raw: bytes | None, at: datetime = AFTERWARDS) -> None:
    replica = practice.replica()
    event = ReceivedEvent(
        topic="creneau.directory.resources",
        key=key,
        type=RESOURCE_CHANGED,
        subject=key,
        source="directory",
        data=None,
        time=at,
        partition=0,
        offset=0,
        raw=raw,
    )
    async with practice.database.transaction() as connection:
        await replica.apply(connection, event)


async def stored(practice: Practice, id_: str) -> AgendaRules | None:
    async with practice.database.connection() as connection:
        return (await rules_of_schedules(connection, [id_])).get(id_)


async def test_an_agenda_says_its_own_rules(practice: Practice) -> None:
    """And loses them with the version that says none; a deleted one has none either."""
    id_ = unique("agenda")
    await write(practice, schedule(id_, ["Practitioner/p"], extension=[notice(24), window(14, "08:00:00")]))
    expected = AccessRules(timedelta(hours=24), BookingWindow(14, time(8)))
    assert await stored(practice, id_) == AgendaRules(id_, expected, ZoneInfo("Europe/Paris"))
    await write(practice, schedule(id_, ["Practitioner/p"]))
    none = await stored(practice, id_)
    assert none is not None
    assert none.rules == NO_RULES


async def test_its_offer_and_its_place_say_the_rest(practice: Practice) -> None:
    """Whichever comes first, the Schedule or the replica; changes and tombstones of the offer arrive, too."""
    id_, offer, place = unique("agenda"), unique("offre"), unique("lieu")
    actors = ["Practitioner/p", f"{BASE}/HealthcareService/{offer}", f"Location/{place}"]
    await hear(practice, "HealthcareService", offer, 1, notice(48), window(30))
    await write(practice, schedule(id_, actors, extension=[notice(2)]))
    merged = AccessRules(timedelta(hours=2), BookingWindow(30))
    assert await stored(practice, id_) == AgendaRules(id_, merged, ZoneInfo("Europe/Paris"))
    await hear(practice, "Location", place, 1, zone("Indian/Reunion"))
    assert await stored(practice, id_) == AgendaRules(id_, merged, ZoneInfo("Indian/Reunion"))
    await hear(practice, "HealthcareService", offer, 2, window(60))
    assert (await stored(practice, id_)).rules.window == BookingWindow(60)  # type: ignore[union-attr]
    await deliver(practice, f"HealthcareService/{offer}", None)
    assert (await stored(practice, id_)).rules == AccessRules(timedelta(hours=2))  # type: ignore[union-attr]


async def test_what_a_rebuild_did_not_find_comes_back_with_the_version_that_it_had(
    practice: Practice,
) -> None:
    """And with no older one; what the directory has deleted does not come back by what it said before."""
    id_, offer = unique("agenda"), unique("offre")
    key = f"HealthcareService/{offer}"
    await hear(practice, "HealthcareService", offer, 2, window(30))
    await write(practice, schedule(id_, [key]))
    async with practice.database.transaction() as connection:
        await practice.replica().replica().forget(connection, key)
    assert (await stored(practice, id_)).rules == NO_RULES  # type: ignore[union-attr]
    await hear(practice, "HealthcareService", offer, 1, window(60))
    assert (await stored(practice, id_)).rules == NO_RULES  # type: ignore[union-attr]
    await hear(practice, "HealthcareService", offer, 2, window(30))
    assert (await stored(practice, id_)).rules.window == BookingWindow(30)  # type: ignore[union-attr]
    await deliver(practice, key, None)
    await hear(practice, "HealthcareService", offer, 2, window(30))
    assert (await stored(practice, id_)).rules == NO_RULES  # type: ignore[union-attr]


async def test_a_deletion_that_is_told_once_more_takes_nothing_that_came_back(practice: Practice) -> None:
    """Its letter is replayed days later; of machines whose clocks are apart the log knows the order."""
    id_, offer = unique("agenda"), unique("offre")
    key = f"HealthcareService/{offer}"
    await write(practice, schedule(id_, [key]))
    await hear(practice, "HealthcareService", offer, 3, window(30))
    said = datetime(2026, 11, 16, 8, tzinfo=UTC)
    await deliver(practice, key, None, said - timedelta(days=1))
    assert (await stored(practice, id_)).rules.window == BookingWindow(30)  # type: ignore[union-attr]
    await deliver(practice, key, None, said - timedelta(seconds=2))
    assert (await stored(practice, id_)).rules == NO_RULES  # type: ignore[union-attr]


@pytest.mark.parametrize("first", ["the place", "the agenda"])
async def test_its_horizon_and_its_roles_end_by_the_clock_of_its_place(
    practice: Practice, first: str
) -> None:
    """The last afternoon in Papeete was that of Paris, half a day early. What says a time is at that time anywhere."""
    id_, place, role = unique("agenda"), unique("lieu"), unique("role")
    horizon = {"start": "2026-11-20", "end": "2026-12-31T10:00:00Z"}
    agenda = schedule(id_, [f"PractitionerRole/{role}", f"Location/{place}"], planningHorizon=horizon)

    async def horizon_of() -> tuple[datetime, datetime]:
        async with practice.database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT horizon_start, horizon_end FROM agenda JOIN schedule ON key = schedule_key WHERE id = $1",
                id_,
            )
        assert row is not None
        return row["horizon_start"], row["horizon_end"]

    if first == "the agenda":
        await write(practice, agenda)
    await hear(practice, "Location", place, 1, zone("Pacific/Tahiti"))
    if first == "the place":
        await write(practice, agenda)
    papeete = ZoneInfo("Pacific/Tahiti")
    begins = datetime(2026, 11, 20, tzinfo=papeete)
    assert await horizon_of() == (begins, datetime(2026, 12, 31, 10, 0, 1, tzinfo=UTC))
    await hear(practice, "PractitionerRole", role, 1, period={"end": "2026-12-15"})
    assert await horizon_of() == (begins, datetime(2026, 12, 16, tzinfo=papeete))
    await hear(practice, "Location", place, 2, zone("Europe/Paris"))
    paris = ZoneInfo("Europe/Paris")
    assert await horizon_of() == (datetime(2026, 11, 20, tzinfo=paris), datetime(2026, 12, 16, tzinfo=paris))


async def test_an_agenda_of_a_person_alone_lives_where_they_work(practice: Practice) -> None:
    """Whichever comes first, the agenda or their role and its place, and only as long as their places share a clock."""
    id_, who, one, two, role = (unique(name) for name in ("agenda", "prat", "volcan", "seine", "role"))

    async def clock() -> str:
        return str((await stored(practice, id_)).zone)  # type: ignore[union-attr]

    async def works_at(version: int, *places: str, **more: object) -> None:
        said = {
            "resourceType": "PractitionerRole",
            "id": role,
            "meta": {"versionId": str(version), "lastUpdated": f"2026-11-{version:02}T08:00:00Z"},
            "practitioner": {"reference": f"Practitioner/{who}"},
            "location": [{"reference": f"Location/{place}"} for place in places],
            **more,
        }
        await deliver(practice, f"PractitionerRole/{role}", dumps({"resource": said}))

    await write(practice, schedule(id_, [f"Practitioner/{who}"]))
    assert await clock() == "Europe/Paris"
    await works_at(1, one)
    await hear(practice, "Location", one, 1, zone("Indian/Reunion"))
    assert await clock() == "Indian/Reunion"
    await hear(practice, "Location", two, 1, zone("Europe/Paris"))
    await works_at(2, one, two)
    assert await clock() == "Europe/Paris", "one of two"
    await works_at(3, one)
    assert await clock() == "Indian/Reunion"
    await write(practice, schedule(id_, [f"Practitioner/{who}", f"Location/{two}"]))
    assert await clock() == "Europe/Paris", "it says where"
    await write(practice, schedule(id_, [f"Practitioner/{who}"]))
    assert await clock() == "Indian/Reunion"
    await works_at(4, one, active=False)
    assert await clock() == "Europe/Paris", "they work there no more"
    await works_at(5, one, period={"end": "2026-10-31"})
    assert await clock() == "Europe/Paris", "nor in a role that has ended"
    await works_at(6, one, two)
    await hear(practice, "Location", two, 2, zone("Europe/Paris"), status="inactive")
    assert await clock() == "Indian/Reunion", "the other place is closed"
    await works_at(7, one)
    assert await clock() == "Indian/Reunion"
    await works_at(8, one, practitioner={"reference": "Practitioner/somebody-else"})
    assert await clock() == "Europe/Paris", "the role is another's"
    await works_at(9, one)
    assert await clock() == "Indian/Reunion"
    await deliver(practice, f"PractitionerRole/{role}", None)
    assert await clock() == "Europe/Paris", "the role is no more"


async def test_an_agenda_of_a_person_alone_lives_where_the_site_of_their_room_is(practice: Practice) -> None:
    """A room says no clock of its own; two rooms of two sites share none where the sites do not."""
    id_, who, role = unique("agenda"), unique("prat"), unique("role")
    rooms, sites = [unique("salle"), unique("salle")], [unique("site"), unique("site")]
    agenda = schedule(id_, [f"Practitioner/{who}"])

    async def clocks() -> set[str]:
        async with practice.database.transaction() as connection:
            openings = place_of(agenda, await actors_of(connection, agenda, BASE), SCHOOL_CALENDAR)[0].key
        return {str((await stored(practice, id_)).zone), openings}  # type: ignore[union-attr]

    await write(practice, agenda)
    said = {
        "resourceType": "PractitionerRole",
        "id": role,
        "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
        "practitioner": {"reference": f"Practitioner/{who}"},
        "location": [{"reference": f"Location/{room}"} for room in rooms],
    }
    await deliver(practice, f"PractitionerRole/{role}", dumps({"resource": said}))
    for room, site in zip(rooms, sites, strict=True):
        await hear(practice, "Location", room, 1, partOf={"reference": f"Location/{site}"})
    await hear(practice, "Location", sites[0], 1, zone("Indian/Reunion"))
    assert await clocks() == {"Europe/Paris"}, "the other site says none"
    await hear(practice, "Location", sites[1], 1, zone("Indian/Reunion"))
    assert await clocks() == {"Indian/Reunion"}
    await hear(practice, "Location", sites[1], 2, zone("Pacific/Noumea"))
    assert await clocks() == {"Europe/Paris"}


async def test_an_agenda_of_a_room_lives_where_its_site_is(practice: Practice) -> None:
    """Whichever comes first, the room or the site; what the room says itself counts, and a circle of places ends."""
    id_, room, floor, site = (unique(name) for name in ("agenda", "salle", "etage", "site"))
    part_of_floor, part_of_site = ({"partOf": {"reference": f"Location/{one}"}} for one in (floor, site))

    async def clock() -> str:
        return str((await stored(practice, id_)).zone)  # type: ignore[union-attr]

    async def openings() -> str:
        async with practice.database.transaction() as connection:
            agenda = schedule(id_, [f"Location/{room}"])
            return place_of(agenda, await actors_of(connection, agenda, BASE), SCHOOL_CALENDAR)[0].key

    await write(practice, schedule(id_, [f"Location/{room}"]))
    await hear(practice, "Location", site, 1, zone("Indian/Reunion"))
    await hear(practice, "Location", room, 1, **part_of_floor)
    assert await clock() == "Europe/Paris"
    await hear(practice, "Location", floor, 1, **part_of_site)
    assert (await clock(), await openings()) == ("Indian/Reunion", "Indian/Reunion")
    await hear(practice, "Location", site, 2, zone("Pacific/Noumea"), **part_of_floor)
    assert (await clock(), await openings()) == ("Pacific/Noumea", "Pacific/Noumea")
    await hear(practice, "Location", room, 2, zone("America/Miquelon"), **part_of_floor)
    assert (await clock(), await openings()) == ("America/Miquelon", "America/Miquelon")


async def test_an_agenda_of_an_offer_lives_where_its_place_is(practice: Practice) -> None:
    """By the clock and the days off of the place, of its site if it is a room; whichever is heard first. What the offer says
    itself counts, and so does the place that the agenda names."""
    id_, offer, room, site, other = (
        unique(name) for name in ("agenda", "offre", "salle", "site", "ailleurs")
    )
    agenda = schedule(id_, [f"HealthcareService/{offer}"])
    here = {"location": [{"reference": f"Location/{room}"}]}
    overseas = {"address": {"city": "Saint-Denis", "postalCode": "97400"}}

    async def lives() -> tuple[str, str, bool]:
        async with practice.database.transaction() as connection:
            zone_, place = place_of(agenda, await actors_of(connection, agenda, BASE), SCHOOL_CALENDAR)
        abolition = place.is_public_holiday(date(2026, 12, 20))
        return str((await stored(practice, id_)).zone), zone_.key, abolition  # type: ignore[union-attr]

    await write(practice, agenda)
    await hear(practice, "HealthcareService", offer, 1, **here)
    assert await lives() == ("Europe/Paris", "Europe/Paris", False)
    await hear(practice, "Location", room, 1, partOf={"reference": f"Location/{site}"})
    await hear(practice, "Location", site, 1, **overseas)
    assert await lives() == ("Indian/Reunion", "Indian/Reunion", True)
    await hear(practice, "HealthcareService", offer, 2)
    assert await lives() == ("Europe/Paris", "Europe/Paris", False)
    await hear(practice, "HealthcareService", offer, 3, zone("America/Miquelon"), **here)
    assert (await lives())[:2] == ("America/Miquelon", "America/Miquelon")
    await hear(practice, "HealthcareService", offer, 4, **here)
    await hear(practice, "Location", other, 1, zone("Pacific/Noumea"))
    await write(practice, agenda := schedule(id_, [f"HealthcareService/{offer}", f"Location/{other}"]))
    assert (await lives())[:2] == ("Pacific/Noumea", "Pacific/Noumea")
    await write(practice, agenda := schedule(id_, [f"HealthcareService/{offer}"]))
    await deliver(practice, f"Location/{site}", None)
    assert await lives() == ("Europe/Paris", "Europe/Paris", False)


async def test_an_offer_and_an_agenda_written_at_once(practice: Practice) -> None:
    """Neither misses the other, whoever commits first."""
    for attempt in range(10):
        id_, offer = unique("agenda"), unique("offre")
        await asyncio.gather(
            write(practice, schedule(id_, [f"HealthcareService/{offer}"])),
            hear(practice, "HealthcareService", offer, 1, notice(attempt)),
        )
        found = await stored(practice, id_)
        assert found is not None
        assert found.rules.minimum_notice == timedelta(hours=attempt)


async def test_an_offer_with_nonsense_does_not_stop_the_replica(practice: Practice) -> None:
    """What the directory has accepted is heard; a rule that cannot be read is none."""
    id_, offer = unique("agenda"), unique("offre")
    await write(practice, schedule(id_, [f"HealthcareService/{offer}"]))
    broken = {"url": said.MINIMUM_NOTICE, "valueDuration": {"value": 3, "code": "fortnight"}}
    await hear(practice, "HealthcareService", offer, 1, broken, window(9), zone("Mars/Phobos"))
    found = await stored(practice, id_)
    assert found == AgendaRules(id_, AccessRules(window=BookingWindow(9)), ZoneInfo("Europe/Paris"))


# -- reading the extensions --------------------------------------------------------------------------------------


def age(**ends: tuple[int, str]) -> Resource:
    quantities = {name: {"value": v, "system": said.UCUM, "code": c} for name, (v, c) in ends.items()}
    return {"url": said.AGE_LIMIT, "valueRange": quantities}


@pytest.mark.parametrize(
    ("extension", "limits"),
    [
        (age(low=(0, "a"), high=(16, "a")), AgeLimit(0, 17 * 12)),
        (age(high=(183, "mo")), AgeLimit(0, 184)),
        (age(low=(15, "a")), AgeLimit(180, None)),
        (age(low=(6, "mo"), high=(3, "a")), AgeLimit(6, 48)),
    ],
)
def test_both_ends_of_an_age_range_are_included(extension: Resource, limits: AgeLimit) -> None:
    assert said.rules_of({"resourceType": "Schedule", "extension": [extension]}).age == limits


@pytest.mark.parametrize(
    ("extension", "path"),
    [
        ({"url": said.MINIMUM_NOTICE}, "valueDuration.code"),
        ({"url": said.MINIMUM_NOTICE, "valueDuration": {"value": 1, "code": "wk"}}, "valueDuration.code"),
        ({"url": said.CHANGE_DEADLINE, "valueDuration": {"value": -1, "code": "h"}}, "valueDuration.value"),
        ({"url": said.CHANGE_DEADLINE, "valueDuration": {"code": "h"}}, "valueDuration.value"),
        (
            {"url": said.CHANGE_DEADLINE, "valueDuration": {"value": 9, "code": "h", "comparator": "<"}},
            "valueDuration.value",
        ),
        (
            {"url": said.CHANGE_DEADLINE, "valueDuration": {"value": 99_999_999, "code": "d"}},
            "valueDuration.value",
        ),
        ({"url": said.BOOKING_WINDOW, "extension": []}, "extension.where(url='days')"),
        (window(99_999), "extension.where(url='days')"),
        (
            {
                "url": said.BOOKING_WINDOW,
                "extension": [*window(9)["extension"], {"url": "weeks", "valueInteger": 1}],
            },
            "extension",
        ),
        (age(), "valueRange"),
        (age(low=(9, "a"), high=(8, "a")), "valueRange"),
        (age(low=(999, "a")), "valueRange"),
        (age(high=(8, "d")), "valueRange.high.code"),
        ({"url": said.APPOINTMENTS_MAX, "valueString": "deux"}, "valuePositiveInt"),
    ],
)
def test_what_cannot_be_read_as_a_rule_is_refused_by_its_path(extension: Resource, path: str) -> None:
    resource = {"resourceType": "Schedule", "extension": [zone("Europe/Paris"), extension]}
    with pytest.raises(Unprocessable) as refused, in_words():
        said.rules_of(resource)
    (issue,) = refused.value.issues
    assert issue.expression == (f"Schedule.extension[1].{path}",)
    assert issue.details_code == "access-rule"


def test_a_rule_is_given_once() -> None:
    with pytest.raises(Unprocessable) as refused, in_words():
        said.rules_of({"resourceType": "Schedule", "extension": [notice(1), notice(2)]})
    assert refused.value.issues[0].expression == ("Schedule.extension[1]",)
