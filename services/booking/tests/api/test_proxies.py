"""Who represents whom: as the one with the fewest rights would try it. Parent, teenager, carer, ex-spouse, stranger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from services.booking.tests.api.test_series import first_of, open_weeks, resources
from services.booking.tests.client import Caller, as_stored, code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, parameters, patient, ref, unique
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Agenda, Practice
from tests.contract.closing import closed_validator

from creneau_booking.app import create_app
from creneau_booking.storage.mapping.appointment import CONFIDENTIALITY, HIDDEN
from creneau_booking.storage.people.related_persons import ACCEPTED_ON, PROXY_SCOPE, ROLE_CODE, UNTIL_MAJORITY
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.accounts import account_digest

SCOPE = (
    "patient/Patient.crus patient/RelatedPerson.cruds patient/Appointment.cruds patient/AppointmentResponse.crus"
    " patient/Schedule.rs patient/Slot.rs patient/Communication.rs patient/AuditEvent.rs"
)
REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
LABEL = {"system": CONFIDENTIALITY, "code": HIDDEN}
CANCEL = [{"op": "replace", "path": "/status", "value": "cancelled"}]
COMMENT = [{"op": "add", "path": "/comment", "value": "le matin"}]
CHILD, TEENAGER, ADULT = "2019-05-04", "2010-05-04", "1984-02-03"


@dataclass
class People:
    """Accounts, practices and what they register."""

    callers: Callers

    def account(self, subject: str | None = None) -> Caller:
        token = self.callers.issuer.token("patient", subject or unique("compte"), scope=SCOPE)
        return Caller(self.callers.client, token)

    def staff(self, organization: str, role: str = "secretary") -> Caller:
        token = self.callers.issuer.token(
            "practice", unique("cabinet"), creneau_role=role, creneau_organizations=[organization]
        )
        return Caller(self.callers.client, token)

    def counsellor(self, of: str) -> Caller:
        token = self.callers.issuer.token(
            "practice", unique("conseil"), creneau_role="counsellor", creneau_for=of, creneau_mandate="M-1"
        )
        return Caller(self.callers.client, token)

    async def registers(self, who: Caller, born: str | None = ADULT) -> str:
        """A Patient whom somebody registers; its reference."""
        more = {"birthDate": born} if born else {}
        answer = await who.post("Patient", patient(unique("P"), **more))
        assert answer.status_code == 201, answer.text
        return f"Patient/{answer.json()['id']}"

    async def parent_of(self, born: str = CHILD) -> tuple[Caller, str, str]:
        """An account with its holder and a child: the account, the child, and the RelatedPerson that states it."""
        parent = self.account()
        await self.registers(parent)
        child = await self.registers(parent, born)
        [stated] = await statements(parent, child)
        return parent, child, f"RelatedPerson/{stated['id']}"

    async def takes_up(self, giver: Caller, statement: str, who: Caller) -> httpx.Response:
        return await accept(who, await invite(giver, statement))

    async def teenager(self) -> tuple[Caller, Caller, str]:
        """A parent, the teenager's own account, and the teenager."""
        parent, teen, _ = await self.parent_of(TEENAGER)
        own = self.account()
        stated = await states(parent, teen, "ONESELF")
        assert (await self.takes_up(parent, stated, own)).status_code == 200
        return parent, own, teen

    async def carer(self, *scopes: str) -> tuple[Caller, str, Caller, str]:
        """A person's account, the person, their carer's account, and the statement."""
        person = self.account()
        of = await self.registers(person)
        statement = await states(person, of, "SPS", *scopes)
        carer = self.account()
        assert (await self.takes_up(person, statement, carer)).status_code == 200
        return person, of, carer, statement


def related(of: str, relationship: str, *scopes: str, **more: Any) -> Resource:
    said = [{"url": PROXY_SCOPE, "valueCode": scope} for scope in scopes]
    return {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": ref(of),
        "relationship": [{"coding": [{"system": ROLE_CODE, "code": relationship}]}],
        "name": [{"text": "Dominique"}],
        **({"extension": said} if said else {}),
        **more,
    }


async def states(who: Caller, of: str, relationship: str, *scopes: str, **more: Any) -> str:
    answer = await who.post("RelatedPerson", related(of, relationship, *scopes, **more))
    assert answer.status_code == 201, answer.text
    return f"RelatedPerson/{answer.json()['id']}"


async def statements(who: Caller, of: str) -> list[Resource]:
    answer = await who.get("RelatedPerson", patient=of)
    return [entry["resource"] for entry in answer.json().get("entry", ())]


async def versions(who: Caller, path: str) -> int:
    return len((await who.get(f"{path}/_history")).json()["entry"])


async def invite(who: Caller, statement: str) -> str:
    answer = await who.post(f"{statement}/$invite", parameters())
    assert answer.status_code == 200, answer.text
    values = {p["name"]: p for p in answer.json()["parameter"]}
    assert len(values["code"]["valueString"]) >= 24
    return str(values["code"]["valueString"])


async def accept(who: Caller, given: str) -> httpx.Response:
    body = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueString": given}]}
    return await who.post("RelatedPerson/$accept", body)


async def books(
    who: Caller, of: str, agenda: Agenda, index: int = 0, *, hidden: bool = False, **more: Any
) -> httpx.Response:
    meta: Resource = {"meta": {"security": [LABEL]}} if hidden else {}
    wanted = appointment("booked", slots=[agenda.slots[index]], patient=of, **meta, **more)
    wanted |= {"start": agenda.at(index).isoformat(), "end": agenda.at(index + 1).isoformat()}
    return await who.post("Appointment", wanted)


@pytest.fixture(scope="session")
async def people(callers: Callers) -> People:
    return People(callers)


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await practice.open_agenda(6)


@pytest.fixture
async def other_process(practice: Practice, callers: Callers) -> AsyncIterator[httpx.AsyncClient]:
    """The API once more over the same database."""
    settings = settings_for(str(practice.settings.database_url), callers.issuer.url)
    async with serving(create_app(settings, practice.clock)) as client:
        yield client


