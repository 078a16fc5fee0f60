"""Numbers of the pages' checklist (docs/checklists.md) that one page by itself can hold."""

from __future__ import annotations

import re
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from creneau_shared.clock import FixedClock
from creneau_web.care.terms import ACCESSIBILITY, NEW_PATIENTS
from creneau_web.wording import read_catalogues

from .conftest import SITE, FhirBase, Person, running, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment
from .test_booking import EXPIRES, choose

SOURCES = Path(str(files("creneau_web")))

INPUT = re.compile(r'<(?:input|textarea|select)[^>]* name="([^"]+)"([^>]*)>')
ASKED = {"form_key", "prenom", "nom_de_naissance", "nom_utilise", "jour", "mois", "annee"}
"""who somebody is (the strict traits of the national rules of identification, RNIV), and nothing more"""


@pytest.fixture(autouse=True)
def directory(fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on(
        "GET",
        "/Slot",
        searchset(SLOT, {**SLOT, "id": "slot-2", "serviceType": [{"text": "Biopsie"}]}, SCHEDULE),
    )
    fhir.on("GET", "/Slot/slot-1", SLOT)
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)


async def test_p11_a_child_is_registered_by_a_parents_word(person: Person, fhir: FhirBase) -> None:
    """The relation is stated, no document is asked for; the child's messages go to the parent; nobody is a child at 18, and
    who is no parent registers no child: the page says who can."""
    await person.sign_in()
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    check = await choose(person)
    who = await person.open(check.url.path.replace("/verifier", "/pour-qui"))
    form = await person.follow(await person.send(who.url.path, qui="autre"))
    assert {name for name, _ in INPUT.findall(form.text)} == ASKED | {"lien"}
    assert "checked" not in form.text, "nobody is a parent unasked"
    child = {"prenom": "Lou", "nom_de_naissance": "Martin", "jour": "5", "mois": "6", "annee": "2000"}
    grown = await person.follow(await person.send(form.url.path, lien="enfant", **child))
    assert "Erreur" in grown.text
    nanny = await person.follow(await person.send(form.url.path, lien="proche", **{**child, "annee": "2018"}))
    assert "seul son parent peut l'inscrire" in unescape(nanny.text)
    assert "0262 98 01 43" in nanny.text
    assert not [one for one in fhir.asked if (one.method, one.path) == ("POST", "/Patient")]
    fhir.on("POST", "/Patient", {**CAMILLE, "id": "lou"}, 201)
    await person.send(form.url.path, lien="enfant", **{**child, "annee": "2018"})
    [made] = [one.body for one in fhir.asked if (one.method, one.path) == ("POST", "/Patient")]
    assert made["telecom"] == CAMILLE["telecom"]
    assert "18 ans" in (await person.open("/mes-proches")).text


async def test_p18_who_does_not_know_the_reason_is_led_on(person: Person) -> None:
    """Chosen beforehand, beside the reasons, with whom one may ask; it leads to the times of all reasons."""
    page = (await person.open("/soignants/role-1")).text
    assert re.search(r'name="motif" value="" checked', page)
    for words in ("Je ne sais pas quel motif choisir", "0262 98 01 43", "France services"):
        assert words in page, words
    times = (await person.open("/soignants/role-1/creneaux?motif=")).text
    assert 'value="slot-1"' in times
    assert 'value="slot-2"' in times
    assert "Je ne sais pas quel motif" in (await person.open("/aide")).text


async def test_x1_every_page_says_how_accessible_it_is(person: Person) -> None:
    """“Non conforme” until somebody has audited it, and what our own look has found."""
    for path in (
        "/",
        "/soignants/role-1",
        "/soignants/role-1/creneaux",
        "/connexion",
        "/aide",
        "/nulle-part",
    ):
        footer = (await person.open(path)).text.partition("<footer")[2]
        assert 'href="/accessibilite">Accessibilité\N{NO-BREAK SPACE}: non conforme<' in footer, path
    page = (await person.open("/accessibilite")).text
    for words in (
        "% des critères",
        "Critères non respectés",
        "8.2 (code source valide)",
        "12.3 (plan du site)",
        "dans les trois ans",
        "Défenseur des droits",
        "n'ont pas été essayés",
    ):
        assert words in page, words


