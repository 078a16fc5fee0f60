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
"""of all fields of a form together: a person types no more"""


class SignInNeededError(Exception):
    """A personal page was asked for without a log-in; `back` is where the person wanted to go."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


class LinkTimeOverError(Exception):
    """The time that a message's link opens is over (LINK_TOKEN_S): who came by the link has no other account."""


class NotAPatientError(Exception):
    """A patient's page was asked for by somebody who is logged in as something else: their token shows their practice's
    patients, not themselves."""


class ForeignFormError(Exception):
    """A form without the session's key, or from another site."""


class EnteredAlreadyError(Exception):
    """A form that logged somebody in was sent again; `back` is where it led them."""

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
        account = self.account
        return Fhir(
            self.site.wire,
            self.site.clock.now(),
            self.wording.tag,
            account.access_token if account else None,
            self.address,
        )

    @property
    def address(self) -> str | None:
        """The person's IP address as the entrance says it: for limits, and kept nowhere."""
        handed = self.site.entrance.read(self.request.headers.raw)
        return handed.address if handed else None

    @property
    def today(self) -> date:
        """Today in Paris: ages and accesses are counted by it, as in the base."""
        return self.site.clock.now().astimezone(PARIS).date()

    async def own_session(self) -> Session:
        """The session of this browser; begins one if there is none: a form needs its key."""
        if self.session is None:
            self.session = await self.site.sessions.begin(Content())
            self.request.state.session = self.session
        return self.session

    async def let_in(self, account: Account, back: str = "/") -> bool:
        """Logs somebody in, who goes on to `back`. Returns whether what was begun in this session is theirs too, and is
        kept."""
        before, sent = await self.own_session(), await self._sent_form(back)
        self.session = self.request.state.session = await self.site.sessions.let_in(before, account, sent)
        return self.session is before

    @asynccontextmanager
    async def one_press(self) -> AsyncIterator[None]:
        """Wraps what a form does: of two presses the second waits for the first, and sees its effect."""
        session = await self.own_session()
        async with self.site.sessions.turn(session):
            yield

    @asynccontextmanager
    async def entering(self) -> AsyncIterator[None]:
        """Wraps what a log-in form, or the way back from a provider, does, for one press at a time. Raises
        EnteredAlreadyError if another press of it has logged in."""
        async with self.one_press():
            await self.go_on_where_entered()
            yield

    async def go_on_where_entered(self) -> None:
        """Raises EnteredAlreadyError if what was sent has logged somebody in before; their session becomes this one."""
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
        """What this request sends, in a form or in its address (from a provider); None without that, or without a cookie."""
        cookie = self.site.cookie.read(self.request)
        if cookie is None:
            return None
        reads = self.request.method in READING
        fields = dict(self.request.query_params) if reads else await typed(self.request)
        return SentForm(cookie, self.request.url.path, fields, back) if fields else None

    async def begin_anew(self, **kept: Any) -> None:
        """Ends this session, with its drafts and log-in, and begins another. `kept`: content of the new one."""
        before = await self.own_session()
        self.session = self.request.state.session = await self.site.sessions.begin_anew(before, **kept)

    async def show(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Draws a template. No cache keeps it: it may be personal, or have a form."""
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
        """As `show`, without the sentence that is said once: needs the template alone."""
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
        """Redirects to another page, by GET (303)."""
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303, headers=PERSONAL)

    async def say_next(self, key: str) -> None:
        """Keeps a sentence (key) for the next page, said once."""
        session = await self.own_session()
        await self.site.sessions.change(session, lambda content: content.model_copy(update={"said": key}))

    async def _said(self) -> str | None:
        if self.session is None or self.session.content.said is None:
            return None
        key = self.session.content.said
        await self._forget(said=key)
        return key

    async def _forget(self, **known: Any) -> None:
        """Clears these fields of the session's content if they still have these values."""
        assert self.session is not None

        def without(content: Content) -> Content:
            there = {name: None for name, value in known.items() if getattr(content, name) == value}
            return content.model_copy(update=there)

        await self.site.sessions.change(self.session, without)

    @property
    def unsent(self) -> Unsent:
        """What was typed into this page's form and not done, as a change of language or a log-in came in between; may be
        empty."""
        return self.unsent_at(self.here)

    def unsent_at(self, address: str) -> Unsent:
        """As `unsent`, of another page."""
        kept = self.session.content.unsent if self.session else None
        return kept if kept is not None and kept.page == address else NOTHING_UNSENT

    async def keep_unsent(self) -> bool:
        """Keeps what this request has sent for its page: the person has to log in or wait first, and finds it there later.
        Returns whether there was something to keep."""
        if self.session is None or self.request.method in READING:
            return False
        fields = await typed(self.request)
        if not fields:
            return False
        kept = {"unsent": Unsent(page=self.here, fields=fields)}
        await self.site.sessions.change(self.session, lambda content: content.model_copy(update=kept))
        return True

    async def forget_unsent(self, address: str | None = None) -> None:
        """Forgets what was kept of the form of this page, or of the one at an address: it has been sent."""
        kept = self.session.content.unsent if self.session else None
        if kept is not None and _path(kept.page) == _path(address or self.here):
            await self._forget(unsent=kept)

    @property
    def form_key(self) -> str:
        """The key that each form of this session sends back."""
        return self.session.form_key if self.session else ""

    @property
    def here(self) -> str:
        """The address of this page, without the origin. A path that only takes forms has no page: then the address of the
        page above it."""
        url = self.request.url
        path = url.path if self.request.method in READING else self._above(url.path)
        return local_path(f"{path}?{url.query}" if url.query else path)

    def _above(self, path: str) -> str:
        """The longest beginning of the path that is a page."""
        shown: frozenset[str] = self.request.app.state.shown
        route = self.request.scope.get("route") or next(self._routes_at(path), None)
        taken = getattr(route, "path", "")
        while taken and taken not in shown:
            taken, path = taken.rpartition("/")[0], path.rpartition("/")[0]
        return path if taken else "/"

    def _routes_at(self, path: str) -> Iterator[Route]:
        """The routes that answer a path, for when none has been chosen yet."""
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
    """The page, for a patient who is logged in; raises SignInNeededError or NotAPatientError otherwise. The account of a
    link is for one visit alone and is not enough."""
    if page.account is None or page.account.is_for_one_visit:
        raise SignInNeededError(page.here)
    check_patient(page.account)
    return page


async def get_at_a_visit(page: CurrentPage) -> Page:
    """As `get_signed_in`, and for who came by the visit's link; LinkTimeOverError once their time is over."""
    if page.account is None:
        if page.session is not None and page.session.content.is_for_one_visit:
            raise LinkTimeOverError
        raise SignInNeededError(page.here)
    check_patient(page.account)
    return page


def check_patient(account: Account) -> None:
    """Raises NotAPatientError for any other role."""
    if account.role != PATIENT:
        raise NotAPatientError


SignedInPage = Annotated[Page, Depends(get_signed_in)]
VisitPage = Annotated[Page, Depends(get_at_a_visit)]


async def check_form(page: CurrentPage) -> None:
    """Refuses what no form of this session has sent: the dependency of every route that changes something."""
    if page.request.method in READING:
        return
    await check_sender(page)
    await page.forget_unsent()


async def check_sender(page: Page) -> None:
    """Raises ForeignFormError for what no form of this session sent, EnteredAlreadyError for one that logged somebody in."""
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