# -- invitations ---------------------------------------------------------------------------------------------


async def test_a_carer_takes_up_what_is_stated(people: People, agenda: Agenda) -> None:
    """The code is the carer's way in; both sides see that it was used."""
    person, of, carer, statement = await people.carer("see", "book")
    booked = await books(carer, of, agenda)
    assert booked.status_code == 201, booked.text
    for side in (person, carer):
        [seen] = await statements(side, of)
        assert any(e["url"] == ACCEPTED_ON for e in seen["extension"])
        assert await versions(side, statement) == 2


async def test_a_code_works_once_whoever_is_first(people: People) -> None:
    person = people.account()
    of = await people.registers(person)
    given = await invite(person, await states(person, of, "SPS"))
    rivals = [people.account() for _ in range(6)]
    answers = await asyncio.gather(*(accept(rival, given) for rival in rivals))
    assert sorted(a.status_code for a in answers) == [200, 422, 422, 422, 422, 422]
    seeing = [(await rival.get(of)).status_code for rival in rivals]
    assert sorted(seeing) == [200, 404, 404, 404, 404, 404]


async def test_codes_that_do_not_work_answer_alike(people: People) -> None:
    """Unknown, used, replaced by a newer one, of a statement that is gone: one answer."""
    person, stranger = people.account(), people.account()
    of = await people.registers(person)
    statement = await states(person, of, "SPS")
    replaced, used = await invite(person, statement), await invite(person, statement)
    assert (await accept(people.account(), used)).status_code == 200
    gone = await states(person, of, "FRND")
    withdrawn = await invite(person, gone)
    await person.delete(gone)
    ended = await states(person, of, "FRND")
    of_ended = await invite(person, ended)
    period = [{"op": "add", "path": "/period", "value": {"end": "2026-11-01"}}]
    assert (await person.patch(ended, period)).status_code == 200
    answers = [await accept(stranger, c) for c in ("x", "y" * 32, replaced, used, withdrawn, of_ended)]
    assert {a.status_code for a in answers} == {422}
    assert len({str(a.json()["issue"]) for a in answers}) == 1
    assert code(answers[0]) == "proxy-code"


async def test_a_code_can_be_read_over_the_telephone(people: People) -> None:
    """In groups, without letters that are taken for one another; read in lower case, with blanks, and together."""
    person = people.account()
    of = await people.registers(person)
    for typed in (str.lower, lambda c: c.replace("-", " "), lambda c: c.replace("-", ""), lambda c: f" {c} "):
        given = await invite(person, await states(person, of, "FRND"))
        assert [len(group) for group in given.split("-")] == [4] * 5
        assert not set(given) & set("0O1IL2Z5S8BUV")
        assert (await accept(people.account(), typed(given))).status_code == 200


async def test_an_invitation_ends(fresh: Practice) -> None:
    async with running_issuer() as issuer:
        settings = settings_for(str(fresh.settings.database_url), issuer.url)
        async with serving(create_app(settings, fresh.clock)) as client:
            people = People(Callers(client, issuer, fresh.clock))
            person = people.account()
            of = await people.registers(person)
            given = await invite(person, await states(person, of, "SPS"))
            fresh.clock.advance(timedelta(days=settings.proxy_invitation_days))
            assert code(await accept(people.account(), given)) == "proxy-code"


async def test_nobody_accepts_what_they_gave(people: People) -> None:
    """A parent does not become the child: with the account that gave the code, or with one that acts for it."""
    parent, child, statement = await people.parent_of()
    given = await invite(parent, await states(parent, child, "ONESELF"))
    assert code(await accept(parent, given)) == "proxy-own-code"
    other = people.account()
    assert (await people.takes_up(parent, await states(parent, child, "FTH"), other)).status_code == 200
    assert code(await accept(other, given)) == "proxy-already"
    grown = people.account()
    await people.registers(grown, ADULT)
    assert code(await accept(grown, given)) == "proxy-birth"
    assert (await accept(people.account(), given)).status_code == 200, "a refusal uses nothing up"
    assert statement


@pytest.mark.parametrize("how", ["ended", "left with less", "renounced"])
async def test_a_code_holds_as_long_as_its_giver_decides(people: People, how: str) -> None:
    """Else whoever is put out comes back by another account; what a practice gives holds by itself."""
    organization = unique("cabinet")
    practice = people.staff(organization)
    of = await people.registers(practice, CHILD)
    parents = {side: await states(practice, of, side) for side in ("MTH", "FTH")}
    mother = people.account()
    assert (await people.takes_up(practice, parents["MTH"], mother)).status_code == 200
    aunt, uncle = await states(mother, of, "AUNT", "see"), await states(practice, of, "UNCLE", "see")
    given, by_practice = await invite(mother, aunt), await invite(practice, uncle)
    if how == "renounced":
        changed = await mother.post(f"{parents['MTH']}/$renounce", parameters())
    else:
        said = related(of, "MTH", active=False) if how == "ended" else related(of, "MTH", "see")
        changed = await practice.put(parents["MTH"], {**said, "id": parents["MTH"].partition("/")[2]})
    assert changed.status_code == 200, changed.text
    assert code(await accept(people.account(), given)) == "proxy-code"
    assert (await accept(people.account(), by_practice)).status_code == 200


async def test_who_may_invite(people: People) -> None:
    """The person, a practice that knows them, a counsellor with a mandate; not a carer, not a stranger's practice."""
    organization = unique("cabinet")
    practice = people.staff(organization)
    of = await people.registers(practice)
    statement = await states(practice, of, "ONESELF")
    own = people.account()
    assert (await people.takes_up(practice, statement, own)).status_code == 200
    assert [s["id"] for s in await statements(own, of)] == [statement.partition("/")[2]]
    for_carer = await states(own, of, "SPS", "see", "book", "cancel", "register")
    carer = people.account()
    assert (await people.takes_up(people.counsellor(of), for_carer, carer)).status_code == 200
    refused = [
        await who.post(f"{for_carer}/$invite", parameters())
        for who in (carer, people.account(), people.staff(unique("autre")), people.callers.nobody())
    ]
    assert [r.status_code for r in refused] == [403, 404, 404, 401]