def test_x1_no_page_does_without_the_common_foot() -> None:
    """Every template that a page is drawn from stands in the frame, and the frame has the foot."""
    templates = SOURCES / "templates"
    drawn = {
        name
        for path in (SOURCES / "pages").rglob("*.py")
        for name in re.findall(r"[\"']([\w/]+\.html)[\"']", path.read_text())
    }
    assert len(drawn) > 30
    bare = {
        name for name in drawn if not (templates / name).read_text().startswith("{% extends 'base.html' %}")
    }
    assert bare == set()
    assert "{% include 'parts/footer.html' %}" in (templates / "base.html").read_text()


async def test_x8_a_code_may_be_pasted_and_help_is_always_at_the_same_place(
    person: Person, fhir: FhirBase
) -> None:
    """With whatever came along; nothing is to be solved, remembered or copied by hand."""
    expires = {"name": "expires", "valueInstant": "2026-11-30T08:10:00Z"}
    fhir.on("POST", "/$send-code", {"resourceType": "Parameters", "parameter": [expires]})
    await person.open("/connexion/code")
    await person.send("/connexion/code", contact="camille@exemple.fr", retour="/")
    page = (await person.open("/connexion/code/saisir")).text
    field = re.search(r'<input id="code"[^>]*>', page)
    assert field
    assert 'autocomplete="one-time-code"' in field[0]
    assert "maxlength" not in field[0]
    assert "pattern" not in field[0]
    fhir.refuse("POST", "/$verify-code", 422, "wrong-code")
    await person.send("/connexion/code/saisir", code=" 123 456\t")
    [sent] = [one.body for one in fhir.asked if one.path == "/$verify-code"]
    assert sent["parameter"][1]["valueString"].split() == ["123", "456"]
    places = set()
    for path in ("/", "/connexion", "/connexion/code/saisir", "/soignants/role-1/creneaux"):
        links = re.findall(r'<li><a href="(/[^"]*)"', (await person.open(path)).text.partition("<main")[0])
        places.add(links.index("/aide"))
    assert len(places) == 1


async def test_how_long_a_session_lasts_is_said_as_it_is_here(person: Person) -> None:
    settings = person.app.site.settings
    assert f"rendez-vous passés : {settings.appointment_kept_days} jours" in (
        await person.open("/donnees-personnelles")
    ).text.replace("\xa0", " ")
    said = f"{settings.session_idle_min:g} minutes sans rien faire, {settings.session_max_h:g} heures au plus"
    assert said in (await person.open("/donnees-personnelles")).text


@pytest.mark.parametrize("contact", ["", "dpo@exemple.fr"])
async def test_whom_one_writes_to_about_personal_data_is_said(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock, contact: str
) -> None:
    """RGPD, article 13: the data protection officer, or that none is named; and nothing is promised of who is not known."""
    url = new_database(template=migrated_web)
    async with (
        running(url, httpx.MockTransport(fhir), clock, data_protection_contact=contact) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client,
    ):
        page = (await Person(client, app).open("/donnees-personnelles")).text
    assert (f'href="mailto:{contact}"' in page) is bool(contact)
    assert ("indiqué son délégué" in page) is not bool(contact)
    for unknown in ("hébergeur de données de santé", "sous droit européen", "Personne d"):
        assert unknown not in page


@pytest.mark.parametrize("path", ["/donnees-personnelles", "/mentions-legales"])
async def test_an_operator_without_a_name_is_named_in_the_readers_language(person: Person, path: str) -> None:
    english = (await person.open(path, **{"Accept-Language": "en"})).text
    assert "the operator of this installation" in english
    assert "exploitant" not in english


