"""What was begun is kept through a log-in, in whatever way, unless it was another person's who used the same browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlencode

import httpx
import pytest

from creneau_web.pages.booking.draft import Draft

from .conftest import Asked, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment, held
from .test_beside import acting_for
from .test_booking import UNTIL_LATER
from .test_without_account import EXPIRES, TOKEN, opening, parameters

ALICE, BORIS = "alice@exemple.fr", "boris@exemple.fr"
MESSAGE = "un grain de beauté qui change"


@pytest.fixture(autouse=True)
def base(fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("POST", "/$send-code", parameters(expires={"valueInstant": EXPIRES}))
    fhir.on(
        "POST",
        "/$verify-code",
        parameters(access_token={"valueString": "a token"}, expires={"valueInstant": EXPIRES}),
    )
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    opening(fhir, "1984")


async def by_code(person: Person, contact: str, back: str = "/") -> httpx.Response:
    await person.open(f"/connexion/code?retour={back}")
    await person.follow(await person.send("/connexion/code", contact=contact, retour=back))
    return await person.send("/connexion/code/saisir", code="123456")


async def by_link(person: Person) -> httpx.Response:
    await person.follow(await person.open(f"/rdv/{TOKEN}"))
    return await person.send("/rdv", reponse="1984")


async def leaves_something(person: Person) -> str:
    """A choice with a message, and an invitation. Gives the path of the choice."""
    sessions, session = person.app.site.sessions, await person.session()
    draft = Draft(slot="slot-1", start=SLOT["start"], end=SLOT["end"], role="role-1", comment=MESSAGE)
    await sessions.keep_draft(session, draft.id, draft.model_dump(mode="json"))
    invited = {"who": "Alice Martin", "name": "Anne", "code": "live-code"}
    session.content = session.content.model_copy(update={"invited": invited})
    await sessions.save(session)
    return draft.path


async def finds_nothing(person: Person) -> bool:
    session = await person.session()
    return not session.content.invited and await person.app.site.sessions.drafts_of(session) == []


async def test_the_next_person_finds_nothing(person: Person) -> None:
    await by_code(person, ALICE)
    begun = await leaves_something(person)
    await by_code(person, BORIS)
    assert await finds_nothing(person)
    assert "live-code" not in (await person.follow(await person.open("/mes-proches/invitation"))).text
    assert (await person.open(begun)).status_code == 404


@pytest.mark.parametrize("again", [ALICE, " Alice@Exemple.fr"])
async def test_the_same_person_finds_what_they_left(person: Person, again: str) -> None:
    await by_code(person, ALICE)
    begun = await leaves_something(person)
    assert (await by_code(person, again, begun)).headers["location"] == begun
    assert "live-code" in (await person.open("/mes-proches/invitation")).text


async def test_a_number_written_otherwise_is_the_same_person_s(person: Person) -> None:
    await by_code(person, "06 39 98 12 34")
    begun = await leaves_something(person)
    assert (await by_code(person, "+33 6.39.98.12.34", begun)).headers["location"] == begun


async def test_what_a_stranger_began_is_theirs_once_they_log_in(person: Person) -> None:
    await person.open("/connexion/code")
    begun = await leaves_something(person)
    assert (await by_code(person, ALICE, begun)).headers["location"] == begun
    assert not await finds_nothing(person)


async def expires(person: Person, fhir: FhirBase) -> None:
    """Their token holds no more: the page that is asked for next leads to the log-in."""
    fhir.refuse("POST", "/Appointment/_search", 401, "login")
    answer = await person.open("/mes-rendez-vous")
    assert answer.headers["location"].startswith("/connexion?")


@pytest.mark.parametrize(("next_one", "kept"), [(ALICE, True), (BORIS, False)])
async def test_whose_it_was_is_known_after_their_token_has_ended(
    person: Person, fhir: FhirBase, next_one: str, kept: bool
) -> None:
    await by_code(person, ALICE)
    begun = await leaves_something(person)
    await expires(person, fhir)
    answer = await by_code(person, next_one, begun)
    assert await finds_nothing(person) != kept
    assert answer.headers["location"] == (begun if kept else "/")
    assert ("Une autre personne" in (await person.follow(answer)).text) != kept, (
        "why they are not where they were"
    )


async def test_the_language_stays_for_the_next_person(person: Person) -> None:
    await by_code(person, ALICE)
    await person.open("/langue/en")
    await by_code(person, BORIS)
    assert '<html lang="en">' in (await person.open("/")).text


async def test_a_link_opens_nothing_of_whoever_was_there_before(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset({**CAMILLE, "id": "alice"}))
    await by_code(person, ALICE)
    await leaves_something(person)
    assert (await by_link(person)).headers["location"] == "/rendez-vous/a-1"
    assert await finds_nothing(person)
    assert (await person.session()).content.whose == "link:a-1"


@pytest.mark.parametrize(("oneself", "may"), [(True, ""), (False, "see book")])
async def test_whoever_follows_a_link_to_their_own_visit_or_their_child_s_stays_logged_in(
    person: Person, fhir: FhirBase, oneself: bool, may: str
) -> None:
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", oneself, may)))
    await by_code(person, ALICE)
    await leaves_something(person)
    assert (await by_link(person)).headers["location"] == "/rendez-vous/a-1"
    assert not await finds_nothing(person)
    assert (await person.session()).content.whose == f"code:email:{ALICE}"
    assert (await person.open("/rdv")).status_code == 200, "and back"


async def test_whoever_may_only_see_a_visit_has_by_its_link_what_the_link_gives(
    person: Person, fhir: FhirBase
) -> None:
    """As the account alone, they could answer nothing that the message asks."""
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", False, "see")))
    await by_code(person, ALICE)
    assert (await by_link(person)).headers["location"] == "/rendez-vous/a-1"
    assert (await person.session()).content.whose == "link:a-1"


def other_link(fhir: FhirBase) -> None:
    """The next link that is followed opens another visit."""

    def say(asked: Asked) -> httpx.Response | None:
        if asked.path != "/Appointment/$open-link" or len(asked.body["parameter"]) == 1:
            return None
        given: dict[str, Any] = {
            "appointment": {"valueReference": {"reference": "Appointment/a-2"}},
            "access_token": {"valueString": "for another"},
            "expires": {"valueInstant": EXPIRES},
        }
        return httpx.Response(200, json=parameters(**given))

    fhir.rules.append(say)


async def test_nor_does_a_log_in_after_a_link_or_another_link(person: Person, fhir: FhirBase) -> None:
    await by_link(person)
    await leaves_something(person)
    await by_code(person, BORIS)
    assert await finds_nothing(person)
    await by_link(person)
    await leaves_something(person)
    other_link(fhir)
    await by_link(person)
    assert await finds_nothing(person)


async def test_whoever_came_by_a_link_keeps_the_time_that_they_choose_through_the_log_in(
    person: Person,
) -> None:
    """They need an account for it: the time comes along, and nothing else. Until then the link's visit is there."""
    await by_link(person)
    await person.open("/soignants/role-1/creneaux")
    answer = await person.follow(await person.send("/soignants/role-1/creneaux", creneau="slot-1"))
    assert answer.url.path == "/connexion"
    begun = answer.url.params["retour"]
    assert (await person.open("/rendez-vous/a-1")).status_code == 200
    await leaves_something(person)
    assert (await by_code(person, BORIS, begun)).headers["location"] == begun
    session = await person.session()
    [(id_, kept)] = await person.app.site.sessions.drafts_of(session)
    assert (f"/reservation/{id_}", kept["slot"], session.content.invited) == (begun, "slot-1", {})
    assert "comment" not in kept


