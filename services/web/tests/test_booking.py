"""From a free time to an appointment, against a FHIR base that is stood in for."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import orjson
import pytest
from starlette.requests import Request

from creneau_shared.clock import FixedClock
from creneau_web.page import Page
from creneau_web.pages.booking.draft import BookedAlreadyError, Draft, keep, release
from creneau_web.pages.times import FIRST

from .conftest import FHIR, NOW, Asked, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, VISIT, appointment, held

UNTIL_LATER = [
    {
        "url": f"https://creneau.sante.fr/fhir/StructureDefinition/{name}-until",
        "valueInstant": "2026-12-01T05:00:00Z",
    }
    for name in ("cancelable", "reschedulable")
]
SHOWN = re.compile(r'name="montre" value="([^"]+)"')
EXPIRES = "Mon, 30 Nov 2026 08:10:00 GMT"


@pytest.fixture(autouse=True)
def directory(fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    fhir.on("POST", "/Appointment/a-1/$book", appointment("booked"))
    fhir.on("GET", "/Appointment/a-1", appointment("booked"), ETag='W/"1"')


async def choose(person: Person) -> httpx.Response:
    await person.open("/soignants/role-1/creneaux")
    return await person.follow(await person.send("/soignants/role-1/creneaux", creneau="slot-1"))


async def test_a_chosen_time_is_held_and_confirmed_once(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    check = await choose(person)
    assert check.url.path.endswith("/verifier")
    assert "Il reste une étape" in check.text
    assert "12 h 10" in check.text, "the end of the hold, by the clock of La Réunion"
    done = await person.follow(await person.send(check.url.path))
    assert done.url.path == "/rendez-vous/a-1"
    assert "confirmé" in done.text
    again = await person.follow(await person.send(check.url.path))
    assert again.url.path == "/rendez-vous/a-1"
    assert [a.path for a in fhir.asked if a.path.endswith("$book")] == ["/Appointment/a-1/$book"]


async def test_what_is_held_says_what_it_is_for(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    await choose(person)
    held = next(a.body for a in fhir.asked if a.path == "/Appointment/$hold")
    assert held["parameter"][0]["resource"]["serviceType"] == SLOT["serviceType"]


async def test_a_visit_at_home_is_one_before_it_is_confirmed(person: Person, fhir: FhirBase) -> None:
    """Nobody is led to read that they go to the practice."""
    home = {**SLOT, "serviceType": [{"coding": [{"system": VISIT, "code": "HH"}]}]}
    fhir.on("GET", "/Slot", searchset(home, SCHEDULE))
    await person.sign_in()
    check = (await choose(person)).text
    assert "<dt>Où</dt><dd>À domicile</dd>" in check
    assert "83 boulevard" not in check
    visit = appointment("booked", serviceType=home["serviceType"], extension=UNTIL_LATER)
    fhir.on("GET", "/Appointment/a-1", visit)
    for path in ("/rendez-vous/a-1", "/rendez-vous/a-1/deplacer/verifier?creneau=slot-2"):
        page = (await person.open(path)).text
        assert "<dt>Où</dt><dd>À domicile</dd>" in page, path
        assert "83 boulevard" not in page, path


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (None, "Vous pourrez déplacer ou annuler le rendez-vous ensuite."),
        (2, "ensuite, jusqu'au mardi 1er décembre à 8"),
        (24, "trop proche pour être ensuite déplacé ou annulé en ligne"),
    ],
)
async def test_that_it_can_be_changed_afterwards_is_promised_only_where_it_can(
    person: Person, fhir: FhirBase, hours: int | None, told: str
) -> None:
    """For tomorrow, at practices that let go two hours and a day before."""
    deadline = {
        "url": "https://creneau.sante.fr/fhir/StructureDefinition/schedule-change-deadline",
        "valueDuration": {"value": hours, "code": "h", "system": "http://unitsofmeasure.org"},
    }
    fhir.on("GET", "/Slot", searchset(SLOT, {**SCHEDULE, "extension": [deadline] if hours else []}))
    await person.sign_in()
    page = (await choose(person)).text.replace("&#39;", "'")
    assert told in page
    assert ("Vous pourrez déplacer" in page) is (hours != 24)


async def test_another_professional_s_time_is_not_there(person: Person, fhir: FhirBase) -> None:
    """A form that was tampered with: the recap would name one, and the booking would be with another."""
    elsewhere = {**SCHEDULE, "actor": [{"reference": "PractitionerRole/role-2"}]}
    fhir.on("GET", "/Slot", searchset(SLOT, elsewhere))
    await person.sign_in()
    await person.open("/soignants/role-1/creneaux")
    assert (await person.send("/soignants/role-1/creneaux", creneau="slot-1")).status_code == 404


async def test_the_same_wish_has_the_same_key(person: Person, fhir: FhirBase) -> None:
    """An answer that got lost: the second request is the first one again, not another booking."""
    await person.sign_in()
    check = await choose(person)
    fhir.on("POST", "/Appointment/a-1/$book", {}, 504)
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"1"')
    assert (await person.send(check.url.path)).status_code == 503
    fhir.on("POST", "/Appointment/a-1/$book", appointment("booked"))
    await person.open(check.url.path)
    await person.send(check.url.path)
    keys = [a.headers["idempotency-key"] for a in fhir.asked if a.path.endswith("$book")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_who_is_not_logged_in_comes_back_to_their_choice(person: Person) -> None:
    answer = await choose(person)
    assert answer.url.path == "/connexion"
    assert answer.url.params["retour"].startswith("/reservation/")


async def test_somebody_faster_leads_to_the_nearest_times(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    fhir.refuse("POST", "/Appointment/$hold", 409, "slot-taken")
    lost = await choose(person)
    assert lost.url.path.endswith("/pris")
    assert "mardi 1er décembre à 10 h" in lost.text
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    found = await person.follow(await person.send(lost.url.path, creneau="slot-1"))
    assert found.url.path.endswith("/verifier")


OWN = "La même personne a déjà un rendez-vous à cette heure (mardi 1er décembre, 10 h). Choisissez un autre créneau."


async def test_ones_own_visit_at_that_time_is_nobody_who_was_faster(person: Person, fhir: FhirBase) -> None:
    """As the time is held, and as it is booked: said in a sentence that names no id, with a way to one's appointments."""
    await person.sign_in()
    check = await choose(person)
    fhir.refuse("POST", "/Appointment/a-1/$book", 409, "actor-occupied", OWN, "Patient/camille")
    late = await person.follow(await person.send(check.url.path))
    fhir.refuse("POST", "/Appointment/$hold", 409, "actor-occupied", OWN, "Patient/camille")
    for page in (late, await choose(person)):
        assert page.url.path.endswith("/impossible")
        assert "déjà un rendez-vous à cette heure" in page.text
        assert "Patient/camille" not in page.text
        assert "quelqu'un vient" not in page.text
        assert 'href="/mes-rendez-vous">Voir' in page.text


