"""What the pages promise of messages is so: who is written to, and who has to note the hour."""

from __future__ import annotations

from typing import Any

import pytest

from creneau_shared.contact_points import FRENCH_CALLING_CODES, Countries, Phone, countries_of
from creneau_web.people.messages import message_of
from creneau_web.people.model import Person as Reader
from creneau_web.people.reach import reach_of

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment
from .test_agreeing import AGREES, asked
from .test_beside import MOTHER, acting_for
from .test_booking import EXPIRES, choose
from .test_visits import booked

EMAIL = {"system": "email", "value": "camille@exemple.fr"}
LANDLINE = {"system": "phone", "value": "01 99 00 00 01"}
MOBILE = {"system": "phone", "value": "06 39 98 00 42"}
HIDDEN = {"security": [{"code": "HIDDEN-FROM-PROXIES"}]}
ON_ITS_WAY = "Un message vous est envoyé."
NOBODY = "ni adresse électronique ni portable"
A_LANDLINE = "un téléphone fixe n'en reçoit pas"


def letter(status: str, at: str, why: str = "", channel: str = "EMAILWRIT") -> dict[str, Any]:
    return {
        "resourceType": "Communication",
        "id": f"c-{at}",
        "meta": {"lastUpdated": f"2026-11-{at}T08:00:00Z"},
        "status": status,
        "medium": [{"coding": [{"code": channel}]}],
        **({"statusReason": {"text": why}} if why else {}),
    }


KEPT_BACK = letter("not-done", "29", "L’adresse n’a pas été confirmée par la personne qui la lit")


def reached_by(fhir: FhirBase, *telecom: dict[str, Any]) -> None:
    fhir.on("POST", "/Patient/_search", searchset({**CAMILLE, "telecom": list(telecom)}))


def bookable(fhir: FhirBase) -> None:
    """A time that can be held and booked, for who is reached by e-mail."""
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    fhir.on("POST", "/Appointment/a-1/$book", appointment("booked"))
    fhir.on("GET", "/Appointment/a-1", booked(), ETag='W/"3"')
    reached_by(fhir, EMAIL)


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    bookable(fhir)
    await person.sign_in()


@pytest.mark.parametrize(
    ("telecom", "recap", "told"),
    [
        ([EMAIL], "camille@exemple.fr", ON_ITS_WAY),
        ([LANDLINE, MOBILE], "01 99 00 00 01", ON_ITS_WAY),
        ([], "personne ne sera prévenu", NOBODY),
        ([LANDLINE], A_LANDLINE, A_LANDLINE),
    ],
)
async def test_a_message_is_promised_to_whom_one_reaches(
    person: Person, fhir: FhirBase, telecom: list[dict[str, Any]], recap: str, told: str
) -> None:
    """The recap and the page of what was booked say the same."""
    reached_by(fhir, *telecom)
    check = await choose(person)
    assert recap in check.text
    done = (await person.follow(await person.send(check.url.path))).text
    assert "Votre rendez-vous est confirmé." in done
    assert told in done
    assert (ON_ITS_WAY in done) is (told == ON_ITS_WAY)
    assert ("/mes-donnees/camille?retour=/rendez-vous/a-1" in done) is (told != ON_ITS_WAY)


async def test_of_what_is_hidden_nobody_is_written_to(person: Person, fhir: FhirBase) -> None:
    reached_by(fhir, EMAIL)
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, MOTHER))
    check = await choose(person)
    hidden = await person.follow(
        await person.send(check.url.path.replace("/verifier", "/cacher"), cacher="oui")
    )
    assert "Aucun message ne sera envoyé" in hidden.text
    fhir.on("GET", "/Appointment/a-1", appointment("booked", meta={"versionId": "1", **HIDDEN}))
    done = (await person.follow(await person.send(check.url.path))).text
    assert "Aucun message ne sera envoyé : notez" in done.replace("\xa0", " ")
    assert ON_ITS_WAY not in done


async def test_an_address_that_was_never_confirmed_is_said(person: Person, fhir: FhirBase) -> None:
    """Once its few messages are used up, as the last that did not leave tells."""
    fhir.on("POST", "/Communication/_search", searchset(KEPT_BACK))
    done = (await person.follow(await person.send((await choose(person)).url.path))).text
    assert "l'adresse n'a pas été confirmée" in done
    assert ON_ITS_WAY not in done


async def test_a_move_and_a_cancellation_promise_no_more(person: Person, fhir: FhirBase) -> None:
    later = {**SLOT, "id": "slot-2"}
    fhir.on("GET", "/Slot", searchset(later, SCHEDULE))
    fhir.on("POST", "/Appointment/a-1/$reschedule", booked())
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    for telecom, promised in (([EMAIL], True), ([], False)):
        reached_by(fhir, *telecom)
        await person.open("/rendez-vous/a-1/deplacer/verifier?creneau=slot-2")
        moved = await person.send("/rendez-vous/a-1/deplacer/verifier", creneau="slot-2", version='W/"3"')
        page = (await person.follow(moved)).text
        assert "Le rendez-vous est déplacé." in page
        assert (ON_ITS_WAY in page) is promised
        assert "recevrez un message" not in (await person.open("/rendez-vous/a-1/annuler")).text
        gone = (await person.follow(await person.send("/rendez-vous/a-1/annuler", version='W/"3"'))).text
        assert "Le rendez-vous est annulé." in gone
        assert (ON_ITS_WAY in gone) is promised


