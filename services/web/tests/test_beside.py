"""P22, P12 and P13 on the way to an appointment: one that is near, who will see it, for whom it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from creneau_shared.clock import FixedClock
from creneau_web.care.model import Professional
from creneau_web.visits.close import close_visit
from creneau_web.visits.model import Visit

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment, held
from .test_booking import EXPIRES, choose

OTHER = {
    **appointment("booked"),
    "id": "a-0",
    "slot": [{"reference": "Slot/slot-0"}],
    "start": "2026-12-03T06:00:00Z",
    "end": "2026-12-03T06:15:00Z",
}
LOU = {**CAMILLE, "id": "lou", "name": [{"use": "official", "family": "Martin", "given": ["Lou"]}]}
ELSEWHERE = {**ROLE, "id": "role-2", "location": [{"reference": "Location/l-2"}]}
OTHER_PLACE = {**PLACE, "id": "l-2", "telecom": [{"system": "phone", "value": "+262262410099"}]}
MOTHER: dict[str, Any] = {
    "resourceType": "RelatedPerson",
    "id": "r-1",
    "patient": {"reference": "Patient/camille"},
    "name": [{"text": "Anne Martin"}],
    "extension": [
        {
            "url": "https://creneau.sante.fr/fhir/StructureDefinition/proxy-accepted-on",
            "valueDate": "2026-01-01",
        }
    ],
}


@pytest.fixture(autouse=True)
async def standing(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("POST", "/Appointment/_search", searchset(OTHER))
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    fhir.on("POST", "/Appointment/a-1/$book", appointment("booked"))
    fhir.on("GET", "/Appointment/a-0", OTHER, ETag='W/"1"')
    fhir.on("GET", "/Appointment/a-1", appointment("booked"), ETag='W/"1"')
    fhir.on("POST", "/Appointment/a-0/$reschedule", OTHER)
    await person.sign_in()


def asked(fhir: FhirBase, ending: str) -> list[str]:
    return [a.path for a in fhir.asked if a.path.endswith(ending)]


async def test_a_near_appointment_is_asked_about_and_replaced_by_a_move(
    person: Person, fhir: FhirBase
) -> None:
    """P22: nothing is moved before the check is confirmed, and then in one step."""
    question = await choose(person)
    assert question.url.path.endswith("/deja")
    assert "jeudi 3 décembre à 10 h" in question.text
    assert "mardi 1er décembre à 10 h" in question.text
    check = await person.follow(await person.send(question.url.path, choix="remplacer"))
    assert check.url.path.endswith("/verifier")
    assert "prendra la place de celui du jeudi 3 décembre" in check.text
    assert asked(fhir, "$reschedule") == []
    done = await person.send(check.url.path)
    assert done.headers["location"] == "/rendez-vous/a-0"
    [moved] = [a for a in fhir.asked if a.path.endswith("$reschedule")]
    assert moved.body["parameter"][0]["valueReference"] == {"reference": "Slot/slot-1"}
    assert asked(fhir, "$book") == []


async def test_a_replacement_that_the_practice_has_to_accept_is_asked_for(
    person: Person, fhir: FhirBase
) -> None:
    """The check says that the old appointment is given up by asking; afterwards nothing is said to be confirmed."""
    agrees = {
        "url": "https://creneau.sante.fr/fhir/StructureDefinition/schedule-confirmation-required",
        "valueBoolean": True,
    }
    fhir.on("GET", "/Slot", searchset(SLOT, {**SCHEDULE, "extension": [agrees]}))
    fhir.on("POST", "/Appointment/a-0/$reschedule", {**OTHER, "status": "pending"}, 202)
    question = await choose(person)
    check = await person.follow(await person.send(question.url.path, choix="remplacer"))
    assert "vous rendez tout de suite votre rendez-vous du jeudi 3 décembre à 10 h" in check.text
    done = await person.follow(await person.send(check.url.path))
    assert "Votre demande est envoyée au cabinet." in done.text
    assert "est confirmé" not in done.text


async def test_both_are_kept_when_the_person_says_so(person: Person, fhir: FhirBase) -> None:
    """P22: never blocked, and asked once."""
    question = await choose(person)
    check = await person.follow(await person.send(question.url.path, choix="garder"))
    assert check.url.path.endswith("/verifier")
    done = await person.send(check.url.path)
    assert done.headers["location"] == "/rendez-vous/a-1"
    assert asked(fhir, "$reschedule") == []


async def test_what_can_no_longer_be_moved_is_not_offered_to_be(person: Person, fhir: FhirBase) -> None:
    """P22, P16: the practice's limit came between the question and the confirmation."""
    question = await choose(person)
    check = await person.follow(await person.send(question.url.path, choix="remplacer"))
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"1"')
    fhir.refuse("POST", "/Appointment/a-0/$reschedule", 422, "change-too-late")
    again = await person.follow(await person.send(check.url.path))
    assert again.url.path.endswith("/deja")
    until = {
        "url": "https://creneau.sante.fr/fhir/StructureDefinition/reschedulable-until",
        "valueInstant": "2026-11-29T06:00:00Z",
    }
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE, ELSEWHERE, OTHER_PLACE))
    with_whom = [OTHER["participant"][0], {"actor": {"reference": "PractitionerRole/role-2"}}]
    fhir.on(
        "POST",
        "/Appointment/_search",
        searchset({**OTHER, "participant": with_whom, "extension": [until]}),
    )
    late = await person.open(again.url.path)
    assert 'value="remplacer"' not in late.text
    told = late.text.partition("trop tard")[2].partition("</p>")[0]
    assert "0262 41 00 99" in told, "the number of the practice that is to be called, not of the new one"