@pytest.mark.parametrize(
    ("code", "about", "leads_to"),
    [
        ("slot-held", None, "/pris"),
        ("group-full", None, "/pris"),
        ("actor-occupied", "Practitioner/p-1", "/pris"),
        ("place-taken", "Slot/slot-1: Patient/camille", "/impossible"),
    ],
)
async def test_why_a_time_cannot_be_had_is_told_by_the_code(
    person: Person, fhir: FhirBase, code: str, about: str | None, leads_to: str
) -> None:
    await person.sign_in()
    fhir.refuse("POST", "/Appointment/$hold", 409, code, about=about)
    page = await choose(person)
    assert page.url.path.endswith(leads_to)
    assert "Patient/" not in page.text


async def test_what_passes_by_itself_is_said_in_its_own_words(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    fhir.refuse("POST", "/Appointment/$hold", 409, "agenda-busy", "Cet agenda est occupé. Réessayez.")
    page = await choose(person)
    assert (page.status_code, "Réessayez" in page.text) == (409, True)


async def given_back_elsewhere(person: Person, fhir: FhirBase) -> None:
    """In another tab the times were opened again."""
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"3"')
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    await person.open("/soignants/role-1/creneaux")


async def test_what_was_written_for_a_time_given_back_elsewhere_is_kept(
    person: Person, fhir: FhirBase
) -> None:
    """The time is held anew, nothing is booked unseen, and the page says so."""
    await person.sign_in()
    check = await choose(person)
    await given_back_elsewhere(person, fhir)
    recap = await person.follow(await person.send(check.url.path, message="En fauteuil"))
    assert recap.url.path == check.url.path
    assert "En fauteuil" in recap.text
    assert "Vérifiez encore une fois" in recap.text
    assert [a for a in fhir.asked if a.path.endswith("$book")] == []
    assert "Vérifiez encore" not in (await person.open(check.url.path)).text


async def test_what_another_tab_chose_is_booked_by_no_recap_that_shows_something_else(
    person: Person, fhir: FhirBase
) -> None:
    """The recap for Camille is open; in a second tab the same choice becomes Tom's."""
    tom = {**CAMILLE, "id": "tom", "name": [{"use": "official", "family": "Martin", "given": ["Tom"]}]}
    await person.sign_in()
    shown = await choose(person)
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, tom))
    fhir.on("GET", "/Patient/tom", tom)
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"3"')
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    other = await person.follow(await person.send(shown.url.path.replace("verifier", "pour-qui"), qui="tom"))
    assert other.url.path == shown.url.path
    stale, fresh = (SHOWN.findall(recap.text) for recap in (shown, other))
    recap = await person.follow(await person.send(shown.url.path, montre=stale[0], message="En fauteuil"))
    assert [a for a in fhir.asked if a.path.endswith("$book")] == []
    assert "Vérifiez encore une fois" in recap.text
    assert "<dd>Tom Martin</dd>" in recap.text
    assert "En fauteuil" in recap.text
    done = await person.send(shown.url.path, montre=fresh[0], message="En fauteuil")
    assert done.headers["location"] == "/rendez-vous/a-1"


