"""P16, P17, P21: an appointment is read, moved, cancelled, put into a calendar."""

from __future__ import annotations

from typing import Any

import httpx
import icalendar
import pytest

from .conftest import Asked, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment

LATER = {**SLOT, "id": "slot-2", "start": "2026-12-03T07:00:00Z", "end": "2026-12-03T07:15:00Z"}
OWN = "La même personne a déjà un rendez-vous à cette heure (jeudi 3 décembre, 11 h)."
UNTIL = "https://creneau.sante.fr/fhir/StructureDefinition/cancelable-until"


def booked(until: str = "2026-11-30T18:00:00Z", **other: Any) -> dict[str, Any]:
    """One that may be cancelled and moved until then."""
    said = [
        {"url": UNTIL, "valueInstant": until},
        {"url": UNTIL.replace("cancel", "reschedul"), "valueInstant": until},
    ]
    return appointment("booked", **{"meta": {"versionId": "3"}, "extension": said, **other})


def with_agenda(fhir: FhirBase, slot: dict[str, Any], agenda: dict[str, Any]) -> None:
    """Who asks for this slot gets it with its agenda."""
    fhir.rules.append(
        lambda asked: (
            httpx.Response(200, json=searchset(slot, agenda))
            if asked.path == "/Slot" and ("_id", slot["id"]) in asked.query
            else None
        )
    )


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("GET", "/Appointment/a-1", booked(), ETag='W/"3"')
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)
    with_agenda(fhir, LATER, SCHEDULE)
    await person.sign_in()


@pytest.mark.parametrize("mark", [")", "%3E", ".", ","])
async def test_a_mark_behind_a_link_is_taken_away(person: Person, mark: str) -> None:
    assert (await person.open(f"/rendez-vous/a-1{mark}")).headers["location"] == "/rendez-vous/a-1"


async def test_the_calendar_file_is_the_e_mail_s_event_in_the_place_s_zone(person: Person) -> None:
    """P17."""
    answer = await person.open("/rendez-vous/a-1/agenda.ics")
    event: Any = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")[0]
    assert (event["uid"], event["sequence"], event["status"]) == ("a-1@creneau", 2, "CONFIRMED")
    assert event["dtstart"].params["TZID"] == "Indian/Reunion"
    assert event["dtstart"].dt.hour == 10
    assert b"BEGIN:VTIMEZONE" in answer.content
    assert answer.headers["cache-control"] == "no-store"


async def test_what_somebody_has_still_to_agree_to_is_no_certain_event(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("GET", "/Appointment/a-1", appointment("pending"), ETag='W/"3"')
    answer = await person.open("/rendez-vous/a-1/agenda.ics")
    assert icalendar.Calendar.from_ical(answer.content).walk("VEVENT")[0]["status"] == "TENTATIVE"


async def test_with_whom_it_is_stands_in_the_agenda_where_it_names_nobody(
    person: Person, fhir: FhirBase
) -> None:
    """What software has booked for the patient alone: with whom, where, and by the clock of that place."""
    alone = [{"actor": {"reference": "Patient/camille"}, "status": "accepted"}]
    fhir.on("GET", "/Appointment/a-1", booked(participant=alone), ETag='W/"3"')
    page = await person.open("/rendez-vous/a-1")
    assert "Dr Inès Bianchi" in page.text
    assert "Cabinet du Belvédère" in page.text
    assert "10 h" in page.text
    fhir.on("POST", "/Appointment/_search", searchset(booked(participant=alone)))
    assert "Dr Inès Bianchi" in (await person.open("/mes-rendez-vous")).text


@pytest.mark.parametrize(
    ("names", "shown", "hidden"),
    [
        ("Location/l-2", "Cabinet du Piton", "Belvédère"),
        ("Location/l-1", "Cabinet du Belvédère", "Piton"),
        (None, "10 h", "Cabinet du"),
    ],
)
async def test_of_somebody_with_two_places_the_one_is_shown_that_is_named(
    person: Person, fhir: FhirBase, names: str | None, shown: str, hidden: str
) -> None:
    """None where the appointment names none: a wrong address is worse; the clock that both share is told all the same."""
    role = {**ROLE, "id": "role-2", "location": [{"reference": "Location/l-2"}]}
    other = {**PLACE, "id": "l-2", "name": "Cabinet du Piton"}
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE, role, other))
    actors = ["Patient/camille", "Practitioner/p-1", *([names] if names else [])]
    named = [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors]
    fhir.on("GET", "/Appointment/a-1", booked(participant=named), ETag='W/"3"')
    page = (await person.open("/rendez-vous/a-1")).text
    assert "Dr Inès Bianchi" in page
    assert shown in page
    assert hidden not in page
    [asked] = [asked for asked in fhir.asked if asked.path == "/PractitionerRole"]
    assert ("active:not", "false") in asked.query, "a role that has ended is no place of theirs"


