"""What both sides have to agree on, and what a practice does with a visit: each is told, with its way on (P16).

Asked for and not agreed to yet; another time that the practice proposes; moved and cancelled by the practice; series; groups.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from .conftest import NOW, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, VISIT, appointment
from .test_booking import choose
from .test_visits import booked

OURS = "https://creneau.sante.fr/fhir/StructureDefinition/"
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment."
SERIES = {"system": "https://creneau.sante.fr/fhir/identifier/series", "value": "s-1"}
RIGHTS = [
    {"url": f"{OURS}{name}-until", "valueInstant": "2026-12-01T06:00:00Z"}
    for name in ("cancelable", "reschedulable")
]
SHOWN = 'W/"1"'
"""version of the visit that the page shows"""
AGREES = {"url": f"{OURS}schedule-confirmation-required", "valueBoolean": True}
OTHER: dict[str, Any] = {
    "url": f"{OURS}counter-proposal",
    "extension": [
        {"url": "response", "valueReference": {"reference": "AppointmentResponse/r-1"}},
        {"url": "by", "valueReference": {"reference": "Practitioner/p-1"}},
        {"url": "start", "valueInstant": "2026-12-02T07:00:00Z"},
        {"url": "end", "valueInstant": "2026-12-02T07:15:00Z"},
    ],
}


HAS_PASSED = {
    **OTHER,
    "extension": [
        *OTHER["extension"][:2],
        {"url": "start", "valueInstant": NOW.isoformat()},
        {"url": "end", "valueInstant": (NOW + timedelta(minutes=15)).isoformat()},
    ],
}


def people(mine: str, theirs: str) -> list[dict[str, Any]]:
    return [
        {"actor": {"reference": "Patient/camille"}, "status": mine},
        {"actor": {"reference": "PractitionerRole/role-1"}, "status": theirs},
    ]


def asked(**said: Any) -> dict[str, Any]:
    """Booked where the practice agrees to each appointment: it has until Monday evening."""
    until = {"url": f"{OURS}held-until", "valueInstant": "2026-11-30T14:00:00Z"}
    return appointment(
        "pending", participant=people("accepted", "needs-action"), extension=[until, *RIGHTS], **said
    )


def proposed(other: dict[str, Any] = OTHER) -> dict[str, Any]:
    """The practice proposes another time for what is booked."""
    return appointment("booked", participant=people("needs-action", "tentative"), extension=[other, *RIGHTS])


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    await person.sign_in()


async def test_what_is_asked_for_says_that_it_is_not_booked_until_when_and_what_then(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("GET", "/Appointment/a-1", asked())
    page = (await person.open("/rendez-vous/a-1")).text
    assert "pas encore pris" in page
    assert "jusqu'au lundi 30 novembre à 18 h" in page, "by the clock of the place"
    assert "Sans réponse d'ici là" in page
    assert "agenda.ics" not in page, "nothing goes into a calendar that is not booked"
    assert "Retirer la demande" in page
    asking = (await person.open("/rendez-vous/a-1/annuler")).text.replace("\xa0", " ")
    assert asking.count("Retirer cette demande ?") == 2, "in title and heading"


async def test_that_a_practice_agrees_to_each_visit_is_said_before_one_asks(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("GET", "/Slot", searchset(SLOT, {**SCHEDULE, "extension": [AGREES]}))
    fhir.on("POST", "/Appointment/$hold", asked(), 201, Expires="Mon, 30 Nov 2026 08:10:00 GMT")
    check = await person.follow(await choose(person))
    assert "accepte lui-même chaque rendez-vous" in check.text
    assert "Demander ce rendez-vous" in check.text
    assert "Confirmer le rendez-vous" not in check.text


async def test_moving_says_that_the_visit_ends_by_asking_and_that_it_is_asked_for(
    person: Person, fhir: FhirBase
) -> None:
    """Where the practice agrees to each visit, the old time is given back as the new one is asked for."""
    later = {**SLOT, "id": "slot-2", "start": "2026-12-03T07:00:00Z", "end": "2026-12-03T07:15:00Z"}
    fhir.on("GET", "/Slot", searchset(later, {**SCHEDULE, "extension": [AGREES]}))
    fhir.on("GET", "/Appointment/a-1", booked(), ETag='W/"3"')
    check = await person.open("/rendez-vous/a-1/deplacer/verifier?creneau=slot-2")
    assert "accepte lui-même chaque rendez-vous" in check.text
    assert "vous rendez tout de suite votre rendez-vous du mardi 1er décembre à 10 h" in check.text
    assert "Demander cette heure" in check.text
    fhir.on("POST", "/Appointment/a-1/$reschedule", asked(), 202)
    sent = await person.send("/rendez-vous/a-1/deplacer/verifier", creneau="slot-2", version='W/"3"')
    fhir.on("GET", "/Appointment/a-1", asked())
    page = (await person.follow(sent)).text
    assert "Votre demande est envoyée au cabinet." in page
    assert "est déplacé" not in page
    again = (await person.open("/rendez-vous/a-1/deplacer/verifier?creneau=slot-2")).text
    assert "accepte lui-même chaque rendez-vous" in again
    assert "vous rendez" not in again, "what is only asked for is no visit to lose"


async def test_what_is_only_held_is_not_among_ones_appointments(person: Person, fhir: FhirBase) -> None:
    """It stands on its own page of the booking; what is asked for is listed, and says what it waits for."""
    held = appointment("pending", id="held", participant=people("accepted", "tentative"))
    fhir.on("POST", "/Appointment/_search", searchset(held, asked()))
    page = (await person.open("/mes-rendez-vous")).text
    assert "/rendez-vous/a-1" in page
    assert "/rendez-vous/held" not in page
    assert "attend l'accord du cabinet" in page


@pytest.mark.parametrize(
    ("button", "status", "start"),
    [
        ("accepter", "accepted", "2026-12-02T11:00:00+04:00"),
        ("garder", "accepted", "2026-12-01T10:00:00+04:00"),
        ("refuser", "declined", None),
    ],
)
async def test_another_time_that_the_practice_proposes_is_answered(
    person: Person, fhir: FhirBase, button: str, status: str, start: str | None
) -> None:
    """Both times stand on the page; what is sent is the patient's answer about one of them."""
    fhir.on("GET", "/Appointment/a-1", proposed())
    fhir.on("POST", "/AppointmentResponse", {"resourceType": "AppointmentResponse", "id": "r-2"}, 201)
    assert "mercredi 2 décembre à 11 h" in (await person.open("/rendez-vous/a-1")).text
    page = (await person.open("/rendez-vous/a-1/repondre")).text
    assert "mardi 1er décembre à 10 h" in page
    assert "Accepter mercredi 2 décembre à 11 h" in page
    assert "Ne venir à aucun des deux" in page
    assert 'name="version" value="W/&#34;1&#34;"' in page
    sent = await person.send("/rendez-vous/a-1/repondre", reponse=button, version=SHOWN)
    assert sent.headers["location"] == "/rendez-vous/a-1"
    [made] = [one.body for one in fhir.asked if one.path == "/AppointmentResponse"]
    assert (made["participantStatus"], made.get("start")) == (status, start)
    assert made["actor"] == {"reference": "Patient/camille"}


