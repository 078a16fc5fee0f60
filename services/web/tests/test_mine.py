"""P13, P21, X12 to X14: one's own data, who looked, messages, who acts for whom."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from html import unescape
from typing import Any

import httpx
import pytest

from creneau_shared.clock import FixedClock
from creneau_web.people.model import EVERYTHING
from creneau_web.people.model import Person as Reader
from creneau_web.people.proxies import may_invite_to_own

from .conftest import SITE, Asked, FhirBase, Person, running, searchset
from .samples import CAMILLE
from .test_beside import acting_for

LOU = {
    **CAMILLE,
    "id": "lou",
    "name": [{"use": "official", "family": "Martin", "given": ["Lou"]}],
    "birthDate": "2018-09-20",
}
PROXY: dict[str, Any] = {
    "resourceType": "RelatedPerson",
    "id": "r-1",
    "patient": {"reference": "Patient/camille"},
    "name": [{"text": "Jean Proche"}],
    "period": {"start": "2026-11-28", "end": "2027-11-28"},
    "extension": [
        {"url": "https://creneau.sante.fr/fhir/StructureDefinition/proxy-scope", "valueCode": "see"}
    ],
}


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    fhir.on("GET", "/Patient/camille", CAMILLE, ETag='W/"3"')
    await person.sign_in()


async def test_one_s_own_contacts_are_not_spoken_of_when_a_child_s_are_corrected(
    person: Person, fhir: FhirBase
) -> None:
    """They shared an address: that the others' stay as they are is said of one's own alone."""
    fhir.on(
        "POST",
        "/Patient/$acting-for",
        acting_for(("camille", True, "see register"), ("lou", False, "see register")),
    )
    fhir.on("GET", "/Patient/lou", LOU, ETag='W/"1"')
    fhir.on("PUT", "/Patient/lou", LOU)
    await person.open("/mes-donnees/lou")
    await person.send("/mes-donnees/lou", courriel="lou@exemple.fr", langue="fr", version='W/"1"')
    assert (await person.session()).content.said == "record.kept"


async def test_what_is_corrected_leaves_the_rest_as_it_was(person: Person, fhir: FhirBase) -> None:
    """X13; and back to the page that led here."""
    fhir.on("PUT", "/Patient/camille", CAMILLE)
    await person.open("/mes-donnees/camille?retour=/reservation/d/verifier")
    answer = await person.send(
        "/mes-donnees/camille",
        nom_utilise="Durand",
        courriel="autre@exemple.fr",
        telephone="06 39 98 00 42",
        langue="en",
        version='W/"3"',
        retour="/reservation/d/verifier",
    )
    assert answer.headers["location"] == "/reservation/d/verifier"
    assert (await person.session()).content.said == "record.kept.others", (
        "Lou has the address that was changed"
    )
    [sent] = [a for a in fhir.asked if a.method == "PUT"]
    assert sent.headers["if-match"] == 'W/"3"'
    assert sent.body["name"] == [*CAMILLE["name"], {"use": "usual", "family": "Durand", "given": ["Camille"]}]
    assert sent.body["telecom"] == [
        {"system": "email", "value": "autre@exemple.fr"},
        {"system": "phone", "value": "06 39 98 00 42", "use": "mobile"},
    ]
    assert sent.body["birthDate"] == CAMILLE["birthDate"]


async def test_a_contact_that_is_none_stands_beside_its_field(person: Person, fhir: FhirBase) -> None:
    fhir.refuse("PUT", "/Patient/camille", 422, "no-email-address", "Cette adresse n'en est pas une.")
    await person.open("/mes-donnees/camille")
    answer = await person.send("/mes-donnees/camille", courriel="x", langue="fr")
    assert answer.status_code == 422
    assert "en est pas une" in answer.text
    assert 'value="x"' in answer.text


def second_tab(fhir: FhirBase, **changed: Any) -> None:
    """What was read as version 3 is version 4 by now."""
    fhir.rules.append(
        lambda asked: (
            httpx.Response(412, json={"resourceType": "OperationOutcome", "issue": []})
            if asked.method == "PUT" and asked.headers["if-match"] == 'W/"3"'
            else None
        )
    )
    fhir.on("GET", "/Patient/camille", {**CAMILLE, **changed}, ETag='W/"4"')


def version_in(page: httpx.Response) -> str:
    found = re.search(r'name="version" value="([^"]*)"', page.text)
    assert found is not None
    return unescape(found[1])


async def test_a_form_of_a_second_tab_is_kept_once_what_stands_now_was_seen(
    person: Person, fhir: FhirBase
) -> None:
    fhir.on("PUT", "/Patient/camille", CAMILLE)
    typed = {"courriel": "autre@exemple.fr", "telephone": "06 39 98 00 42", "langue": "fr"}
    await person.open("/mes-donnees/camille")
    second_tab(fhir, telecom=[{"system": "email", "value": "tab1@exemple.fr"}])
    stale = await person.send("/mes-donnees/camille", version='W/"3"', **typed)
    assert stale.status_code == 422
    for told in (
        "ce dossier a changé",
        "maintenant\N{NO-BREAK SPACE}: tab1@exemple.fr",
        "maintenant\N{NO-BREAK SPACE}: rien",
    ):
        assert told in stale.text
    for kept in typed.values():
        assert f'value="{kept}"' in stale.text
    assert "Quelqu" not in stale.text, "it may have been oneself"
    again = await person.send("/mes-donnees/camille", version=version_in(stale), **typed)
    assert again.headers["location"] == "/mes-donnees"
    sent = [a for a in fhir.asked if a.method == "PUT"][-1]
    assert (sent.headers["if-match"], sent.body["telecom"][0]["value"]) == ('W/"4"', "autre@exemple.fr")


async def test_what_a_second_tab_has_kept_already_is_kept(person: Person, fhir: FhirBase) -> None:
    await person.open("/mes-donnees/camille")
    second_tab(fhir)
    same = {"courriel": "camille@exemple.fr", "langue": "fr"}
    answer = await person.send("/mes-donnees/camille", version='W/"3"', **same)
    assert answer.headers["location"] == "/mes-donnees"


async def test_a_language_that_has_changed_is_told_at_its_choice(person: Person, fhir: FhirBase) -> None:
    await person.open("/mes-donnees/camille")
    second_tab(fhir)
    page = await person.send(
        "/mes-donnees/camille", version='W/"3"', courriel="camille@exemple.fr", langue="en"
    )
    assert '<a href="#langue">Entre-temps' in page.text
    assert 'id="langue"' in page.text
    assert "maintenant\N{NO-BREAK SPACE}: Français" in page.text


async def test_nobody_is_led_elsewhere_afterwards(person: Person, fhir: FhirBase) -> None:
    fhir.on("PUT", "/Patient/camille", CAMILLE)
    await person.open("/mes-donnees/camille")
    answer = await person.send("/mes-donnees/camille", langue="fr", retour="https://elsewhere.example")
    assert answer.headers["location"] == "/mes-donnees"


async def test_a_copy_is_kept_by_no_cache(person: Person, fhir: FhirBase) -> None:
    """X13."""
    fhir.rules.append(
        lambda asked: httpx.Response(200, content=b"PK") if asked.path.endswith("$archive") else None
    )
    answer = await person.open("/mes-donnees/emporter/camille/archive.zip")
    assert (answer.content, answer.headers["cache-control"]) == (b"PK", "no-store")
    assert "attachment" in answer.headers["content-disposition"]


async def test_nothing_is_erased_before_the_name_is_written(person: Person, fhir: FhirBase) -> None:
    """X13: what stays is named first."""
    why = {"name": "kept", "part": [{"name": "why", "valueString": "La trace des accès."}]}
    fhir.on("POST", "/Patient/camille/$erase", {"resourceType": "Parameters", "parameter": [why]})
    page = await person.open("/mes-donnees/effacer/camille")
    assert "La trace des accès." in page.text
    assert (await person.send("/mes-donnees/effacer/camille")).status_code == 422
    assert all("parameter" not in a.body for a in fhir.asked if a.path.endswith("$erase"))


RECEIPT: dict[str, Any] = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "done", "valueBoolean": True},
        {"name": "patient", "valueReference": {"reference": "Patient/camille"}},
        {"name": "cancelled", "valueReference": {"reference": "Appointment/a-1"}},
        {
            "name": "kept",
            "part": [
                {"name": "why", "valueString": "La trace des accès."},
                {"name": "until", "valueDate": "2029-11-30"},
            ],
        },
        {"name": "kept", "part": [{"name": "why", "valueString": "Le numéro du dossier."}]},
    ],
}


async def erase(person: Person, fhir: FhirBase, *left: dict[str, Any]) -> httpx.Response:
    await person.open("/mes-donnees/effacer/camille")
    fhir.on("POST", "/Patient/camille/$erase", RECEIPT)
    fhir.on("POST", "/Patient/_search", searchset(*left))
    return await person.send("/mes-donnees/effacer/camille", nom="Martin")


async def test_the_receipt_of_an_erasure_is_read_logged_out(person: Person, fhir: FhirBase) -> None:
    """X13: what was erased, what stays and until when; in an address that names nobody."""
    fhir.on("POST", "/Patient/camille/$erase", {"resourceType": "Parameters"})
    done = await erase(person, fhir)
    assert done.headers["location"] == "/mes-donnees/efface"
    receipt = await person.follow(done)
    for told in ("est effacé", "1 rendez-vous à venir est annulé", "La trace des accès.", "30 novembre 2029"):
        assert told in receipt.text
    assert "Camille" not in receipt.text
    assert "La session est fermée" in receipt.text
    assert "La trace" in (await person.open("/mes-donnees/efface")).text, "loaded anew"
    assert (await person.open("/mes-donnees")).headers["location"].startswith("/connexion")


async def test_whoever_has_others_left_reads_it_and_stays(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/camille/$erase", {"resourceType": "Parameters"})
    receipt = await person.follow(await erase(person, fhir, LOU))
    assert "La trace des accès." in receipt.text
    assert "déconnecté" not in receipt.text
    assert (await person.open("/mes-donnees")).status_code == 200


async def test_who_is_left_cannot_be_asked_and_the_receipt_is_read(person: Person, fhir: FhirBase) -> None:
    """The erasure is done: nobody is told to try again."""
    fhir.on("POST", "/Patient/camille/$erase", {"resourceType": "Parameters"})
    await person.open("/mes-donnees/effacer/camille")
    fhir.on("POST", "/Patient/camille/$erase", RECEIPT)
    fhir.on("POST", "/Patient/_search", {}, 504)
    receipt = await person.follow(await person.send("/mes-donnees/effacer/camille", nom="Martin"))
    assert receipt.url.path == "/mes-donnees/efface"
    assert "La trace des accès." in receipt.text


async def test_an_erasure_without_an_answer_gives_its_receipt_when_it_is_sent_again(
    person: Person, fhir: FhirBase
) -> None:
    """The person is there no more by then; the base keeps its answer for whoever sends the same key."""
    fhir.on("POST", "/Patient/camille/$erase", {"resourceType": "Parameters"})
    await person.open("/mes-donnees/effacer/camille")
    fhir.on("POST", "/Patient/camille/$erase", {}, 504)
    assert (await person.send("/mes-donnees/effacer/camille", nom="Martin")).status_code == 503
    fhir.refuse("GET", "/Patient/camille", 410, "deleted")
    fhir.on("POST", "/Patient/camille/$erase", RECEIPT)
    receipt = await person.follow(await person.send("/mes-donnees/effacer/camille", nom="Martin"))
    assert "La trace des accès." in receipt.text
    keys = [
        a.headers.get("idempotency-key")
        for a in fhir.asked
        if a.path.endswith("$erase") and "parameter" in a.body
    ]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert keys[0] is not None


async def test_without_an_erasure_there_is_no_receipt(person: Person) -> None:
    assert (await person.open("/mes-donnees/efface")).headers["location"] == "/mes-donnees"


async def test_who_looked_is_told_in_words(person: Person, fhir: FhirBase) -> None:
    """X14."""
    event = {
        "resourceType": "AuditEvent",
        "id": "e-1",
        "recorded": "2026-11-29T09:30:00Z",
        "action": "R",
        "outcome": "0",
        "purposeOfEvent": [{"coding": [{"code": "PATADMIN"}]}],
        "agent": [
            {"name": "Sophie Garnier", "role": [{"coding": [{"code": "secretary"}]}]},
            {"name": "Cabinet du Phare", "role": [{"coding": [{"code": "practice"}]}]},
        ],
        "entity": [{"what": {"reference": "Appointment/a-1"}}],
    }
    bundle = {
        **searchset(event),
        "link": [{"relation": "next", "url": "https://x/fhir/AuditEvent?_cursor=abc"}],
    }
    fhir.on("POST", "/AuditEvent/_search", bundle)
    page = await person.open("/mes-donnees/journal")
    for word in ("Un secrétariat", "Sophie Garnier", "Cabinet du Phare", "a lu", "un rendez-vous", "10 h 30"):
        assert word in page.text
    assert "suite=abc" in page.text
    await person.open("/mes-donnees/journal?suite=abc&qui=lou")
    assert ("_cursor", "abc") in fhir.asked[-1].query
    assert ("patient", "Patient/camille") in fhir.asked[-1].query, (
        "nobody is told of somebody whom they represent"
    )


async def test_ones_own_looks_in_a_row_are_one_line(person: Person, fhir: FhirBase) -> None:
    """X14: what others did stands out; one's own is there, opened by a press, and so is a relative's with their name."""

    def look(id_: str, at: str, who: str, name: str, role: str = "patient") -> dict[str, Any]:
        agent = {"who": {"reference": who}, "name": name, "role": [{"coding": [{"code": role}]}]}
        return {"resourceType": "AuditEvent", "id": id_, "recorded": at, "action": "R", "agent": [agent],
                "entity": [{"what": {"reference": "Patient/camille"}}]}  # fmt: skip

    own = [look(f"e-{n}", f"2026-11-29T09:3{n}:00Z", "Patient/camille", "Camille Martin") for n in (3, 2)]
    mother = look("e-1", "2026-11-29T09:31:00Z", "Patient/anne", "Anne Martin")
    before = look("e-0", "2026-11-28T09:30:00Z", "Patient/camille", "Camille Martin")
    fhir.on("POST", "/AuditEvent/_search", searchset(*own, mother, before))
    page = (await person.open("/mes-donnees/journal")).text
    assert "2 consultations par vous-même" in page
    assert "1 consultation par vous-même" in page
    assert "Anne Martin, qui agit pour vous" in page
    assert page.count('<li class="card">') == 1


async def test_messages_are_listed_with_their_state(person: Person, fhir: FhirBase) -> None:
    """P21."""
    sent = {
        "resourceType": "Communication",
        "id": "m-1",
        "status": "completed",
        "medium": [{"coding": [{"code": "EMAILWRIT"}]}],
        "topic": {"text": "Confirmation d'un rendez-vous"},
        "about": [{"reference": "Appointment/a-1"}],
        "sent": "2026-11-29T09:30:00Z",
    }
    fhir.on("POST", "/Communication/_search", searchset(sent))
    page = await person.open("/mes-messages")
    for word in ("envoyé", "par courriel", "10 h 30", "Heures de Paris", "/rendez-vous/a-1"):
        assert word in page.text


OWN_OF_LOU = {
    "resourceType": "RelatedPerson",
    "id": "r-9",
    "patient": {"reference": "Patient/lou"},
    "name": [{"text": "Lou Martin"}],
    "relationship": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ONESELF"}]}
    ],
}
TAKEN_UP = {
    "url": "https://creneau.sante.fr/fhir/StructureDefinition/proxy-accepted-on",
    "valueDate": "2026-11-30",
}


async def test_a_child_is_invited_to_an_account_of_their_own(person: Person, fhir: FhirBase) -> None:
    """P11: before majority ends the parent's access; stated once, and not once there is one."""
    code = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueString": "secret code"}]}
    fhir.on("POST", "/RelatedPerson", OWN_OF_LOU, 201)
    fhir.on("POST", "/RelatedPerson/r-9/$invite", code)
    page = (await person.open("/mes-proches")).text
    assert "/mes-proches/lou/espace" in page
    assert "/mes-proches/camille/espace" not in page, "who is there has an account"
    assert "invitez-le avant à ouvrir son propre espace" in page
    invited = await person.follow(await person.send("/mes-proches/lou/espace"))
    assert "secret code" in invited.text
    assert "Donnez ce code à Lou Martin, qui retrouvera" in invited.text
    fhir.on("POST", "/RelatedPerson/_search", searchset(OWN_OF_LOU))
    await person.open("/mes-proches")
    await person.send("/mes-proches/lou/espace")
    [stated] = [a.body for a in fhir.asked if (a.method, a.path) == ("POST", "/RelatedPerson")]
    assert stated["relationship"] == OWN_OF_LOU["relationship"]
    assert "period" not in stated
    assert "extension" not in stated
    fhir.on("POST", "/RelatedPerson/_search", searchset({**OWN_OF_LOU, "extension": [TAKEN_UP]}))
    page = (await person.open("/mes-proches")).text
    assert "Lou Martin</strong> – son propre compte" in page
    assert "/espace" not in page
    for of in ("lou", "camille", "somebody"):
        assert (await person.send(f"/mes-proches/{of}/espace")).headers["location"] == "/mes-proches"
    assert len([a for a in fhir.asked if a.path.endswith("$invite")]) == 2