async def test_what_was_written_leads_to_no_second_look_where_there_is_none(
    person: Person, fhir: FhirBase
) -> None:
    """Meanwhile somebody else has the time."""
    await person.sign_in()
    check = await choose(person)
    await given_back_elsewhere(person, fhir)
    fhir.refuse("POST", "/Appointment/$hold", 409, "slot-taken")
    lost = await person.follow(await person.send(check.url.path, message="En fauteuil"))
    assert lost.url.path.endswith("/pris")
    assert "Vérifiez encore" not in lost.text


async def test_what_a_rule_stands_against_says_why_and_what_is_left(person: Person, fhir: FhirBase) -> None:
    """P11: another time, another person, the telephone; once it is possible, it goes on where it was. P19: in another
    language, the base's sentence says in which it is."""
    await person.sign_in()
    fhir.refuse("POST", "/Appointment/$hold", 422, "too-old", "Cet agenda reçoit les moins de 16 ans.")
    refused = await choose(person)
    assert refused.url.path.endswith("/impossible")
    assert "mardi 1er décembre à 10 h" in refused.text
    assert "Cet agenda reçoit les moins de 16 ans." in refused.text
    draft = refused.url.path.removesuffix("/impossible")
    for way in ("/soignants/role-1/creneaux", f"{draft}/pour-qui", "tel:+262262980143"):
        assert f'href="{way}"' in refused.text
    english = (await person.follow(await person.open(f"/langue/en?retour={draft}/impossible"))).text
    assert '<html lang="en">' in english
    assert '<span lang="fr">Cet agenda reçoit les moins de 16 ans.</span>' in english
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    found = await person.follow(await person.open(draft))
    assert found.url.path.endswith("/verifier")
    again = await person.follow(await person.open(f"{draft}/impossible"))
    assert again.url.path.endswith("/verifier")


async def test_a_hold_that_has_run_out_is_a_page(person: Person, clock: FixedClock) -> None:
    await person.sign_in()
    check = await choose(person)
    clock.advance(timedelta(minutes=11))
    late = await person.follow(await person.open(check.url.path))
    assert late.url.path.endswith("/pris")
    assert "plus gardé" in late.text