async def test_another_time_that_has_passed_is_not_offered_any_more(person: Person, fhir: FhirBase) -> None:
    """What stands, stands: nothing is left to answer, on no page."""
    visit = proposed(HAS_PASSED)
    fhir.on("GET", "/Appointment/a-1", visit)
    page = (await person.open("/rendez-vous/a-1")).text.replace("\xa0", " ")
    assert "lundi 30 novembre à 12 h. Il est passé, vous ne pouvez plus l'accepter." in page
    assert "Votre rendez-vous ne change pas." in page
    assert "/repondre" not in page
    assert (await person.open("/rendez-vous/a-1/repondre")).headers["location"] == "/rendez-vous/a-1"
    fhir.on("POST", "/Appointment/_search", searchset(visit))
    listed = (await person.open("/mes-rendez-vous")).text
    assert "/rendez-vous/a-1" in listed
    assert "attend votre réponse" not in listed


async def test_who_has_still_to_agree_keeps_their_time_when_the_other_has_passed(
    person: Person, fhir: FhirBase
) -> None:
    asked_of = people("needs-action", "tentative")
    waits = appointment("pending", participant=asked_of, extension=[HAS_PASSED, *RIGHTS])
    fhir.on("GET", "/Appointment/a-1", waits)
    fhir.on("POST", "/AppointmentResponse", {"resourceType": "AppointmentResponse", "id": "r-2"}, 201)
    assert "/rendez-vous/a-1/repondre" in (await person.open("/rendez-vous/a-1")).text
    page = (await person.open("/rendez-vous/a-1/repondre")).text
    assert 'value="accepter"' not in page
    assert "Garder mardi 1er décembre à 10 h" in page
    await person.send("/rendez-vous/a-1/repondre", reponse="garder", version=SHOWN)
    [made] = [one.body for one in fhir.asked if one.path == "/AppointmentResponse"]
    assert (made["participantStatus"], made["start"]) == ("accepted", "2026-12-01T10:00:00+04:00")


