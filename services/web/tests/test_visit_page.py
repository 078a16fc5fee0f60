"""P4, P14, P16, P17, P21: what the page of an appointment says, to whom, and what its calendar file holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import icalendar
import pytest

from creneau_shared.vtimezone import timezone_bytes

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, ZONE, appointment
from .test_visits import booked


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("GET", "/Appointment/a-1", booked(), ETag='W/"3"')
    await person.sign_in()


async def test_the_page_says_all_that_one_needs_to_go_there(person: Person, fhir: FhirBase) -> None:
    """P4, P17: by the clock of the place, with its address and telephone."""
    said: dict[str, Any] = {
        "serviceType": [{"text": "Suivi d'acné"}],
        "patientInstruction": "Apportez vos ordonnances.",
        "comment": "Je viens en fauteuil.",
    }
    unnamed = [
        {"actor": {"reference": "Patient/camille"}},
        {"actor": {"reference": "PractitionerRole/role-1"}},
    ]
    fhir.on("GET", "/Appointment/a-1", booked(**said, participant=unnamed))
    page = await person.open("/rendez-vous/a-1")
    for words in (
        "mardi 1er décembre à 10 h",
        "10 h 15",
        "Dr Inès Bianchi",
        "83 boulevard de la République, 97400 Saint-Denis",
        'href="tel:+262262980143"',
        "Suivi d&#39;acné",
        "Camille Martin",
        "Apportez vos ordonnances.",
        "Je viens en fauteuil.",
        "possible jusqu'au lundi 30 novembre à 22 h",
    ):
        assert words in page.text, words
    assert "Vous agissez pour" not in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_what_the_appointment_does_not_say_its_slot_does(person: Person, fhir: FhirBase) -> None:
    """P4: what was chosen is on the page, though the appointment holds a slot and no more."""
    fhir.on("GET", "/Slot/slot-1", SLOT)
    assert "Suivi d&#39;acné" in (await person.open("/rendez-vous/a-1")).text
    assert {a.token for a in fhir.asked if a.path == "/Slot/slot-1"} == {None}


async def test_who_came_by_a_link_is_led_to_nothing_that_it_does_not_open(
    person: Person, fhir: FhirBase
) -> None:
    """P14: nor does the page depend on what the link may not see."""
    fhir.refuse("POST", "/Communication/_search", 403, "forbidden")
    fhir.refuse("POST", "/Patient/_search", 403, "forbidden")
    await person.sign_in("link", provider="link")
    page = await person.open("/rendez-vous/a-1")
    assert page.status_code == 200
    assert "/rendez-vous/a-1/annuler" in page.text
    for path in ("/mon-espace", "/mes-rendez-vous", "/mes-messages"):
        assert f'href="{path}' not in page.text


async def test_messages_about_it_are_listed(person: Person, fhir: FhirBase) -> None:
    """P21: by what, when, and whether it left; of this appointment alone."""

    def message(about: str, text: str) -> dict[str, Any]:
        return {
            "resourceType": "Communication",
            "id": about,
            "status": "completed",
            "sent": "2026-11-30T08:05:00Z",
            "topic": {"text": text},
            "medium": [{"coding": [{"code": "SMSWRIT"}]}],
            "about": [{"reference": f"Appointment/{about}"}],
        }

    sent = searchset(message("a-1", "Confirmation"), message("a-2", "Rappel"))
    fhir.on("POST", "/Communication/_search", sent)
    page = (await person.open("/rendez-vous/a-1")).text
    assert "envoyé par SMS, lundi 30 novembre à 12 h 05" in page, "one page has one clock: that of the place"
    assert "Rappel" not in page


async def test_who_may_only_see_is_told_to_call(person: Person, fhir: FhirBase) -> None:
    """P16: without a moment until when, this account may not."""
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "téléphonez au cabinet" in page
    assert "/annuler" not in page
    assert "/deplacer" not in page


def until(name: str, moment: str) -> dict[str, Any]:
    return {
        "url": f"https://creneau.sante.fr/fhir/StructureDefinition/{name}-until",
        "valueInstant": moment,
    }


TONIGHT, YESTERDAY = "2026-11-30T18:00:00Z", "2026-11-29T18:00:00Z"


async def test_nobody_is_told_that_a_move_was_possible_until_later(person: Person, fhir: FhirBase) -> None:
    """P16: a vaccination centre, a room: the base would move it, and these pages need a professional for that."""
    room = [{"actor": {"reference": "Patient/camille"}}, {"actor": {"reference": "Location/l-2"}}]
    fhir.on("GET", "/Appointment/a-1", booked(participant=room))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "était possible" not in page
    assert "Annuler ici est possible jusqu'au lundi 30 novembre à 19 h" in page
    assert "Déplacer" not in page


async def test_who_may_only_cancel_is_promised_no_move(person: Person, fhir: FhirBase) -> None:
    """P13, P16: a relative to whom no more was given."""
    fhir.on("GET", "/Appointment/a-1", booked(extension=[until("cancelable", TONIGHT)]))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "Annuler ici est possible jusqu'au lundi 30 novembre à 22 h" in page
    assert "Déplacer" not in page
    assert "se déplace plus" not in page


async def test_too_late_to_move_is_told_beside_what_is_possible(person: Person, fhir: FhirBase) -> None:
    """P16."""
    said = [until("cancelable", TONIGHT), until("reschedulable", YESTERDAY)]
    fhir.on("GET", "/Appointment/a-1", booked(extension=said))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "c'était possible jusqu'au dimanche 29 novembre à 22 h" in page
    assert "Annuler ici est possible jusqu'au lundi 30 novembre à 22 h" in page
    assert "Déplacer ou annuler" not in page


async def test_both_are_promised_until_the_first_of_them_ends(person: Person, fhir: FhirBase) -> None:
    """P16."""
    said = [until("cancelable", TONIGHT), until("reschedulable", "2026-11-30T12:00:00Z")]
    fhir.on("GET", "/Appointment/a-1", booked(extension=said))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "Déplacer ou annuler ici est possible jusqu'au lundi 30 novembre à 16 h" in page


async def test_a_cancelled_one_says_so_and_leads_on(person: Person, fhir: FhirBase) -> None:
    """P16."""
    fhir.on("GET", "/Appointment/a-1", appointment("cancelled"))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "Ce rendez-vous est annulé" in page
    assert 'href="/soignants/role-1"' in page
    assert "/annuler" not in page


async def test_a_rule_that_changed_meanwhile_is_said_in_its_own_words(person: Person, fhir: FhirBase) -> None:
    """P16, and the same for a move: nothing is lost."""
    fhir.on("GET", "/Slot", searchset({**SLOT, "id": "slot-2"}, SCHEDULE))
    for method, path in (("PATCH", "/Appointment/a-1"), ("POST", "/Appointment/a-1/$reschedule")):
        fhir.refuse(method, path, 422, "change-too-late", "Jusqu'à deux jours avant.")
    await person.open("/rendez-vous/a-1/annuler")
    for path in ("/annuler", "/deplacer/verifier"):
        late = await person.send(f"/rendez-vous/a-1{path}", creneau="slot-2")
        assert "deux jours avant" in late.text
        assert "0262 98 01 43" in late.text


async def test_a_move_offers_times_of_the_same_reason_first(person: Person, fhir: FhirBase) -> None:
    other = {**SLOT, "id": "slot-3", "serviceType": [{"text": "Biopsie"}]}
    fhir.on("GET", "/Slot", searchset(SLOT, other))
    fhir.on("GET", "/Appointment/a-1", booked(serviceType=[{"text": "Suivi d'acné"}]))
    page = (await person.open("/rendez-vous/a-1/deplacer")).text
    assert 'value="slot-1"' in page
    assert 'value="slot-3"' not in page
    assert 'value="slot-3"' in (await person.open("/rendez-vous/a-1/deplacer?tous=1")).text


@pytest.mark.parametrize(
    ("zone", "local", "offset"),
    [
        ("Europe/Paris", "20261201T070000", "+0100"),
        ("Indian/Reunion", "20261201T100000", "+0400"),
        ("America/Cayenne", "20261201T030000", "-0300"),
    ],
)
async def test_the_calendar_file_has_the_zone_of_the_place(
    person: Person, fhir: FhirBase, zone: str, local: str, offset: str
) -> None:
    """P17: by the zone's name, and by its rules for calendars that do not know it, as in the file of the e-mail."""
    place = {**PLACE, "extension": [{"url": ZONE, "valueCode": zone}]}
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, place))
    answer = await person.open("/rendez-vous/a-1/agenda.ics")
    assert answer.headers["content-type"].startswith("text/calendar")
    event: Any = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")[0]
    assert f"DTSTART;TZID={zone}:{local}" in answer.text
    assert event["DTSTART"].dt.astimezone(UTC) == datetime(2026, 12, 1, 6, tzinfo=UTC)
    assert f"TZOFFSETTO:{offset}" in answer.text
    assert timezone_bytes(zone, 2026) in answer.content
    assert "SUMMARY:Rendez-vous\N{NO-BREAK SPACE}: Dr Inès Bianchi" in answer.text


async def test_the_file_of_a_cancelled_appointment_is_the_same_event_later(
    person: Person, fhir: FhirBase
) -> None:
    """P17: same UID, higher SEQUENCE."""
    gone = appointment("cancelled", meta={"versionId": "4", "lastUpdated": "2026-11-30T07:00:00Z"})
    fhir.on("GET", "/Appointment/a-1", gone)
    answer = await person.open("/rendez-vous/a-1/agenda.ics")
    event: Any = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")[0]
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == ("a-1@creneau", 3, "CANCELLED")
    assert event["DTSTAMP"].dt == datetime(2026, 11, 30, 7, tzinfo=UTC)


async def test_in_the_hour_that_a_clock_shows_twice_the_file_says_utc(person: Person, fhir: FhirBase) -> None:
    """P17."""
    place = {**PLACE, "extension": [{"url": ZONE, "valueCode": "Europe/Paris"}]}
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, place))
    night = booked(start="2027-10-31T00:50:00Z", end="2027-10-31T01:10:00Z")
    fhir.on("GET", "/Appointment/a-1", night)
    text = (await person.open("/rendez-vous/a-1/agenda.ics")).text
    assert "DTSTART:20271031T005000Z" in text
    assert "DTEND:20271031T011000Z" in text