async def test_going_back_to_the_times_gives_the_held_one_back(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    await choose(person)
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"3"')
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    page = await person.open("/soignants/role-1/creneaux")
    [given_back] = [a for a in fhir.asked if a.method == "PATCH"]
    assert given_back.body == [{"op": "replace", "path": "/status", "value": "cancelled"}]
    assert given_back.headers["if-match"] == 'W/"3"', "it may have been booked in between"
    assert 'value="slot-1"' in page.text


async def test_a_button_pressed_twice_books_once_whatever_is_said_with_it(
    person: Person, fhir: FhirBase
) -> None:
    """The other request has said the same between reading and writing; the browser shows the answer to this one."""
    await person.sign_in()
    check = await choose(person)
    fhir.refuse("PATCH", "/Appointment/a-1", 412, "version")
    said = iter([held(), {**held(), "comment": "En fauteuil"}])

    def read(asked: Asked) -> httpx.Response | None:
        if (asked.method, asked.path) != ("GET", "/Appointment/a-1"):
            return None
        now = next(said, appointment("booked"))
        return httpx.Response(200, content=orjson.dumps(now), headers={**FHIR, "ETag": 'W/"3"'})

    fhir.rules.append(read)
    fhir.on("POST", "/Appointment/a-1/$book", appointment("booked"))
    answer = await person.send(check.url.path, message="En fauteuil")
    assert answer.headers["location"] == "/rendez-vous/a-1"


async def without_an_answer(person: Person, fhir: FhirBase) -> str:
    """It is booked, and the answer is lost on the way. Gives the path of the choice."""
    await person.sign_in()
    check = await choose(person)
    fhir.on("PATCH", "/Appointment/a-1", held())
    fhir.on("POST", "/Appointment/a-1/$book", {}, 504)
    assert (await person.send(check.url.path, message="En fauteuil")).status_code == 503
    return check.url.path.removesuffix("/verifier")


@pytest.mark.parametrize(
    ("minutes", "step", "fields"),
    [
        (1, "/soignants/role-1/creneaux", None),
        (1, "{draft}/abandonner", {}),
        (1, "{draft}/cacher", {"cacher": "oui"}),
        (1, "{draft}/pour-qui", {"qui": "other"}),
        (11, "/soignants/role-1/creneaux", None),
        (11, "{draft}/pris", {"creneau": "slot-1"}),
        (11, "{draft}/verifier", None),
        (11, "{draft}", None),
    ],
)
async def test_what_was_booked_without_an_answer_is_given_back_by_no_step(
    person: Person, fhir: FhirBase, clock: FixedClock, minutes: int, step: str, fields: dict[str, str] | None
) -> None:
    """Nor is it told as lost after the end of the hold: the person would book a second time."""
    draft = await without_an_answer(person, fhir)
    clock.advance(timedelta(minutes=minutes))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, {**CAMILLE, "id": "other"}))
    holds = sum(a.path == "/Appointment/$hold" for a in fhir.asked)
    path = step.format(draft=draft)
    answer = await (person.open(path) if fields is None else person.send(path, **fields))
    assert answer.headers["location"] == "/rendez-vous/a-1"
    assert [a for a in fhir.asked if a.method == "PATCH" and a.body[0]["path"] == "/status"] == []
    assert sum(a.path == "/Appointment/$hold" for a in fhir.asked) == holds
    assert "Votre rendez-vous est confirmé" in (await person.follow(answer)).text
    assert (await person.open("/soignants/role-1/creneaux")).status_code == 200, "told once"


async def test_what_was_not_booked_goes_on_where_it_was(person: Person, fhir: FhirBase) -> None:
    """The request was lost, and not its answer."""
    draft = await without_an_answer(person, fhir)
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"3"')
    assert "En fauteuil" in (await person.open(f"{draft}/verifier")).text
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    given_up = await person.send(f"{draft}/abandonner")
    assert given_up.headers["location"] == "/soignants/role-1/creneaux"
    assert fhir.asked[-1].body == [{"op": "replace", "path": "/status", "value": "cancelled"}]


async def test_a_hold_that_is_booked_as_it_is_given_back_stays_booked(person: Person, fhir: FhirBase) -> None:
    draft = await without_an_answer(person, fhir)
    answers = iter([held(), held(), appointment("booked")])

    def read(asked: Asked) -> httpx.Response | None:
        if (asked.method, asked.path) != ("GET", "/Appointment/a-1"):
            return None
        return httpx.Response(200, json=next(answers), headers={"ETag": 'W/"3"'})

    fhir.rules.append(read)
    fhir.refuse("PATCH", "/Appointment/a-1", 412, "version-conflict")
    answer = await person.send(f"{draft}/abandonner")
    assert answer.headers["location"] == "/rendez-vous/a-1"


