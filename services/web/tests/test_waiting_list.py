"""The waiting list: joined from a visit or a professional, and what it offers answered by one button each."""

from __future__ import annotations

from typing import Any

import pytest

from creneau_web.visits.reading import HIDDEN

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, VISIT, appointment
from .test_beside import acting_for

OURS = "https://creneau.sante.fr/fhir/StructureDefinition/"
SINCE = {"url": f"{OURS}waiting-since", "valueInstant": "2026-11-30T08:00:00Z"}
UNTIL = {"url": f"{OURS}held-until", "valueInstant": "2026-12-01T20:00:00Z"}

UNTIL_LATER = [
    {"url": f"{OURS}{name}-until", "valueInstant": "2030-01-01T00:00:00Z"}
    for name in ("cancelable", "reschedulable")
]
REPLACES = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.replaces"
A_1 = {"reference": "Appointment/a-1"}
SHOWN = {"version": 'W/"1"'}
"""what the form of a page sends beside its key"""


def offer(**other: Any) -> dict[str, Any]:
    return appointment("pending", extension=[SINCE, UNTIL], **other)


def wish(**other: Any) -> dict[str, Any]:
    found = {**appointment("waitlist", id="w-1", extension=[SINCE]), **other}
    return {name: value for name, value in found.items() if name not in ("start", "end", "slot")}


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    await person.sign_in()


async def test_p15_an_offer_says_until_when_and_is_accepted_in_one_action(
    person: Person, fhir: FhirBase
) -> None:
    """Whoever opens the appointment, by the link of the message too, comes to the offer."""
    fhir.on("GET", "/Appointment/a-1", offer())
    arrived = await person.open("/rendez-vous/a-1")
    assert arrived.headers["location"] == "/liste-attente/a-1"
    page = (await person.open("/liste-attente/a-1")).text
    assert "Elle vous est gardée jusqu" in page
    assert "mercredi 2 décembre 2026 à 0 h 00" in page or "2 décembre" in page, "by the clock of La Réunion"
    assert "Heures locales (Saint-Denis)" in page
    fhir.on("PATCH", "/Appointment/a-1", appointment("booked"))
    accepted = await person.send("/liste-attente/a-1/accepter", **SHOWN)
    assert (accepted.status_code, accepted.headers["location"]) == (303, "/rendez-vous/a-1")
    patched = [asked.body for asked in fhir.asked if asked.method == "PATCH"]
    assert patched == [[{"op": "replace", "path": "/status", "value": "booked"}]]


@pytest.mark.parametrize("oneself", [True, False])
@pytest.mark.parametrize("path", ["/liste-attente/a-1", "/liste-attente?rendez-vous=a-1"])
async def test_whoever_acts_for_somebody_reads_so_where_they_wait(
    person: Person, fhir: FhirBase, path: str, oneself: bool
) -> None:
    """P13: on the offer, and where one asks for something earlier."""
    fhir.on("GET", "/Appointment/a-1", offer() if path.endswith("/a-1") else appointment("booked"))
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", oneself, "see book")))
    page = await person.open(path)
    assert page.status_code == 200
    assert ("Vous agissez pour Camille Martin" in page.text) != oneself


async def test_an_offer_of_a_practice_that_agrees_to_each_visit_says_so_and_is_asked_for(
    person: Person, fhir: FhirBase
) -> None:
    """Before and after; the visit that would be replaced is kept until the practice has answered."""
    agenda = {
        **SCHEDULE,
        "extension": [{"url": f"{OURS}schedule-confirmation-required", "valueBoolean": True}],
    }
    fhir.on("GET", "/Slot", searchset(SLOT, agenda))
    replaces = {"url": REPLACES, "valueReference": {"reference": "Appointment/a-0"}}
    fhir.on("GET", "/Appointment/a-1", appointment("pending", extension=[SINCE, UNTIL, replaces]))
    page = (await person.open("/liste-attente/a-1")).text
    assert "accepte lui-même chaque rendez-vous" in page
    assert "vous gardez votre rang" in page
    assert "reste à vous jusqu'à sa réponse" in page
    assert "En acceptant, vous rendez" not in page
    people = [
        {"actor": {"reference": "Patient/camille"}, "status": "accepted"},
        {"actor": {"reference": "PractitionerRole/role-1"}, "status": "needs-action"},
    ]
    fhir.on("PATCH", "/Appointment/a-1", appointment("pending", participant=people), 202)
    sent = await person.send("/liste-attente/a-1/accepter", **SHOWN)
    fhir.on("GET", "/Appointment/a-1", appointment("pending", participant=people))
    told = (await person.follow(sent)).text
    assert "Votre demande est envoyée au cabinet." in told
    assert "est pris." not in told
    assert "vous y gardez votre rang" in told, (
        "who came by the waiting list stays on it until the practice agrees"
    )