async def test_codes_are_kept_as_digests_and_said_in_the_body(people: People, practice: Practice) -> None:
    person = people.account()
    given = await invite(person, await states(person, await people.registers(person), "SPS"))
    rows = await practice.database.pool.fetch("SELECT proxy_invitation::text AS row FROM proxy_invitation")
    assert rows
    assert not [r for r in rows if given in r["row"]]
    in_address = await people.account().post(
        f"RelatedPerson/$accept?code={given}", {"resourceType": "Parameters"}
    )
    assert in_address.status_code == 400
    assert (await person.get("RelatedPerson/$accept", code=given)).status_code == 405


async def test_codes_are_never_recorded_for_later(people: People) -> None:
    """`Prefer: respond-async` is left aside, for an invitation, its acceptance and a Bundle that holds one."""
    person = people.account()
    statement = await states(person, await people.registers(person), "SPS")
    later = {"Prefer": "respond-async"}
    entry = {"resource": parameters(), "request": {"method": "POST", "url": f"{statement}/$invite"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    assert (await person.post("", batch, **later)).status_code == 200
    assert (await person.post(f"{statement}/$invite", parameters(), **later)).status_code == 200
    given = await invite(person, statement)
    body = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueString": given}]}
    assert (await people.account().post("RelatedPerson/$accept", body, **later)).status_code == 200


# -- scopes --------------------------------------------------------------------------------------------------


async def test_who_only_sees_changes_nothing(people: People, agenda: Agenda) -> None:
    person, of, carer, _ = await people.carer("see")
    stored = (await books(person, of, agenda)).json()
    path = f"Appointment/{stored['id']}"
    assert (await carer.get(path)).status_code == 200
    assert (await carer.get("Appointment", _total="accurate")).json()["total"] == 1
    assert await versions(carer, path) == 1
    slot = parameters(slot=ref(f"Slot/{agenda.slots[1]}"))
    wanted = appointment("proposed", slots=agenda.slots[1:2], patient=of)
    tried = [
        await carer.patch(path, CANCEL),
        await carer.put(path, {**stored, "status": "cancelled"}),
        await carer.post(f"{path}/$reschedule", slot),
        await carer.post(f"{path}/$book", parameters()),
        await carer.post("Appointment", {**stored, "id": None, "slot": [ref(f"Slot/{agenda.slots[1]}")]}),
        await carer.post("Appointment/$book", parameters(appt_resource=wanted)),
        await carer.post("Appointment/$hold", parameters(appt_resource=wanted)),
        await carer.patch(of, [{"op": "add", "path": "/gender", "value": "other"}]),
        await carer.post("RelatedPerson", related(of, "FRND")),
    ]
    assert all(a.status_code in (400, 403, 404) for a in tried), [a.status_code for a in tried]
    await carer.delete(path)
    assert as_stored((await person.get(path)).json()) == stored


async def test_who_may_cancel_does_nothing_else(people: People, agenda: Agenda) -> None:
    """Cancel by PATCH, PUT or DELETE; no comment on the way, no move, no booking, no waiting for another time."""
    person, of, carer, _ = await people.carer("see", "cancel")
    stored = [(await books(person, of, agenda, index)).json() for index in range(3)]
    first = f"Appointment/{stored[0]['id']}"
    slot = parameters(slot=ref(f"Slot/{agenda.slots[4]}"))
    refused = [
        await carer.patch(first, COMMENT),
        await carer.patch(first, [*CANCEL, *COMMENT]),
        await carer.put(first, {**stored[0], "status": "cancelled", "description": "autre"}),
        await carer.post(f"{first}/$reschedule", slot),
        await books(carer, of, agenda, 5),
        await carer.post(f"{first}/$wait", parameters()),
    ]
    assert [r.status_code for r in refused] == [403] * 6, [r.text for r in refused]
    assert code(refused[0]) == "proxy-cancels-only"
    reason = {"coding": [{"system": REASONS, "code": "pat"}]}
    assert (await carer.patch(first, CANCEL)).status_code == 200
    said = {**stored[1], "status": "cancelled", "cancelationReason": reason}
    said.pop("meta")
    by_put = await carer.put(f"Appointment/{stored[1]['id']}", said)
    assert (by_put.status_code, by_put.json()["cancelationReason"]) == (200, reason)
    assert (await carer.delete(f"Appointment/{stored[2]['id']}")).status_code == 204
    assert (await person.get(f"Appointment/{stored[2]['id']}")).status_code == 410


async def test_who_may_book_books_moves_and_cancels(people: People, agenda: Agenda) -> None:
    _, of, carer, _ = await people.carer("book")
    stored = (await books(carer, of, agenda)).json()
    path = f"Appointment/{stored['id']}"
    moved = await carer.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[1]}")))
    assert moved.status_code == 200, moved.text
    assert (await carer.patch(path, CANCEL)).status_code == 200


async def test_nobody_widens_what_they_were_given(people: People) -> None:
    """Whatever a carer was given, who represents the person is not theirs to say: nor a longer time, nor a friend's."""
    person, of, carer, statement = await people.carer("see", "book", "cancel", "register")
    assert (await carer.patch(of, [{"op": "add", "path": "/gender", "value": "other"}])).status_code == 200
    current = (await carer.get(statement)).json()
    as_parent = {**current, "relationship": [{"coding": [{"system": ROLE_CODE, "code": "POWATT"}]}]}
    for answer in (
        await carer.put(statement, {**current, "period": {"end": "2999-01-01"}}),
        await carer.put(statement, as_parent),
        await carer.patch(statement, [{"op": "replace", "path": "/active", "value": True}]),
        await carer.post("RelatedPerson", related(of, "FRND", "see")),
        await carer.post("RelatedPerson", related(of, "ONESELF")),
        await carer.delete(statement),
    ):
        assert (answer.status_code, code(answer)) == (403, "proxy-not-yours")
    assert (await person.get(statement)).json() == current


async def test_what_a_carer_registers_keeps_its_scope(people: People) -> None:
    """An account that registers an adult may see, book, cancel and keep the record: and decides nothing else."""
    account = people.account()
    await people.registers(account)
    of = await people.registers(account, ADULT)
    [stated] = await statements(account, of)
    assert (await account.patch(of, [{"op": "add", "path": "/gender", "value": "other"}])).status_code == 200
    answer = await account.post("RelatedPerson", related(of, "ONESELF"))
    assert code(answer) == "proxy-not-yours"
    assert "period" not in stated


# -- ending --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["inactive", "ended", "deleted", "narrowed"])
async def test_an_ex_spouse_is_out_at_once_in_every_process(
    people: People, agenda: Agenda, other_process: httpx.AsyncClient, practice: Practice, way: str
) -> None:
    subject = unique("ex")
    person, ex = people.account(), people.account(subject)
    of = await people.registers(person)
    statement = await states(person, of, "SPS", "see", "book")
    assert (await people.takes_up(person, statement, ex)).status_code == 200
    booked = (await books(ex, of, agenda)).json()
    elsewhere = Caller(other_process, people.callers.issuer.token("patient", subject, scope=SCOPE))
    assert (await elsewhere.get(of)).status_code == 200
    if way == "deleted":
        await person.delete(statement)
    else:
        op = {
            "inactive": {"op": "replace", "path": "/active", "value": False},
            "ended": {"op": "add", "path": "/period", "value": {"end": "2026-11-15"}},
            "narrowed": {"op": "add", "path": "/period", "value": {"start": "2027-01-01"}},
        }[way]
        assert (await person.patch(statement, [op])).status_code == 200
    for who in (elsewhere, ex):
        assert (await who.get(of)).status_code == 404
        assert (await who.get(f"Appointment/{booked['id']}")).status_code == 404
        assert (await who.patch(f"Appointment/{booked['id']}", CANCEL)).status_code == 404
        assert (await who.get(f"Appointment/{booked['id']}/_history/1")).status_code == 404
        assert (await books(who, of, agenda, 1)).status_code == 403
    assert (await person.get(f"Appointment/{booked['id']}")).json()["status"] == "booked"


async def test_a_carer_renounces(people: People) -> None:
    """Even one who only sees; and nobody renounces for another."""
    person, of, carer, statement = await people.carer("see")
    assert code(await person.post(f"{statement}/$renounce", parameters())) == "proxy-not-yours"
    assert (await people.account().post(f"{statement}/$renounce", parameters())).status_code == 404
    left = await carer.post(f"{statement}/$renounce", parameters())
    assert (left.status_code, left.json()["active"]) == (200, False)
    assert (await carer.get(of)).status_code == 404
    assert [s["active"] for s in await statements(person, of)] == [False]


async def test_the_account_of_a_person_is_nobody_elses_to_end(people: People) -> None:
    """A parent who ended the teenager's own access, or took it up again, would see what is hidden."""
    parent, own, teen = await people.teenager()
    oneself = next(
        f"RelatedPerson/{s['id']}"
        for s in await statements(own, teen)
        if s["relationship"][0]["coding"][0]["code"] == "ONESELF"
    )
    again = related(teen, "ONESELF")
    for answer in (
        await parent.patch(oneself, [{"op": "replace", "path": "/active", "value": False}]),
        await parent.delete(oneself),
        await parent.post(f"{oneself}/$invite", parameters()),
        await parent.post("RelatedPerson", again),
    ):
        assert (answer.status_code, code(answer)) == (403, "proxy-oneself")
    assert (await own.get(teen)).status_code == 200


async def test_a_minor_does_not_dismiss_a_parent_nor_grow_up_by_a_word(people: People) -> None:
    parent, own, teen = await people.teenager()
    of_parent = next(
        f"RelatedPerson/{s['id']}"
        for s in await statements(own, teen)
        if s["relationship"][0]["coding"][0]["code"] == "PRN"
    )
    assert code(await own.delete(of_parent)) == "proxy-parent"
    for who in (own, parent):
        older = await who.patch(teen, [{"op": "replace", "path": "/birthDate", "value": "1990-01-01"}])
        assert (older.status_code, code(older)) == (403, "proxy-birth-date")


async def test_a_guardian_is_stated_by_a_practice(people: People) -> None:
    """The person cannot end what a judge decided, nor state it."""
    practice = people.staff(unique("cabinet"))
    of = await people.registers(practice)
    statement = await states(practice, of, "GUARD")
    guardian, own = people.account(), people.account()
    assert (await people.takes_up(practice, statement, guardian)).status_code == 200
    assert (await people.takes_up(practice, await states(practice, of, "ONESELF"), own)).status_code == 200
    assert code(await own.delete(statement)) == "proxy-guardian"
    assert code(await own.post("RelatedPerson", related(of, "GUARD"))) == "proxy-guardian"
    assert (await guardian.post("RelatedPerson", related(of, "FRND", "see"))).status_code == 201


async def test_a_parent_until_majority_and_not_a_moment_longer(fresh: Practice) -> None:
    """Whatever period is stated; a correction of the birth date moves the end; at the day itself it is over."""
    fresh.clock.instant = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
    async with running_issuer() as issuer:
        settings = settings_for(str(fresh.settings.database_url), issuer.url)
        async with serving(create_app(settings, fresh.clock)) as client:
            people = People(Callers(client, issuer, fresh.clock))
            parent, child, statement = await people.parent_of("2008-12-01")
            current = (await parent.get(statement)).json()
            assert current["period"]["end"] == "2026-11-30"
            assert {"url": UNTIL_MAJORITY, "valueBoolean": True} in current["extension"]
            for period in ({"end": "2999-01-01"}, {"start": "2020-01-01"}):
                widened = await parent.put(statement, {**current, "period": period})
                assert widened.status_code == 200, widened.text
                assert widened.json()["period"]["end"] == "2026-11-30"
            corrected = [{"op": "replace", "path": "/birthDate", "value": "2008-11-20"}]
            assert (await parent.patch(child, corrected)).status_code == 200
            assert (await parent.get(statement)).json()["period"]["end"] == "2026-11-19"
            fresh.clock.instant = datetime(2026, 11, 19, 22, 59, 59, tzinfo=UTC)
            assert (await parent.get(child)).status_code == 200
            fresh.clock.instant = datetime(2026, 11, 19, 23, 0, tzinfo=UTC)
            assert (await parent.get(child)).status_code == 404
            assert (await parent.get(statement)).status_code == 404


async def test_a_parent_does_not_outlive_the_majority_by_another_word(people: People) -> None:
    """As a carer with everything that a carer may do, or by a carer whom they let in."""
    parent, child, statement = await people.parent_of("2008-12-01")
    current = (await parent.get(statement)).json()
    as_carer = related(child, "CAREGIVER", "see", "book", "cancel", "register")
    changed = await parent.put(statement, {**as_carer, "id": current["id"]})
    assert changed.status_code == 200, changed.text
    assert changed.json()["period"]["end"] == "2026-11-30"
    assert {"url": UNTIL_MAJORITY, "valueBoolean": True} in changed.json()["extension"]


async def test_whom_a_parent_lets_in_goes_with_them(people: People) -> None:
    parent, child, _ = await people.parent_of("2008-12-01")
    carer = (await parent.get(await states(parent, child, "GRMTH", "see"))).json()
    assert carer["period"]["end"] == "2026-11-30"
    own = (await parent.get(await states(parent, child, "ONESELF"))).json()
    assert "period" not in own, "the account of the person"


@pytest.mark.parametrize("born", [None, ADULT], ids=["unknown", "put down wrongly"])
async def test_a_parents_end_is_the_majority_also_when_the_birth_date_comes_later(
    people: People, born: str | None
) -> None:
    """Else they would go on for ever seeing somebody who is of age. From then on they answer for a child; whoever represents
    them otherwise keeps the period that was stated."""
    practice, parent = people.staff(unique("cabinet")), people.account()
    of = await people.registers(practice, born)
    statement = await states(practice, of, "PRN", "see", "book", "cancel", "register")
    carer = await states(practice, of, "GRMTH", "see")
    assert (await people.takes_up(practice, statement, parent)).status_code == 200
    assert "period" not in (await practice.get(statement)).json()
    assert (await parent.post("RelatedPerson", related(of, "FRND", "see"))).status_code == 403
    current = (await practice.get(of)).json()
    assert (await practice.put(of, {**current, "birthDate": CHILD})).status_code == 200
    stated = (await practice.get(statement)).json()
    year, _, rest = CHILD.partition("-")
    eve = date.fromisoformat(f"{int(year) + 18}-{rest}") - timedelta(days=1)
    assert stated["period"]["end"] == eve.isoformat()
    assert {"url": UNTIL_MAJORITY, "valueBoolean": True} in stated["extension"]
    assert "period" not in (await practice.get(carer)).json()
    assert (await parent.post("RelatedPerson", related(of, "FRND", "see"))).status_code == 201


@pytest.mark.parametrize("by", ["practice", "account"])
async def test_who_registers_a_child_without_a_birth_date_acts_until_the_majority_once_it_is_known(
    people: People, agenda: Agenda, by: str
) -> None:
    """Whatever the statement became meanwhile; and of whom is of age, without an end."""
    parent, practice = people.account(), people.callers.software()
    await people.registers(parent)
    child, adult = [await people.registers(parent, None) for _ in range(2)]
    for of, born, end in ((child, "2008-12-01", "2026-11-30"), (adult, ADULT, None)):
        [stated] = await statements(parent, of)
        path = f"RelatedPerson/{stated['id']}"
        assert "period" not in stated
        named = {**{n: v for n, v in stated.items() if n != "extension"}, "name": [{"text": "Alix"}]}
        scopes = [e for e in stated["extension"] if e["url"] == PROXY_SCOPE]
        assert (await practice.put(path, {**named, "extension": scopes})).status_code == 200
        put_down = [{"op": "add", "path": "/birthDate", "value": born}]
        changed = await (practice if by == "practice" else parent).patch(of, put_down)
        assert changed.status_code == 200, changed.text
        [stated] = await statements(parent, of)
        assert stated.get("period", {}).get("end") == end
    corrected = await practice.patch(adult, [{"op": "replace", "path": "/birthDate", "value": "2008-12-02"}])
    assert corrected.status_code == 200, corrected.text
    [stated] = await statements(parent, adult)
    assert stated["period"]["end"] == "2026-12-01", "put down wrongly first"


async def test_a_birth_date_of_somebody_of_age_that_was_put_down_late_is_corrected(
    people: People, agenda: Agenda
) -> None:
    """By who registered the person, and by the person: nobody's authority depends on it, although a practice knows them."""
    neighbour, own = people.account(), people.account()
    await people.registers(neighbour)
    of = await people.registers(neighbour, None)
    put_down = [{"op": "add", "path": "/birthDate", "value": "1946-02-03"}]
    assert (await neighbour.patch(of, put_down)).status_code == 200
    assert (await books(neighbour, of, agenda)).status_code == 201
    statement = await states(people.callers.software(), of, "ONESELF")
    assert (await people.takes_up(people.callers.software(), statement, own)).status_code == 200
    for who, born in ((neighbour, "1964-02-03"), (own, "1964-02-04")):
        corrected = await who.patch(of, [{"op": "replace", "path": "/birthDate", "value": born}])
        assert corrected.status_code == 200, corrected.text


async def test_only_the_server_says_that_somebody_acts_until_the_majority(people: People) -> None:
    person = people.account()
    of = await people.registers(person)
    said = related(of, "FRND", "see")
    said["extension"].append({"url": UNTIL_MAJORITY, "valueBoolean": True})
    stated = await person.post("RelatedPerson", said)
    assert stated.status_code == 201, stated.text
    assert [e["url"] for e in stated.json()["extension"]] == [PROXY_SCOPE]


async def test_nobody_becomes_the_parent_of_a_minor_by_making_them_younger(people: People) -> None:
    """A parent of somebody of age, who may keep their record, would come to decide about them; the person corrects their own
    birth date, until a practice has verified it."""
    practice, parent, own = people.staff(unique("cabinet")), people.account(), people.account()
    of = await people.registers(practice)
    statement = await states(practice, of, "PRN", "see", "book", "cancel", "register")
    assert (await people.takes_up(practice, statement, parent)).status_code == 200
    assert (await people.takes_up(practice, await states(practice, of, "ONESELF"), own)).status_code == 200
    for born in (CHILD, "1984-02-04"):
        younger = [{"op": "replace", "path": "/birthDate", "value": born}]
        refused = await parent.patch(of, younger)
        assert (refused.status_code, code(refused)) == (403, "proxy-birth-date")
    corrected = await own.patch(of, [{"op": "replace", "path": "/birthDate", "value": "1984-02-04"}])
    assert corrected.status_code == 200, corrected.text


async def test_a_parents_change_of_their_own_statement_keeps_their_authority(people: People) -> None:
    parent, child, statement = await people.parent_of()
    named = [{"op": "add", "path": "/name", "value": [{"text": "Maman"}]}]
    assert (await parent.patch(statement, named)).status_code == 200
    assert (await parent.post("RelatedPerson", related(child, "GRMTH", "see"))).status_code == 201
    revoked = [{"op": "replace", "path": "/period", "value": {"end": "2026-11-15"}}]
    assert (await parent.patch(statement, revoked)).status_code == 200
    assert (await parent.get(child)).status_code == 404


async def test_whoever_is_of_age_has_no_parents_here(people: People) -> None:
    """A mother whom an adult lets see is a carer like any other: no more, and without an end that has passed."""
    person = people.account()
    of = await people.registers(person, ADULT)
    statement = await states(person, of, "MTH", "see")
    mother = people.account()
    assert (await people.takes_up(person, statement, mother)).status_code == 200
    assert (await mother.get(of)).status_code == 200
    assert (await mother.post("RelatedPerson", related(of, "FRND"))).status_code == 403


# -- hidden --------------------------------------------------------------------------------------------------


async def test_a_hidden_appointment_is_not_there_for_a_parent(people: People, agenda: Agenda) -> None:
    parent, own, teen = await people.teenager()
    answer = await books(own, teen, agenda, hidden=True)
    assert answer.status_code == 201, answer.text
    id_ = answer.json()["id"]
    path, slot = f"Appointment/{id_}", agenda.slots[0]
    assert (await own.post("AppointmentResponse", response(id_, teen))).status_code == 201
    assert (await own.patch(path, COMMENT)).status_code == 200
    for query in (
        {"_total": "accurate"},
        {"patient": teen},
        {"_id": id_},
        {"slot": f"Slot/{slot}"},
        {"patient:Patient.name": "Exemple"},
        {"_include": "Appointment:patient"},
    ):
        found = await parent.get("Appointment", **query)
        assert id_ not in str(found.json().get("entry")), query
        assert found.json()["total"] == 0
        assert (await own.get("Appointment", **query)).json()["total"] == 1
    for asked in (
        parent.get(f"{teen}/Appointment"),
        parent.get("Appointment/_history"),
        parent.get("AppointmentResponse"),
        parent.get("Patient", _id=teen, _revinclude="Appointment:patient"),
        parent.get("Slot", _id=slot, _revinclude="Appointment:slot"),
        parent.get("Patient", **{"_has:Appointment:patient:slot": f"Slot/{slot}"}),
        parent.get(f"Slot/{slot}"),
        parent.get("", _type="Appointment,Patient"),
        parent.get("AuditEvent", _count="200"),
        parent.get(f"{teen}/$everything"),
        parent.get(f"{teen}/$archive"),
    ):
        assert id_ not in (await asked).text
    assert (await parent.get("Patient", **{"_has:Appointment:patient:_id": id_})).json()["total"] == 0
    assert (await own.get("Patient", **{"_has:Appointment:patient:_id": id_})).json()["total"] == 1
    gone = [
        await parent.get(path),
        await parent.get(f"{path}/_history"),
        await parent.get(f"{path}/_history/1"),
        await parent.get(f"{path}/_history/2"),
        await parent.patch(path, CANCEL),
        await parent.put(path, {n: v for n, v in answer.json().items() if n != "meta"}),
        await parent.post(f"{path}/$book", parameters()),
        await parent.post(f"{path}/$hold", parameters()),
        await parent.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[1]}"))),
    ]
    assert [a.status_code for a in gone] == [404] * len(gone), [a.text for a in gone]
    assert (await parent.post("AppointmentResponse", response(id_, teen))).status_code == 422
    taken = await books(parent, teen, agenda)
    assert taken.status_code == 409
    assert id_ not in taken.text
    assert (await books(parent, teen, agenda, 1)).status_code == 201
    assert (await own.get("Appointment", _total="accurate")).json()["total"] == 2