async def test_back_after_the_right_answer_leads_to_the_visit(person: Person) -> None:
    await by_link(person)
    assert (await person.open("/rdv")).headers["location"] == "/rendez-vous/a-1"
    waiting = await person.follow(await person.open(f"/rdv/{TOKEN}"))
    assert (waiting.status_code, waiting.url.path) == (200, "/rdv"), "a link that is followed asks"
    await by_link(person)
    person.client.cookies.clear()
    assert (await person.open("/rdv")).status_code == 404, "nobody else is led there"


CORRECTION = {"nom_utilise": "Durand-Petit", "langue": "en", "retour": "/mes-rendez-vous"}
INVITATION = {"pour": "camille", "nom": "Anne Durand-Petit", "etendue": "see", "duree": "3"}
WISH = {"soignant": "role-1", "qui": "camille", "moment": "evening", "jusqu_au": "2026-12-24"}


@pytest.mark.parametrize("next_one", [ALICE, BORIS])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("shown", "sent", "fields"),
    [
        ("/mes-donnees/camille", "/mes-donnees/camille", CORRECTION),
        ("/mes-proches", "/mes-proches/inviter", INVITATION),
        ("/liste-attente?soignant=role-1", "/liste-attente", WISH),
    ],
)
async def test_what_was_sent_after_the_tokens_end_waits_for_whoever_sent_it(
    person: Person,
    fhir: FhirBase,
    shown: str,
    sent: str,
    fields: dict[str, str],
    known: bool,
    next_one: str,
) -> None:
    """A code's token lives an hour and is never renewed. `known`: another page has told already that it has ended."""
    fhir.on("GET", "/Patient/camille", CAMILLE)
    await by_code(person, ALICE)
    await person.open(shown)
    standing = len(fhir.rules)
    fhir.rules.append(no_token)
    if known:
        await expired(person)
    answer = await person.send(sent, **fields)
    del fhir.rules[standing:]
    back = shown.partition("?")[0]
    assert answer.headers["location"] == f"/connexion?{urlencode({'retour': back})}"
    typed = [value for name, value in fields.items() if name in ("nom", "nom_utilise", "jusqu_au")]
    assert typed[0] not in (await person.follow(answer)).text, "for nobody before they have logged in"
    page = await person.follow(await by_code(person, next_one, back))
    assert (typed[0] in page.text) == (next_one == ALICE)


