"""What a page says of a search, a week and a choice is so, and what it offers leads there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import Asked, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment, held
from .test_beside import acting_for
from .test_booking import EXPIRES, choose
from .test_care import place, told
from .test_visits import booked
from .test_waiting_list import wish
from .test_without_account import TOKEN, opening

LOU = {**CAMILLE, "id": "lou", "name": [{"use": "official", "family": "Martin", "given": ["Lou"]}]}
BOTH = acting_for(("camille", True, "book manage"), ("lou", False, "book manage"))
AFTERNOON = {**SLOT, "id": "slot-pm", "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T11:15:00Z"}


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)
    fhir.on("GET", "/Schedule", searchset(SCHEDULE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"1"')
    await person.sign_in()


async def test_who_moves_a_visit_and_finds_no_time_waits_for_an_earlier_one(
    person: Person, fhir: FhirBase
) -> None:
    """And not for a second visit, which whoever came by a link may not even ask for."""
    fhir.on("GET", "/Appointment/a-1", booked(), ETag='W/"3"')
    fhir.on("GET", "/Slot", searchset())
    page = (await person.open("/rendez-vous/a-1/deplacer")).text
    assert 'href="/liste-attente?rendez-vous=a-1"' in page
    assert "?soignant=" not in page
    assert 'href="/liste-attente?soignant=role-1"' in (await person.open("/soignants/role-1/creneaux")).text


async def test_a_week_without_a_morning_is_no_week_without_times(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/Slot", searchset(AFTERNOON, SCHEDULE))
    page = (await person.open("/soignants/role-1/creneaux?du=2026-12-01&moment=matin")).text
    assert "Aucun créneau ne correspond" in page
    assert 'href="/soignants/role-1/creneaux?du=2026-12-01">Voir tous les créneaux</a>' in page
    later = {**SLOT, "id": "later", "start": "2026-12-09T06:00:00Z", "end": "2026-12-09T06:15:00Z"}

    def after(asked: Asked) -> httpx.Response | None:
        late = asked.path == "/Slot" and not any(v.startswith("lt") for _, v in asked.query)
        return httpx.Response(200, json=searchset(AFTERNOON, later)) if late else None

    fhir.rules.append(after)
    page = (await person.open("/soignants/role-1/creneaux?du=2026-12-01&moment=matin")).text
    assert "Aucun créneau cette semaine pour votre choix (Le matin)." in page
    assert "Voir tous les créneaux" in page


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("department", "précisez la ville"),
        ("commune", "un arrondissement ou un code postal"),
        ("arrondissement", "précisez un nom ou une spécialité."),
    ],
)
async def test_what_was_not_compared_is_found_by_more_than_what_is_given(
    person: Person, fhir: FhirBase, kind: str, advice: str
) -> None:
    understood = told(place("Paris", "75", kind=kind))
    fhir.on(
        "GET",
        "/PractitionerRole/$find-care",
        searchset(ROLE, PRACTITIONER, PLACE, understood, total=109),
    )
    fhir.on("GET", "/Slot/$soonest", searchset(SLOT, SCHEDULE))
    assert advice in (await person.open("/recherche?quoi=dermatologue")).text


async def test_nobody_is_said_to_be_first_while_the_agendas_do_not_answer(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot/$soonest", searchset(SLOT, SCHEDULE))
    assert "premiers libres" in (await person.open("/recherche?quoi=dermatologue")).text
    fhir.on("GET", "/Slot/$soonest", {}, 503)
    page = (await person.open("/recherche?quoi=dermatologue")).text
    assert "Inès Bianchi" in page
    assert "premiers libres" not in page


def meant(text: str, kind: str, *codes: tuple[str, str]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "text", "valueString": text}, {"name": "kind", "valueCode": kind}]
    for code, label in codes:
        parts.append({"name": "meaning", "valueString": label})
        parts.append({"name": "code", "valueCoding": {"code": code}})
    return {"name": "understood", "part": parts}


async def test_the_times_that_are_shown_are_those_that_were_understood(
    person: Person, fhir: FhirBase
) -> None:
    """« mardi matin » was said to be understood, and every time was shown."""
    understood = told(
        meant("mardi", "when", ("tuesday", "le mardi")), meant("matin", "when", ("morning", "le matin"))
    )
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(ROLE, PRACTITIONER, PLACE, understood))
    fhir.on("GET", "/Slot/$soonest", searchset(SLOT, SCHEDULE))
    page = (await person.open("/recherche?quoi=dermatologue+mardi+matin")).text
    assert ": le mardi" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "Seuls les créneaux au moment demandé" in page
    [asked] = [dict(one.query) for one in fhir.asked if one.path == "/Slot/$soonest"]
    assert (asked["days"], asked["times"]) == ("tue", "morning")


async def test_where_nobody_is_free_then_other_times_are_shown_and_said_to_be(
    person: Person, fhir: FhirBase
) -> None:
    understood = told(meant("dimanche", "when", ("sunday", "le dimanche")))
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(ROLE, PRACTITIONER, PLACE, understood))

    def say(asked: Asked) -> httpx.Response | None:
        if asked.path != "/Slot/$soonest":
            return None
        then = "days" in dict(asked.query)
        return httpx.Response(200, json=searchset(*(() if then else (SLOT, SCHEDULE))))

    fhir.rules.append(say)
    page = (await person.open("/recherche?quoi=dermatologue+dimanche")).text
    assert "Aucun créneau libre au moment demandé" in page
    assert "Inès Bianchi" in page


async def test_what_chooses_no_times_is_not_said_to_be_understood(person: Person, fhir: FhirBase) -> None:
    understood = told(meant("de nuit", "when", ("night", "la nuit")))
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(ROLE, PRACTITIONER, PLACE, understood))
    fhir.on("GET", "/Slot/$soonest", searchset(SLOT, SCHEDULE))
    page = (await person.open("/recherche?quoi=dermatologue+de+nuit")).text
    assert "de nuit »" not in page
    assert "au moment demandé" not in page


async def test_a_reason_of_later_times_is_offered_too(person: Person, fhir: FhirBase) -> None:
    """Sixty short visits come first; the check-up is free in three weeks."""
    soon = [{**SLOT, "id": f"s-{n}", "serviceType": [{"text": "Visite courte"}]} for n in range(60)]
    late = {**SLOT, "id": "late", "start": "2026-12-21T06:00:00Z", "end": "2026-12-21T06:45:00Z"}

    def say(asked: Asked) -> httpx.Response | None:
        if asked.path != "/Slot":
            return None
        first = ("_count", "60") in asked.query
        return httpx.Response(200, json=searchset(*(soon if first else [*soon, late])))

    fhir.rules.append(say)
    for _ in range(2):
        page = (await person.open("/soignants/role-1")).text
        assert 'value="Visite courte"' in page
        assert 'value="Suivi d&#39;acné"' in page
        assert "45 minutes" in page
    later = [a for a in fhir.asked if a.path == "/Slot" and ("_count", "200") in a.query]
    assert [a.token for a in later] == [None], "read once for a while, for whoever comes"


async def test_a_message_that_is_too_long_is_led_to(person: Person) -> None:
    check = await choose(person)
    refused = await person.follow(await person.send(check.url.path, message="x" * 501))
    assert '<li><a href="#message">' in refused.text


async def test_nobody_chosen_is_led_to(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    fhir.on("POST", "/Patient/$acting-for", BOTH)
    asked = await choose(person)
    refused = await person.follow(await person.send(asked.url.path, qui=""))
    assert '<li><a href="#qui">' in refused.text
    assert '<fieldset id="qui" tabindex="-1"' in refused.text


async def test_the_language_that_differs_is_tied_to_what_is_said_of_it(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("GET", "/Patient/camille", CAMILLE, ETag='W/"4"')
    fhir.refuse("PUT", "/Patient/camille", 412, "version-conflict")
    await person.open("/mes-donnees/camille")
    refused = await person.send(
        "/mes-donnees/camille", courriel="camille@exemple.fr", langue="en", version='W/"3"'
    )
    assert '<li><a href="#langue">' in refused.text
    assert 'tabindex="-1" aria-describedby="langue-problem"' in refused.text
    assert 'id="langue-problem"' in refused.text


@pytest.mark.parametrize(
    ("line", "leads"),
    [("avec", "/recherche?quoi="), ("ou", "/recherche?quoi="), ("motif", "/soignants/role-1")],
)
async def test_changing_with_whom_where_or_why_keeps_the_message_and_gives_the_time_back(
    person: Person, fhir: FhirBase, line: str, leads: str
) -> None:
    check = await choose(person)
    assert f'name="quoi" value="{line}"' in check.text
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    path = check.url.path.replace("/verifier", "/modifier")
    gone = await person.send(path, quoi=line, message="Grain de beauté")
    assert gone.headers["location"].startswith(leads)
    assert fhir.asked[-1].method == "PATCH" or any(a.method == "PATCH" for a in fhir.asked)
    assert "Grain de beauté" in (await choose(person)).text, "with another time of the same professional"


async def test_contacts_are_not_offered_to_be_changed_by_who_may_not(person: Person, fhir: FhirBase) -> None:
    assert 'value="coordonnees"' in (await choose(person)).text
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", True, "book")))
    assert 'value="coordonnees"' not in (await choose(person)).text


async def test_whose_details_and_whose_wish_it_is_stands_on_the_page(person: Person, fhir: FhirBase) -> None:
    """A banner where one acts for somebody, and none on one's own."""
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    fhir.on("POST", "/Patient/$acting-for", BOTH)
    for one in (CAMILLE, LOU):
        fhir.on("GET", f"/Patient/{one['id']}", one, ETag='W/"3"')
    theirs = (await person.open("/mes-donnees/lou")).text
    assert "Vous agissez pour Lou Martin" in theirs
    assert "<title>Les coordonnées d'un proche" in theirs
    assert "Vous agissez" not in (await person.open("/mes-donnees/camille")).text
    patient = [{"actor": {"reference": "Patient/lou"}}, {"actor": {"reference": "PractitionerRole/role-1"}}]
    fhir.on("GET", "/Appointment/w-1", wish(participant=patient), ETag='W/"1"')
    assert "Vous agissez pour Lou Martin" in (await person.open("/liste-attente/w-1")).text
    fhir.on("GET", "/Appointment/w-1", wish(), ETag='W/"1"')
    assert "Vous agissez" not in (await person.open("/liste-attente/w-1")).text