async def test_an_offer_to_which_the_practice_has_agreed_beforehand_asks_nobody(
    person: Person, fhir: FhirBase
) -> None:
    agenda = {
        **SCHEDULE,
        "extension": [{"url": f"{OURS}schedule-confirmation-required", "valueBoolean": True}],
    }
    fhir.on("GET", "/Slot", searchset(SLOT, agenda))
    people = [
        {"actor": {"reference": "Patient/camille"}, "status": "needs-action"},
        {"actor": {"reference": "PractitionerRole/role-1"}, "status": "accepted"},
    ]
    home = [{"coding": [{"system": VISIT, "code": "HH"}]}]
    fhir.on("GET", "/Appointment/a-1", offer(participant=people, serviceType=home))
    assert "<dt>Où</dt><dd>À domicile</dd>" in (await person.open("/liste-attente/a-1")).text
    assert "accepte lui-même" not in (await person.open("/liste-attente/a-1")).text


async def test_an_offer_is_refused_or_the_list_left(person: Person, fhir: FhirBase) -> None:
    """Each in one action; whoever refuses sees that they stay."""
    fhir.on("GET", "/Appointment/a-1", offer())
    fhir.on("PATCH", "/Appointment/a-1", wish(id="a-1"))
    await person.open("/liste-attente/a-1")
    refused = await person.send("/liste-attente/a-1/refuser", **SHOWN)
    fhir.on("GET", "/Appointment/a-1", wish(id="a-1"))
    assert "Vous restez sur la liste" in (await person.follow(refused)).text
    fhir.on("PATCH", "/Appointment/a-1", wish(id="a-1", status="cancelled"))
    left = await person.send("/liste-attente/a-1/quitter", **SHOWN)
    assert "êtes plus sur la liste d" in (await person.follow(left)).text
    values = [asked.body[0]["value"] for asked in fhir.asked if asked.method == "PATCH"]
    assert values == ["waitlist", "cancelled"]


@pytest.mark.parametrize("how", ["accepter", "refuser", "quitter"])
@pytest.mark.parametrize("version", ['W/"1"', ""])
async def test_only_the_offer_that_was_shown_is_answered(
    person: Person, fhir: FhirBase, how: str, version: str
) -> None:
    """The same request has another time by now: it is shown, and nothing is booked, refused or left unseen."""
    fhir.on("GET", "/Appointment/a-1", offer())
    page = (await person.open("/liste-attente/a-1")).text
    assert page.count('name="version" value="W/&#34;1&#34;"') == 3
    fhir.on("GET", "/Appointment/a-1", offer(meta={"versionId": "3"}, start="2026-12-03T12:30:00Z"))
    other = await person.send(f"/liste-attente/a-1/{how}", version=version)
    assert other.status_code == 409
    assert "a changé entre-temps" in other.text
    assert "jeudi 3 décembre" in other.text
    assert not [asked for asked in fhir.asked if asked.method == "PATCH"]


async def test_an_offer_that_changes_while_it_is_answered_is_shown(person: Person, fhir: FhirBase) -> None:
    """Between reading and writing, the base compares the version."""
    fhir.on("GET", "/Appointment/a-1", offer())
    fhir.refuse("PATCH", "/Appointment/a-1", 412, "version-conflict")
    await person.open("/liste-attente/a-1")
    rival = await person.send("/liste-attente/a-1/accepter", **SHOWN)
    assert (rival.status_code, "a changé entre-temps" in rival.text) == (409, True)
    [patched] = [asked for asked in fhir.asked if asked.method == "PATCH"]
    assert patched.headers["if-match"] == 'W/"1"'