WRITTEN = "En fauteuil"


def written(fhir: FhirBase) -> list[tuple[str, str]]:
    """The messages to the practice that were written: the appointment, and the words."""
    return [
        (a.path, a.body[0]["value"])
        for a in fhir.asked
        if a.method == "PATCH" and a.body[0]["path"] == "/comment"
    ]


async def replacing(person: Person, fhir: FhirBase) -> httpx.Response:
    """The recap of a time that is to take the place of a visit with a message."""
    fhir.on("GET", "/Appointment/a-0", {**OTHER, "comment": "Avec mon chien"}, ETag='W/"1"')
    fhir.on("PATCH", "/Appointment/a-0", OTHER)
    question = await choose(person)
    return await person.follow(await person.send(question.url.path, choix="remplacer"))


@pytest.mark.parametrize(("status", "code"), [(409, "slot-taken"), (422, "change-too-late")])
async def test_the_message_of_a_visit_that_is_not_moved_stays(
    person: Person, fhir: FhirBase, status: int, code: str
) -> None:
    check = await replacing(person, fhir)
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"1"')
    fhir.refuse("POST", "/Appointment/a-0/$reschedule", status, code)
    await person.follow(await person.send(check.url.path, message=WRITTEN))
    assert written(fhir) == []


async def test_the_message_of_a_move_is_written_once_it_is_done(person: Person, fhir: FhirBase) -> None:
    check = await replacing(person, fhir)
    done = await person.follow(await person.send(check.url.path, message=WRITTEN))
    assert written(fhir) == [("/Appointment/a-0", WRITTEN)]
    assert asked(fhir, "$reschedule") == ["/Appointment/a-0/$reschedule"]
    assert "confirmé" in done.text


async def test_a_message_that_is_refused_after_the_move_is_told(person: Person, fhir: FhirBase) -> None:
    """What is done is not undone by it, and is not told as if the practice knew."""
    check = await replacing(person, fhir)
    fhir.refuse("PATCH", "/Appointment/a-0", 503, "transient")
    done = await person.send(check.url.path, message=WRITTEN)
    assert done.headers["location"] == "/rendez-vous/a-0"
    page = await person.follow(done)
    assert "votre message n'est pas arrivé" in page.text.replace("&#39;", "'")


async def test_nor_is_a_move_that_is_only_asked_for_said_to_be_done(person: Person, fhir: FhirBase) -> None:
    check = await replacing(person, fhir)
    fhir.on("POST", "/Appointment/a-0/$reschedule", {**OTHER, "status": "pending"}, 202)
    fhir.refuse("PATCH", "/Appointment/a-0", 503, "transient")
    page = await person.follow(await person.send(check.url.path, message=WRITTEN))
    said = page.text.replace("&#39;", "'")
    assert "Votre demande est envoyée au cabinet, mais votre message n'est pas arrivé" in said
    assert "L'heure est changée" not in said


