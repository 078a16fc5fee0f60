"""Logging in and out as a browser does it: the pages, the development issuer, and one cookie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import httpx
import pytest
from deploy.local.folder import Folder
from deploy.local.tokens import Issuer
from prometheus_client import REGISTRY
from services.web.tests.auth.pair import NAMES, SITE, WHO, choose, issuer_app, login_settings, said
from services.web.tests.wire import WireTo
from tests.fixtures.postgres import NewDatabase

from creneau_shared.clock import FixedClock
from creneau_web.app import WebApplication, create_app
from creneau_web.auth.failure import Reason
from creneau_web.pages.booking.draft import Draft
from creneau_web.pages.login import STATUS
from creneau_web.sessions.session import Account, Session
from creneau_web.settings import WebSettings

COOKIE = "__Host-creneau"
SOMEWHERE = "/recherche?quoi=dermatologue&ou=Rennes"


def no_records(request: httpx.Request) -> httpx.Response:
    """A FHIR base that holds nothing, any more."""
    if request.url.path.endswith("/$erase"):
        done = {"name": "done", "valueBoolean": True}
        return httpx.Response(200, json={"resourceType": "Parameters", "parameter": [done]})
    if request.url.path.rpartition("/")[0].endswith("/PractitionerRole"):
        return httpx.Response(404, json={"resourceType": "OperationOutcome", "issue": []})
    if request.url.path.endswith("/Patient/camille"):
        return httpx.Response(200, json={"resourceType": "Patient", "id": "camille"})
    return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset", "total": 0})


class Counted(httpx.AsyncBaseTransport):
    """The way to the issuer, with what went over it; `silent`: nobody there."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self.asked: list[httpx.Request] = []
        self.silent = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.silent:
            raise httpx.ConnectError("nobody there")
        return await self._transport.handle_async_request(request)

    def to(self, path: str) -> int:
        return sum(request.url.path.endswith(path) for request in self.asked)


@dataclass
class Visitor:
    """A browser at the pages (`web`) and at the issuer (`http`)."""

    app: WebApplication
    web: httpx.AsyncClient
    http: httpx.AsyncClient
    way: Counted
    clock: FixedClock
    refuses_tokens: bool = False
    """whether the FHIR base believes none"""

    def fhir(self, request: httpx.Request) -> httpx.Response:
        if self.refuses_tokens and "authorization" in request.headers:
            return httpx.Response(401, json={"resourceType": "OperationOutcome", "issue": []})
        return no_records(request)

    @property
    def cookie(self) -> str:
        return self.web.cookies.get(COOKIE) or ""

    async def leave(self, name: str = "issuer", back: str = SOMEWHERE) -> str:
        answer = await self.web.get("/auth/connexion", params={"par": name, "retour": back})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def to_the_provider_and_back(self, name: str = "issuer", back: str = SOMEWHERE, **who: str) -> str:
        """The address with which the person comes back."""
        location = await choose(self.http, await self.leave(name, back), **(who or {"person": WHO[name]}))
        return location.removeprefix(SITE)

    async def log_in(self, name: str = "issuer", back: str = SOMEWHERE, **who: str) -> httpx.Response:
        return await self.web.get(await self.to_the_provider_and_back(name, back, **who))

    async def session(self, cookie: str | None = None) -> Session | None:
        return await self.app.site.sessions.find(self.cookie if cookie is None else cookie)

    async def account(self) -> Account:
        session = await self.session()
        assert session is not None
        assert session.account is not None
        return session.account

    async def fails(self, answer: httpx.Response) -> httpx.Response:
        """The page that says why, to which an answer leads."""
        assert answer.status_code == 303
        address = answer.headers["location"]
        assert address.startswith("/auth/echec?raison=")
        assert "code" not in address
        return await self.web.get(address)

    def another(self) -> Visitor:
        """Somebody else's, with a cookie of its own."""
        web = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=SITE)
        return Visitor(self.app, web, self.http, self.way, self.clock)