@pytest.mark.parametrize(
    ("born", "may", "oneself", "invites"),
    [
        (date(2008, 12, 1), EVERYTHING, False, True),
        (date(2008, 11, 30), EVERYTHING, False, False),
        (None, EVERYTHING, False, False),
        (date(2018, 9, 20), frozenset({"see", "book"}), False, False),
        (date(2018, 9, 20), EVERYTHING, True, False),
    ],
)
def test_who_decides_for_a_minor_invites_them(
    born: date | None, may: frozenset[str], oneself: bool, invites: bool
) -> None:
    lou = Reader("lou", "Lou", "Martin", None, born, None, None, oneself=oneself, may=may)
    assert may_invite_to_own(lou, [], date(2026, 11, 30)) is invites


async def test_access_is_given_shown_and_taken_back(person: Person, fhir: FhirBase) -> None:
    """P13."""
    fhir.on("POST", "/RelatedPerson/_search", searchset(PROXY))
    fhir.on("POST", "/RelatedPerson", {**PROXY, "id": "r-2"}, 201)
    code = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueString": "secret code"}]}
    fhir.on("POST", "/RelatedPerson/r-2/$invite", code)
    page = await person.open("/mes-proches")
    assert "Jean Proche" in page.text
    assert "voir, prendre, déplacer et annuler les rendez-vous, et tenir les coordonnées à jour</label>" in (
        page.text
    ), "each choice says all that it gives"
    invited = await person.send("/mes-proches/inviter", pour="camille", nom="Ana", etendue="book", duree="3")
    assert invited.headers["location"] == "/mes-proches/invitation", (
        "loaded anew, it makes no second invitation"
    )
    for _ in range(2):
        assert "secret code" in (await person.open("/mes-proches/invitation")).text
    sent = next(a.body for a in fhir.asked if a.path == "/RelatedPerson")
    assert [e["valueCode"] for e in sent["extension"]] == ["see", "book"]
    assert sent["period"] == {"start": "2026-11-30", "end": "2027-02-28"}
    fhir.on("PATCH", "/RelatedPerson/r-1", PROXY)
    await person.open("/mes-proches")
    assert (await person.send("/mes-proches/r-1/retirer")).headers["location"] == "/mes-proches"
    assert [a.body for a in fhir.asked if a.method == "PATCH"] == [
        [{"op": "add", "path": "/active", "value": False}]
    ]
    assert (await person.send("/mes-proches/another/retirer")).headers["location"] == "/mes-proches"
    assert len([a for a in fhir.asked if a.method == "PATCH"]) == 1, (
        "nothing is done to what is nobody's here"
    )


