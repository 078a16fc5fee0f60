"""Somebody with a browser in front of the pages, and what each step of a booking is done with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Response

from tests.browser.people import Somebody, be, log_in

STEP_MS = 60_000
"""longest that a page may take on a machine that others use as well"""

ERROR = "Erreur :"

MANY_TIMES = ".card:has(.days > :nth-child(3))"
"""a card of results with times of three days"""

MOMENT = re.compile(
    r"(lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)\s\d{1,2}(er)?\s\S+(\s\d{4})?\sà\s\d{1,2}\sh(\s\d{2})?"
)
"""a weekday, a date and a time, as they are read"""


class Visitor:
    """One browser of one person: a context of its own, with all that it has asked for."""

    def __init__(self, context: BrowserContext, site: str, who: Somebody | None = None) -> None:
        self.context = context
        self.site = site
        self.who = who or Somebody()
        self.requests: list[Request] = []
        self.answers: list[Response] = []
        self.complaints: list[str] = []
        self.titles: set[str] = set()
        context.on("request", lambda asked: self.requests.append(asked))
        context.on("response", lambda answer: self.answers.append(answer))
        self.page = self._tab()

    def _tab(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(STEP_MS)
        page.on("console", lambda said: self._hear(said.type, said.text))
        return page

    def _hear(self, kind: str, text: str) -> None:
        # The browser itself remarks on an answer of 4xx; pages have no script that could say anything.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(text)

    # -- where they are ------------------------------------------------------------------------------------

    def open(self, path: str) -> Response:
        """Go to a page of the site."""
        answer = self.page.goto(self.site + path)
        assert answer is not None
        return answer

    @property
    def path(self) -> str:
        """The path of the page that is shown."""
        return urlsplit(self.page.url).path

    @property
    def says_error(self) -> bool:
        """Whether the title begins with it."""
        return self.page.title().replace("\N{NO-BREAK SPACE}", " ").startswith(ERROR)

    @property
    def heading(self) -> str:
        """As it is written: the sheet shows its first letter as a capital."""
        return (self.page.locator("h1").text_content() or "").strip()

    def press(self, name: str | re.Pattern[str]) -> None:
        """A button or link by its name: the first in the content."""
        main = self.page.locator("main")
        main.get_by_role("button", name=name).or_(main.get_by_role("link", name=name)).first.click()

    @property
    def cookie(self) -> dict[str, Any]:
        """The only one there may be."""
        (cookie,) = [dict(cookie) for cookie in self.context.cookies(self.site)]
        return cookie

    # -- the steps -----------------------------------------------------------------------------------------

    def log_in(self, back: str = "/") -> None:
        log_in(self.page, self.site, self.who, back)

    def be(self) -> None:
        """Answer the issuer's page, wherever it came up."""
        be(self.page, self.who)

    def search(self, what: str, where: str) -> None:
        self.open("/")
        self.page.locator("#quoi").fill(what)
        self.page.locator("#ou").fill(where)
        self.page.locator(".search button").click()

    @property
    def times(self) -> Locator:
        """The free times of the page, as buttons."""
        return self.page.locator("main button[name=creneau]")

    def look_for_times(self, what: str = "médecin", where: str = "rennes", nth: int = 0) -> None:
        """From the search to the free times of one who was found and has some on three days at the least."""
        self.search(what, where)
        self.page.locator(f"{MANY_TIMES} h2 a").nth(nth).click()
        self.page.locator("main button[type=submit], main a.button").first.click()

    def choose(self) -> str:
        """Choose the last time that is shown; its id. Leads to what is missing next. The first may be over by then."""
        button = self.times.last
        slot = button.get_attribute("value")
        assert slot is not None
        button.click()
        return slot

    def identify(self) -> None:
        """The form of who is not known yet: what the log-in has not told."""
        if self.path.endswith("/identite"):
            if not self.page.locator("#courriel").input_value():
                self.page.locator("#courriel").fill("quelqu.un@exemple.fr")
            self.press(re.compile("Continuer|Continue"))

    def keep_both(self) -> None:
        """The page of who has another appointment near this one: have both."""
        if self.path.endswith("/deja"):
            self.page.locator("button[value=garder]").click()

    def confirm(self) -> str:
        """Press the last button; the id of the appointment."""
        self.page.locator("button.main").click()
        self.page.wait_for_url("**/rendez-vous/*")
        return self.path.rpartition("/")[2]

    def book(self, nth: int = 0) -> str:
        """The whole way of one who is logged in."""
        self.look_for_times(nth=nth)
        self.choose()
        self.identify()
        self.keep_both()
        return self.confirm()


@contextmanager
def visiting(browser: Browser, site: str, who: Somebody | None = None, **options: Any) -> Iterator[Visitor]:
    """A visitor with a browser of their own; without scripts unless told otherwise: no journey needs any."""
    usual: dict[str, Any] = {"java_script_enabled": False, "locale": "fr-FR", "reduced_motion": "reduce"}
    context = browser.new_context(**(usual | options))
    try:
        yield Visitor(context, site, who)
    finally:
        context.close()