@pytest.fixture
async def visitor(migrated_web: str, emptied_database: NewDatabase, tmp_path: Path) -> AsyncIterator[Visitor]:
    clock = FixedClock(datetime.now(UTC))
    issuer = Issuer.of(Folder(tmp_path))
    transport = httpx.ASGITransport(issuer_app(issuer, clock))
    way = Counted(transport)
    settings = WebSettings(
        database_url=emptied_database(template=migrated_web),
        **login_settings(issuer),  # type: ignore[arg-type]
    )
    believes: list[Visitor] = []
    base = httpx.MockTransport(lambda request: believes[0].fhir(request))
    app = create_app(settings, clock, WireTo(base), way)
    async with (
        app.pages.router.lifespan_context(app.pages),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as web,
        httpx.AsyncClient(transport=transport) as http,
    ):
        believes.append(Visitor(app, web, http, way, clock))
        yield believes[0]


@pytest.mark.parametrize("name", NAMES)
async def test_a_person_logs_in_and_comes_back_to_where_they_were(visitor: Visitor, name: str) -> None:
    """P5."""
    answer = await visitor.log_in(name)
    assert (answer.status_code, answer.headers["location"]) == (303, SOMEWHERE)
    assert answer.headers["cache-control"] == "no-store"
    account = await visitor.account()
    assert (account.provider, account.name) == (
        name,
        {"issuer": "Camille MARTIN", "franceconnect": "Yvonne LEFORT", "psc": "Inès BIANCHI"}[name],
    )


@pytest.mark.parametrize("origin", ["sas", "sas-preprod"])
async def test_45_the_regulation_logs_in_before_it_sees_an_agenda(visitor: Visitor, origin: str) -> None:
    """Check 45 of 6.1 SAS: the address of a slot with `&origin=sas` leads to Pro Santé Connect, and from there to the agenda;
    without it nobody is sent anywhere."""
    agenda = f"/soignants/demo-r1?vue=agenda&origin={origin}"
    answer = await visitor.web.get(agenda)
    assert answer.status_code == 303
    begun = httpx.URL(answer.headers["location"])
    assert (begun.path, begun.params["par"], begun.params["retour"]) == ("/auth/connexion", "psc", agenda)
    back = await visitor.log_in("psc", back=agenda)
    assert (back.status_code, back.headers["location"]) == (303, agenda)
    assert (await visitor.web.get(agenda)).status_code == 404  # the base of this test holds nobody
    stranger = visitor.another().web
    assert (await stranger.get("/soignants/demo-r1?vue=agenda")).status_code == 404


async def test_the_session_has_another_key_after_the_log_in(visitor: Visitor) -> None:
    """X15: what was known before (a cookie that somebody planted, the key of a form) opens nothing afterwards."""
    await visitor.leave()
    before, session = visitor.cookie, await visitor.session()
    assert session is not None
    form_key = session.form_key
    await visitor.log_in()
    assert visitor.cookie not in ("", before)
    left, after = await visitor.session(before), await visitor.session()
    assert after is not None
    assert after.form_key != form_key
    assert left is not None
    assert left.account is None, "it leads who comes back once more to the new key, and nobody else anywhere"


async def test_what_was_begun_is_kept_through_the_log_in(visitor: Visitor) -> None:
    """P5: the draft of a booking."""
    await visitor.leave()
    session = await visitor.session()
    assert session is not None
    await visitor.app.site.sessions.keep_draft(session, "d1", {"slot": "s1"})
    await visitor.log_in()
    after = await visitor.session()
    assert after is not None
    assert await visitor.app.site.sessions.find_draft(after, "d1") == {"slot": "s1"}


async def test_but_not_for_the_next_person_at_the_same_computer(visitor: Visitor) -> None:
    await visitor.log_in()
    session = await visitor.session()
    assert session is not None
    await visitor.app.site.sessions.keep_draft(session, "d1", {"slot": "s1"})
    await visitor.log_in(person="karim-haddad")
    after = await visitor.session()
    assert after is not None
    assert (await visitor.account()).name == "Karim HADDAD"
    assert await visitor.app.site.sessions.drafts_of(after) == []


@pytest.mark.parametrize(
    "elsewhere",
    ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "mailto:a@b.fr", ""],
)
async def test_nobody_is_sent_to_another_site_after_the_log_in(visitor: Visitor, elsewhere: str) -> None:
    assert (await visitor.log_in(back=elsewhere)).headers["location"] == "/"


