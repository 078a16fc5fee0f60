"""One cookie, forms that only our pages send, and what another site cannot do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from starlette.requests import Request

from creneau_shared.clock import FixedClock
from creneau_web.page import Page, local_path
from creneau_web.sessions import store
from creneau_web.sessions.entering import SentForm
from creneau_web.sessions.session import Account, Content, SessionOverError
from creneau_web.sessions.unsent import Unsent

from .conftest import NOW, SITE, FhirBase, Person, searchset
from .samples import PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT


@pytest.fixture(autouse=True)
def directory(fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)


async def test_reading_needs_no_cookie(person: Person) -> None:
    assert "set-cookie" not in (await person.open("/")).headers


async def test_the_cookie_is_closed(person: Person) -> None:
    cookie = (await person.open("/soignants/role-1/creneaux")).headers["set-cookie"]
    assert cookie.startswith("__Host-creneau=")
    for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_s_form_is_refused(person: Person, headers: dict[str, str]) -> None:
    await person.open("/soignants/role-1/creneaux")
    answer = await person.client.post(
        "/soignants/role-1/creneaux", data={"form_key": person.form_key, "creneau": "slot-1"}, headers=headers
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("key", ["", "another"])
async def test_a_form_without_the_key_is_refused(person: Person, key: str) -> None:
    await person.open("/soignants/role-1/creneaux")
    answer = await person.client.post(
        "/soignants/role-1/creneaux", data={"form_key": key, "creneau": "slot-1"}, headers={"Origin": SITE}
    )
    assert answer.status_code == 403
    assert "expiré" in answer.text


async def test_a_session_ends_by_itself(person: Person, clock: FixedClock) -> None:
    await person.sign_in()
    assert (await person.open("/mes-rendez-vous")).status_code == 200
    clock.advance(timedelta(minutes=31))
    assert (await person.open("/mes-rendez-vous")).headers["location"].startswith("/connexion")


async def test_after_a_log_in_a_session_opens_by_its_new_key_only(person: Person) -> None:
    sessions = person.app.site.sessions
    session = await sessions.begin()
    before = session.key
    await sessions.keep_draft(session, "d", {"a": 1})
    account = Account(subject="email:a@exemple.fr", access_token="t", expires_at=NOW, provider="code")
    entered = await sessions.let_in(session, account)
    assert before is not None
    assert entered.key is not None
    assert await sessions.find(before) is None
    found = await sessions.find(entered.key)
    assert found is not None
    assert await sessions.find_draft(found, "d") == {"a": 1}


@pytest.mark.parametrize("is_anothers", [False, True])
async def test_a_log_in_changes_the_keys_altogether_or_not_at_all(
    person: Person, monkeypatch: pytest.MonkeyPatch, is_anothers: bool
) -> None:
    """A second press finds its session under the old key at any moment: what breaks off before the old key has its word
    leaves the session as it was, and lets nobody in."""
    sessions = person.app.site.sessions
    other = account_with("r1") if is_anothers else None
    session = await sessions.begin(Content(account=other))
    await sessions.keep_draft(session, "d", {"a": 1})
    before = session.key
    assert before is not None

    async def break_off(*_: object) -> None:
        raise ConnectionResetError

    account = Account(subject="email:a@exemple.fr", access_token="t", expires_at=NOW, provider="code")
    sent = SentForm(before, "/connexion/code/saisir", {"code": "123456"})
    with monkeypatch.context() as broken:
        broken.setattr(sessions, "_leave", break_off)
        with pytest.raises(ConnectionResetError):
            await sessions.let_in(session, account, sent)
    await sessions.save(session)
    found = await sessions.find(before)
    assert found is not None
    assert found.account == other
    assert await sessions.find_draft(found, "d") == {"a": 1}
    became = await sessions.let_in(found, account, sent)
    left = await sessions.find(before)
    assert left is not None
    assert left.account is None
    assert left.content.entered is not None
    assert became.account == account


async def test_the_database_alone_tells_nothing(person: Person) -> None:
    """Neither tokens, nor names, nor what is typed to a practice: not in the rows, and not for another session's cookie."""
    await person.sign_in("camille", name="Camille Durand")
    sessions = person.app.site.sessions
    key = person.client.cookies["__Host-creneau"]
    own, other = await sessions.find(key), await sessions.begin()
    assert own is not None
    await sessions.keep_draft(own, "d", {"comment": "un grain de beauté"})
    async with person.app.database.connection() as connection:
        rows = await connection.fetch("SELECT content FROM session UNION ALL SELECT content FROM draft")
        await connection.execute("UPDATE draft SET session = $1", other.key_hash)
    for word in (b"token of camille", b"Durand", "beauté".encode()):
        assert not any(word in row["content"] for row in rows)
    assert await sessions.find_draft(other, "d") is None
    assert await sessions.drafts_of(other) == []