@pytest.mark.parametrize(
    ("how", "stands", "said"),
    [
        ("accepter", appointment("booked"), "le rendez-vous est pris"),
        ("accepter", appointment("pending"), "Votre demande est envoyée au cabinet."),
        ("refuser", wish(id="a-1"), "Vous restez sur la liste"),
        ("quitter", wish(id="a-1", status="cancelled"), "êtes plus sur la liste d"),
    ],
)
async def test_an_answer_pressed_twice_is_one(
    person: Person, fhir: FhirBase, how: str, stands: dict[str, Any], said: str
) -> None:
    """Pressed again, a button says what its first press has done."""
    fhir.on("GET", "/Appointment/a-1", offer())
    await person.open("/liste-attente/a-1")
    fhir.on("GET", "/Appointment/a-1", {**stands, "meta": {"versionId": "2"}})
    again = await person.follow(await person.send(f"/liste-attente/a-1/{how}", **SHOWN))
    assert said in again.text
    assert "plus en cours" not in again.text
    assert not [asked for asked in fhir.asked if asked.method == "PATCH"]


async def test_an_offer_that_has_ended_is_said(person: Person, fhir: FhirBase) -> None:
    """Refused by the server meanwhile, or ended before the button was pressed."""
    fhir.on("GET", "/Appointment/a-1", offer())
    fhir.refuse("PATCH", "/Appointment/a-1", 422, "hold-expired", "La mise en attente est terminée.")
    await person.open("/liste-attente/a-1")
    late = await person.send("/liste-attente/a-1/accepter", **SHOWN)
    assert (late.status_code, "est terminée" in late.text) == (422, True)
    fhir.on("GET", "/Appointment/a-1", wish(id="a-1"))
    over = await person.follow(await person.send("/liste-attente/a-1/accepter", **SHOWN))
    assert "plus en cours" in over.text


async def test_ones_appointments_show_what_is_offered_and_what_is_waited_for(
    person: Person, fhir: FhirBase
) -> None:
    """The offer first, and not a second time among what is to come."""
    fhir.on("POST", "/Appointment/_search", searchset(offer(), wish()))
    text = (await person.open("/mes-rendez-vous")).text
    assert "Dr Inès Bianchi" in text.partition('id="coming"')[0], (
        "with whom, though the request says only which agenda"
    )
    listed, _, coming = text.partition('id="coming"')
    assert listed.index("/liste-attente/a-1") < listed.index("/liste-attente/w-1")
    assert "/a-1" not in coming.partition('id="past"')[0]


async def test_p15_one_waits_for_something_earlier_than_a_visit(person: Person, fhir: FhirBase) -> None:
    """Of which it is, and instead of which, the base knows; and the visit says that one waits."""
    fhir.on("GET", "/Appointment/a-1", appointment("booked", extension=UNTIL_LATER))
    fhir.on("POST", "/Appointment/a-1/$wait", wish(), status=201)
    assert "/liste-attente?rendez-vous=a-1" in (await person.open("/rendez-vous/a-1")).text
    await person.open("/liste-attente?rendez-vous=a-1")
    said = {"rendez-vous": "a-1", "moment": "morning", "jusqu_au": "2026-12-01", "cle": "k1"}
    sent = await person.send("/liste-attente", **said)
    assert sent.headers["location"] == "/rendez-vous/a-1", sent.text
    [made] = [asked for asked in fhir.asked if asked.path == "/Appointment/a-1/$wait"]
    assert made.headers["idempotency-key"] == "k1"
    assert made.body["parameter"] == [
        {"name": "times", "valueCode": "morning"},
        {"name": "until", "valueDate": "2026-12-01"},
    ]
    replacing = {"url": REPLACES, "valueReference": {"reference": "Appointment/a-1"}}
    fhir.on("POST", "/Appointment/_search", searchset(wish(extension=[SINCE, replacing])))
    told = (await person.open("/rendez-vous/a-1")).text
    assert 'href="/liste-attente/w-1"' in told
    assert "/liste-attente?rendez-vous=a-1" not in told, "one waits already"