async def test_what_was_written_down_for_a_time_that_has_come_is_not_offered(
    person: Person, fhir: FhirBase
) -> None:
    waits = appointment("proposed", participant=people("needs-action", "accepted"), start=NOW.isoformat())
    fhir.on("GET", "/Appointment/a-1", waits)
    assert "/rendez-vous/a-1/repondre" not in (await person.open("/rendez-vous/a-1")).text
    assert (await person.open("/rendez-vous/a-1/repondre")).headers["location"] == "/rendez-vous/a-1"


@pytest.mark.parametrize("button", ["accepter", "garder", "refuser"])
async def test_only_what_was_shown_is_answered(person: Person, fhir: FhirBase, button: str) -> None:
    """Another proposal meanwhile, or another time that stands, is shown first, whatever the answer."""
    fhir.on("GET", "/Appointment/a-1", proposed())
    await person.open("/rendez-vous/a-1/repondre")
    fhir.on("GET", "/Appointment/a-1", {**proposed(), "meta": {"versionId": "2"}})
    other = await person.send("/rendez-vous/a-1/repondre", reponse=button, version=SHOWN)
    assert (other.status_code, "a changé sa proposition" in other.text) == (409, True)
    assert not [one for one in fhir.asked if one.path == "/AppointmentResponse"]