async def test_the_message_of_a_move_without_an_answer_is_written(person: Person, fhir: FhirBase) -> None:
    """The visit is at its new time, and the answer was lost: the next step writes what was left."""
    check = await replacing(person, fhir)
    fhir.on("POST", "/Appointment/a-0/$reschedule", {}, 504)
    assert (await person.send(check.url.path, message=WRITTEN)).status_code == 503
    assert written(fhir) == []
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"1"')
    fhir.on("GET", "/Appointment/a-0", {**OTHER, "slot": [{"reference": "Slot/slot-1"}]}, ETag='W/"2"')
    again = await person.send(check.url.path, message=WRITTEN)
    assert again.headers["location"] == "/rendez-vous/a-0"
    assert written(fhir) == [("/Appointment/a-0", WRITTEN)]


def visit(id_: str, days: float, status: Any = "booked", specialty: str = "Dermatologie") -> Visit:
    whom = Professional(id="r", name="Dr", specialties=(specialty,), place=None, phone=None)
    start = datetime(2026, 12, 1, 9, tzinfo=UTC) + timedelta(days=days)
    return Visit(
        id=id_, status=status, start=start, end=start, patient="p", patient_name=None, professional=whom,
        reason=None, modes=frozenset(), comment=None, instructions=None, slot=None, etag=None,
    )  # fmt: skip


def test_near_is_booked_for_the_same_care_within_the_days() -> None:
    """P22: the nearest of several; what is held, cancelled, of another speciality or further away is none."""
    whom = Professional(id="x", name="Dr X", specialties=("Dermatologie",), place=None, phone=None)
    start, within = datetime(2026, 12, 1, 9, tzinfo=UTC), timedelta(days=6)
    visits = [
        visit("far", 6.1),
        visit("held", 0.1, "pending"),
        visit("cancelled", 0.2, "cancelled"),
        visit("other", 0.3, specialty="Cardiologie"),
        visit("before", -2),
        visit("after", 5),
    ]
    found = close_visit(visits, start, whom, within)
    assert found is not None
    assert found.id == "before"
    assert close_visit(visits[:4], start, whom, within) is None


async def check_of(person: Person, fhir: FhirBase) -> httpx.Response:
    fhir.on("POST", "/Appointment/_search", searchset())
    return await choose(person)


async def test_a_person_hides_an_appointment_from_those_who_act_for_them(
    person: Person, fhir: FhirBase
) -> None:
    """P12: the label goes with the hold; the page says what follows of it."""
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, MOTHER))
    check = await check_of(person, fhir)
    assert "Anne Martin" in check.text
    [first] = [a for a in fhir.asked if a.path.endswith("$hold")]
    assert "meta" not in first.body["parameter"][0]["resource"]
    hidden = await person.follow(
        await person.send(check.url.path.replace("/verifier", "/cacher"), cacher="oui")
    )
    assert "ne sera pas montré à Anne Martin" in hidden.text
    assert "Aucun message ne sera envoyé" in hidden.text
    holds = [a for a in fhir.asked if a.path.endswith("$hold")]
    assert [label["code"] for label in holds[-1].body["parameter"][0]["resource"]["meta"]["security"]] == [
        "HIDDEN-FROM-PROXIES"
    ]
    assert holds[-1].headers["idempotency-key"] != holds[0].headers["idempotency-key"], "another wish"


async def test_what_was_to_be_hidden_is_for_somebody_else_by_now(person: Person, fhir: FhirBase) -> None:
    """P12: nobody hides for those whom they represent, and the base refuses it: the time is held to be seen."""
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU, MOTHER))
    fhir.on(
        "POST", "/Patient/$acting-for", acting_for(("camille", True, "see book"), ("lou", False, "see book"))
    )
    who = await check_of(person, fhir)
    check = await person.follow(await person.send(who.url.path, qui="camille"))
    await person.follow(await person.send(check.url.path.replace("/verifier", "/cacher"), cacher="oui"))
    fhir.on("GET", "/Appointment/a-1", held(), ETag='W/"1"')
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    await person.follow(await person.send(who.url.path, qui="lou"))
    _, hidden, last = [a.body["parameter"][0]["resource"] for a in fhir.asked if a.path.endswith("$hold")]
    assert "meta" in hidden
    assert last["participant"][0]["actor"] == {"reference": "Patient/lou"}
    assert "meta" not in last