async def test_who_waits_for_something_earlier_than_a_hidden_visit_is_promised_no_message(
    person: Person, fhir: FhirBase
) -> None:
    """Their parents may read their mail."""
    fhir.on(
        "GET",
        "/Appointment/a-1",
        appointment("booked", extension=UNTIL_LATER, meta={"security": [HIDDEN], "versionId": "1"}),
    )
    fhir.on("POST", "/Appointment/a-1/$wait", wish(), status=201)
    await person.open("/liste-attente?rendez-vous=a-1")
    told = await person.follow(await person.send("/liste-attente", **{"rendez-vous": "a-1"}))
    assert "aucun message ne sera envoyé" in told.text
    assert "Nous vous écrirons" not in told.text


async def test_p15_who_came_by_a_link_waits_for_something_earlier(person: Person, fhir: FhirBase) -> None:
    """With the link's own token, and without an account: nobody is looked up for whom they might act."""
    await person.sign_in("link", provider="link")
    fhir.on("GET", "/Appointment/a-1", appointment("booked", extension=UNTIL_LATER))
    fhir.on("POST", "/Appointment/a-1/$wait", wish(), status=201)
    assert 'href="/liste-attente?rendez-vous=a-1"' in (await person.open("/rendez-vous/a-1")).text
    assert (await person.open("/liste-attente?rendez-vous=a-1")).status_code == 200
    sent = await person.send("/liste-attente", **{"rendez-vous": "a-1"})
    assert sent.headers["location"] == "/rendez-vous/a-1", sent.text
    assert not [asked for asked in fhir.asked if asked.path.startswith("/Patient")]
    fhir.on("GET", "/Appointment/w-1", wish(extension=[SINCE, {"url": REPLACES, "valueReference": A_1}]))
    page = (await person.open("/liste-attente/w-1")).text
    assert "/liste-attente/w-1/quitter" in page
    assert "Dr Inès Bianchi" in page
    assert 'href="/rendez-vous/a-1"' in page


@pytest.mark.parametrize(
    ("said", "told"),
    [("31/12/2026", "2026-12-31"), ("1/2/2027", "2027-02-01"), ("31/02/2027", None), ("31/12", None)],
)
async def test_the_last_day_may_be_written_as_people_write_it(
    person: Person, fhir: FhirBase, said: str, told: str | None
) -> None:
    """Where the browser has no field for a day."""
    fhir.on("POST", "/Appointment", appointment("waitlist"), 201)
    await person.open("/liste-attente?soignant=role-1")
    sent = await person.send("/liste-attente", soignant="role-1", qui="camille", jusqu_au=said)
    assert sent.status_code == (303 if told else 422)
    asked = [one.body for one in fhir.asked if (one.method, one.path) == ("POST", "/Appointment")]
    assert ([told] if told else []) == [str(one["requestedPeriod"][0]["end"])[:10] for one in asked]
    assert told or "31/12/2030" in sent.text, "with how to write it"


async def test_a_day_that_is_over_is_told_at_its_field(person: Person) -> None:
    await person.open("/liste-attente?soignant=role-1")
    over = await person.send("/liste-attente", soignant="role-1", qui="camille", jusqu_au="2026-11-29")
    assert over.status_code == 422
    assert 'id="jusqu_au-problem"' in over.text
    assert "Ce jour est passé" in over.text


async def test_one_waits_for_who_has_no_free_time(person: Person, fhir: FhirBase) -> None:
    """A refusal is said in its own words beside the form; nobody else can be named."""
    page = (await person.open("/liste-attente?soignant=role-1")).text
    assert 'value="camille"' in page
    strange = await person.send("/liste-attente", soignant="role-1", qui="somebody")
    assert (strange.status_code, "Dites pour qui" in strange.text) == (422, True)
    fhir.refuse("POST", "/Appointment", 422, "too-many-requests", "Retirez-en une d'abord.")
    many = await person.send("/liste-attente", soignant="role-1", qui="camille")
    assert (many.status_code, "une d&#39;abord" in many.text) == (422, True)
