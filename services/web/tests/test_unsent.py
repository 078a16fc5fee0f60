"""Another language keeps what was typed: from every page with a form, sent or not, and in no address."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import creneau_web

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, appointment

TEMPLATES = Path(creneau_web.__file__).parent / "templates"
TAKES_TYPING = re.compile(r"<textarea|<select|<input(?! type=\"hidden\")|\{\{ text\(")
SWITCH = re.compile(
    r'<button class="link" form="([^"]+)" formaction="(/langue/en[^"]*)"[^>]* name="problemes" value="([^"]*)"'
)
IN_THE_ADDRESS = ("parts/forms.html", "parts/search.html", "professional.html")
"""what is chosen there stands in the address"""


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("GET", "/Patient/camille", CAMILLE)
    fhir.on("POST", "/Patient/camille/$erase", {"resourceType": "Parameters"})
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    await person.sign_in()


async def in_english(person: Person, text: str, fields: dict[str, Any]) -> str:
    """The page in English, after pressing the button of the page that is shown."""
    found = SWITCH.search(text)
    assert found, "no button for English"
    form, action, problems = found.groups()
    assert f'<form id="{form}"' in text
    answer = await person.send(unescape(action), problemes=unescape(problems), **fields)
    assert answer.status_code == 303
    for name in {"nom", "nom_utilise", "code", "texte", "jusqu_au"} & fields.keys():
        assert fields[name] not in answer.headers["location"]
    return (await person.follow(answer)).text


def test_every_page_on_which_one_types_has_the_button() -> None:
    for file in sorted(TEMPLATES.rglob("*.html")):
        name, text = file.relative_to(TEMPLATES).as_posix(), file.read_text()
        if name not in IN_THE_ADDRESS and TAKES_TYPING.search(text):
            assert "{% set filled = " in text, name


@pytest.mark.parametrize(
    ("shown", "sent", "fields", "told"),
    [
        (
            "/signaler?page=/aide",
            "/signaler",
            {"page": "/aide", "texte": "Numéro faux"},
            "Choose what it is about",
        ),
        ("/mes-donnees/effacer/camille", "/mes-donnees/effacer/camille", {"nom": "a" * 101}, "too long"),
        (
            "/mes-donnees/camille",
            "/mes-donnees/camille",
            {"nom_utilise": "b" * 101, "langue": "en"},
            "too long",
        ),
        ("/mes-proches", "/mes-proches/inviter", {"nom": "c" * 101, "pour": "camille"}, "too long"),
        ("/mes-proches", "/mes-proches/accepter", {"code": "d" * 201}, "too long"),
        (
            "/liste-attente?soignant=role-1",
            "/liste-attente",
            {"soignant": "role-1", "qui": "camille", "jusqu_au": "31/12", "moment": "evening"},
            "cannot be read",
        ),
    ],
)
async def test_what_was_typed_and_what_is_wrong_with_it_outlive_a_change_of_language(
    person: Person, shown: str, sent: str, fields: dict[str, str], told: str
) -> None:
    await person.open(shown)
    refused = await person.send(sent, **fields)
    assert refused.status_code == 422
    text = await in_english(person, refused.text, fields)
    assert '<html lang="en">' in text
    assert told in text
    for value in fields.values():
        assert value in text


async def test_so_does_what_was_not_sent(person: Person) -> None:
    """Nothing is refused that nobody has sent."""
    page = await person.open("/signaler?page=/aide")
    text = await in_english(person, page.text, {"page": "/aide", "texte": "à moitié"})
    assert "à moitié" in text
    assert 'role="alert"' not in text
    assert "à moitié" in (await person.open("/signaler?page=/aide")).text, "loaded anew"
    assert "à moitié" not in (await person.open("/signaler?page=/legal")).text, "another page"
    await person.send("/signaler", page="/aide", raison="wrong", texte="entier")
    assert "à moitié" not in (await person.open("/signaler?page=/aide")).text, "sent"


async def test_so_do_the_words_of_a_search(person: Person) -> None:
    page = await person.open("/")
    assert 'form="search" formaction="/langue/en" name="retour" value="/"' in page.text
    english = await person.follow(
        await person.open("/langue/en?retour=/&quoi=dent+de+lait&ou=Rennes&comment=video")
    )
    assert '<html lang="en">' in english.text
    for kept in ('value="dent de lait"', 'value="Rennes"', 'value="video" selected'):
        assert kept in english.text
    refused = await person.open("/recherche?quoi=x&ou=" + "a" * 300)
    assert refused.status_code == 422
    assert 'name="retour" value="/recherche"' in refused.text, "where it is judged again"


async def test_a_refusal_of_the_base_is_not_shown_in_the_language_of_before(
    person: Person, fhir: FhirBase
) -> None:
    fhir.refuse("POST", "/Appointment", 422, "too-many-requests", "Retirez-en une d'abord.")
    await person.open("/liste-attente?soignant=role-1")
    fields = {"soignant": "role-1", "qui": "camille"}
    refused = await person.send("/liste-attente", **fields)
    text = await in_english(person, refused.text, fields)
    assert "Retirez" not in text
    assert "Send it again to read why" in text


async def test_who_forges_what_was_wrong_gets_no_other_sentence(person: Person) -> None:
    await person.open("/signaler")
    for forged in ('{"raison": "home.title"}', '["x"]', "{", '{"raison": 1}'):
        answer = await person.send("/langue/en?retour=/signaler", problemes=forged, texte="x")
        assert (await person.follow(answer)).status_code == 200


async def test_a_date_of_the_waiting_list_is_told_at_its_field(person: Person) -> None:
    await person.open("/liste-attente?soignant=role-1")
    refused = await person.send("/liste-attente", soignant="role-1", qui="camille", jusqu_au="demain")
    assert '<li><a href="#jusqu_au">' in refused.text
    assert 'aria-describedby="jusqu_au-hint jusqu_au-problem"' in refused.text
    assert 'id="jusqu_au-problem"' in refused.text