async def test_where_a_hidden_appointment_is_moved_its_new_time_is_held_hidden(
    person: Person, fhir: FhirBase
) -> None:
    """P12: those who act for the person would see the time, and the professional, by the hold."""
    label = {
        "system": "https://creneau.sante.fr/fhir/CodeSystem/confidentiality",
        "code": "HIDDEN-FROM-PROXIES",
    }
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, MOTHER))
    hidden = {**OTHER, "meta": {"versionId": "1", "security": [label]}}
    fhir.on("POST", "/Appointment/_search", searchset(hidden))
    fhir.on("GET", "/Appointment/a-0", hidden, ETag='W/"1"')
    question = await choose(person)
    check = await person.follow(await person.send(question.url.path, choix="remplacer"))
    assert check.url.path.endswith("/verifier"), check.text
    first, second = [a for a in fhir.asked if a.path.endswith("$hold")]
    assert "meta" not in first.body["parameter"][0]["resource"]
    assert second.body["parameter"][0]["resource"]["meta"]["security"] == [label]
    assert second.headers["idempotency-key"] != first.headers["idempotency-key"], "another wish"
    await person.send(check.url.path)
    assert asked(fhir, "$reschedule") == ["/Appointment/a-0/$reschedule"]


async def test_nobody_is_asked_who_has_no_representatives(person: Person, fhir: FhirBase) -> None:
    """P12: an invitation that nobody has taken up shows nothing to anybody."""
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, {**MOTHER, "extension": []}))
    assert "représentants" not in (await check_of(person, fhir)).text


async def test_whoever_acts_for_somebody_reads_so_and_hides_nothing(person: Person, fhir: FhirBase) -> None:
    """P13, P12: a banner names them; only the person themselves hides."""
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    who = await check_of(person, fhir)
    assert who.url.path.endswith("/pour-qui")
    check = await person.follow(await person.send(who.url.path, qui="lou"))
    assert "Vous agissez pour Lou Martin" in check.text
    assert "représentants" not in check.text
    lost = await person.open(check.url.path.replace("/verifier", "/pris"))
    assert "Vous agissez pour Lou Martin" in lost.text


