"""A request shows a person to a practice, which reads how to reach them and decides nothing of them: their record, who
represents them and their visits elsewhere are not its to change before it has agreed to see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from services.booking.tests.api.test_practices import booked, delegated
from services.booking.tests.api.test_proxies import People, accept, invite, related, states
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, patient, ref, unique
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import Surgery, open_surgery

from creneau_booking.storage.mapping.wishes import WAITING_AGENDA
from creneau_booking.storage.visits.retention import remove_appointments

CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]
Act = Callable[[], Awaitable[httpx.Response]]


@dataclass
class Known:
    """Camille, who has an account of her own and a visit at one practice; and another, to which she turns."""

    people: People
    own: Caller
    who: str
    """reference of her Patient"""
    visit: str
    """path of her visit at the first practice"""
    elsewhere: Surgery
    us: Surgery

    @property
    def desk(self) -> Caller:
        """A secretary of the practice to which she turns."""
        return self.people.callers.staff(self.us.organization)

    async def asks(self, **more: Any) -> str:
        """She posts a request; its path."""
        answer = await self.own.post("Appointment", appointment(patient=self.who, **more))
        assert answer.status_code in (201, 202), answer.text
        return f"Appointment/{answer.json()['id']}"

    async def asks_as(self, kind: str) -> str:
        slot = {"slots": self.us.slots[:1], "start": self.us.start}
        if kind == "wish":
            wish = {"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{self.us.agenda}")}
            return await self.asks(status="waitlist", extension=[wish])
        return await self.asks(status="proposed" if kind == "proposal" else kind, **slot)

    async def withdraws(self, request: str) -> None:
        answer = await self.own.patch(request, CANCELLED)
        assert answer.status_code == 200, answer.text

    async def patches(self, *operations: tuple[str, Any]) -> httpx.Response:
        said = [{"op": "add", "path": f"/{name}", "value": value} for name, value in operations]
        return await self.desk.patch(self.who, said)

    def decisions(self) -> dict[str, Act]:
        """What would decide of her, or of her visit elsewhere."""
        desk, who = self.desk, self.who
        mail = [{"system": "email", "value": "cabinet@exemple.fr"}]

        async def replaced() -> httpx.Response:
            record = (await desk.get(who)).json()
            return await desk.put(who, {**record, "telecom": mail})

        async def in_a_bundle() -> httpx.Response:
            record = {**(await desk.get(who)).json(), "active": False}
            entry = {"resource": record, "request": {"method": "PUT", "url": who}}
            return await desk.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})

        async def by_condition() -> httpx.Response:
            record = {**(await desk.get(who)).json(), "telecom": mail}
            return await desk.put(f"Patient?_id={who.partition('/')[2]}", record)

        return {
            "guardian": lambda: desk.post("RelatedPerson", related(who, "GUARD")),
            "friend": lambda: desk.post("RelatedPerson", related(who, "FRND", "see")),
            "address": lambda: self.patches(("telecom", mail)),
            "birth date": lambda: self.patches(("birthDate", "1901-02-03")),
            "dead": lambda: self.patches(("deceasedBoolean", True)),
            "dead since": lambda: self.patches(("deceasedDateTime", "2026-11-01")),
            "inactive": lambda: self.patches(("active", False)),
            "replaced by": lambda: self.patches(
                ("link", [{"other": ref("Patient/another"), "type": "replaced-by"}])
            ),
            "put": replaced,
            "in a transaction": in_a_bundle,
            "by a condition": by_condition,
        }

    async def require_untouched(self) -> None:
        """Her visit stands, and nobody but she acts for her."""
        assert (await self.own.get(self.visit)).json()["status"] == "booked"
        assert (await self.own.get("RelatedPerson", patient=self.who)).json().get("entry", []) == []
        assert (await self.own.get(f"{self.who}/_history")).json()["total"] == 1


@pytest.fixture
async def known(callers: Callers, practice: Practice) -> Known:
    elsewhere, us = await open_surgery(practice), await open_surgery(practice)
    people = People(callers)
    own = people.account()
    who = await people.registers(own)
    visit = f"Appointment/{(await booked(own, elsewhere, who))['id']}"
    return Known(people, own, who, visit, elsewhere, us)


@pytest.mark.parametrize("withdrawn", [False, True], ids=["live", "withdrawn"])
@pytest.mark.parametrize("kind", ["wish", "proposal"])
async def test_who_knows_somebody_by_a_request_decides_nothing_of_them(
    known: Known, kind: str, withdrawn: bool
) -> None:
    """Whoever they ask reads how to reach them, and would otherwise take over their account, their mail and their visits
    at every other practice."""
    request = await known.asks_as(kind)
    if withdrawn:
        await known.withdraws(request)
    assert (await known.desk.get(known.who)).status_code == 200
    assert (await known.desk.get(known.visit)).status_code == 404
    for name, act in known.decisions().items():
        answer = await act()
        assert (answer.status_code, code(answer)) == (403, "known-by-request"), (name, answer.text)
    oneself = await known.desk.post("RelatedPerson", related(known.who, "ONESELF"))
    assert (oneself.status_code, code(oneself)) == (403, "known-by-request")
    await known.require_untouched()


async def test_nor_of_the_statements_of_somebody_else(known: Known) -> None:
    """A statement of theirs is neither changed, ended nor given to anybody."""
    carer = await states(known.own, known.who, "SPS", "see")
    await known.asks_as("wish")
    off = [{"op": "replace", "path": "/active", "value": False}]
    for answer in (
        await known.desk.post(f"{carer}/$invite", parameters()),
        await known.desk.patch(carer, off),
    ):
        assert (answer.status_code, code(answer)) == (403, "known-by-request"), answer.text
    assert (await known.own.get(carer)).json()["active"] is True


async def test_what_others_are_asked_for_in_its_place_is_no_visit_either(
    known: Known, practice: Practice
) -> None:
    """A wish that left a practice's agenda for another's is in none of its any more."""
    request = await known.asks_as("wish")
    other = await open_surgery(practice)
    wish = {"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{other.agenda}")}
    moved = {**(await known.own.get(request)).json(), "extension": [wish]}
    assert (await known.own.put(request, moved)).status_code == 200
    assert code(await known.patches(("birthDate", "1901-02-03"))) == "known-by-request"


@pytest.mark.parametrize("ending", ["booked", "cancelled", "fulfilled"])
async def test_a_practice_that_agreed_to_a_visit_keeps_the_record(known: Known, ending: str) -> None:
    """As before: it has the person at its counter, and what it says is worth what it sees."""
    wish = await known.asks_as("wish")
    assert code(await known.patches(("birthDate", "1984-02-04"))) == "known-by-request"
    await known.withdraws(wish)
    visit = f"Appointment/{(await booked(known.own, known.us, known.who, 1))['id']}"
    if ending != "booked":
        over = [{"op": "replace", "path": "/status", "value": ending}]
        assert (await known.desk.patch(visit, over)).status_code == 200
    mail = [{"system": "email", "value": unique("camille") + "@exemple.fr"}]
    for name, value in (("birthDate", "1984-02-04"), ("telecom", mail), ("active", True)):
        answer = await known.patches((name, value))
        assert answer.status_code == 200, (name, answer.text)
    guardian = await states(known.desk, known.who, "GUARD")
    assert (await accept(known.people.account(), await invite(known.desk, guardian))).status_code == 200
    assert (await known.patches(("deceasedBoolean", True))).status_code == 200
    assert (await known.own.get(known.visit)).json()["status"] == "cancelled"


async def test_what_the_practice_registered_stays_its_own(known: Known) -> None:
    """Also while the person waits for a visit there, and after each change of the record."""
    desk = known.desk
    who = await known.people.registers(desk)
    statement = await states(desk, who, "ONESELF")
    own = known.people.account()
    assert (await accept(own, await invite(desk, statement))).status_code == 200
    wish = {"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{known.us.agenda}")}
    asked = await own.post("Appointment", appointment("waitlist", patient=who, extension=[wish]))
    assert asked.status_code == 201, asked.text
    for birth in ("1984-02-04", "1984-02-05"):
        said = [{"op": "replace", "path": "/birthDate", "value": birth}]
        assert (await desk.patch(who, said)).status_code == 200
        assert (await own.patch(who, [{"op": "add", "path": "/gender", "value": "other"}])).status_code == 200
    await states(desk, who, "GUARD")


async def test_who_was_given_a_record_by_its_registration_keeps_it(known: Known) -> None:
    """The deployment takes records over for the practices that they name."""
    named = {"managingOrganization": ref(f"Organization/{known.us.organization}")}
    software = known.people.callers.software()
    who = f"Patient/{(await software.post('Patient', {**patient(), **named})).json()['id']}"
    wish = {"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{known.us.agenda}")}
    asked = await software.post("Appointment", appointment("waitlist", patient=who, extension=[wish]))
    assert asked.status_code == 201, asked.text
    said = [{"op": "add", "path": "/gender", "value": "other"}]
    assert (await known.desk.patch(who, said)).status_code == 200


async def test_the_account_of_a_person_is_no_practices_to_give(known: Known) -> None:
    """Not even of one that treats them: whoever took it up would be the person, everywhere."""
    await booked(known.own, known.us, known.who, 1)
    for practice in (known.us, known.elsewhere):
        desk = known.people.callers.staff(practice.organization)
        answer = await desk.post("RelatedPerson", related(known.who, "ONESELF"))
        assert (answer.status_code, code(answer)) == (403, "proxy-oneself")


async def test_whether_somebody_has_an_account_is_not_told_of_strangers(known: Known) -> None:
    """Who has one and who has none answer alike to a practice that knows neither."""
    without = await known.people.registers(known.people.callers.staff(known.elsewhere.organization))
    for who in (known.who, without):
        answer = await known.desk.post("RelatedPerson", related(who, "ONESELF"))
        assert (answer.status_code, code(answer)) == (403, "not-yours")


async def test_an_account_that_was_given_is_no_practices_to_give_again(known: Known) -> None:
    """From the moment on that the person has it; before, the practice that registered them gives it."""
    desk, own = known.desk, known.people.account()
    who = await known.people.registers(desk)
    statement = await states(desk, who, "ONESELF")
    assert (await accept(own, await invite(desk, statement))).status_code == 200
    friend = await states(desk, who, "FRND", "see")
    for answer in (
        await desk.post(f"{statement}/$invite", parameters()),
        await desk.patch(statement, [{"op": "replace", "path": "/active", "value": False}]),
        await desk.put(friend, {**related(who, "ONESELF"), "id": friend.partition("/")[2]}),
    ):
        assert (answer.status_code, code(answer)) == (403, "proxy-oneself"), answer.text
    operator = known.people.callers.software()
    assert (await operator.post(f"{statement}/$invite", parameters())).status_code == 200


async def test_a_code_that_was_given_before_is_void_once_the_person_has_their_account(known: Known) -> None:
    """Else a practice would keep one back, for whomever it likes."""
    desk = known.desk
    who = await known.people.registers(desk)
    codes = [await invite(desk, await states(desk, who, "ONESELF")) for _ in range(2)]
    friends = await invite(desk, await states(desk, who, "FRND", "see"))
    answers = [await accept(known.people.account(), given) for given in (*codes, friends)]
    assert [answer.status_code for answer in answers] == [200, 422, 200]
    assert code(answers[1]) == "proxy-code"


@pytest.mark.parametrize("delegation", ["book", "manage"])
async def test_a_secretariat_knows_what_its_practice_knows(
    known: Known, practice: Practice, delegation: str
) -> None:
    secretariat = unique("secretariat")
    await delegated(practice, known.us.organization, secretariat, delegation)
    desk = known.people.callers.staff(secretariat)
    await known.asks_as("wish")
    said = [{"op": "add", "path": "/birthDate", "value": "1984-02-04"}]
    assert code(await desk.patch(known.who, said)) == "known-by-request"
    await booked(known.own, known.us, known.who, 1)
    assert (await desk.patch(known.who, said)).status_code == 200
    stated = await desk.post("RelatedPerson", related(known.who, "FRND", "see"))
    assert stated.status_code == (201 if delegation == "manage" else 403), stated.text


async def test_a_record_is_joined_to_none_that_is_known_by_a_request(known: Known) -> None:
    """The visits of a record that is replaced become the other's: a made-up one would bring a visit of the person's, and with
    it what a visit lets a practice do."""
    await known.asks_as("wish")
    desk = known.desk
    made_up = await known.people.registers(desk)
    await booked(desk, known.us, made_up)
    said = [{"op": "add", "path": "/link", "value": [{"other": ref(known.who), "type": "replaced-by"}]}]
    answer = await desk.patch(made_up, said)
    assert (answer.status_code, code(answer)) == (403, "known-by-request"), answer.text
    unknown = await known.people.registers(known.people.account())
    said = [{"op": "add", "path": "/link", "value": [{"other": ref(unknown), "type": "replaced-by"}]}]
    answer = await desk.patch(made_up, said)
    assert (answer.status_code, code(answer)) == (422, "unknown-patient"), answer.text
    assert (await desk.get(unknown)).status_code == 404
    await known.require_untouched()


async def test_records_from_before_it_was_written_who_registered_them(
    known: Known, practice: Practice
) -> None:
    """A practice that was never asked for a visit can know the person by registering them only; a person with an account from
    the beginning was registered by themselves."""
    theirs, request = await known.people.registers(known.desk), await known.asks_as("wish")
    async with practice.database.transaction() as connection:
        await connection.execute(
            "UPDATE patient SET terms = ARRAY(SELECT t FROM unnest(terms) AS t WHERE NOT starts_with(t, '~registered='))"
            " WHERE id = ANY($1)",
            [who.removeprefix("Patient/") for who in (theirs, known.who)],
        )
    said = [{"op": "add", "path": "/gender", "value": "other"}]
    assert (await known.desk.patch(theirs, said)).status_code == 200
    assert code(await known.desk.patch(known.who, said)) == "known-by-request"
    async with practice.database.transaction() as connection:
        assert await remove_appointments(connection, [request.partition("/")[2]]) == 1
    assert code(await known.desk.patch(known.who, said)) == "known-by-request"