async def expired(person: Person) -> None:
    """Another tab has been told already that the token has ended; the form of this one is still open."""
    form_key = person.form_key
    assert (await person.open("/mes-rendez-vous")).headers["location"].startswith("/connexion?")
    person.form_key = form_key


def no_token(asked: Asked) -> httpx.Response | None:
    if asked.token is None:
        return None
    return httpx.Response(401, json={"resourceType": "OperationOutcome", "issue": [{"code": "login"}]})


@pytest.mark.parametrize("button", ["verifier", "garder"])
async def test_who_confirms_after_the_tokens_end_comes_back_to_the_time_that_is_held(
    person: Person, fhir: FhirBase, button: str
) -> None:
    fhir.on("POST", "/Appointment/$hold", held(), 201, Expires="Mon, 30 Nov 2026 08:10:00 GMT")
    fhir.on("GET", "/Appointment/a-1", held())
    await by_code(person, ALICE)
    await person.open("/soignants/role-1/creneaux")
    check = await person.follow(await person.send("/soignants/role-1/creneaux", creneau="slot-1"))
    standing = len(fhir.rules)
    fhir.rules.append(no_token)
    await expired(person)
    answer = await person.send(check.url.path.replace("verifier", button), message=MESSAGE)
    del fhir.rules[standing:]
    page = await person.follow(
        await by_code(person, ALICE, unquote(answer.headers["location"].partition("=")[2]))
    )
    assert page.url.path == check.url.path
    assert MESSAGE in page.text


@pytest.mark.parametrize("known", [True, False])
async def test_whoever_came_by_a_link_is_told_to_open_it_again_after_its_half_hour(
    person: Person, fhir: FhirBase, known: bool
) -> None:
    """They have no account, and are not asked who they are; what they had typed is there when they are back."""
    fhir.on("GET", "/Appointment/a-1", appointment("booked", extension=UNTIL_LATER), ETag='W/"1"')
    await by_link(person)
    await person.open("/rendez-vous/a-1/annuler")
    form_key, standing = person.form_key, len(fhir.rules)
    fhir.rules.append(no_token)
    if known:
        over = await person.follow(await person.open("/rendez-vous/a-1"))
        assert (over.url.path, over.status_code) == ("/rendez-vous/a-1", 410)
        assert "ouvrez de nouveau le lien de votre message" in over.text
        person.form_key = form_key
    over = await person.send("/rendez-vous/a-1/annuler", raison="pat-lt", version='W/"1"')
    assert (over.status_code, "Qui êtes-vous" in over.text) == (410, False)
    assert "ouvrez de nouveau le lien de votre message" in over.text
    assert (await person.open("/")).status_code == 200, "what is everybody's is theirs too"
    del fhir.rules[standing:]
    account = await person.open("/mes-rendez-vous")
    assert account.headers["location"].startswith("/connexion?"), "who has an account gets to it from there"
    assert (await by_link(person)).headers["location"] == "/rendez-vous/a-1"
    assert (await person.session()).content.unsent is not None