def acting_for(*people: tuple[str, bool, str]) -> dict[str, Any]:
    """What `$acting-for` says: id, oneself, what one may do."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "person",
                "part": [
                    {"name": "patient", "valueReference": {"reference": f"Patient/{id_}"}},
                    {"name": "oneself", "valueBoolean": oneself},
                    *({"name": "may", "valueCode": code} for code in may.split()),
                ],
            }
            for id_, oneself, may in people
        ],
    }


async def test_whoever_only_represents_somebody_is_asked_for_whom(person: Person, fhir: FhirBase) -> None:
    """P13: the one record that a carer sees is not their own; nothing is booked for it unasked."""
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", False, "see book")))
    who = await check_of(person, fhir)
    assert who.url.path.endswith("/pour-qui")
    assert "checked" not in who.text
    assert ">Moi<" in who.text.replace("Moi </label>", "Moi</label>").replace("Moi\n", "Moi")
    check = await person.follow(await person.send(who.url.path, qui="camille"))
    assert "Vous agissez pour Camille Martin" in check.text


async def test_whoever_acts_for_somebody_is_told_of_that_person_s_appointment(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", False, "see book")))
    who = await choose(person)
    question = await person.follow(await person.send(who.url.path, qui="camille"))
    assert question.url.path.endswith("/deja")
    assert "Camille Martin a déjà un rendez-vous proche</h1>" in question.text
    assert "Vous avez" not in question.text


async def lou_s_recap(person: Person, fhir: FhirBase) -> httpx.Response:
    """The recap of a carer for Lou, whose access then ends."""
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    both = acting_for(("camille", True, "see book"), ("lou", False, "see book"))
    fhir.on("POST", "/Patient/$acting-for", both)
    who = await check_of(person, fhir)
    check = await person.follow(await person.send(who.url.path, qui="lou"))
    assert check.url.path.endswith("/verifier")
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", True, "see book")))
    return check


@pytest.mark.parametrize("status", [403, 404])
async def test_who_may_no_longer_act_is_asked_for_whom_when_a_time_is_to_be_held(
    person: Person, fhir: FhirBase, clock: FixedClock, status: int
) -> None:
    """P13: the access ended between the choice and another time; the way goes on, again and again."""
    check = await lou_s_recap(person, fhir)
    clock.advance(timedelta(minutes=11))
    fhir.refuse("POST", "/Appointment/$hold", status, "forbidden")
    lost = await person.follow(await person.open(check.url.path))
    asked_again = await person.follow(await person.send(lost.url.path, creneau="slot-1"))
    assert asked_again.url.path.endswith("/pour-qui")
    assert "ne pouvez plus agir" in asked_again.text
    assert "Lou" not in asked_again.text
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires="Mon, 30 Nov 2026 08:21:00 GMT")
    mine = await person.follow(await person.send(asked_again.url.path, qui="camille"))
    assert mine.url.path == check.url.path


@pytest.mark.parametrize(("button", "refused"), [("verifier", False), ("garder", True)])
async def test_who_may_no_longer_act_reads_no_recap_for_nobody(
    person: Person, fhir: FhirBase, button: str, refused: bool
) -> None:
    """P13: one without the line that says for whom, and with "Confirmer"."""
    check = await lou_s_recap(person, fhir)
    fhir.refuse("POST", "/Appointment/a-1/$hold", 404, "not-found")
    path = check.url.path.replace("verifier", button)
    answer = await person.follow(await (person.send(path) if refused else person.open(path)))
    assert answer.url.path.endswith("/pour-qui")
    assert "ne pouvez plus agir" in answer.text


async def test_a_time_that_is_forbidden_to_somebody_who_may_act_is_told_as_such(
    person: Person, fhir: FhirBase
) -> None:
    """P13: it is no access that has ended."""
    fhir.refuse("POST", "/Appointment/$hold", 403, "forbidden", "Pas en ligne.")
    page = await check_of(person, fhir)
    assert (page.status_code, "Pas en ligne." in page.text) == (403, True)


async def test_whoever_may_only_see_registers_themselves(person: Person, fhir: FhirBase) -> None:
    """P13: a scope that does not book offers nobody to book for."""
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", False, "see")))
    form = await check_of(person, fhir)
    assert form.url.path.endswith("/identite")
    assert 'id="courriel"' in form.text, "the form for oneself"
    data = await person.open("/mes-donnees")
    assert "/mes-donnees/effacer/" not in data.text
    assert "/mes-donnees/camille" not in data.text


async def test_ones_own_record_stands_first_whatever_its_id(person: Person, fhir: FhirBase) -> None:
    """P13: whoever registers after they were given access has the younger record."""
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    fhir.on(
        "POST",
        "/Patient/$acting-for",
        acting_for(("lou", True, "see book cancel register manage"), ("camille", False, "see book")),
    )
    who = await check_of(person, fhir)
    assert 'value="lou" checked' in who.text
    check = await person.follow(await person.send(who.url.path, qui="lou"))
    assert "Vous agissez" not in check.text


async def test_a_carer_lets_nobody_else_act_and_ends_their_own_part(person: Person, fhir: FhirBase) -> None:
    """P13: who does not decide about a person is offered only what they may do."""
    fhir.on("POST", "/RelatedPerson/_search", searchset(MOTHER))
    fhir.on("POST", "/Patient/$acting-for", acting_for(("camille", False, "see book")))
    fhir.on(
        "POST",
        "/RelatedPerson/_search",
        searchset(MOTHER, {**MOTHER, "id": "r-2", "name": [{"text": "Lou"}]}),
    )
    page = await person.open("/mes-proches")
    assert "/renoncer" not in page.text, "nobody ends what is another's"
    said = acting_for(("camille", False, "see book"))
    said["parameter"][0]["part"].append({"name": "by", "valueReference": {"reference": "RelatedPerson/r-1"}})
    fhir.on("POST", "/Patient/$acting-for", said)
    page = await person.open("/mes-proches")
    assert "/mes-proches/r-1/renoncer" in page.text
    assert "/mes-proches/r-2/renoncer" not in page.text
    assert "/retirer" not in page.text
    assert "/mes-proches/inviter" not in page.text
    given = await person.send("/mes-proches/inviter", pour="camille", nom="Quelqu'un")
    assert given.status_code == 422
    assert not [a for a in fhir.asked if (a.method, a.path) == ("POST", "/RelatedPerson")]
    said["parameter"][0]["part"].append({"name": "may", "valueCode": "manage"})
    page = await person.open("/mes-proches")
    assert "/mes-proches/r-1/renoncer" in page.text, "a parent does not take back what is their own"
    assert "/mes-proches/r-2/retirer" in page.text