def response(appointment_id: str, of: str) -> Resource:
    return {
        "resourceType": "AppointmentResponse",
        "appointment": ref(f"Appointment/{appointment_id}"),
        "actor": ref(of),
        "participantStatus": "accepted",
    }


async def test_only_the_person_hides(people: People, agenda: Agenda) -> None:
    """A parent cannot: by a create, a hold, a booking, nor on what is there already."""
    parent, own, teen = await people.teenager()
    hidden = appointment("proposed", slots=agenda.slots[:1], patient=teen, meta={"security": [LABEL]})
    for answer in (
        await books(parent, teen, agenda, hidden=True),
        await parent.post("Appointment/$hold", parameters(appt_resource=hidden)),
        await parent.post("Appointment/$book", parameters(appt_resource=hidden)),
        await parent.post("Appointment", hidden),
    ):
        assert (answer.status_code, code(answer)) == (403, "hidden-not-yours"), answer.text
    seen = (await books(parent, teen, agenda)).json()
    label = [{"op": "add", "path": "/meta/security", "value": [LABEL]}]
    assert (await parent.patch(f"Appointment/{seen['id']}", label)).status_code in (403, 422)
    for late in (own, people.callers.software()):
        answer = await late.patch(f"Appointment/{seen['id']}", label)
        assert (answer.status_code, code(answer)) == (422, "hidden-late"), answer.text
    assert as_stored((await parent.get(f"Appointment/{seen['id']}")).json()) == seen


