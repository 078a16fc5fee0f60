"""With whom and where a visit is, by what the directory has said of whom it names: the rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from creneau_notifications.domain.visit import Fact, Visit, visit_of
from creneau_notifications.storage import facts

from .conftest import Service
from .factories import EPOCH, LOCATION, PRACTITIONER, START, appointment

REUNION = replace(
    LOCATION,
    reference="Location/volcan",
    name="Cabinet du Volcan",
    phone="+262262980143",
    zone="Indian/Reunion",
)
OTHER = replace(REUNION, reference="Location/piton", name="Cabinet du Piton")


def role(name: str, *places: Fact, phone: str | None = None) -> Fact:
    return Fact(
        f"PractitionerRole/{name}",
        phone=phone,
        practitioner=PRACTITIONER.reference,
        locations=tuple(place.reference for place in places),
    )


def alone(*known: Fact) -> Visit:
    """A visit that names the professional and nobody else."""
    return visit_of(
        appointment(actors=(PRACTITIONER.reference,)), {f.reference: f for f in (PRACTITIONER, *known)}
    )


def test_whoever_works_at_one_place_is_met_there() -> None:
    """An agenda of a person alone: where, whom to telephone and by which clock, their only role says."""
    told = alone(role("one", REUNION), REUNION)
    assert (told.professional, told.place, told.phone) == (PRACTITIONER.name, REUNION.name, REUNION.phone)
    assert (str(told.zone), told.zone_known, told.complete) == ("Indian/Reunion", True, True)
    two = alone(role("one", REUNION), role("two", REUNION), REUNION)
    assert (two.place, str(two.zone)) == (REUNION.name, "Indian/Reunion")


def test_the_number_of_the_role_is_nearer_than_that_of_the_place() -> None:
    """As pages have it: whoever calls reaches who keeps that agenda."""
    assert alone(role("one", REUNION, phone="+262262000009"), REUNION).phone == "+262262000009"


def test_it_waits_for_the_place_of_that_role() -> None:
    assert not alone(role("one", REUNION)).complete
    assert alone().complete


def test_of_several_places_none_is_told_but_the_clock_that_they_share() -> None:
    told = alone(role("one", REUNION), role("two", OTHER), REUNION, OTHER)
    assert (told.place, told.address, told.phone) == (None, (), None)
    assert (str(told.zone), told.zone_known, told.complete) == ("Indian/Reunion", True, True)


def test_of_clocks_that_differ_none_is_known() -> None:
    told = alone(role("one", REUNION), role("two", LOCATION), REUNION, LOCATION)
    assert (told.place, str(told.zone), told.zone_known) == (None, "Europe/Paris", False)


PRACTICE = Fact("Organization/volcan", name="Cabinet du Volcan")
ENDED: list[Any] = [
    pytest.param([replace(role("two", OTHER), active=False), OTHER], id="a role that is out of use"),
    pytest.param([replace(role("two", OTHER), until=START), OTHER], id="a role that has ended by then"),
    pytest.param(
        [replace(role("two", OTHER), since=START + timedelta(days=1)), OTHER], id="a role that begins later"
    ),
    pytest.param([role("two", OTHER), replace(OTHER, active=False)], id="a place that is closed"),
    pytest.param(
        [
            replace(role("two", OTHER), organization=PRACTICE.reference),
            replace(PRACTICE, active=False),
            OTHER,
        ],
        id="an organisation that is no more",
    ),
    pytest.param(
        [role("two", REUNION, OTHER), replace(OTHER, active=False)], id="one of two places is closed"
    ),
]


@pytest.mark.parametrize("ended", ENDED)
def test_where_somebody_does_not_work_on_that_day_keeps_no_address_out(ended: list[Fact]) -> None:
    told = alone(role("one", REUNION), REUNION, *ended)
    assert (told.place, told.phone, str(told.zone)) == (REUNION.name, REUNION.phone, "Indian/Reunion")
    assert told.complete


def test_a_role_that_ends_after_the_visit_counts_and_one_that_has_ended_tells_nothing() -> None:
    one = role("one", REUNION)
    until, since = START + timedelta(hours=1), START - timedelta(days=9)
    assert alone(replace(one, since=since, until=until), REUNION).place == REUNION.name
    told = alone(replace(one, until=since), REUNION)
    assert (told.place, told.phone, told.zone_known) == (None, None, False)


def test_a_named_role_is_met_at_those_of_its_places_that_are_open() -> None:
    """At whatever it says, where none is: the visit stands."""
    closed = replace(REUNION, active=False)
    named = replace(role("named", closed, LOCATION), active=False)
    visit = appointment(actors=(named.reference,))
    known = {fact.reference: fact for fact in (PRACTITIONER, named, closed, LOCATION)}
    assert visit_of(visit, known).place == LOCATION.name
    known |= {LOCATION.reference: replace(LOCATION, active=False), named.reference: role("named", LOCATION)}
    assert visit_of(visit, known).place == LOCATION.name


@pytest.mark.parametrize("named", [LOCATION.reference, "PractitionerRole/named", "HealthcareService/offre"])
def test_what_is_named_counts_whatever_other_roles_say(named: str) -> None:
    known = [
        PRACTITIONER,
        LOCATION,
        role("named", LOCATION),
        Fact("HealthcareService/offre", name="Consultation", locations=(LOCATION.reference,)),
        role("other", REUNION),
        REUNION,
    ]
    told = visit_of(
        appointment(actors=(PRACTITIONER.reference, named)), {fact.reference: fact for fact in known}
    )
    assert (told.place, str(told.zone)) == (LOCATION.name, "Europe/Paris")


ROOM = Fact("Location/a-salle-3", name="Salle 3", part_of="Location/a-batiment")
BUILDING = Fact("Location/a-batiment", name="Bâtiment B", part_of=REUNION.reference)


def named(*actors: Fact, known: tuple[Fact, ...] = ()) -> Visit:
    visit = appointment(actors=tuple(fact.reference for fact in actors))
    return visit_of(visit, {fact.reference: fact for fact in (*actors, *known)})


@pytest.mark.parametrize(
    "actors", [(ROOM,), (ROOM, REUNION), (REUNION, ROOM)], ids=["room", "both", "site first"]
)
def test_a_room_is_told_with_the_site_that_it_is_part_of(actors: tuple[Fact, ...]) -> None:
    told = named(PRACTITIONER, *actors, known=(BUILDING, REUNION))
    assert told.place == "Cabinet du Volcan, Bâtiment B, Salle 3"
    assert (told.address, told.phone) == (REUNION.address, REUNION.phone)
    assert (str(told.zone), told.position) == ("Indian/Reunion", (REUNION.latitude, REUNION.longitude))
    assert told.complete


def test_what_a_room_says_itself_counts_and_a_circle_of_rooms_ends() -> None:
    own = replace(ROOM, phone="+262262000003", latitude=-20.9, longitude=55.5)
    told = named(own, known=(BUILDING, REUNION))
    assert (told.phone, told.position, told.address) == (own.phone, (-20.9, 55.5), REUNION.address)
    told = named(ROOM, known=(replace(BUILDING, part_of=ROOM.reference),))
    assert (told.place, told.address, told.zone_known) == ("Bâtiment B, Salle 3", (), False)


def test_it_waits_for_what_a_room_is_part_of() -> None:
    assert not named(ROOM).complete
    assert not named(ROOM, known=(BUILDING,)).complete


def test_a_room_of_which_nothing_is_said_is_at_the_only_place_of_the_role() -> None:
    """A place with an address is elsewhere; of several places of the role none is told but the clock that they share."""
    bare = replace(ROOM, part_of=None)
    told = named(PRACTITIONER, role("one", REUNION), bare, known=(REUNION,))
    assert (told.place, told.address) == ("Cabinet du Volcan, Salle 3", REUNION.address)
    assert (str(told.zone), told.phone, told.complete) == ("Indian/Reunion", REUNION.phone, True)
    told = named(PRACTITIONER, role("one", REUNION, OTHER), bare, known=(REUNION, OTHER))
    assert (told.place, told.address, str(told.zone)) == ("Salle 3", (), "Indian/Reunion")
    assert named(role("one", REUNION), LOCATION, known=(REUNION,)).place == LOCATION.name


def test_of_several_places_with_addresses_the_first_that_is_named_is_told() -> None:
    assert named(OTHER, LOCATION).place == OTHER.name
    assert named(LOCATION, OTHER).place == LOCATION.name


async def test_the_site_of_a_room_is_found_with_it(service: Service) -> None:
    async with service.database.transaction() as connection:
        for fact in (ROOM, BUILDING, REUNION, OTHER):
            await facts.save(connection, fact, EPOCH)
        found = await facts.find(connection, [ROOM.reference], START)
    assert found == {fact.reference: fact for fact in (ROOM, BUILDING, REUNION)}


async def test_the_roles_of_a_person_are_found_with_their_places(service: Service) -> None:
    one = replace(
        role("one", REUNION), organization=PRACTICE.reference, active=False, since=EPOCH, until=START
    )
    async with service.database.transaction() as connection:
        for fact in (
            PRACTITIONER,
            REUNION,
            PRACTICE,
            one,
            replace(one, reference="PractitionerRole/x", practitioner="Practitioner/x"),
        ):
            await facts.save(connection, fact, EPOCH)
        found = await facts.find(connection, [PRACTITIONER.reference], START)
    assert found == {fact.reference: fact for fact in (PRACTITIONER, REUNION, PRACTICE, one)}


def test_all_who_are_there_are_named() -> None:
    """A visit with two professionals, each by a role of their own."""
    other = Fact("Practitioner/prat-hoarau", name="Dr Jules Hoarau")
    theirs = replace(role("two", REUNION), practitioner=other.reference)
    known = {fact.reference: fact for fact in (PRACTITIONER, other, role("one", REUNION), theirs, REUNION)}
    told = visit_of(appointment(actors=("PractitionerRole/one", "PractitionerRole/two")), known)
    assert told.professional == f"{other.name}, {PRACTITIONER.name}"