async def test_x12_only_what_is_needed_is_asked_and_what_becomes_of_it_is_said(person: Person) -> None:
    """Beside the fields; no national number, no document, nothing ticked."""
    await person.sign_in()
    page = await choose(person)
    assert {name for name, _ in INPUT.findall(page.text)} == ASKED | {"courriel", "telephone"}
    assert not [name for name, rest in INPUT.findall(page.text) if "checked" in rest]
    assert "Ce que deviennent ces informations" in page.text
    assert 'href="/donnees-personnelles"' in page.text.partition("<main")[2].partition("</main")[0]
    for word in ("INS", "sécurité sociale", "carte vitale"):
        assert not re.search(rf"\b{word}\b", page.text.partition("<main")[2], re.IGNORECASE), word


def test_x5_the_title_of_a_numbered_step_says_its_number() -> None:
    """`Pour qui est le rendez-vous ? – étape 2 sur 4 – Créneau`."""
    french = read_catalogues()["fr"]
    numbers: dict[str, str] = {}
    for path in (SOURCES / "templates").rglob("*.html"):
        text = path.read_text()
        shown = re.search(r"class=\"step\">\{\{ t\('([\w.]+)'\)", text)
        said = re.search(r"\{% set step = (\d) %\}", text)
        number = re.match(r"Étape (\d)", french.t(shown[1])) if shown else None
        assert (number and number[1]) == (said and said[1]), path.name
        numbers |= {number[1]: path.name} if number else {}
    assert sorted(numbers) == ["1", "2", "3", "4"]


async def test_x5_the_step_stands_in_the_title(person: Person) -> None:
    page = (await person.open("/soignants/role-1/creneaux")).text
    assert re.search(r"<title>Créneaux[^<]* – étape 1 sur 4 – Créneau</title>", page)
    assert "étape" not in (await person.open("/soignants/role-1")).text.partition("</title>")[0]


FEES = {
    "url": "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-practitionerrole-contracted",
    "valueCodeableConcept": {
        "coding": [
            {
                "system": "https://mos.esante.gouv.fr/NOS/TRE_R282-CNAMAmeliSecteurConventionnement/FHIR/TRE-R282-CNAMAmeliSecteurConventionnement",
                "code": "3",
            }
        ]
    },
}
STEP_FREE = {"url": ACCESSIBILITY, "valueCode": "wheelchair"}