@pytest.mark.parametrize("way", ["hold", "put", "staff", "reschedule"])
async def test_what_is_hidden_stays_hidden(
    people: People, practice: Practice, agenda: Agenda, way: str
) -> None:
    """Held and confirmed, moved, amended by a client or a practice that leaves the label out."""
    parent, own, teen = await people.teenager()
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=teen, meta={"security": [LABEL]})
    if way == "hold":
        held = (await own.post("Appointment/$hold", parameters(appointment=wanted))).json()
        path = f"Appointment/{held['id']}"
        changed = await own.post(f"{path}/$book", parameters())
    else:
        booked = (await books(own, teen, agenda, hidden=True)).json()
        path = f"Appointment/{booked['id']}"
        bare = {name: value for name, value in booked.items() if name != "meta"}
        if way == "put":
            changed = await own.put(path, {**bare, "comment": "le matin"})
        elif way == "staff":
            changed = await people.callers.software().put(path, {**bare, "description": "au cabinet"})
        else:
            slot = parameters(slot=ref(f"Slot/{agenda.slots[1]}"))
            changed = await own.post(f"{path}/$reschedule", slot)
    assert changed.status_code == 200, changed.text
    assert LABEL in changed.json()["meta"]["security"]
    assert (await parent.get(path)).status_code == 404
    assert (await parent.get(f"{path}/_history/1")).status_code == 404
    assert await versions(own, path) == 2
    events = [orjson.loads(row["data"]) for row in await practice.events(path.partition("/")[2])]
    assert [event["hidden"] for event in events] == [True] * len(events)


