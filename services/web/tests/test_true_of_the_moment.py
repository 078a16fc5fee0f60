"""What a page says is so at that moment: of a session that has ended, a right that was taken back, a hold that is no more;
and what was written is not lost by it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from creneau_shared.clock import FixedClock

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, appointment, held
from .test_booking import EXPIRES, choose, directory  # noqa: F401


async def test_who_came_by_a_link_is_asked_to_log_in_for_all_else(person: Person, fhir: FhirBase) -> None:
    """Not told of tokens: and the page of the ways to log in does not send them back again."""
    await person.sign_in("link", provider="link")
    fhir.refuse("POST", "/Patient/_search", 403, "forbidden", "Votre jeton ne permet pas cela.")
    for path in ("/mes-rendez-vous", "/mes-donnees", "/liste-attente?soignant=role-1"):
        page = await person.follow(await person.open(path))
        assert (page.url.path, page.status_code) == ("/connexion", 200), path
        assert "jeton" not in page.text
    booking = await choose(person)
    assert (booking.url.path, booking.status_code) == ("/connexion", 200)
    assert "Vos choix sont gardés" in booking.text
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    assert (await person.open("/rendez-vous/a-1")).status_code == 200


async def test_choices_that_ended_with_their_session_are_not_promised(person: Person) -> None:
    await person.sign_in()
    check = await choose(person)
    person.client.cookies.clear()
    gone = await person.follow(await person.open(check.url.path))
    assert gone.url.path == "/connexion"
    assert "Vos choix sont gardés" not in gone.text
    assert "plus gardée" in gone.text
    assert check.url.path not in gone.text
    assert "Vos choix" not in (await person.open("/connexion?retour=/mon-espace")).text


async def test_what_was_written_into_a_page_that_expired_is_shown_once_more(person: Person) -> None:
    """Nothing was done, which is said; the way back leads to the page. What another site sends is shown to nobody."""
    await person.open("/signaler")
    person.client.cookies.clear()
    late = await person.send("/signaler", texte="Le numéro est faux", raison="wrong")
    assert late.status_code == 403
    assert "Rien n'a été fait" in late.text
    assert "Le numéro est faux" in late.text
    assert 'href="/signaler"' in late.text
    strange = await person.client.post(
        "/signaler", data={"texte": "Achetez"}, headers={"Origin": "https://evil.example"}
    )
    assert (strange.status_code, "Achetez" in strange.text) == (403, False)


async def test_a_button_for_what_is_gone_says_that_nothing_was_done(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    await person.open("/signaler")
    gone = await person.send("/rendez-vous/never/annuler")
    assert (gone.status_code, "Rien n'a été fait" in gone.text) == (404, True)
    assert "Rien n'a" not in (await person.open("/rendez-vous/never/annuler")).text


async def test_for_whom_one_may_not_act_any_more_nothing_is_booked_and_another_is_chosen(
    person: Person, fhir: FhirBase
) -> None:
    """What was written stays."""
    await person.sign_in()
    check = await choose(person)
    fhir.on("POST", "/Patient/_search", searchset({**CAMILLE, "id": "other"}))
    fhir.on("GET", "/Patient/$acting-for", {"resourceType": "Parameters"})
    fhir.refuse("POST", "/Appointment/a-1/$book", 404, "not-found")
    fhir.refuse("GET", "/Appointment/a-1", 404, "not-found")
    asked = await person.follow(await person.send(check.url.path, message="En fauteuil"))
    assert asked.url.path.endswith("/pour-qui")
    assert "ne pouvez plus agir" in asked.text


@pytest.mark.parametrize("code", ["hold-expired", "illegal-transition"])
async def test_a_time_that_is_not_kept_any_more_has_not_been_taken_by_somebody(
    person: Person, fhir: FhirBase, code: str
) -> None:
    await person.sign_in()
    check = await choose(person)
    fhir.refuse("POST", "/Appointment/a-1/$book", 422, code)
    lost = await person.follow(await person.send(check.url.path))
    assert lost.url.path.endswith("/pris")
    assert "plus gardé" in lost.text
    assert "quelqu'un vient" not in lost.text
    assert "n'est plus libre" not in lost.text, "it may be free, and be among the nearest"


async def test_every_button_of_the_recap_keeps_the_message(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    check = await choose(person)
    draft = check.url.path.removesuffix("/verifier")
    fhir.on("POST", "/Appointment/a-1/$hold", appointment(), 200, Expires=EXPIRES)
    fhir.on("GET", "/Appointment/a-1", held())
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    for path, fields in (
        ("modifier", {"quoi": "pour-qui"}),
        ("modifier", {"quoi": "coordonnees"}),
        ("garder", {}),
    ):
        await person.send(f"{draft}/{path}", message=f"par {path}", **fields)
        assert f"par {path}" in (await person.open(check.url.path)).text
    await person.send(f"/langue/en?retour={check.url.path}", message="then in English")
    assert "then in English" in (await person.open(check.url.path)).text
    await person.send(f"{draft}/modifier", message="changed since", quoi="pour-qui")
    assert "changed since" in (await person.open(check.url.path)).text, "what was written last"
    given_up = await person.send(f"{draft}/abandonner", message="la fin")
    assert given_up.headers["location"] == "/soignants/role-1/creneaux"
    assert "la fin" in (await choose(person)).text, "the next time takes it along"


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (429, "throttled", "Attendez une minute."),
        (503, "overloaded", "Réessayez dans une minute"),
        (403, "forbidden", "Attendez une minute."),
    ],
)
async def test_what_keeps_a_time_from_being_kept_longer_is_told_as_what_it_is(
    person: Person, fhir: FhirBase, status: int, code: str, told: str
) -> None:
    """Not that it cannot be kept: in a minute it can."""
    await person.sign_in()
    check = await choose(person)
    fhir.refuse("POST", "/Appointment/a-1/$hold", status, code, "Attendez une minute.")
    answer = await person.send(check.url.path.replace("verifier", "garder"), message="En fauteuil")
    assert (answer.status_code, told in answer.text) == (status, True)
    fhir.refuse("POST", "/Appointment/a-1/$hold", 422, "hold-extended-enough")
    recap = await person.follow(await person.send(check.url.path.replace("verifier", "garder")))
    assert "plus longtemps" in recap.text
    assert recap.url.path == check.url.path


@pytest.mark.parametrize(("hour", "live"), [(22, True), (23, False)])
async def test_an_access_ends_with_its_day_in_paris(
    person: Person, fhir: FhirBase, clock: FixedClock, hour: int, live: bool
) -> None:
    """As the base counts: not an hour or two later."""
    ends = {
        "resourceType": "RelatedPerson",
        "id": "r-1",
        "patient": {"reference": "Patient/camille"},
        "name": [{"text": "Jean Proche"}],
        "period": {"end": "2026-11-30"},
    }
    fhir.on("POST", "/RelatedPerson/_search", searchset(ends))
    await person.sign_in()
    clock.advance(datetime(2026, 11, 30, hour, 30, tzinfo=UTC) - clock.now())
    await person.sign_in()
    assert ("Jean Proche" in (await person.open("/mes-proches")).text) == live


async def test_a_child_of_today_is_of_today_in_paris(
    person: Person, fhir: FhirBase, clock: FixedClock
) -> None:
    clock.advance(datetime(2026, 11, 30, 23, 30, tzinfo=UTC) - clock.now())
    fhir.on("POST", "/Patient/_search", searchset())
    fhir.on("POST", "/Patient", CAMILLE, 201)
    await person.sign_in()
    form = await choose(person)
    sent = await person.send(
        form.url.path,
        prenom="Zoé",
        nom_de_naissance="Touré",
        jour="1",
        mois="12",
        annee="2026",
        courriel="zoe@exemple.fr",
    )
    assert sent.headers["location"].endswith("/verifier")