async def test_fees_access_and_new_patients_are_shown(person: Person, fhir: FhirBase) -> None:
    """On the card what one chooses by, on the page all of it; a code that there are no words for is left out."""
    unheard = {"url": ACCESSIBILITY, "valueCode": "unheard-of"}
    role = {**ROLE, "extension": [FEES, STEP_FREE, unheard, {"url": NEW_PATIENTS, "valueBoolean": True}]}
    for path in ("/PractitionerRole", "/PractitionerRole/$find-care"):
        fhir.on("GET", path, searchset(role, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot/$soonest", searchset())
    card = (await person.open("/recherche?quoi=dermatologue")).text
    page = (await person.open("/soignants/role-1")).text
    for words in ("Honoraires libres (secteur 2)", "Accessible en fauteuil roulant"):
        assert words in card, words
        assert words in page, words
    assert "<dt>Nouveaux patients</dt><dd>Acceptés</dd>" in page
    assert "unheard" not in page + card


WRITTEN = ("visit.instructions", "visit.comment", "visit.moved_because", "professional.remarks")
"""what a practice or the person has written, by its name in a template"""


def test_x1_what_somebody_wrote_is_a_blockquote() -> None:
    """RGAA 9.4."""
    shown = re.compile(r"([^{}]*)\{\{ (?:french\(w, )?([a-z_.]+)\)? \}\}")
    found = {
        name: before
        for path in (SOURCES / "templates").rglob("*.html")
        for before, name in shown.findall(path.read_text())
        if name in WRITTEN
    }
    assert found.keys() == set(WRITTEN)
    assert [name for name, before in found.items() if "<blockquote" not in before] == []


THERE = {
    "1.3 1.6 1.7": r"<img[^>]* alt=\"[^\"]|role=\"img\"",
    "2.1 2.2": r"<i?frame",
    "4.1 4.2 4.3 4.10": r"<(?:audio|video|object|embed)\b",
    "7.2": r"<script",
    "9.4": r"<(?:q|blockquote)\b",
    "11.8": r"<optgroup",
}
"""criteria of RGAA → what they are about, in a template"""


@pytest.mark.parametrize("criteria", THERE)
def test_x1_no_criterion_is_about_nothing_whose_matter_is_there(criteria: str) -> None:
    """The declaration's rate counts those that apply."""
    text = files("creneau_web.data").joinpath("rgaa.csv").read_text(encoding="utf-8")
    state = {number: state for number, state, _ in (row.split(";", 2) for row in text.splitlines())}
    sources = (path.read_text() for path in (SOURCES / "templates").rglob("*.html"))
    if any(re.search(THERE[criteria], source) for source in sources):
        assert "NA" not in {state[one] for one in criteria.split()}


async def test_p18_a_page_where_one_may_be_stuck_says_where_people_help(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock
) -> None:
    """Where a counsellor is found, and the operator's number if there is one; /aide has them first."""
    url = new_database(template=migrated_web)
    async with (
        running(url, httpx.MockTransport(fhir), clock, help_phone="+33800000000") as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client,
    ):
        for path in ("/aide", "/soignants/role-1"):
            page = (await client.get(path)).text
            assert '<a href="https://www.france-services.gouv.fr/">www.france-services.gouv.fr</a>' in page
            assert 'href="tel:+33800000000"' in page


def test_p18_people_help_at_every_step_of_a_booking() -> None:
    """Each page that one goes through, and each that refuses; `choice.html` is a part of them."""
    pages = (SOURCES / "templates" / "booking").glob("*.html")
    assert [path.name for path in pages if "{{ human(" not in path.read_text()] == ["choice.html"]


KEEPS_NOTHING = {
    "visit.html": "an answer that is compared",
    "code.html": "a code that is compared",
    "erase.html": "a name that is compared",
    "report.html": "nothing of oneself, as the page asks",
}
"""pages with a field whose words do not become somebody's data → what they are"""


def test_x12_the_notice_stands_wherever_data_are_asked() -> None:
    """RGPD, article 13: at the time when they are obtained."""
    pages = {path.name: path.read_text() for path in SOURCES.rglob("*.html") if path.parent.name != "parts"}
    asking = {name for name, page in pages.items() if re.search(r"{{ text\(w|<textarea", page)}
    assert asking > KEEPS_NOTHING.keys()
    told = {name for name, page in pages.items() if "parts/notice.html" in page}
    assert asking - told == KEEPS_NOTHING.keys()


async def test_x12_the_notices_name_the_host_and_the_way_to_refuse_messages(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock, person: Person
) -> None:
    for path in ("/mentions-legales", "/donnees-personnelles"):
        assert "n'a pas nommé son hébergeur" in unescape((await person.open(path)).text)
    await person.sign_in()
    fhir.on("GET", "/Patient/camille", CAMILLE, ETag='W/"1"')
    assert "videz le champ" in (await person.open("/mes-donnees/camille")).text
    url, name = new_database(template=migrated_web), "Hébergeur de l'exemple"
    async with (
        running(url, httpx.MockTransport(fhir), clock, hosting_name=name) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client,
    ):
        for path in ("/mentions-legales", "/donnees-personnelles"):
            page = await Person(client, app).open(path)
            assert f"hébergées par {name}." in unescape(page.text)


def test_x16_no_title_names_whom_a_page_is_about() -> None:
    """Titles stand in histories and on shared screens; of people they name professionals alone."""
    titles = {
        path.name: title
        for path in SOURCES.rglob("*.html")
        for title in re.findall(r"{% block title %}(.*?){% endblock %}", path.read_text())
    }
    assert len(titles) > 40
    named = re.compile(r"(?<!')\b(?:acting|person|oneself|visit|invited)\.|=acting\b")
    assert {name for name, title in titles.items() if named.search(title)} == set()