async def test_a_practices_limit_does_not_tell_of_what_is_hidden(people: People, practice: Practice) -> None:
    """A parent is counted what they see; the teenager everything."""
    most = [
        {
            "url": "https://creneau.sante.fr/fhir/StructureDefinition/patient-appointments-max",
            "valuePositiveInt": 1,
        }
    ]
    agenda = await practice.open_agenda(4)
    software = people.callers.software()
    current = (await software.get(f"Schedule/{agenda.id}")).json()
    assert (await software.put(f"Schedule/{agenda.id}", {**current, "extension": most})).status_code == 200
    parent, own, teen = await people.teenager()
    assert (await books(own, teen, agenda, 0, hidden=True)).status_code == 201
    assert code(await books(own, teen, agenda, 1)) == "too-many-appointments"
    window = {"start": agenda.start.isoformat(), "end": (agenda.start + timedelta(days=1)).isoformat()}
    ways = {"schedule": f"Schedule/{agenda.id}", "patient-reference": teen}
    offered = [
        (await who.get("Appointment/$find", **window, **ways)).json()["total"] for who in (parent, own)
    ]
    assert offered == [3, 0]
    assert (await books(parent, teen, agenda, 1)).status_code == 201
    assert code(await books(parent, teen, agenda, 2)) == "too-many-appointments"