async def test_a_return_that_was_begun_in_another_browser(visitor: Visitor) -> None:
    """Somebody is sent a link that logs them in as somebody else, to whom they would then tell their story."""
    link = await visitor.to_the_provider_and_back()
    known = visitor.way.to("/token")
    victim = visitor.another()
    answer = await victim.fails(await victim.web.get(link))
    assert answer.status_code == 400
    assert "Cette connexion a expiré" in answer.text
    assert visitor.way.to("/token") == known, "the code is not even looked at"
    await victim.leave()
    assert (await victim.fails(await victim.web.get(link))).status_code == 400, (
        "nor with a log-in of their own under way"
    )
    assert COOKIE in victim.web.cookies
    session = await victim.session()
    assert session is not None
    assert session.account is None


@pytest.mark.parametrize("change", ["state", "no state"])
async def test_a_state_that_is_not_ours(visitor: Visitor, change: str) -> None:
    link = await visitor.to_the_provider_and_back()
    query = said(link) | {"state": "another"}
    if change == "no state":
        del query["state"]
    answer = await visitor.web.get("/auth/retour", params=query)
    assert (await visitor.fails(answer)).status_code == 400


async def test_the_same_return_twice(visitor: Visitor) -> None:
    """Reload, or the browser's way back: the one who is logged in stays so; nobody else gets in by it."""
    link = await visitor.to_the_provider_and_back()
    await visitor.web.get(link)
    again = await visitor.web.get(link)
    assert (again.status_code, again.headers["location"]) == (303, "/")
    assert (await visitor.account()).name == "Camille MARTIN"
    other = visitor.another()
    assert (await other.fails(await other.web.get(link))).status_code == 400


async def test_a_return_whose_answer_is_lost_lets_in_the_second_time(visitor: Visitor) -> None:
    """A reload while the provider is asked, or a mobile without network: the browser comes again with the cookie of before,
    and what was chosen is there. Another return does not open it."""
    link = await visitor.to_the_provider_and_back()
    session, before = await visitor.session(), visitor.cookie
    assert session is not None
    await visitor.app.site.sessions.keep_draft(session, "d", {"slot": "slot-1"})
    answers = await asyncio.gather(*(visitor.web.get(link) for _ in range(2)))
    assert [answer.headers["location"] for answer in answers] == [SOMEWHERE] * 2
    visitor.web.cookies.clear()
    visitor.web.cookies.set(COOKIE, before, domain="site.example")
    again = await visitor.web.get(link)
    assert (again.status_code, again.headers["location"]) == (303, SOMEWHERE)
    assert (await visitor.account()).name == "Camille MARTIN"
    became = await visitor.session()
    assert became is not None
    assert await visitor.app.site.sessions.find_draft(became, "d") == {"slot": "slot-1"}
    visitor.web.cookies.clear()
    visitor.web.cookies.set(COOKIE, before, domain="site.example")
    planted = await visitor.web.get("/auth/retour?state=guessed&code=guessed")
    assert (await visitor.fails(planted)).status_code == 400
    assert (await visitor.web.get("/mes-rendez-vous")).headers["location"].startswith("/connexion")


async def test_a_return_that_failed_is_not_tried_again(visitor: Visitor) -> None:
    link = await visitor.to_the_provider_and_back(refuse="yes")
    assert (await visitor.fails(await visitor.web.get(link))).status_code == 403
    assert (await visitor.fails(await visitor.web.get(link))).status_code == 400


async def test_two_pages_may_begin_a_log_in_at_once(visitor: Visitor) -> None:
    first, second = await visitor.leave(back="/aide"), await visitor.leave(back="/")
    location = await choose(visitor.http, first, person="camille-martin")
    assert (await visitor.web.get(location.removeprefix(SITE))).headers["location"] == "/aide"
    assert second != first


async def test_and_neither_forgets_the_other_that_began_at_the_same_moment(visitor: Visitor) -> None:
    await visitor.web.get("/connexion")
    answers = await asyncio.gather(*(visitor.leave(back=f"/aide?{n}") for n in range(4)))
    session = await visitor.session()
    assert session is not None
    assert len(session.content.login or {}) == len(answers)


