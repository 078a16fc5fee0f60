"""Where no text messages are sent, nobody is promised one, nor asked for a mobile number to get one at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from creneau_shared.clock import FixedClock
from creneau_shared.contact_points import Countries, Phone
from creneau_web.app import WebApplication
from creneau_web.people.messages import message_of
from creneau_web.people.model import Person as Reader
from creneau_web.people.reach import reach_of

from .conftest import FhirBase, Person, running, searchset
from .samples import CAMILLE, SCHEDULE, SLOT, appointment
from .test_agreeing import AGREES, asked
from .test_booking import choose
from .test_mine import RECEIPT
from .test_reach import EMAIL, KEPT_BACK, LANDLINE, MOBILE, ON_ITS_WAY, bookable, letter, reached_by

BY_E_MAIL_ONLY = "ils partent par courriel seulement"
SAID = {"prenom": "Camille", "nom_de_naissance": "Martin", "jour": "17", "mois": "5", "annee": "1984"}


@pytest.fixture
async def app(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock
) -> AsyncIterator[WebApplication]:
    url = new_database(template=migrated_web)
    async with running(url, httpx.MockTransport(fhir), clock, sms_sender="off") as app:
        yield app


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    bookable(fhir)
    await person.sign_in()


@pytest.mark.parametrize(
    ("telecom", "told"),
    [
        ([EMAIL], ON_ITS_WAY),
        ([EMAIL, MOBILE], ON_ITS_WAY),
        ([MOBILE], BY_E_MAIL_ONLY),
        ([LANDLINE], BY_E_MAIL_ONLY),
        ([], "aucune adresse électronique n'est enregistrée"),
    ],
    ids=["e-mail", "both", "mobile", "landline", "neither"],
)
async def test_a_message_is_promised_to_whom_an_e_mail_reaches(
    person: Person, fhir: FhirBase, telecom: list[dict[str, Any]], told: str
) -> None:
    reached_by(fhir, *telecom)
    check = await choose(person)
    assert (BY_E_MAIL_ONLY in check.text) is (told == BY_E_MAIL_ONLY)
    done = (await person.follow(await person.send(check.url.path))).text
    assert told in done
    assert (ON_ITS_WAY in done) is (told == ON_ITS_WAY)
    assert "mobile" not in done


async def test_the_practice_s_answer_and_a_place_on_the_list_are_looked_for(
    person: Person, fhir: FhirBase
) -> None:
    reached_by(fhir, MOBILE)
    fhir.on("GET", "/Slot", searchset(SLOT, {**SCHEDULE, "extension": [AGREES]}))
    fhir.on("GET", "/Appointment/a-1", asked())
    for page in ((await choose(person)).text, (await person.open("/rendez-vous/a-1")).text):
        assert "vous verrez sa réponse dans" in page
        assert "Un message vous dira" not in page
    fhir.on("POST", "/Appointment", appointment("waitlist"), 201)
    await person.open("/liste-attente?soignant=role-1")
    sent = await person.send("/liste-attente", soignant="role-1", qui="camille")
    page = (await person.follow(sent)).text
    assert "regardez souvent" in page
    assert "mobile" not in page


async def test_an_address_is_asked_for_and_a_number_promised_nothing(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset())
    form = await choose(person)
    assert "Avec un numéro de téléphone seul, aucun message" in form.text
    alone = {**CAMILLE, "telecom": [MOBILE]}
    fhir.on("POST", "/Patient", alone, 201)
    sent = await person.send(form.url.path, telephone=MOBILE["value"], **SAID)
    fhir.on("POST", "/Patient/_search", searchset(alone))
    page = (await person.follow(sent)).text
    assert "Camille" in page
    assert "Un premier message" not in page


async def test_a_code_is_asked_for_by_e_mail(person: Person) -> None:
    page = (await person.open("/connexion/code")).text
    assert "Adresse électronique" in page
    assert "portable" not in page
    assert "06 39" not in page


async def test_no_last_message_is_promised_to_whom_none_reaches(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/camille/$erase", {"resourceType": "Parameters"})
    for telecom, promised in ((MOBILE, False), (EMAIL, True)):
        reached_by(fhir, telecom)
        fhir.on("GET", "/Patient/camille", {**CAMILLE, "telecom": [telecom]}, ETag='W/"3"')
        await person.open("/mes-donnees/effacer/camille")
        fhir.on("POST", "/Patient/camille/$erase", RECEIPT)
        receipt = await person.follow(await person.send("/mes-donnees/effacer/camille", nom="Martin"))
        assert "1 rendez-vous à venir est annulé" in receipt.text
        assert ("Un dernier message vous le confirme" in receipt.text) is promised


@pytest.mark.parametrize(
    "why", ["Aucune adresse connue pour ce canal", "Remplacé par une information plus récente"]
)
def test_whoever_has_a_mobile_alone_and_has_not_confirmed_it_is_said_to(why: str) -> None:
    """Where texts are sent. The e-mails that never could leave do not speak for it."""
    text = letter("not-done", "28", KEPT_BACK["statusReason"]["text"], channel="SMSWRIT")
    sent = [message_of(one) for one in (text, letter("not-done", "29", why))]
    reader = Reader(
        "camille",
        "Camille",
        "Martin",
        None,
        None,
        None,
        "06 39 98 00 42",
        mobiles=(Phone("+33639980042", True),),
    )
    assert reach_of(reader, hidden=False, texted=Countries(None), sent=sent) == "unconfirmed"
