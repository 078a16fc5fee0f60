"""One request for a page: who browses, in which language, and how the answer is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response
from starlette.routing import Route

from creneau_web.care.model import PARIS
from creneau_web.fhir.client import Fhir
from creneau_web.sessions.entering import SentForm
from creneau_web.sessions.forms import FIELD, comes_from_here, has_key
from creneau_web.sessions.session import PATIENT, Account, Content, Language, Session
from creneau_web.sessions.unsent import NOTHING_UNSENT, Unsent
from creneau_web.site import Site
from creneau_web.typed import TYPED_MAX
from creneau_web.wording import LANGUAGES, Wording

PERSONAL = {"Cache-Control": "no-store"}
READING = ("GET", "HEAD")
MOST_CHARACTERS = 5 * TYPED_MAX
"""of all fields of a form; more was not typed by a person"""


class SignInNeededError(Exception):
    """A page of somebody's own was asked for by nobody; `back` is where they wanted to go."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


class LinkTimeOverError(Exception):
    """A page of the visit that a message's link has opened, after its half hour: who came by it has no other account."""


class NotAPatientError(Exception):
    """A patient's page was asked for by somebody who is logged in as something else: what their token shows them are their
    practice's patients, not themselves."""


class ForeignFormError(Exception):
    """A form without the session's key, or from another site."""


