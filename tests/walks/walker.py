"""Somebody who follows links and sends forms as chance has it, and looks at every page for what may not be there."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import quote, urlsplit

import httpx
from fastapi import APIRouter
from starlette.routing import Route

from creneau_web.pages import routers
from tests.walks import odd, rules
from tests.walks.sheet import Field, Form, Sheet, plain
from tests.walks.window import LedAstrayError, Window

CAREFUL = 0.4
"""how often somebody answers what the page is for, as it is meant"""
REMEMBERED = 40
"""pages to which somebody may go back"""
EVERYWHERE = re.compile(
    r"/$|/langue/|/auth/deconnexion|/(accessibilite|donnees-personnelles|eco-conception|mentions-legales|aide)$"
)
OWN = re.compile(r"/(rendez-vous|liste-attente)(/|$)")
SHOWN = frozenset({200, 409, 412, 422})
"""statuses of a page all of whose links lead on"""
REFUSED = frozenset({400, 409, 412, 413, 422, 429})
LEADS_OUT = re.compile(r"/(dev|fhir|docs|bulk|health)\b")
"""what stands at the same origin and is none of the pages"""
UNTYPED = frozenset({"code", "reponse"})
"""a one-time code and an answer are asked for anew by intent"""
ID = re.compile(r"/(?:rendez-vous|reservation|mes-donnees|mes-proches|liste-attente|soignants)/([\w.-]{8,})")
SHARED, SHARED_EMAIL = "Partagé", "partage@exemple.fr"
TEST_PEOPLE = ("camille-martin", "karim-haddad", "yvonne-lefort", "nadia-roussel", "marc-leclerc")


def page_routes() -> list[Route]:
    """Every route of the pages."""

    def all_of(router: APIRouter) -> Iterator[Route]:
        yield from (route for route in router.routes if isinstance(route, Route))

    return [route for router in routers() for route in all_of(router)]


ROUTES = page_routes()


def kind_of(method: str, url: str) -> str:
    """The route that answers a request, or its path where there is none."""
    path = urlsplit(url).path
    for route in ROUTES:
        if method in (route.methods or ()) and route.path_regex.fullmatch(path):
            return f"{method} {route.path}"
    return f"{method} {path}"


@dataclass
class Faults:
    """What was found: one of each kind and place, with the first way that led there."""

    first: dict[tuple[str, str], str] = field(default_factory=dict)
    times: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, where: str, what: str, how: str) -> None:
        key = (where, re.sub(r" = '.*|[0-9a-f]{8}-[\w-]{27}|\d+|[\w-]{22}|\?retour=.*", "#", what)[:120])
        self.first.setdefault(key, f"{what}\n      {how}")
        self.times[key] += 1

    def __str__(self) -> str:
        lines = (f"{n} × {where}: {self.first[where, what]}" for (where, what), n in self.times.most_common())
        return "\n".join(lines)


@dataclass
class Town:
    """What the walkers share: where they are, what they found, and whose ids they have seen."""

    site: str
    issuer: str
    today: date
    link_for: Callable[[str], str | None]
    """the link of the latest mail to an address"""
    code_for: Callable[[str], str | None]
    faults: Faults = field(default_factory=Faults)
    seen: Counter[str] = field(default_factory=Counter)
    """route → how often it was asked for"""
    ids: list[str] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    invitations: list[tuple[str, str]] = field(default_factory=list)
    """family → a code by which somebody may act for them"""
    acting: set[tuple[str, str]] = field(default_factory=set)
    """who has taken one up, and whose"""
    pages: dict[tuple[str, int], str] = field(default_factory=dict)
    """route and status → the last page of that kind"""


class Walker:
    """`family`: their name, which occurs nowhere else."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town = town
        self.window = Window(town.site, town.issuer)
        self.window.followed = self._count
        self.random = random.Random(seed)
        self.given, self.family, self.born = "Maëlle", odd.family(), "1984-03-27"
        town.families.append(self.family)
        self.is_in = False
        self.account = ""
        """as whom they are logged in: `own`, or the key of a test person"""
        self.language = "fr"
        self.typed: list[str] = []
        self.history: list[Sheet] = []
        self.story: list[str] = []
        self.sheet = Sheet(town.site, 0, "")
        self.is_fresh = False
        self.is_careful = False
        self.is_guessed = False
        """whether the page is one that nothing has led to"""
        self.last_sent: tuple[Form, list[tuple[str, str]]] | None = None
        self.steps = 0
        self._go("/")

    @property
    def email(self) -> str:
        return f"maelle.{self.family.lower()}@exemple.fr"

    # -- one step ------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One action of a person."""
        self.steps += 1
        actions: Mapping[Callable[[], None], int] = {
            self._follow: 40,
            self._fill: 34,
            self._back: 6,
            self._again: 3,
            self._home: 2,
            self._switch_language: 2,
            self._switch_while_typing: 4,
            self._log_in: 1 if self.is_in else 12,
            self._log_out: 1,
            self._by_mail: 2,
            self._guess: 4,
            self._book: 6,
            self._visit: 6 if self.is_in else 0,
        }
        if self.sheet.url.startswith(self.town.issuer):
            self._be_somebody()
        else:
            self.random.choices(list(actions), list(actions.values()))[0]()

    def _follow(self) -> None:
        links = [link for link in self.sheet.links if self.window.is_ours(link)]
        links = [link for link in links if "#" not in link and not LEADS_OUT.match(urlsplit(link).path)]
        if not links:
            return self._home()
        return self._go(self._rather_new(links), is_link=True)

    def _rather_new(self, links: list[str]) -> str:
        """One of them: rather one of a kind that was seldom followed, and rather none that stands on every page."""
        dull = {link for link in links if EVERYWHERE.match(urlsplit(link).path)}
        rare = [(0.1 if one in dull else 1) / (1 + self.town.seen[kind_of("GET", one)]) for one in links]
        return self.random.choices(links, rare)[0]

    def _fill(self) -> None:
        forms = [form for form in self.sheet.forms if form.buttons]
        if not forms:
            return self._follow()
        rare = [1 / (1 + self.town.seen[kind_of(form.method.upper(), form.action)]) for form in forms]
        self.is_careful = self.random.random() < CAREFUL
        form = forms[-1] if self.is_careful else self.random.choices(forms, rare)[0]
        sent = [pair for one in form.fields for pair in self._answer(one)]
        button = self.random.choice(form.buttons) if form.buttons else None
        return self._send(form, [*sent, *([button] if button else [])])

    def _back(self) -> None:
        """To a page that was seen before, as the browser kept it."""
        if self.history:
            self.sheet, self.is_fresh, self.is_guessed = self.random.choice(self.history), False, False
            self.story.append(f"back to {self.sheet.url}")

    def _again(self) -> None:
        """The last form once more: a second press, another tab."""
        if self.last_sent:
            self.is_fresh = False
            self._send(*self.last_sent)

    def _home(self) -> None:
        self._go("/")

    def _switch_language(self) -> None:
        here = urlsplit(self.sheet.url)
        back = f"{here.path}?{here.query}" if here.query else here.path
        others = [one for one in ("fr", "en", "simple") if one != self.language]
        self._go(f"/langue/{self.random.choice(others)}?retour={quote(back)}")

    def _switch_while_typing(self) -> None:
        """By a button of a form; what was typed must be there again."""
        forms = [form for form in self.sheet.forms if self._is_switch(form)]
        if not forms:
            return self._fill()
        form = self.random.choice(forms)
        sent = [pair for one in form.fields for pair in self._answer(one)]
        return self._send(form, [*sent, *(button for button in form.buttons if button)])

    @staticmethod
    def _is_switch(form: Form) -> bool:
        return urlsplit(form.action).path.startswith("/langue/")

    def _log_in(self) -> None:
        self._go("/auth/connexion?par=issuer&retour=/mon-espace")

    def _log_out(self) -> None:
        self._go("/auth/deconnexion")

    def _by_mail(self) -> None:
        link = self.town.link_for(self.email)
        if link:
            self._go(link)

    def _book(self) -> None:
        """Towards a booking: chance alone seldom gets there."""
        what, where = self.random.choice(odd.SEARCHES[:4]), "rennes"
        self._go(f"/recherche?quoi={quote(what)}&ou={where}")
        found = [link for link in self.sheet.links if "/soignants/" in link]
        if found:
            self._go(f"{urlsplit(self.random.choice(found)).path.removesuffix('/creneaux')}/creneaux")
            times = [form for form in self.sheet.forms if any(b and b[0] == "creneau" for b in form.buttons)]
            if times:
                key = [(one.name, one.value) for one in times[0].fields]
                button = self.random.choice(times[0].buttons)
                self._send(times[0], [*key, *([button] if button else [])])

    def _visit(self) -> None:
        """To one of one's visits, and on to what can be done with it."""
        self._go("/mes-rendez-vous")
        for _ in range(2):
            found = [link for link in self.sheet.links if OWN.match(urlsplit(link).path)]
            if found:
                self._go(self._rather_new(found), is_link=True)

    def _guess(self) -> None:
        """An address that somebody has typed, or that another person has shown them."""
        route = self.random.choice([r for r in ROUTES if "GET" in (r.methods or ())])
        ids = [*self.town.ids[-200:], "x", "é", "a/b", "..", "%2e%2e", "x?y", "x%00", "-", "a" * 300]
        path = re.sub(r"\{\w+(:\w+)?\}", lambda _: quote(self.random.choice(ids), safe="%"), route.path)
        odd_query = {
            "page": ("-1", "0", "2", "101", "1e9", "x"),
            "du": ("9999-12-31", "0001-01-01", "2026-02-30", "", "x"),
            "moment": ("soir", "x"),
            "quoi": odd.ODD,
            "ou": odd.ODD,
            "qui": ("x", *self.town.ids[-20:]),
            "au": ("-1", "4000000000", "4000000001", "x"),
            "suite": ("x", "é", "a" * 2001),
            "liste": ("avenir", "passes", "x"),
            "retour": (
                "//evil.example",
                "/é",
                "\\\\evil",
                "https://evil.example",
                "/\t/evil",
                "/" * 3000,
                "x",
            ),
            "rendez-vous": ("x", "..", *self.town.ids[-50:]),
            "soignant": ("x", *self.town.ids[-50:]),
            "creneau": ("x", "é", *self.town.ids[-50:]),
            "raison": ("stale", "x"),
            "langue": ("en", "x"),
            "erreur": ("1", "22"),
            "tous": ("true", "x"),
        }
        names = self.random.sample(sorted(odd_query), self.random.randint(0, 3))
        query = "&".join(f"{n}={quote(self.random.choice(odd_query[n]))}" for n in names)
        self._go(f"{path}?{query}" if query else path, is_guess=True)

    # -- at the issuer -------------------------------------------------------------------------------------

    def _be_somebody(self) -> None:
        """Answer the page of test people: mostly as oneself."""
        form = next((f for f in self.sheet.forms if any(one.name == "given" for one in f.fields)), None)
        if form is None:
            return self._home()
        request = [(one.name, one.value) for one in form.fields if one.kind == "hidden"]
        chance = self.random.random()
        if chance < 0.72:
            said = {"given": self.given, "family": self.family, "birthdate": self.born, "invented": "yes"}
            return self._enter(form, [*request, *said.items()], "own")
        if chance < 0.9:
            who = self.random.choice(TEST_PEOPLE)
            return self._enter(form, [*request, ("person", who)], who)
        return self._enter(form, [*request, ("refuse", "yes")], self.account)

    def become_oneself(self) -> None:
        """Log in by one's own name, whoever one was."""
        self._go("/auth/deconnexion")
        self._log_in()
        form = next(f for f in self.sheet.forms if any(one.name == "given" for one in f.fields))
        request = [(one.name, one.value) for one in form.fields if one.kind == "hidden"]
        said = {"given": self.given, "family": self.family, "birthdate": self.born, "invented": "yes"}
        self._enter(form, [*request, *said.items()], "own")

    def _enter(self, form: Form, sent: list[tuple[str, str]], account: str) -> None:
        self.story.append(f"be {account or 'nobody'}")
        self.account, self.typed = account, []
        self._look(self._asked(lambda: self.window.send("post", form.action, sent)))

    # -- what is typed -------------------------------------------------------------------------------------

    def _answer(self, one: Field) -> list[tuple[str, str]]:
        if one.kind == "hidden":
            return [(one.name, one.value)]
        if one.kind == "checkbox":
            return [(one.name, value) for value in one.choices if self.random.random() < 0.4]
        if one.kind == "radio" and self.random.random() < 0.1:
            return [(one.name, value) for value in one.chosen]
        if one.choices:
            return [(one.name, self.random.choice(one.choices))]
        if one.kind == "date":
            return [(one.name, self.random.choice(odd.dates(self.town.today)))]
        text = self._text(one)
        return [(one.name, text if one.kind == "textarea" else text.replace("\r", "").replace("\n", ""))]

    def _text(self, one: Field) -> str:
        chance = self.random.random()
        if one.value and chance < (0.9 if self.is_careful else 0.5):
            return one.value
        if chance < 0.75 or self.is_careful:
            return self._sensible(one.name)
        return self.random.choice(odd.LINES if one.kind == "textarea" and chance < 0.85 else odd.ODD)

    def _sensible(self, name: str) -> str:
        """What somebody writes who answers what is asked. Who is a person of the demonstration keeps their own name to
        themselves: the next who is that person would read it."""
        year, month, day = self.born.split("-")
        family, email = (self.family, self.email) if self.account in ("", "own") else (SHARED, SHARED_EMAIL)
        said: Mapping[str, Sequence[str]] = {
            "quoi": odd.SEARCHES,
            "ou": odd.TOWNS,
            "prenom": (self.given, "Jean-Noël", "D’Arc"),
            "nom_de_naissance": (family,),
            "nom_utilise": ("", family),
            "jour": (day, "1", "31"),
            "mois": (month, "2"),
            "annee": (year, "2019"),
            "courriel": (email,),
            "telephone": ("06 12 34 56 78", ""),
            "contact": (email,),
            "code": (self.town.code_for(self.email) or "000000", self._invitation()),
            "reponse": (year, self.family[:3], "zzz"),
            "nom": (family, "Anne"),
        }
        return self.random.choice(said.get(name, ("Merci de me rappeler.",)))

    def _invitation(self) -> str:
        """The code that another person has passed on; from then on they may be seen."""
        others = [one for one in self.town.invitations if one[0] != self.family]
        if not others:
            return "000000"
        family, code = self.random.choice(others)
        self.town.acting.add((self.family, family))
        return code

    # -- going there, and looking --------------------------------------------------------------------------

    def _go(self, url: str, *, is_link: bool = False, is_guess: bool = False) -> None:
        self.story.append(f"open {url[:160]}")
        fresh = self.is_fresh and not self.is_guessed and self.sheet.status in SHOWN
        sheet = self._asked(lambda: self.window.open(url))
        path = urlsplit(url).path
        if path.startswith("/langue/") and sheet is not None and not is_guess:
            self.language = path.split("/")[2]
        if path == "/auth/deconnexion":
            self.account, self.typed = "", []
        if "langue=" in url and not self.is_in:
            self.language = "?"
        self.typed.append(urlsplit(url).query)
        if sheet is not None and is_link and fresh and sheet.status in (400, 404, 405, 410):
            self._fault(sheet, f"a link of the page leads to {sheet.status}: {url}")
        self._look(sheet, is_guess=is_guess)

    def _send(self, form: Form, sent: list[tuple[str, str]]) -> None:
        self.story.append(
            f"send {form.method} {form.action} {[(n, v[:60]) for n, v in sent if n != 'form_key']}"
        )
        self.typed += [value for _, value in sent]
        fresh, self.last_sent, before = self.is_fresh, (form, sent), self.sheet.path
        sheet = self._asked(lambda: self.window.send(form.method, form.action, sent))
        if sheet is not None and self._is_switch(form) and not sheet.path.startswith("/langue/"):
            self.language = urlsplit(form.action).path.split("/")[2]
            if fresh and sheet.status == 200 and sheet.path == before:
                self._judge_kept(sheet, form, sent)
        if sheet is not None and fresh and sheet.url.startswith(self.town.site):
            self._judge_refusal(sheet, form, sent)
        self._look(sheet)

    def _judge_refusal(self, sheet: Sheet, form: Form, sent: list[tuple[str, str]]) -> None:
        if sheet.status in (404, 405, 410):
            self._fault(sheet, f"a form of the page leads to {sheet.status}: {form.action}")
        if sheet.status not in REFUSED and not sheet.root.xpath("//main//*[@aria-invalid]"):
            return
        if sheet.status == 400:
            self._fault(sheet, f"what a browser may send was not understood: {form.action}")
        typed = self._judge_kept(sheet, form, sent)
        if sheet.status in (400, 422) and typed and not rules.refusal_is_at_a_field(sheet):
            self._fault(
                sheet, f"{sheet.status}, of {kind_of(form.method.upper(), form.action)}: no field says why"
            )

    def _judge_kept(self, sheet: Sheet, form: Form, sent: list[tuple[str, str]]) -> list[Field]:
        """Whether what was typed stands there again; the fields that it was typed into, as far as the page has them."""
        shown = {one.name for f in sheet.forms for one in f.fields}
        typed = [one for one in form.fields if one.name not in UNTYPED and one.name in shown]
        for what in rules.kept(sheet, Form(form.action, form.method, tuple(typed), ()), sent):
            self._fault(sheet, f"{sheet.status}, of {kind_of(form.method.upper(), form.action)}: {what}")
        return typed

    def _asked(self, ask: Callable[[], Sheet]) -> Sheet | None:
        try:
            return ask()
        except LedAstrayError as error:
            self.town.faults.add(kind_of("GET", self.sheet.url), str(error), self._how())
        except httpx.HTTPError as error:
            self.town.faults.add(
                kind_of("GET", self.sheet.url), f"{type(error).__name__}: {error}", self._how()
            )
        return None

    def _look(self, sheet: Sheet | None, *, is_guess: bool = False) -> None:
        """All that must hold of the page that came."""
        if sheet is None:
            return self._home()
        if sheet.status >= 500:
            self._fault(sheet, f"status {sheet.status}: {sheet.words[:200]}")
        if not sheet.is_html:
            return None
        if sheet.url.startswith(self.town.issuer):
            self.sheet, self.is_fresh = sheet, True
            return None
        self.town.pages[kind_of("GET", sheet.url), sheet.status] = sheet.text
        self.is_in = any(link.endswith("/auth/deconnexion") for link in sheet.links)
        if not self.is_in:
            self.account = ""
        elif not self.account:
            self.account = "own"
        for what in (*rules.structure(sheet), *self._wording(sheet), *self._of_others(sheet)):
            self._fault(sheet, what)
        if not is_guess or sheet.status < 400:
            self.town.ids += [found for link in (*sheet.links, sheet.url) for found in ID.findall(link)]
        if sheet.path == "/mes-proches/invitation" and self.account == "own":
            self.town.invitations += [(self.family, code.text_content()) for code in sheet.root.iter("code")]
        self.history = [*self.history[-REMEMBERED:], sheet]
        self.sheet, self.is_fresh, self.is_guessed = sheet, True, is_guess
        return None

    def _wording(self, sheet: Sheet) -> Iterator[str]:
        asked = "langue=" in urlsplit(sheet.url).query  # it counts as long as nothing was chosen
        expected = {"en": "en", "?": sheet.language}.get("?" if asked else self.language, "fr")
        yield from rules.wording(sheet, expected, "\n".join(map(plain, self.typed[-400:])))

    def _of_others(self, sheet: Sheet) -> Iterator[str]:
        """Names of people who are not the one in front of the page."""
        typed = "\n".join(self.typed).lower()
        for family in self.town.families:
            own = family == self.family and (self.account == "own" or family.lower() in typed)
            own = own or (self.family, family) in self.town.acting
            own = own or ((family, self.family) in self.town.acting and sheet.path == "/mes-donnees/journal")
            if not own and family.lower() in sheet.text.lower():
                yield f"shows somebody else ({'themselves, logged out' if family == self.family else 'another'})"

    def _fault(self, sheet: Sheet, what: str) -> None:
        self.town.faults.add(f"{kind_of('GET', sheet.url)} ({sheet.status})", what, self._how())

    def _how(self) -> str:
        return " → ".join(one[-330:] for one in self.story[-5:])

    def _count(self, method: str, url: str, status: int) -> None:
        if self.window.is_ours(url):
            self.town.seen[kind_of(method, url)] += 1