async def test_whoever_names_no_role_is_looked_for_beside_those_who_do(
    person: Person, fhir: FhirBase
) -> None:
    """Two appointments of one list: by the role of one professional, and by another professional alone."""
    other = {**PRACTITIONER, "id": "p-2", "name": [{"text": "Dr Yann Le Goff"}]}
    role = {**ROLE, "id": "role-2", "practitioner": {"reference": "Practitioner/p-2"}}
    by_person = [
        {"actor": {"reference": "Patient/camille"}, "status": "accepted"},
        {"actor": {"reference": "Practitioner/p-2"}, "status": "accepted"},
    ]
    both = searchset(booked(), {**booked(participant=by_person), "id": "a-2"})
    fhir.on("POST", "/Appointment/_search", both)
    by_parameter = {
        "_id": searchset(ROLE, PRACTITIONER, PLACE),
        "practitioner": searchset(role, other, PLACE),
    }
    fhir.rules.append(
        lambda asked: (
            httpx.Response(200, json=by_parameter[asked.query[0][0]])
            if asked.path == "/PractitionerRole"
            else None
        )
    )
    page = (await person.open("/mes-rendez-vous")).text
    assert "Dr Inès Bianchi" in page
    assert "Dr Yann Le Goff" in page


async def test_it_is_cancelled_without_a_reason_and_once(person: Person, fhir: FhirBase) -> None:
    """P16: the version that was shown, and what follows said first."""
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    page = await person.open("/rendez-vous/a-1/annuler")
    assert "proposé à quelqu" in page.text
    answer = await person.send("/rendez-vous/a-1/annuler", version='W/"3"')
    assert answer.headers["location"] == "/rendez-vous/a-1"
    [sent] = [a for a in fhir.asked if a.method == "PATCH"]
    assert sent.headers["if-match"] == 'W/"3"'
    assert sent.body == [{"op": "replace", "path": "/status", "value": "cancelled"}]
    fhir.on("GET", "/Appointment/a-1", appointment("cancelled"))
    await person.send("/rendez-vous/a-1/annuler", version='W/"3"')
    assert len([a for a in fhir.asked if a.method == "PATCH"]) == 1


async def test_too_late_says_until_when_and_the_telephone(person: Person, fhir: FhirBase) -> None:
    """P16."""
    fhir.on("GET", "/Appointment/a-1", booked("2026-11-30T06:00:00Z"))
    page = await person.open("/rendez-vous/a-1/annuler")
    assert "lundi 30 novembre à 10 h" in page.text
    assert "0262 98 01 43" in page.text
    assert 'class="danger"' not in page.text