async def test_only_a_few_are_kept(visitor: Visitor) -> None:
    for _ in range(8):
        await visitor.leave()
    session = await visitor.session()
    assert session is not None
    assert len(session.content.login or {}) == 5


async def test_who_does_not_want_to_log_in_can_begin_again_or_go_back(visitor: Visitor) -> None:
    answer = await visitor.fails(await visitor.log_in(refuse="yes"))
    assert answer.status_code == 403
    assert "Vos choix sont gardés" in answer.text
    assert "/connexion?retour=/recherche" in answer.text
    assert (await visitor.log_in()).headers["location"] == SOMEWHERE


async def test_while_the_issuer_is_silent_the_page_says_so(visitor: Visitor) -> None:
    visitor.way.silent = True
    answer = await visitor.fails(await visitor.web.get("/auth/connexion", params={"retour": SOMEWHERE}))
    assert answer.status_code == 503
    assert "ne répond pas" in answer.text
    answer = await visitor.fails(await visitor.web.get("/auth/connexion", params={"par": "nobody"}))
    assert answer.status_code == 400


@pytest.mark.parametrize("reason", get_args(Reason))
@pytest.mark.parametrize("language", ["fr", "en", "simple"])
async def test_every_failure_has_a_page_in_every_language(
    visitor: Visitor, reason: str, language: str
) -> None:
    await visitor.web.get(f"/langue/{language}")
    page = await visitor.web.get(
        "/auth/echec", params={"raison": reason, "retour": "https://elsewhere.example"}
    )
    assert page.status_code == STATUS[reason]  # type: ignore[index]
    assert page.text.count("<h1>") == 1
    assert 'href="https://elsewhere' not in page.text


async def test_no_other_failure_has_one(visitor: Visitor) -> None:
    assert (await visitor.web.get("/auth/echec", params={"raison": "x"})).status_code == 400