async def test_a_time_that_has_gone_is_said_in_the_words_of_the_refusal(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("GET", "/Appointment/a-1", proposed())
    await person.open("/rendez-vous/a-1/repondre")
    fhir.refuse("POST", "/AppointmentResponse", 409, "slot-taken", "Ce créneau est pris.")
    gone = await person.send("/rendez-vous/a-1/repondre", reponse="accepter", version=SHOWN)
    assert (gone.status_code, "Ce créneau est pris." in gone.text) == (409, True)
    own = "La même personne a déjà un rendez-vous à cette heure."
    fhir.refuse("POST", "/AppointmentResponse", 409, "actor-occupied", own, "Patient/camille")
    elsewhere = await person.send("/rendez-vous/a-1/repondre", reponse="accepter", version=SHOWN)
    assert "déjà un rendez-vous à cette heure" in elsewhere.text
    assert "Patient/camille" not in elsewhere.text


async def test_what_the_practice_has_written_down_waits_for_the_patient(
    person: Person, fhir: FhirBase
) -> None:
    home = [{"coding": [{"system": VISIT, "code": "HH"}]}]
    waits = appointment("pending", participant=people("needs-action", "accepted"), serviceType=home)
    fhir.on("GET", "/Appointment/a-1", waits)
    visit = (await person.open("/rendez-vous/a-1")).text
    assert "/rendez-vous/a-1/repondre" in visit
    assert "téléphonez au cabinet" not in visit, "there is something to do here"
    page = (await person.open("/rendez-vous/a-1/repondre")).text
    assert "Accepter mardi 1er décembre à 10 h" in page
    assert 'value="garder"' not in page
    assert "aucun des deux" not in page, "there is one time only"
    assert "Refuser ce rendez-vous" in page
    assert "<dt>Où</dt><dd>À domicile</dd>" in page


async def test_who_came_by_a_link_answers_without_logging_in(person: Person, fhir: FhirBase) -> None:
    """P14: one press away."""
    fhir.on("GET", "/Appointment/a-1", proposed())
    fhir.on("POST", "/AppointmentResponse", {"resourceType": "AppointmentResponse", "id": "r-2"}, 201)
    await person.sign_in("link", provider="link")
    page = (await person.open("/rendez-vous/a-1")).text
    assert 'href="/rendez-vous/a-1/repondre"' in page
    assert 'href="/liste-attente?rendez-vous=a-1"' in page, "P15: and to wait for something earlier"
    await person.open("/rendez-vous/a-1/repondre")
    sent = await person.send("/rendez-vous/a-1/repondre", reponse="accepter", version=SHOWN)
    assert sent.headers["location"] == "/rendez-vous/a-1"
    [made] = [one for one in fhir.asked if one.path == "/AppointmentResponse"]
    assert made.headers["authorization"] == "Bearer token of link"
    assert made.body["actor"] == {"reference": "Patient/camille"}


async def test_what_a_link_may_not_answer_is_said_in_the_words_of_the_refusal(
    person: Person, fhir: FhirBase
) -> None:
    """The visit has become somebody else's while the page stood open: nothing breaks."""
    fhir.on("GET", "/Appointment/a-1", proposed())
    fhir.refuse(
        "POST", "/AppointmentResponse", 403, "not-yours", "Vous ne pouvez écrire que ce qui vous concerne."
    )
    await person.sign_in("link", provider="link")
    await person.open("/rendez-vous/a-1/repondre")
    refused = await person.send("/rendez-vous/a-1/repondre", reponse="refuser", version=SHOWN)
    assert (refused.status_code, "ce qui vous concerne" in refused.text) == (403, True)


async def test_what_was_moved_says_from_when_and_why_and_leads_to_other_times(
    person: Person, fhir: FhirBase
) -> None:
    """`$close`: the practice closes a day, and its visits go elsewhere."""
    why = {"url": f"{OURS}reschedule-reason", "valueString": "Formation du médecin."}
    now = booked(
        meta={"versionId": "4"},
        start="2026-12-03T06:00:00Z",
        end="2026-12-03T06:15:00Z",
        extension=[why, *RIGHTS],
    )
    fhir.on("GET", "/Appointment/a-1", now)
    held = appointment("pending", start="2026-11-30T06:00:00Z")
    fhir.on("GET", "/Appointment/a-1/_history", searchset(now, booked(meta={"versionId": "3"}), held))
    page = (await person.open("/rendez-vous/a-1")).text
    assert "L'heure de ce rendez-vous a changé" in page
    assert "Avant, c'était le mardi 1er décembre à 10 h." in page
    assert "Formation du médecin." in page
    assert 'href="/rendez-vous/a-1/deplacer"' in page


async def test_what_was_never_moved_says_nothing_of_it(person: Person, fhir: FhirBase) -> None:
    held = appointment("pending", start="2026-11-30T06:00:00Z")
    fhir.on("GET", "/Appointment/a-1", booked(meta={"versionId": "2"}))
    fhir.on("GET", "/Appointment/a-1/_history", searchset(booked(), held))
    assert "a changé" not in (await person.open("/rendez-vous/a-1")).text


async def test_what_the_practice_cancels_says_who_why_and_what_instead(
    person: Person, fhir: FhirBase
) -> None:
    said = [
        {"url": f"{OURS}cancelled-by", "valueCode": "provider"},
        {"url": f"{R5}note", "valueAnnotation": {"text": "Rappelez-nous lundi."}},
        {"url": f"{OURS}replaced-by", "valueReference": {"reference": "Appointment/a-2"}},
    ]
    gone = appointment("cancelled", cancelationReason={"text": "Médecin absent."}, extension=said)
    fhir.on("GET", "/Appointment/a-1", gone)
    page = (await person.open("/rendez-vous/a-1")).text
    for words in (
        "C'est le cabinet qui l'a annulé",
        "Médecin absent.",
        "Rappelez-nous lundi.",
        'href="/rendez-vous/a-2"',
    ):
        assert words in page, words
    assert 'class="button" href="/soignants/role-1"' in page


async def test_a_series_names_its_others_and_is_cancelled_as_far_as_one_wants(
    person: Person, fhir: FhirBase
) -> None:
    number = {"url": f"{R5}recurrenceId", "valuePositiveInt": 2}
    second = booked(identifier=[SERIES], extension=[number, *RIGHTS])
    third = booked(id="a-3", identifier=[SERIES], start="2026-12-08T06:00:00Z", end="2026-12-08T06:15:00Z")
    fhir.on("GET", "/Appointment/a-1", second)
    fhir.on("POST", "/Appointment/_search", searchset(second, third))
    fhir.on("POST", "/Appointment/a-1/$cancel", second)
    page = (await person.open("/rendez-vous/a-1")).text
    assert "n° 2 de la série" in page
    assert 'href="/rendez-vous/a-3"' in page
    assert "{n} autre" not in (await person.open("/rendez-vous/a-1/annuler")).text
    await person.send("/rendez-vous/a-1/annuler", combien="this-and-following", raison="pat")
    [call] = [one.body["parameter"] for one in fhir.asked if one.path.endswith("$cancel")]
    assert {"name": "scope", "valueCode": "this-and-following"} in call
    assert call[1]["valueCodeableConcept"]["coding"][0]["code"] == "pat"


async def test_a_series_that_is_not_cancelled_as_a_whole_leaves_the_choice_of_this_one(
    person: Person, fhir: FhirBase
) -> None:
    """Another of the series is too near: this one can be cancelled as before, and no deadline of its own is over."""
    this = booked(identifier=[SERIES], extension=RIGHTS)
    near = booked(id="a-0", identifier=[SERIES], start="2026-11-30T12:00:00Z", end="2026-11-30T12:15:00Z")
    fhir.on("GET", "/Appointment/a-1", this)
    fhir.on("POST", "/Appointment/_search", searchset(near, this))
    told = "Rendez-vous 1/2 de la série : trop tard. Rien n'est changé."
    fhir.refuse("POST", "/Appointment/a-1/$cancel", 422, "change-too-late", told)
    await person.open("/rendez-vous/a-1/annuler")
    refused = await person.send("/rendez-vous/a-1/annuler", combien="all", raison="pat")
    text = refused.text.replace("&#39;", "'")
    assert refused.status_code == 422
    assert told in text
    assert "était possible" not in text
    assert 'value="this"' in text
    assert 'value="all" checked' in text
    assert 'value="pat" checked' in text
    fhir.on("PATCH", "/Appointment/a-1", {**this, "status": "cancelled"})
    alone = await person.send("/rendez-vous/a-1/annuler", combien="this")
    assert alone.headers["location"] == "/rendez-vous/a-1"


async def test_a_group_says_how_many_places_are_left(person: Person, fhir: FhirBase) -> None:
    group = {**SLOT, "extension": [{"url": f"{OURS}slot-places-left", "valueUnsignedInt": 3}]}
    fhir.on("GET", "/Slot", searchset(group, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", group)
    fhir.on("POST", "/Appointment/$hold", asked(), 201, Expires="Mon, 30 Nov 2026 08:10:00 GMT")
    assert "groupe, 3 places" in (await person.open("/soignants/role-1/creneaux")).text
    assert "Séance en groupe" in (await person.follow(await choose(person))).text