async def test_a_token_that_holds_no_more_leads_to_the_log_in(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    fhir.refuse("POST", "/Appointment/_search", 401, "login")
    answer = await person.open("/mes-rendez-vous")
    assert answer.headers["location"] == "/connexion?retour=%2Fmes-rendez-vous"


@pytest.mark.parametrize(
    "text",
    [
        "https://elsewhere.example",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "javascript:alert(1)",
        "/a\nb",
    ],
)
def test_nobody_is_led_elsewhere(text: str) -> None:
    assert local_path(text) == "/"


async def test_what_browsers_may_not_do(person: Person) -> None:
    headers = (await person.open("/")).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def account_with(refresh: str, access: str = "first") -> Account:
    return Account(subject="s", access_token=access, refresh_token=refresh, id_token="i", expires_at=NOW)


async def test_two_requests_of_a_session_keep_each_others_changes(person: Person) -> None:
    """A slow form that ends in a sentence writes no refresh token back that another tab has used meanwhile."""
    sessions = person.app.site.sessions
    begun = await sessions.begin(Content(account=account_with("r1")))
    assert begun.key is not None
    slow, quick = await sessions.find(begun.key), await sessions.find(begun.key)
    assert slow is not None
    assert quick is not None
    quick.content = quick.content.model_copy(update={"account": account_with("r2")})
    await sessions.save(quick)
    slow.content = slow.content.model_copy(update={"said": "done.booked"})
    await sessions.save(slow)
    kept = await sessions.find(begun.key)
    for session in (kept, slow):
        assert session is not None
        assert session.account is not None
        assert (session.account.refresh_token, session.content.said) == ("r2", "done.booked")


async def test_a_session_has_so_many_drafts_and_forgets_the_first(
    person: Person, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are read at each choice of a time, and whoever chooses needs no account."""
    monkeypatch.setattr(store, "DRAFTS_MAX", 3)
    sessions = person.app.site.sessions
    own, another = await sessions.begin(), await sessions.begin()
    await sessions.keep_draft(another, "another", {"slot": "another"})
    for n in range(5):
        clock.advance(timedelta(seconds=1))
        await sessions.keep_draft(own, f"draft-{n}", {"slot": str(n)})
    await sessions.keep_draft(own, "draft-2", {"slot": "changed"})
    kept = [(id_, content["slot"]) for id_, content in await sessions.drafts_of(own)]
    assert kept == [("draft-4", "4"), ("draft-3", "3"), ("draft-2", "changed")]
    assert await sessions.find_draft(own, "draft-1") is None
    assert await sessions.find_draft(another, "another") is not None


async def test_nor_does_a_log_in_undo_what_was_kept_meanwhile(person: Person) -> None:
    sessions = person.app.site.sessions
    begun = await sessions.begin()
    assert begun.key is not None
    coming, typing = await sessions.find(begun.key), await sessions.find(begun.key)
    assert coming is not None
    assert typing is not None
    typing.content = typing.content.model_copy(update={"unsent": Unsent(page="/", fields={"quoi": ["dent"]})})
    await sessions.save(typing)
    let_in = await sessions.let_in(coming, account_with("r1"))
    assert let_in.content.unsent == typing.content.unsent
    assert let_in.key is not None
    kept = await sessions.find(let_in.key)
    assert kept is not None
    assert kept.content == let_in.content


@pytest.mark.parametrize("again", [False, True])
async def test_a_step_that_a_log_in_overtakes_is_not_lost_unsaid(
    person: Person, fhir: FhirBase, again: bool
) -> None:
    """The draft stands under the new key by then; `again`: the old one is left for a second press."""
    sessions = person.app.site.sessions
    session = await sessions.begin()
    assert session.key is not None
    await sessions.keep_draft(session, "d", {"slot": "slot-1"})
    slow = await sessions.find(session.key)
    assert slow is not None
    form = SentForm(session.key, "/connexion/code/saisir", {"code": ["1"]}) if again else None
    became = await sessions.let_in(session, Account(subject="camille", access_token="t"), form)
    with pytest.raises(SessionOverError):
        await sessions.keep_draft(slow, "d", {"slot": "slot-2"})
    assert await sessions.find_draft(became, "d") == {"slot": "slot-1"}


async def test_a_sentence_that_was_said_takes_no_later_one_along(person: Person) -> None:
    await person.sign_in()
    request = Request({"type": "http", "headers": [], "query_string": b""})

    async def page() -> Page:
        return Page(request, person.app.site, await person.session())

    await (await page()).say_next("done.asked")
    showing, acting = await page(), await page()
    await acting.say_next("done.booked")
    assert await showing._said() == "done.asked"
    assert (await person.session()).content.said == "done.booked"
    showing, acting = await page(), await page()
    assert await showing._said() == "done.booked"
    await acting.say_next("done.booked")
    assert (await person.session()).content.said == "done.booked", "the same once more"


def test_a_refused_token_logs_nobody_out_who_has_another_by_now() -> None:
    """It was renewed while the request that it was refused to was on its way."""
    before, after = account_with("r1", "first"), account_with("r2", "second")
    assert Content(account=after).logged_out(before).account == after
    assert Content(account=before).logged_out(before) == Content(former=before.whose)
    assert Content(former="x").logged_out(before).former == "x"