class EnteredAlreadyError(Exception):
    """A form that has let somebody in was sent once more; `back` is where it led them."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


class Page:
    """What a handler works with."""

    def __init__(self, request: Request, site: Site, session: Session | None) -> None:
        self.request = request
        self.site = site
        self.session = session
        self.wording: Wording = site.wordings[_language(request, session)]

    @property
    def account(self) -> Account | None:
        return self.session.account if self.session else None

    @property
    def language(self) -> Language:
        return self.wording.language

    @property
    def fhir(self) -> Fhir:
        """The FHIR base as this person sees it."""
        handed = self.site.entrance.read(self.request.headers.raw)
        account = self.account
        return Fhir(
            self.site.wire,
            self.site.clock.now(),
            self.wording.tag,
            account.access_token if account else None,
            handed.address if handed else None,
        )

    @property
    def today(self) -> date:
        """The day by which ages and accesses are counted, as the base does: that of Paris."""
        return self.site.clock.now().astimezone(PARIS).date()

    async def own_session(self) -> Session:
        """The session of who browses, begun now where there is none: a form needs its key."""
        if self.session is None:
            self.session = await self.site.sessions.begin(Content())
            self.request.state.session = self.session
        return self.session

    async def let_in(self, account: Account, back: str = "/") -> bool:
        """Somebody has logged in, in whatever way, and goes on to `back`. Whether what had been begun in this session is
        theirs too, and is kept."""
        before, sent = await self.own_session(), await self._sent_form(back)
        self.session = self.request.state.session = await self.site.sessions.let_in(before, account, sent)
        return self.session is before

    @asynccontextmanager
    async def one_press(self) -> AsyncIterator[None]:
        """Around what a form does: of two presses the second comes after the first, and sees what it has done."""
        session = await self.own_session()
        async with self.site.sessions.turn(session):
            yield

    @asynccontextmanager
    async def entering(self) -> AsyncIterator[None]:
        """Around what a form does that lets somebody in, for one press at a time; EnteredAlreadyError where another one of
        the same form has done it."""
        async with self.one_press():
            await self.go_on_where_entered()
            yield

    async def go_on_where_entered(self) -> None:
        """EnteredAlreadyError where this form has let somebody in before; their session is this one from now on."""
        sent = await self._sent_form()
        found = await self.site.sessions.find(sent.cookie) if sent is not None else None
        left = found.content.entered if found is not None else None
        if sent is None or found is None or left is None or left.key is None:
            return
        key = sent.opens(left)
        became = await self.site.sessions.find(key) if key is not None else None
        if became is None:
            await self.site.sessions.end(found)  # who does not know what was typed has no second try
            self.session = self.request.state.session = None
            return
        became.key = key
        self.session = self.request.state.session = became
        raise EnteredAlreadyError(left.back)

    async def _sent_form(self, back: str = "/") -> SentForm | None:
        """The form of this request; None where it is none, or of nobody's session."""
        cookie = self.site.cookie.read(self.request)
        if cookie is None or self.request.method in READING:
            return None
        fields = await typed(self.request)
        return SentForm(cookie, self.request.url.path, fields, back) if fields else None

    async def begin_anew(self, **kept: Any) -> None:
        """What was begun in this session is over, and whoever was logged in is so no more. `kept`: of the new one's content."""
        before = await self.own_session()
        self.session = self.request.state.session = await self.site.sessions.begin_anew(before, **kept)

    async def show(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Draw a template. Personal pages, and whatever has a form, are kept by no cache."""
        return self.drawn(template, status, {}, said=await self._said(), **values)

    def drawn(
        self,
        template: str,
        status: int,
        headers: Mapping[str, str],
        *,
        said: str | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """The same without the sentence that is said once: it needs nothing but the template."""
        text = self.site.templates.get_template(template).render(
            page=self, w=self.wording, t=self.wording.t, tn=self.wording.tn, said=said, **values
        )
        always = {"Content-Language": self.wording.tag, **PERSONAL, "Vary": "Cookie, Accept-Language"}
        return HTMLResponse(text, status, headers={**always, **headers})

    async def show_form(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Draw a template that has a form which changes something."""
        await self.own_session()
        return await self.show(template, status, **values)

    def go(self, path: str, **query: str) -> RedirectResponse:
        """To another page, by GET (303)."""
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303, headers=PERSONAL)

    async def say_next(self, key: str) -> None:
        """A sentence for the next page, said once."""
        session = await self.own_session()
        await self.site.sessions.change(session, lambda content: content.model_copy(update={"said": key}))

    async def _said(self) -> str | None:
        if self.session is None or self.session.content.said is None:
            return None
        key = self.session.content.said
        await self._forget(said=key)
        return key

    async def _forget(self, **known: Any) -> None:
        """Take this out of the session's content, as far as it is still there."""
        assert self.session is not None

        def without(content: Content) -> Content:
            there = {name: None for name, value in known.items() if getattr(content, name) == value}
            return content.model_copy(update=there)

        await self.site.sessions.change(self.session, without)

    @property
    def unsent(self) -> Unsent:
        """What was typed into this page's form and not done: the language was changed, or a log-in came in between; empty where
        nothing was."""
        return self.unsent_at(self.here)

    def unsent_at(self, address: str) -> Unsent:
        """The same of another page."""
        kept = self.session.content.unsent if self.session else None
        return kept if kept is not None and kept.page == address else NOTHING_UNSENT

    async def keep_unsent(self) -> bool:
        """What this request has sent, for its page: whoever sent it has to log in or to wait first, and finds it there
        afterwards. Whether there was something to keep."""
        if self.session is None or self.request.method in READING:
            return False
        fields = await typed(self.request)
        if not fields:
            return False
        kept = {"unsent": Unsent(page=self.here, fields=fields)}
        await self.site.sessions.change(self.session, lambda content: content.model_copy(update=kept))
        return True

    async def forget_unsent(self, address: str | None = None) -> None:
        """A form of this page, or of that at an address, has been sent: what was kept of it is old."""
        kept = self.session.content.unsent if self.session else None
        if kept is not None and _path(kept.page) == _path(address or self.here):
            await self._forget(unsent=kept)

    @property
    def form_key(self) -> str:
        """What each form of this session sends back."""
        return self.session.form_key if self.session else ""

    @property
    def here(self) -> str:
        """The address at which this page can be asked for again, without the origin. What only takes a form has none: there
        it is that of the page above it."""
        url = self.request.url
        path = url.path if self.request.method in READING else self._above(url.path)
        return f"{path}?{url.query}" if url.query else path

    def _above(self, path: str) -> str:
        """The path, or so much of it as leads to a page."""
        shown: frozenset[str] = self.request.app.state.shown
        route = self.request.scope.get("route") or next(self._routes_at(path), None)
        taken = getattr(route, "path", "")
        while taken and taken not in shown:
            taken, path = taken.rpartition("/")[0], path.rpartition("/")[0]
        return path if taken else "/"

    def _routes_at(self, path: str) -> Iterator[Route]:
        """By which a path is answered: for who asks before one was chosen."""
        routes: Sequence[Route] = self.request.app.state.routes
        return (route for route in routes if route.path_regex.fullmatch(path))

    def asset(self, name: str) -> str:
        return self.site.assets.url(name)

    def with_query(self, **changed: str | None) -> str:
        """This page's address with some of its query changed (None: left out)."""
        query: Mapping[str, str | None] = {**dict(self.request.query_params), **changed}
        kept = {name: value for name, value in query.items() if value}
        return f"{quote(self.request.url.path)}?{urlencode(kept)}" if kept else quote(self.request.url.path)