async def test_of_several_people_one_is_chosen_by_whoever_gives(person: Person, fhir: FhirBase) -> None:
    """P13: namesakes (father and son) are told apart, and nobody is chosen beforehand."""
    namesake = {**CAMILLE, "id": "other", "birthDate": "2012-05-09"}
    acting = [
        {
            "name": "person",
            "part": [
                {"name": "patient", "valueReference": {"reference": f"Patient/{id_}"}},
                {"name": "oneself", "valueBoolean": id_ == "camille"},
                {"name": "may", "valueCode": "manage"},
            ],
        }
        for id_ in ("camille", "other")
    ]
    fhir.on("POST", "/Patient/$acting-for", {"resourceType": "Parameters", "parameter": acting})
    fhir.on("POST", "/Patient/_search", searchset({**CAMILLE, "birthDate": "1984-03-07"}, namesake))
    page = (await person.open("/mes-proches")).text
    names = page.partition('name="pour"')[2].partition("</fieldset>")[0]
    assert "7 mars 1984" in names
    assert "9 mai 2012" in names
    assert "checked" not in names


@pytest.mark.parametrize("press", ["retirer", "renoncer"])
async def test_what_is_ended_twice_is_ended_and_no_page_that_is_not_there(
    person: Person, fhir: FhirBase, press: str
) -> None:
    """A button pressed twice: the browser shows the second answer alone."""
    fhir.on("POST", "/RelatedPerson/_search", searchset(PROXY))

    def end(asked: Asked) -> httpx.Response | None:
        if asked.path not in ("/RelatedPerson/r-1", "/RelatedPerson/r-1/$renounce"):
            return None
        fhir.on("POST", "/RelatedPerson/_search", searchset({**PROXY, "active": False}))
        return httpx.Response(200, json=PROXY)

    fhir.rules.append(end)
    await person.open("/mes-proches")
    answers = [await person.send(f"/mes-proches/r-1/{press}") for _ in range(2)]
    assert [answer.headers.get("location") for answer in answers] == ["/mes-proches"] * 2
    assert 'role="status"' in (await person.open("/mes-proches")).text