# -- told ----------------------------------------------------------------------------------------------------


async def test_the_other_services_are_told_for_whom_an_account_acts(
    people: People, practice: Practice
) -> None:
    """By a digest; no subject, no name; nobody left: a tombstone."""
    subject = unique("compte")
    digest = account_digest(people.callers.issuer.url, subject)
    person, carer = people.account(), people.account(subject)
    of = await people.registers(person)
    statement = await states(person, of, "SPS", "see")
    await people.takes_up(person, statement, carer)
    await person.patch(statement, [{"op": "add", "path": "/period", "value": {"end": "2027-01-31"}}])
    await person.delete(statement)
    rows = await practice.database.pool.fetch(
        "SELECT topic, type, subject, data FROM outbox WHERE key = $1 ORDER BY position", digest
    )
    told = [orjson.loads(row["data"]) if row["data"] is not None else None for row in rows]
    expected = {"patient": of, "may": ["see"], "oneself": False}
    assert told[0] == {"account": digest, "people": [expected]}
    assert told[1] == {"account": digest, "people": [{**expected, "until": "2027-01-31T23:00:00Z"}]}
    assert told[2:] == [None]
    for row, data in zip(rows, told, strict=True):
        assert (row["topic"], row["type"]) == (
            "creneau.booking.accounts",
            "fr.creneau.booking.account.changed.v1",
        )
        assert subject not in str(dict(row))
        if data is not None:
            closed_validator("booking/account.changed.v1").validate(data)


async def test_what_is_told_last_is_what_holds(people: People, practice: Practice) -> None:
    """Many changes of one account at once, each in a transaction of its own: none leaves another out."""
    subject = unique("compte")
    account = people.account(subject)
    given, expected = [], set()
    for _ in range(8):
        person = people.account()
        of = await people.registers(person)
        expected.add(of)
        given.append(await invite(person, await states(person, of, "SPS", "see")))
    answers = await asyncio.gather(*(accept(account, one) for one in given))
    assert {a.status_code for a in answers} == {200}
    last = await practice.database.pool.fetchval(
        "SELECT data FROM outbox WHERE key = $1 ORDER BY position DESC LIMIT 1",
        account_digest(people.callers.issuer.url, subject),
    )
    assert {p["patient"] for p in orjson.loads(last)["people"]} == expected


async def test_accepting_and_withdrawing_at_once(people: People) -> None:
    """Whoever comes first, nobody acts by what is withdrawn, and nobody waits in a circle."""
    for _ in range(5):
        person, rival = people.account(), people.account()
        of = await people.registers(person)
        statement = await states(person, of, "SPS", "see")
        given = await invite(person, statement)
        accepted, withdrawn = await asyncio.gather(accept(rival, given), person.delete(statement))
        assert accepted.status_code in (200, 422), accepted.text
        assert withdrawn.status_code == 204, withdrawn.text
        assert (await rival.get(of)).status_code == 404