async def get_page(request: Request) -> Page:
    """The page of a request, with its session if the cookie names a live one."""
    site: Site = request.app.state.site
    request.state.asked = request
    key = site.cookie.read(request)
    session = await site.sessions.find(key) if key else None
    if session is not None and key is not None:
        session = await site.keeping.fresh(session, key)
    request.state.session, request.state.cookie_is_dead = session, bool(key) and session is None
    return Page(request, site, session)


CurrentPage = Annotated[Page, Depends(get_page)]


async def get_signed_in(page: CurrentPage) -> Page:
    """The same for a patient who is logged in; SignInNeededError or NotAPatientError otherwise. Whoever came by a link has
    no account for what is more than one visit."""
    if page.account is None or page.account.is_for_one_visit:
        raise SignInNeededError(page.here)
    check_patient(page.account)
    return page


async def get_at_a_visit(page: CurrentPage) -> Page:
    """The same for whoever came by the visit's link too; LinkTimeOverError for whoever did so before."""
    if page.account is None:
        if page.session is not None and page.session.content.is_for_one_visit:
            raise LinkTimeOverError
        raise SignInNeededError(page.here)
    check_patient(page.account)
    return page


def check_patient(account: Account) -> None:
    """NotAPatientError for anybody else."""
    if account.role != PATIENT:
        raise NotAPatientError


SignedInPage = Annotated[Page, Depends(get_signed_in)]
VisitPage = Annotated[Page, Depends(get_at_a_visit)]


async def check_form(page: CurrentPage) -> None:
    """Refuse what no form of ours has sent: the dependency of every route that changes something."""
    if page.request.method in READING:
        return
    await check_sender(page)
    await page.forget_unsent()


async def check_sender(page: Page) -> None:
    """ForeignFormError for what no form of this session has sent; EnteredAlreadyError for one that has let somebody in."""
    given = (await page.request.form()).get(FIELD)
    if not comes_from_here(page.request.headers, page.site.settings.public_site_url):
        raise ForeignFormError
    if not has_key(page.session, given):
        entered = page.session.content.entered if page.session and page.account else None
        if entered is not None and (entered.path, entered.form_key) == (page.request.url.path, given):
            raise EnteredAlreadyError(entered.back)
        raise ForeignFormError


async def typed(request: Request) -> dict[str, list[str]] | None:
    """Field → values of the form that was sent, without the session's key; None for more than a person types."""
    fields: dict[str, list[str]] = defaultdict(list)
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str) and name != FIELD:
            fields[name].append(value)
    characters = sum(len(value) for values in fields.values() for value in values)
    return fields if characters <= MOST_CHARACTERS else None


def local_path(text: str, otherwise: str = "/") -> str:
    """A path of this site and nothing else: no scheme, no host, no backslash that browsers take for a slash."""
    if text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable():
        return text
    return otherwise


def carry_cookie(request: Request, response: Response, site: Site) -> None:
    """Send the cookie of a session that has just begun or has a new key; take a dead one away."""
    session: Session | None = getattr(request.state, "session", None)
    if session is not None and session.key is not None:
        site.cookie.write(response, session.key)
    elif session is None and getattr(request.state, "cookie_is_dead", False):
        site.cookie.remove(response)


def _path(address: str) -> str:
    return address.partition("?")[0]


def _language(request: Request, session: Session | None) -> Language:
    if session is not None and session.content.language is not None:
        return session.content.language
    asked = request.query_params.get("langue")
    if asked in LANGUAGES:
        return asked
    accepted = request.headers.get("accept-language", "").strip().lower()
    return "en" if accepted.startswith("en") else "fr"