async def test_of_two_invitations_of_one_second_the_code_that_works_is_shown(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock
) -> None:
    """Presses of one form: the answer to the first may come last."""
    made = 0

    class Hesitant(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal made
            if not request.url.path.endswith("/$invite"):
                return fhir(request)
            made += 1
            number = made
            await asyncio.sleep(0.3 / number)
            said = [
                {"name": "code", "valueString": f"code-{number}"},
                {"name": "expires", "valueInstant": "2026-12-01T08:00:00Z"},
            ]
            return httpx.Response(200, json={"resourceType": "Parameters", "parameter": said})

    fhir.on("POST", "/RelatedPerson", {**PROXY, "id": "r-2"}, 201)
    async with (
        running(new_database(template=migrated_web), Hesitant(), clock) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client,
    ):
        person = Person(client, app)
        await person.sign_in()
        [cle] = KEY.findall((await person.open("/mes-proches")).text)
        fields = {"pour": "camille", "nom": "Ana", "etendue": "see", "duree": "3", "cle": cle}
        await asyncio.gather(*(person.send("/mes-proches/inviter", **fields) for _ in range(2)))
        assert f"code-{made}" in (await person.open("/mes-proches/invitation")).text


async def test_an_invitation_taken_up_twice_is_taken_up(person: Person, fhir: FhirBase) -> None:
    """The code works once; the form that was sent twice says that it has. Another code that is used says so."""
    used: list[str] = []

    def accept(asked: Asked) -> httpx.Response | None:
        if asked.path != "/RelatedPerson/$accept":
            return None
        code = asked.body["parameter"][0]["valueString"]
        if code not in used and code != "of another":
            used.append(code)
            return httpx.Response(200, json=PROXY)
        said = {"coding": [{"code": "proxy-code"}], "text": "Ce code ne vaut plus rien."}
        issue = {"severity": "error", "code": "invalid", "details": said}
        return httpx.Response(422, json={"resourceType": "OperationOutcome", "issue": [issue]})

    fhir.rules.append(accept)
    await person.open("/mes-proches")
    answers = await asyncio.gather(*(person.send("/mes-proches/accepter", code="abc") for _ in range(2)))
    assert [answer.headers.get("location") for answer in answers] == ["/mes-proches"] * 2
    refused = await person.send("/mes-proches/accepter", code="of another")
    assert refused.status_code == 422
    assert "ne vaut plus rien" in refused.text


KEY = re.compile(r'name="cle" value="([^"]+)"')


def with_codes(fhir: FhirBase) -> None:
    """Each `$invite` gives another code, and only the last one works."""
    codes = iter(range(1, 9))

    def say(asked: Asked) -> httpx.Response | None:
        if not asked.path.endswith("/$invite"):
            return None
        n = next(codes)
        said = [
            {"name": "code", "valueString": f"code-{n}"},
            {"name": "expires", "valueInstant": f"2026-12-0{n}T08:00:00Z"},
        ]
        return httpx.Response(200, json={"resourceType": "Parameters", "parameter": said})

    fhir.on("POST", "/RelatedPerson", {**PROXY, "id": "r-2"}, 201)
    fhir.rules.append(say)


async def test_an_invitation_that_is_sent_twice_is_one(person: Person, fhir: FhirBase) -> None:
    """At once or one after the other: one representation, and the code that is shown is the one that works."""
    with_codes(fhir)
    [cle] = KEY.findall((await person.open("/mes-proches")).text)
    fields = {"pour": "camille", "nom": "Ana", "etendue": "see", "duree": "3", "cle": cle}
    await asyncio.gather(*(person.send("/mes-proches/inviter", **fields) for _ in range(3)))
    given = sum(a.path.endswith("/$invite") for a in fhir.asked)
    assert (await person.send("/mes-proches/inviter", **fields)).headers[
        "location"
    ] == "/mes-proches/invitation"
    assert sum(a.path.endswith("/$invite") for a in fhir.asked) == given, "the code would work no more"
    invited = (await person.open("/mes-proches/invitation")).text
    assert f"code-{given}" in invited
    assert "décembre à 9 h (heure de Paris)" in invited, "until when it works"
    assert len({a.headers["idempotency-key"] for a in fhir.asked if a.path == "/RelatedPerson"}) == 1
    await person.send("/mes-proches/inviter", **{**fields, "nom": "Aïcha"})
    assert len({a.headers["idempotency-key"] for a in fhir.asked if a.path == "/RelatedPerson"}) == 2
    assert "Aïcha" in (await person.open("/mes-proches/invitation")).text
    assert KEY.findall((await person.open("/mes-proches")).text) != [cle]


async def test_an_invitation_without_its_code_gets_one_when_it_is_sent_again(
    person: Person, fhir: FhirBase
) -> None:
    with_codes(fhir)
    [cle] = KEY.findall((await person.open("/mes-proches")).text)
    fields = {"pour": "camille", "nom": "Ana", "etendue": "see", "duree": "3", "cle": cle}
    fhir.on("POST", "/RelatedPerson/r-2/$invite", {}, 504)
    assert (await person.send("/mes-proches/inviter", **fields)).status_code == 503
    fhir.rules.pop()
    await person.send("/mes-proches/inviter", **fields)
    assert "code-1" in (await person.open("/mes-proches/invitation")).text
    assert len({a.headers["idempotency-key"] for a in fhir.asked if a.path == "/RelatedPerson"}) == 1


async def test_why_an_invitation_is_refused_stands_in_its_form(person: Person, fhir: FhirBase) -> None:
    fhir.refuse("POST", "/RelatedPerson", 422, "proxy-too-long", "Douze mois au plus.")
    await person.open("/mes-proches")
    refused = await person.send(
        "/mes-proches/inviter", pour="camille", nom="Ana", etendue="cancel", duree="3"
    )
    assert (refused.status_code, "Douze mois au plus." in refused.text) == (422, True)
    assert 'value="Ana"' in refused.text
    assert 'value="cancel" checked' in refused.text


async def test_nobody_of_another_account_is_named(person: Person, fhir: FhirBase) -> None:
    await person.open("/mes-proches")
    answer = await person.send("/mes-proches/inviter", pour="stranger", nom="Ana", etendue="see", duree="3")
    assert answer.status_code == 422
    assert not any(a.path == "/RelatedPerson" for a in fhir.asked)
