"""Whoever goes back, types an address, or writes too much finds a page that knows what to do."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment

EXPIRES = "Mon, 30 Nov 2026 08:10:00 GMT"
LONG = "abc " * 1250
LEFT = {"resourceType": "Parameters", "parameter": []}


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("GET", "/Patient/camille", CAMILLE, ETag='W/"1"')
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    fhir.on("POST", "/Appointment/a-1/$book", appointment("booked"))
    fhir.on("GET", "/Appointment/a-1", appointment("booked"), ETag='W/"1"')
    await person.sign_in()


# -- the browser's way back ------------------------------------------------------------------------------------


async def booked(person: Person) -> str:
    """The address of the draft that an appointment came of."""
    await person.open("/soignants/role-1/creneaux")
    check = await person.follow(await person.send("/soignants/role-1/creneaux", creneau="slot-1"))
    await person.send(check.url.path)
    return check.url.path.removesuffix("/verifier")


async def test_no_step_of_what_is_booked_changes_it(person: Person, fhir: FhirBase) -> None:
    """Its pages are still in the browser: what they send leads to the appointment, which stands."""
    draft = await booked(person)
    fhir.asked.clear()
    sent: tuple[tuple[str, dict[str, str]], ...] = (
        ("abandonner", {}),
        ("garder", {}),
        ("cacher", {"cacher": "oui"}),
        ("pour-qui", {"qui": "autre"}),
        ("pour-qui", {"qui": "camille"}),
        ("identite", {"prenom": "Zoé", "nom_de_naissance": "Touré"}),
        ("pris", {"creneau": "slot-1"}),
        ("deja", {"choix": "garder"}),
    )
    for step, said in sent:
        answer = await person.send(f"{draft}/{step}", **said)
        assert (answer.status_code, answer.headers["location"]) == (303, "/rendez-vous/a-1"), step
    changing = [a for a in fhir.asked if a.method in ("PATCH", "PUT") or a.path.endswith("$hold")]
    assert changing == []
    for step in ("verifier", "pour-qui", "identite", "pris", "deja"):
        answer = await person.open(f"{draft}/{step}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/rendez-vous/a-1"), step


# -- addresses -------------------------------------------------------------------------------------------------


async def test_a_week_at_the_end_of_the_calendar_is_a_page(person: Person) -> None:
    for day in ("9999-12-31", "9999-12-20", "0001-01-01"):
        assert (await person.open(f"/soignants/role-1/creneaux?du={day}")).status_code == 200, day


@pytest.mark.parametrize("page", ["/soignants/{}", "/rendez-vous/{}", "/liste-attente/{}", "/mes-donnees/{}"])
async def test_what_is_no_id_is_not_there_and_asks_for_nothing_else(
    person: Person, fhir: FhirBase, page: str
) -> None:
    """It would be another question to the FHIR base: all of a type, an operation, a parameter."""
    fhir.on("GET", "/PractitionerRole", searchset())
    for name in ("$find", "_history", "_search", "a?b=c", "a#b", "a b", "é", "x" * 65):
        for kind in ("PractitionerRole", "Appointment", "Patient"):
            fhir.on("GET", f"/{kind}/{name}", searchset(appointment("booked")))
        answer = await person.follow(await person.open(page.format(quote(name))))
        assert answer.status_code == 404, name
        assert not [a for a in fhir.asked if name in a.path]


async def test_what_has_no_time_yet_is_on_the_waiting_list(person: Person, fhir: FhirBase) -> None:
    waits = {name: value for name, value in appointment("waitlist").items() if name not in ("start", "end")}
    fhir.on("GET", "/Appointment/a-1", waits)
    for page in ("annuler", "deplacer", "deplacer/verifier?creneau=slot-1", "agenda.ics", "repondre"):
        answer = await person.open(f"/rendez-vous/a-1/{page}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/liste-attente/a-1"), page


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("/mes-proches/inviter", "/mes-proches"),
        ("/mes-proches/accepter", "/mes-proches"),
        ("/rdv/nouveau-lien", "/rdv"),
        ("/mes-donnees/effacer/camille", "/mes-donnees/effacer/camille"),
    ],
)
async def test_another_language_leads_to_a_page_where_a_form_was_refused(
    person: Person, fhir: FhirBase, sent: str, back: str
) -> None:
    """What answers a form alone has no page to come back to: the one above it has."""
    fhir.on("POST", "/Patient/camille/$erase", LEFT)
    await person.open("/signaler")
    refused = await person.send(sent)
    assert refused.status_code in (404, 422)
    assert f'="/langue/en?retour={back}"' in refused.text


async def test_an_address_of_nothing_is_answered_in_the_language_and_to_the_person(person: Person) -> None:
    """No route asks who it is there: the page itself does."""
    await person.open("/langue/en")
    page = await person.open("/nowhere")
    assert page.status_code == 404
    assert '<html lang="en">' in page.text
    assert 'href="/auth/deconnexion"' in page.text
    assert "nowhere" in page.text, "another language leads back here"


async def test_a_heading_is_escaped_once(person: Person, fhir: FhirBase) -> None:
    meant = [
        {"name": "text", "valueString": "urgence"},
        {"name": "kind", "valueCode": "care"},
        {"name": "meaning", "valueString": "Médecin d'urgence"},
    ]
    town = [
        {"name": "kind", "valueCode": "commune"},
        {"name": "name", "valueString": "L'Haÿ-les-Roses"},
        {"name": "department", "valueCode": "94"},
    ]
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "understood", "part": meant}, {"name": "place", "part": town}],
    }
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(parameters))
    page = (await person.open("/recherche?quoi=urgence")).text
    assert "<h1>Médecin d&#39;urgence – L&#39;Haÿ-les-Roses</h1>" in page
    assert "&amp;#39;" not in page


# -- too much --------------------------------------------------------------------------------------------------


async def refused(person: Person, opened: str, sent: str, **said: str) -> str:
    """The page that says no: what was typed is in it, and its field says why."""
    await person.open(opened)
    answer = await person.follow(await person.send(sent, **said))
    assert answer.status_code in (200, 422), answer.status_code
    assert "<title>Erreur" in answer.text
    return answer.text


async def test_too_long_an_identity_is_kept_and_named(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset())
    await person.open("/soignants/role-1/creneaux")
    form = await person.follow(await person.send("/soignants/role-1/creneaux", creneau="slot-1"))
    assert form.url.path.endswith("/identite")
    names = ("prenom", "nom_de_naissance", "nom_utilise", "jour", "mois", "annee", "courriel", "telephone")
    for long in names:
        said = {"prenom": "Zoé", "nom_de_naissance": "Touré", "jour": "3", "mois": "2", "annee": "1990"}
        text = await refused(person, form.url.path, form.url.path, **{**said, long: LONG})
        assert LONG in text
        assert f'href="#{"jour" if long in ("mois", "annee") else long}"' in text


async def test_a_year_that_is_none_is_asked_for_again(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset())
    await person.open("/soignants/role-1/creneaux")
    form = await person.follow(await person.send("/soignants/role-1/creneaux", creneau="slot-1"))
    for year in ("9" * 20, "9" * 5000, "²", "1e3"):
        said = {"prenom": "Zoé", "nom_de_naissance": "Touré", "jour": "3", "mois": "2", "annee": year}
        text = await refused(person, form.url.path, form.url.path, **said)
        assert 'href="#jour"' in text
        assert f'value="{year}"' in text


async def test_too_long_a_word_to_the_practice_is_kept(person: Person) -> None:
    await person.open("/soignants/role-1/creneaux")
    check = await person.follow(await person.send("/soignants/role-1/creneaux", creneau="slot-1"))
    text = await refused(person, check.url.path, check.url.path, message=LONG)
    assert LONG.strip() in text


@pytest.mark.parametrize(
    ("opened", "sent", "field", "other"),
    [
        ("/signaler", "/signaler", "texte", {"raison": "other"}),
        ("/mes-proches", "/mes-proches/inviter", "nom", {"pour": "camille"}),
        ("/mes-proches", "/mes-proches/accepter", "code", {}),
        ("/connexion/code", "/connexion/code", "contact", {}),
        ("/mes-donnees/camille", "/mes-donnees/camille", "nom_utilise", {}),
        ("/mes-donnees/camille", "/mes-donnees/camille", "courriel", {}),
        ("/mes-donnees/camille", "/mes-donnees/camille", "telephone", {}),
        ("/mes-donnees/effacer/camille", "/mes-donnees/effacer/camille", "nom", {}),
    ],
)
async def test_what_is_too_long_is_kept_and_its_field_says_so(
    person: Person, fhir: FhirBase, opened: str, sent: str, field: str, other: dict[str, str]
) -> None:
    fhir.on("POST", "/Patient/camille/$erase", LEFT)
    text = await refused(person, opened, sent, **{field: LONG, **other})
    assert LONG in text
    assert f'id="{field}-problem"' in text


async def test_too_long_a_search_is_kept_and_its_field_says_so(person: Person) -> None:
    for name in ("quoi", "ou"):
        page = await person.open(f"/recherche?{name}={quote(LONG)}&comment=video")
        assert page.status_code == 422
        assert f'value="{LONG}"' in page.text
        assert f'id="{name}-problem"' in page.text
        assert '<option value="video" selected>' in page.text


async def test_a_word_that_was_wrong_is_kept(person: Person, fhir: FhirBase) -> None:
    """The name that erases, and the code of an invitation: who mistyped one letter mends one letter."""
    fhir.on("POST", "/Patient/camille/$erase", LEFT)
    await person.open("/mes-donnees/effacer/camille")
    assert 'value="Martni"' in (await person.send("/mes-donnees/effacer/camille", nom="Martni")).text
    fhir.refuse("POST", "/RelatedPerson/$accept", 422, "no-such-code")
    assert 'value="abc-def"' in (await person.send("/mes-proches/accepter", code="abc-def")).text