async def test_of_several_people_s_messages_each_says_whose_it_is(person: Person, fhir: FhirBase) -> None:
    sent: dict[str, Any] = {
        "resourceType": "Communication",
        "id": "m-1",
        "status": "completed",
        "subject": {"reference": "Patient/lou"},
        "sent": "2026-11-29T09:30:00Z",
    }
    fhir.on("POST", "/Communication/_search", searchset(sent))
    assert "Lou Martin" not in (await person.open("/mes-messages")).text
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    assert "Lou Martin" in (await person.open("/mes-messages")).text


async def test_what_a_practice_has_written_is_french_on_an_english_page(
    person: Person, fhir: FhirBase
) -> None:
    """RGAA 8.7: a screen reader says it as French; on a French page there is nothing to say."""
    fhir.on(
        "GET", "/PractitionerRole", searchset({**ROLE, "availabilityExceptions": "Fermé le jeudi"}, PLACE)
    )
    said = booked(serviceType=[{"text": "Suivi d'acné"}], patientInstruction="Venez à jeun.")
    fhir.on("GET", "/Appointment/a-1", said, ETag='W/"3"')
    for path, words in (
        ("/soignants/role-1", ("Fermé le jeudi", "Suivi d&#39;acné")),
        ("/rendez-vous/a-1", ("Venez à jeun.", "Suivi d&#39;acné")),
        ("/soignants/role-1/creneaux?motif=Suivi+d%27acn%C3%A9", ("Suivi d&#39;acné",)),
        ("/rendez-vous/a-1/deplacer", ("Suivi d&#39;acné",)),
    ):
        french = (await person.open(path)).text
        await person.open("/langue/en?retour=/")
        english = (await person.open(path)).text
        for one in words:
            assert f'<span lang="fr">{one}</span>' in english, (path, one)
            assert f'<span lang="fr">{one}</span>' not in french
        await person.open("/langue/fr?retour=/")


async def test_a_link_says_how_long_its_answer_opens_the_page(person: Person, fhir: FhirBase) -> None:
    opening(fhir, "1984")
    person.client.cookies.clear()
    page = await person.follow(await person.open(f"/rdv/{TOKEN}"))
    assert "pour 30 minutes" in page.text