async def test_who_withdraws_what_was_asked_for_is_promised_nothing(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/Appointment/a-1", asked())
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    await person.open("/rendez-vous/a-1/annuler")
    gone = (await person.follow(await person.send("/rendez-vous/a-1/annuler", version='W/"3"'))).text
    assert "La demande est retirée." in gone
    assert ON_ITS_WAY not in gone


async def test_who_is_not_reached_looks_for_the_practice_s_answer(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/Slot", searchset(SLOT, {**SCHEDULE, "extension": [AGREES]}))
    for telecom, look in (([EMAIL], False), ([], True)):
        reached_by(fhir, *telecom)
        fhir.on("GET", "/Appointment/a-1", asked())
        for page in ((await choose(person)).text, (await person.open("/rendez-vous/a-1")).text):
            assert ("vous verrez sa réponse dans" in page) is look
            assert ("Un message vous dira sa réponse" in page) is not look


async def test_whoever_acts_for_somebody_is_promised_no_message_that_goes_to_them(
    person: Person, fhir: FhirBase
) -> None:
    """Who acts for their mother, who has an address of her own."""
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", False, "see book")))
    fhir.on("GET", "/Slot", searchset(SLOT, {**SCHEDULE, "extension": [AGREES]}))
    who = await choose(person)
    check = await person.follow(await person.send(who.url.path, qui="camille"))
    done = (await person.follow(await person.send(check.url.path))).text
    assert "Un message est envoyé aux coordonnées que nous avons pour Camille Martin." in done
    assert ON_ITS_WAY not in done
    fhir.on("GET", "/Appointment/a-1", asked())
    for page in (check.text, (await person.open("/rendez-vous/a-1")).text):
        assert "Sa réponse sera envoyée aux coordonnées que nous avons pour Camille Martin." in page
        assert "Un message vous dira" not in page
    fhir.on("POST", "/Appointment", appointment("waitlist"), 201)
    await person.open("/liste-attente?soignant=role-1")
    sent = await person.send("/liste-attente", soignant="role-1", qui="camille")
    waits = (await person.follow(sent)).text
    assert "aux coordonnées de la personne qui attend" in waits
    assert "Nous vous écrirons" not in waits


async def test_whoever_waits_and_is_not_reached_is_told_to_look(person: Person, fhir: FhirBase) -> None:
    reached_by(fhir)
    fhir.on("POST", "/Appointment", appointment("waitlist"), 201)
    await person.open("/liste-attente?soignant=role-1")
    sent = await person.send("/liste-attente", soignant="role-1", qui="camille")
    page = (await person.follow(sent)).text
    assert "regardez souvent" in page
    assert "Nous vous écrirons" not in page


async def test_that_an_address_is_to_be_confirmed_is_said_where_it_is_given(
    person: Person, fhir: FhirBase
) -> None:
    """After registering, where it is changed, and to who got no message."""
    told = "demander de confirmer votre adresse"
    assert told in (await person.open("/mes-donnees")).text
    fhir.on("GET", "/Patient/camille", CAMILLE, ETag='W/"3"')
    assert told in (await person.open("/mes-donnees/camille")).text
    assert "confirmez-la par son lien" in (await person.open("/aide")).text
    fhir.on("POST", "/Patient/_search", searchset())
    form = await choose(person)
    fhir.on("POST", "/Patient", CAMILLE, 201)
    said = {"prenom": "Camille", "nom_de_naissance": "Martin", "jour": "17", "mois": "5", "annee": "1984"}
    sent = await person.send(form.url.path, courriel="camille@exemple.fr", **said)
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    assert told in (await person.follow(sent)).text


def test_a_message_that_left_later_or_by_another_way_reaches_the_person() -> None:
    sent = [message_of(one) for one in (letter("completed", "30"), KEPT_BACK)]
    assert reach_of(None, hidden=False, texted=Countries(None), sent=sent) == "reached"
    by_text = [message_of(one) for one in (letter("completed", "20", channel="SMSWRIT"), KEPT_BACK)]
    assert reach_of(None, hidden=False, texted=Countries(None), sent=by_text) == "reached"
    assert reach_of(None, hidden=False, texted=Countries(None), sent=[message_of(KEPT_BACK)]) == "unconfirmed"
    assert reach_of(None, hidden=True, texted=Countries(None)) == "hidden"


@pytest.mark.parametrize(
    ("texted", "reach"),
    [
        (countries_of(FRENCH_CALLING_CODES), "phone_abroad"),
        (countries_of("33,44"), "reached"),
        (Countries(None), "reached"),
        (Countries(frozenset()), "phone_alone"),
    ],
)
def test_whoever_has_a_mobile_number_of_another_country_alone_is_told_so(
    texted: Countries, reach: str
) -> None:
    number = "+44 7400 123456"
    reader = Reader("camille", "Camille", "Martin", None, None, None, number, (Phone("+447400123456", True),))
    assert reach_of(reader, hidden=False, texted=texted) == reach