async def test_an_account_is_told_for_whom_it_acts(people: People) -> None:
    """A record with a carer looks the same to both: only here does a page learn which of them it is. Nothing of anybody
    else is told, and it ends with the access."""
    person, of, carer, statement = await people.carer("see", "book")

    async def told(who: Caller) -> list[tuple[str, bool, list[str]]]:
        answer = await who.post("Patient/$acting-for", parameters())
        assert answer.status_code == 200, answer.text
        found = []
        for one in answer.json().get("parameter", ()):
            parts = {part["name"]: part for part in one["part"]}
            may = [part["valueCode"] for part in one["part"] if part["name"] == "may"]
            found.append(
                (parts["patient"]["valueReference"]["reference"], parts["oneself"]["valueBoolean"], may)
            )
        return found

    everything = ["book", "cancel", "manage", "register", "see"]
    assert await told(person) == [(of, True, everything)]
    assert await told(carer) == [(of, False, ["book", "see"])]
    [one] = (await carer.post("Patient/$acting-for", parameters())).json()["parameter"]
    assert {"name": "by", "valueReference": {"reference": statement}} in one["part"], (
        "which of several is their own"
    )
    own = await people.registers(carer)
    assert await told(carer) == [(own, True, everything), (of, False, ["book", "see"])]
    await person.delete(statement)
    assert await told(carer) == [(own, True, everything)]
    assert await told(people.account()) == []
    assert await told(people.staff(unique("org"))) == []


async def partly_hidden(practice: Practice, own: Caller, teen: str, weeks: Agenda) -> list[str]:
    """A series of three (ids), of which the second is hidden alone, as an earlier version could store it."""
    wanted = [first_of(weeks, teen, week=week) for week in range(3)]
    taken = await own.post("Appointment/$book", parameters(appt_resource=wanted))
    ids = [one["id"] for one in resources(taken)]
    await practice.database.pool.execute(
        "UPDATE appointment SET terms = array_remove(terms, '~shared=' || $2) WHERE id = $1", ids[1], teen
    )
    return ids


@pytest.mark.parametrize("moves", [False, True])
async def test_a_series_is_changed_by_a_representative_without_what_is_hidden(
    people: People, practice: Practice, moves: bool
) -> None:
    """Nor does a refusal say that there is one, or when: where the hidden visit would go somebody else is."""
    parent, own, teen = await people.teenager()
    weeks = await open_weeks(practice)
    first, hidden, last = await partly_hidden(practice, own, teen, weeks)
    await practice.create(
        appointment("booked", slots=weeks.slots[3:4], patient=await people.registers(people.account()))
    )
    how = parameters(scope="all", slot=ref(f"Slot/{weeks.slots[1]}")) if moves else parameters(scope="all")
    answer = await parent.post(f"Appointment/{first}/{'$reschedule' if moves else '$cancel'}", how)
    assert answer.status_code == 200, answer.text
    assert {one["id"] for one in resources(answer)} == {first, last}
    kept = (await own.get(f"Appointment/{hidden}")).json()
    assert (kept["status"], kept["meta"]["versionId"]) == ("booked", "1")


async def test_what_is_hidden_of_a_series_is_never_busy_for_a_representative(
    people: People, practice: Practice
) -> None:
    """That somebody is changing it at this moment would tell that it is there."""
    parent, own, teen = await people.teenager()
    weeks = await open_weeks(practice)
    first, hidden, last = await partly_hidden(practice, own, teen, weeks)
    for busy, status in ((last, 409), (hidden, 200)):
        async with practice.database.transaction() as connection:
            await connection.execute("SELECT FROM appointment WHERE id = $1 FOR UPDATE", busy)
            answer = await parent.post(f"Appointment/{first}/$cancel", parameters(scope="all"))
        assert answer.status_code == status, answer.text


async def test_of_one_look_at_both_a_parent_reads_what_was_theirs(
    people: People, practice: Practice, agenda: Agenda
) -> None:
    """Of the trail nothing is shared: neither what else a search had found, nor what it was for, nor by whom one searches."""
    parent, own, teen = await people.teenager()
    known = [entry["resource"]["id"] for entry in (await parent.get("Patient")).json()["entry"]]
    [oneself] = [f"Patient/{id_}" for id_ in known if f"Patient/{id_}" != teen]
    hidden = (await books(own, teen, agenda, hidden=True)).json()["id"]
    seen = (await books(parent, oneself, agenda, 1)).json()["id"]
    asked = await people.callers.software().get("Appointment", patient=f"{oneself},{teen}", _total="none")
    assert {entry["resource"]["id"] for entry in asked.json()["entry"]} == {hidden, seen}
    trail = (await parent.get("AuditEvent", patient=oneself, _count="200")).json()
    found = [entry["resource"] for entry in trail["entry"]]
    [row] = [one for one in found if one["agent"][0]["role"][0]["coding"][0]["code"] != "patient"]
    assert oneself in str(row["entity"])
    assert teen.removeprefix("Patient/") not in str(row)
    assert hidden not in str(row)
    assert "query" not in row["entity"][0]
    for by in (teen, f"{oneself},{teen}"):
        refused = await parent.get("AuditEvent", patient=by)
        assert (refused.status_code, code(refused)) == (403, "trail-search")


@pytest.mark.parametrize("by", ["oneself", "practice"])
async def test_who_waits_for_an_earlier_time_of_a_hidden_visit_waits_hidden(
    people: People, agenda: Agenda, by: str
) -> None:
    """Whoever asks, the practice too: what waits names the visit that it is to replace."""
    parent, own, teen = await people.teenager()
    hidden = (await books(own, teen, agenda, 2, hidden=True)).json()["id"]
    asked = own if by == "oneself" else people.callers.software()
    waiting = await asked.post(f"Appointment/{hidden}/$wait", parameters())
    assert waiting.status_code == 201, waiting.text
    path = f"Appointment/{waiting.json()['id']}"
    assert (await own.get(path)).status_code == 200
    assert (await parent.get(path)).status_code == 404