@pytest.mark.parametrize("name", NAMES)
async def test_logging_out_ends_it_here_and_leads_to_the_provider(visitor: Visitor, name: str) -> None:
    """X15."""
    await visitor.log_in(name)
    before, account = visitor.cookie, await visitor.account()
    answer = await visitor.web.get("/auth/deconnexion", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 303
    assert await visitor.session(before) is None
    at_the_provider = await visitor.http.get(answer.headers["location"])
    assert at_the_provider.headers["location"].partition("?")[0] == f"{SITE}/"
    session = await visitor.session()
    assert session is not None
    assert session.account is None
    back = await visitor.web.get(at_the_provider.headers["location"])
    assert back.headers["location"] == "/", "what the provider added is left behind"
    assert "La session est fermée" in (await visitor.web.get("/")).text
    revived = await visitor.app.site.login._issuer.endpoints()
    with pytest.raises(Exception, match="invalid_grant"):
        await revived.refresh(account.refresh_token or "")


async def test_whoever_erased_their_account_is_led_to_the_provider_by_a_link(visitor: Visitor) -> None:
    """A form may lead to no other site: they are logged out here, and there once they have read what was done."""
    await visitor.log_in()
    before, account, session = visitor.cookie, await visitor.account(), await visitor.session()
    assert session is not None
    form = {"form_key": session.form_key, "nom": "Martin"}
    answer = await visitor.web.post("/mes-donnees/effacer/camille", data=form)
    assert answer.headers["location"] == "/mes-donnees/efface"
    assert await visitor.session(before) is None
    after = await visitor.session()
    assert after is not None
    assert (after.account, after.content.whose) == (None, account.whose), "nobody else will read it"
    assert "/auth/deconnexion" in (await visitor.web.get("/mes-donnees/efface")).text
    answer = await visitor.web.get("/auth/deconnexion")
    at_the_provider = await visitor.http.get(answer.headers["location"])
    assert at_the_provider.headers["location"].partition("?")[0] == f"{SITE}/"
    assert "La session est fermée" in (await visitor.web.get("/")).text


@pytest.mark.parametrize("ends", ["at the issuer", "at the base"])
async def test_logging_out_after_the_tokens_end_leaves_nothing_to_the_next_person(
    visitor: Visitor, ends: str
) -> None:
    """Neither what was begun, nor a log-in at the provider: at a shared computer the next one would be the former one there."""
    await visitor.log_in()
    session = await visitor.session()
    assert session is not None
    await visitor.app.site.sessions.keep_draft(session, "d1", {"slot": "s1"})
    before, account = visitor.cookie, await visitor.account()
    if ends == "at the issuer":
        await (await visitor.app.site.login._issuer.endpoints()).revoke(account.refresh_token or "")
        visitor.clock.advance(timedelta(minutes=16))
    else:
        visitor.refuses_tokens = True
        assert (await visitor.web.get("/mes-rendez-vous")).status_code == 303
        visitor.refuses_tokens = False
    answer = await visitor.web.get("/auth/deconnexion", headers={"Sec-Fetch-Site": "same-origin"})
    assert await visitor.session(before) is None
    at_the_provider = await visitor.http.get(answer.headers["location"])
    assert at_the_provider.headers["location"].partition("?")[0] == f"{SITE}/"
    session = await visitor.session()
    assert session is not None
    assert (session.content.whose, await visitor.app.site.sessions.drafts_of(session)) == (None, [])
    assert "La session est fermée" in (await visitor.web.get("/")).text


async def test_who_logs_in_again_after_the_tokens_end_is_led_out_by_the_new_log_in(visitor: Visitor) -> None:
    await visitor.log_in()
    visitor.refuses_tokens = True
    await visitor.web.get("/mes-rendez-vous")
    visitor.refuses_tokens = False
    await visitor.log_in()
    session = await visitor.session()
    assert session is not None
    assert session.content.leave is None


async def test_another_sites_link_logs_nobody_out(visitor: Visitor) -> None:
    await visitor.log_in()
    answer = await visitor.web.get("/auth/deconnexion", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.headers["location"] == "/"
    assert (await visitor.account()).name == "Camille MARTIN"


async def test_logging_out_works_while_the_issuer_is_silent(visitor: Visitor) -> None:
    await visitor.log_in()
    before, visitor.way.silent = visitor.cookie, True
    answer = await visitor.web.get("/auth/deconnexion")
    assert answer.status_code == 303
    assert await visitor.session(before) is None


async def test_a_token_is_renewed_before_a_page_needs_it(visitor: Visitor) -> None:
    await visitor.log_in()
    first = (await visitor.account()).access_token
    visitor.clock.advance(timedelta(minutes=14, seconds=30))
    assert (await visitor.web.get("/mes-rendez-vous")).status_code == 200
    assert (await visitor.account()).access_token != first


async def test_who_was_logged_out_at_the_issuer_is_asked_to_log_in_again(visitor: Visitor) -> None:
    await visitor.log_in()
    endpoints = await visitor.app.site.login._issuer.endpoints()
    await endpoints.revoke((await visitor.account()).refresh_token or "")
    visitor.clock.advance(timedelta(minutes=14, seconds=30))
    answer = await visitor.web.get("/mes-rendez-vous")
    assert (answer.status_code, answer.headers["location"]) == (303, "/connexion?retour=%2Fmes-rendez-vous")
    session = await visitor.session()
    assert session is not None, "what they had begun is still there"
    assert session.account is None


async def test_who_outlives_a_silent_issuer_is_still_logged_in_when_it_is_back(visitor: Visitor) -> None:
    """Their token has ended meanwhile, and the base refuses it: that the issuer is silent is told, and logs nobody out."""
    await visitor.log_in()
    account = await visitor.account()
    visitor.way.silent = visitor.refuses_tokens = True
    visitor.clock.advance(timedelta(minutes=16))
    answer = await visitor.web.get("/mes-rendez-vous")
    assert (answer.status_code, "ne répond pas" in answer.text) == (503, True)
    assert await visitor.account() == account
    visitor.way.silent = visitor.refuses_tokens = False
    assert (await visitor.web.get("/mes-rendez-vous")).status_code == 200
    assert (await visitor.account()).access_token != account.access_token


async def test_a_token_that_is_refused_before_its_end_has_been_taken_back(visitor: Visitor) -> None:
    await visitor.log_in()
    visitor.refuses_tokens = True
    answer = await visitor.web.get("/mes-rendez-vous")
    assert answer.headers["location"] == "/connexion?retour=%2Fmes-rendez-vous"


@pytest.mark.parametrize("who", ["oceane-payet", "sophie-garnier", "nadia-roussel", "marc-leclerc"])
async def test_who_is_no_patient_sees_no_patients_pages(visitor: Visitor, who: str) -> None:
    """To a secretary's token, everybody's appointments would be "my appointments"."""
    await visitor.log_in(person=who)
    answer = await visitor.web.get("/mes-rendez-vous")
    assert answer.status_code == 403
    assert "Ces pages sont celles des patients" in answer.text
    session = await visitor.session()
    assert session is not None
    now = visitor.clock.now()
    draft = Draft(role="r", slot="s", start=now, end=now)
    await visitor.app.site.sessions.keep_draft(session, draft.id, draft.model_dump(mode="json"))
    assert (await visitor.web.get(draft.path)).status_code == 403
    assert (await visitor.web.get("/")).status_code == 200, "what is everybody's is theirs too"


async def test_no_address_and_no_cookie_says_who_it_is(visitor: Visitor) -> None:
    """X16, X11."""
    out = await visitor.leave()
    back = await choose(visitor.http, out, person="camille-martin")
    answer = await visitor.web.get(back.removeprefix(SITE))
    account = await visitor.account()
    for address in (out, back, answer.headers["location"], visitor.cookie):
        for word in ("camille", "martin", "1988", account.access_token, account.refresh_token or "-"):
            assert word.lower() not in address.lower()
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))