async def test_it_is_moved_once_and_both_times_are_named(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Appointment/a-1/$reschedule", booked())
    await person.open("/rendez-vous/a-1/deplacer")
    check = await person.follow(await person.send("/rendez-vous/a-1/deplacer", creneau="slot-2"))
    assert "mardi 1er décembre à 10 h" in check.text
    assert "jeudi 3 décembre à 11 h" in check.text
    for _ in range(2):
        answer = await person.send("/rendez-vous/a-1/deplacer/verifier", creneau="slot-2", version='W/"3"')
        assert answer.headers["location"] == "/rendez-vous/a-1"
    keys = {a.headers["idempotency-key"] for a in fhir.asked if a.path.endswith("$reschedule")}
    assert keys == {"move-a-1-3-slot-2"}
    assert {a.headers["if-match"] for a in fhir.asked if a.path.endswith("$reschedule")} == {'W/"3"'}


async def test_a_visit_stays_with_its_professional(person: Person, fhir: FhirBase) -> None:
    """An address or a form that names a time of somebody else: the check would name one, and the other be booked."""
    await person.open("/rendez-vous/a-1/deplacer")
    elsewhere = {**SCHEDULE, "id": "s-2", "actor": [{"reference": "PractitionerRole/role-2"}]}
    with_agenda(fhir, LATER, elsewhere)
    assert (await person.open("/rendez-vous/a-1/deplacer/verifier?creneau=slot-2")).status_code == 404
    sent = await person.send("/rendez-vous/a-1/deplacer/verifier", creneau="slot-2", version='W/"3"')
    assert sent.status_code == 404
    assert not [a for a in fhir.asked if a.path.endswith("$reschedule")]


async def test_a_visit_moves_within_an_agenda_of_its_professional_alone(
    person: Person, fhir: FhirBase
) -> None:
    alone = {**SCHEDULE, "actor": [{"reference": "Practitioner/p-1"}, {"reference": "Location/l-1"}]}
    fhir.on("GET", "/Schedule", searchset(alone))
    with_agenda(fhir, LATER, alone)
    check = await person.open("/rendez-vous/a-1/deplacer/verifier?creneau=slot-2")
    assert "jeudi 3 décembre à 11 h" in check.text


async def test_the_time_before_a_move_is_told_by_the_clock_of_where_it_was(
    person: Person, fhir: FhirBase
) -> None:
    """Moved by the practice from Rennes to La Réunion."""
    rennes = {**PLACE, "id": "l-2", "extension": [], "address": {"city": "Rennes", "postalCode": "35000"}}
    there = {**ROLE, "id": "role-2", "location": [{"reference": "Location/l-2"}]}
    by_role = {
        "role-1": searchset(ROLE, PRACTITIONER, PLACE),
        "role-2": searchset(there, PRACTITIONER, rennes),
    }
    fhir.rules.append(
        lambda asked: (
            httpx.Response(200, json=by_role[asked.query[0][1]])
            if asked.path == "/PractitionerRole"
            else None
        )
    )
    actors = ("Patient/camille", "PractitionerRole/role-2")
    before = booked(
        start="2026-12-03T08:00:00Z",
        end="2026-12-03T08:15:00Z",
        participant=[{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
    )
    fhir.on("GET", "/Appointment/a-1/_history", searchset(booked(), before))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "mardi 1er décembre à 10 h" in page
    assert "Avant, c'était le jeudi 3 décembre à 9 h." in page


async def test_somebody_faster_leaves_the_appointment_as_it_was(person: Person, fhir: FhirBase) -> None:
    fhir.refuse("POST", "/Appointment/a-1/$reschedule", 409, "slot-taken")
    await person.open("/rendez-vous/a-1/deplacer/verifier?creneau=slot-2")
    page = await person.follow(
        await person.send("/rendez-vous/a-1/deplacer/verifier", creneau="slot-2", version="x")
    )
    assert page.url.path == "/rendez-vous/a-1/deplacer/pris"
    assert "pas changé : mardi 1er décembre à 10 h" in page.text.replace("\xa0", " ")
    assert 'value="slot-1"' in page.text


async def test_ones_own_other_visit_keeps_a_move_from_being_made(person: Person, fhir: FhirBase) -> None:
    fhir.refuse("POST", "/Appointment/a-1/$reschedule", 409, "actor-occupied", OWN, "Patient/camille")
    await person.open("/rendez-vous/a-1/deplacer/verifier?creneau=slot-2")
    page = await person.send("/rendez-vous/a-1/deplacer/verifier", creneau="slot-2", version='W/"3"')
    assert page.status_code == 409
    assert "déjà un rendez-vous à cette heure" in page.text
    assert "Patient/camille" not in page.text
    assert 'href="/mes-rendez-vous">Voir' in page.text


async def test_for_somebody_else_a_banner_says_so(person: Person, fhir: FhirBase) -> None:
    """P13."""
    fhir.on("POST", "/Patient/_search", searchset({**CAMILLE, "id": "0"}, CAMILLE))
    for path in ("/rendez-vous/a-1", "/rendez-vous/a-1/annuler", "/rendez-vous/a-1/deplacer"):
        assert "Vous agissez pour Camille Martin" in (await person.open(path)).text, path


OFFER: dict[str, Any] = {
    "resourceType": "HealthcareService",
    "id": "h-1",
    "location": [{"reference": "Location/l-1"}],
}
ROOM = {"resourceType": "Location", "id": "room", "name": "Salle 2", "partOf": {"reference": "Location/l-1"}}


@pytest.mark.parametrize("actor", ["Location/l-1", "HealthcareService/h-1", "Location/room"])
async def test_a_visit_with_no_professional_is_told_by_the_clock_of_its_place(
    person: Person, fhir: FhirBase, actor: str
) -> None:
    """A vaccination centre's agenda is of a place, a room or an offer alone: 10 h in La Réunion, as its message says."""
    named = [{"actor": {"reference": one}, "status": "accepted"} for one in ("Patient/camille", actor)]
    fhir.on("GET", "/Appointment/a-1", booked(participant=named), ETag='W/"3"')
    fhir.on("POST", "/Appointment/_search", searchset(booked(participant=named)))
    fhir.on("GET", "/Location", searchset(ROOM, PLACE) if actor == "Location/room" else searchset(PLACE))
    fhir.on("GET", "/HealthcareService", searchset(OFFER, PLACE))
    fhir.asked.clear()
    page = (await person.open("/rendez-vous/a-1")).text
    assert "10 h" in page
    assert "7 h" not in page
    assert "Heures locales (Saint-Denis)" in page
    assert "83 boulevard de la République" in page
    asked = [asked.path for asked in fhir.asked if asked.path in ("/Location", "/HealthcareService")]
    assert asked == [f"/{actor.partition('/')[0]}"]
    listed = (await person.open("/mes-rendez-vous")).text
    assert "10 h" in listed
    assert "Heures locales (Saint-Denis)" in listed
    event: Any = icalendar.Calendar.from_ical((await person.open("/rendez-vous/a-1/agenda.ics")).content)
    assert event.walk("VEVENT")[0]["dtstart"].params["TZID"] == "Indian/Reunion"


async def test_a_professional_in_a_room_is_met_by_the_clock_of_its_site(
    person: Person, fhir: FhirBase
) -> None:
    """10 h in La Réunion, on the week of times as on the visit; the site is asked for with the professional."""
    role = {**ROLE, "location": [{"reference": "Location/room"}]}

    def roles(asked: Asked) -> httpx.Response | None:
        if asked.path != "/PractitionerRole":
            return None
        site = [PLACE] if ("_include:iterate", "Location:partof") in asked.query else []
        return httpx.Response(200, json=searchset(role, PRACTITIONER, ROOM, *site))

    fhir.rules.append(roles)
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    for path in ("/rendez-vous/a-1", "/soignants/role-1/creneaux", "/soignants/role-1"):
        page = (await person.open(path)).text
        assert "Saint-Denis" in page, path
        assert "7 h" not in page, path
        assert "0262 98 01 43" in page, path
    assert "10 h" in (await person.open("/soignants/role-1/creneaux")).text


async def test_where_an_offer_has_several_places_the_clock_that_they_share_is_named(
    person: Person, fhir: FhirBase
) -> None:
    """Which of them it is nobody says: no address is better than a wrong one."""
    both = {**OFFER, "location": [{"reference": "Location/l-1"}, {"reference": "Location/l-2"}]}
    fhir.on("GET", "/HealthcareService", searchset(both, PLACE, {**PLACE, "id": "l-2", "name": "Piton"}))
    named = [{"actor": {"reference": one}} for one in ("Patient/camille", "HealthcareService/h-1")]
    fhir.on("GET", "/Appointment/a-1", booked(participant=named), ETag='W/"3"')
    page = (await person.open("/rendez-vous/a-1")).text
    assert "10 h" in page
    assert "Heures locales (La Réunion)" in page
    assert "boulevard" not in page