async def test_a_visit_that_was_moved_without_an_answer_is_moved(person: Person, fhir: FhirBase) -> None:
    """Its hold has given way to it; at the other time it was not moved."""
    await person.sign_in()
    check = await choose(person)
    path = check.url.path.removesuffix("/verifier")
    sessions, session = person.app.site.sessions, await person.session()
    kept = await sessions.find_draft(session, path.rpartition("/")[2])
    assert kept is not None
    await sessions.keep_draft(session, kept["id"], {**kept, "moving": "a-2"})
    fhir.on("POST", "/Appointment/a-2/$reschedule", {}, 504)
    assert (await person.send(check.url.path)).status_code == 503
    fhir.on("GET", "/Appointment/a-1", held())
    fhir.on(
        "GET",
        "/Appointment/a-2",
        {**appointment("booked"), "id": "a-2", "slot": [{"reference": "Slot/before"}]},
    )
    assert (await person.open(check.url.path)).status_code == 200
    fhir.on("GET", "/Appointment/a-2", {**appointment("booked"), "id": "a-2"})
    assert (await person.open(check.url.path)).headers["location"] == "/rendez-vous/a-2"


async def test_a_step_that_began_before_the_booking_undoes_nothing(person: Person, fhir: FhirBase) -> None:
    """Two tabs: the one has read the choice as it was before the other confirmed it."""
    await person.sign_in()
    check = await choose(person)
    sessions, session = person.app.site.sessions, await person.session()
    [(id_, before)] = await sessions.drafts_of(session)
    await person.send(check.url.path)
    page = Page(Request({"type": "http", "headers": [], "query_string": b""}), person.app.site, session)
    for step in (keep, release):
        with pytest.raises(BookedAlreadyError):
            await step(page, Draft.model_validate(before))
    kept = await sessions.find_draft(session, id_)
    assert kept is not None
    assert kept["booked"] == "a-1"
    assert [a for a in fhir.asked if a.method == "PATCH"] == []


async def test_what_is_typed_wrong_is_kept_and_named(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset())
    await person.sign_in()
    form = await choose(person)
    assert form.url.path.endswith("/identite")
    sent = await person.send(
        form.url.path, prenom="Zoé", nom_de_naissance="", jour="31", mois="2", annee="1990"
    )
    assert sent.status_code == 303, "no browser's way back leads to a page that answered a form itself"
    wrong = await person.open(form.url.path)
    assert "<title>Erreur" in wrong.text
    assert 'value="Zoé"' in wrong.text
    for field in ("nom_de_naissance", "jour", "courriel"):
        assert f'href="#{field}"' in wrong.text
    fhir.on("POST", "/Patient", CAMILLE, 201)
    right = await person.send(
        form.url.path,
        prenom="Zoé",
        nom_de_naissance="Touré",
        jour="3",
        mois="2",
        annee="1990",
        courriel="zoe@exemple.fr",
    )
    assert right.headers["location"].endswith("/verifier")
    registered = next(a.body for a in fhir.asked if (a.method, a.path) == ("POST", "/Patient"))
    assert registered["birthDate"] == "1990-02-03"
    assert "identifier" not in registered


async def test_nobody_else_sees_a_draft(person: Person) -> None:
    await person.sign_in()
    check = await choose(person)
    person.client.cookies.clear()
    await person.sign_in("somebody else")
    assert (await person.open(check.url.path)).status_code == 404


async def test_the_first_week_takes_one_question_and_is_whole(person: Person, fhir: FhirBase) -> None:
    """Of a full agenda, whose first times do not reach the end of the week, the week is asked for as well."""
    await person.open("/soignants/role-1/creneaux")
    assert [a.path for a in fhir.asked].count("/Slot") == 1
    minutes = (timedelta(minutes=n) for n in range(FIRST))
    first = [{**SLOT, "id": f"s-{n}", "start": (NOW + m).isoformat()} for n, m in enumerate(minutes)]
    fhir.on("GET", "/Slot", searchset(*first))
    await person.open("/soignants/role-1/creneaux")
    whole = fhir.asked[-1]
    assert (whole.path, [value[:2] for name, value in whole.query if name == "start"]) == (
        "/Slot",
        ["ge", "lt"],
    )