async def test_the_ways_to_log_in_are_offered(visitor: Visitor) -> None:
    page = await visitor.web.get("/connexion", params={"retour": SOMEWHERE})
    for name in NAMES:
        assert f"/auth/connexion?par={name}&amp;retour=/recherche%3Fquoi%3Ddermatologue" in page.text


async def test_log_ins_are_counted_by_what_became_of_them(visitor: Visitor) -> None:
    """O3: for the operator; an address that somebody made up makes no series of its own."""

    def count(provider: str, outcome: str) -> float:
        labels = {"provider": provider, "outcome": outcome}
        return REGISTRY.get_sample_value("creneau_logins_total", labels) or 0.0

    cases = [("issuer", "done"), ("issuer", "declined"), ("none", "stale")]
    before = [count(*case) for case in cases]
    await visitor.log_in()
    await visitor.log_in(refuse="yes")
    await visitor.web.get("/auth/connexion", params={"par": "made-up"})
    assert [count(*case) for case in cases] == [n + 1 for n in before]
    assert count("made-up", "stale") == 0.0


async def test_by_another_name_of_this_machine_one_is_led_to_the_right_one_first(
    migrated_web: str, new_database: NewDatabase, tmp_path: Path, clock: FixedClock
) -> None:
    """Who typed localhost would come back from the provider to 127.0.0.1, where nothing is known of them."""
    issuer = Issuer.of(Folder(tmp_path))
    told = login_settings(issuer, public_site_url="http://127.0.0.1:8080")
    settings = WebSettings(database_url=new_database(template=migrated_web), **told)  # type: ignore[arg-type]
    way = httpx.ASGITransport(issuer_app(issuer, clock))
    believes: list[Visitor] = []
    base = httpx.MockTransport(lambda request: believes[0].fhir(request))
    app = create_app(settings, clock, WireTo(base), way)
    transport = httpx.ASGITransport(app)
    async with app.pages.router.lifespan_context(app.pages):
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as typed:
            answer = await typed.get("/auth/connexion?par=issuer&retour=%2Faide")
        right = "http://127.0.0.1:8080/auth/connexion?par=issuer&retour=%2Faide"
        assert answer.headers["location"] == right
        async with httpx.AsyncClient(transport=transport) as led:
            assert (await led.get(right)).headers["location"].startswith(issuer.url)
        async with httpx.AsyncClient(transport=transport, base_url="http://elsewhere.example") as other:
            answer = await other.get("/auth/connexion?par=issuer")
            assert answer.headers["location"].startswith(issuer.url), "no other name is meddled with"
