"""Every page, in each state that people meet: a walk that stops wherever there is something new to look at.

What stands here is what needs doing to get there. Pages that a link leads to are found by following links, those without
anything variable in their address by the application's own list of routes (`creneau_web.pages`), so that a new page is
looked at without being named here; `unseen` tells which were not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from fastapi import APIRouter
from playwright.sync_api import Error
from starlette.routing import Route

from creneau_web.pages import routers
from tests.browser.letters import Letters
from tests.browser.people import Somebody
from tests.browser.practice import Practice
from tests.browser.visitor import Visitor

NO_PAGES = re.compile(
    r"/static/|/langue/|/auth/(connexion|retour|deconnexion)|.*\.(ics|json|zip|csv|html)$|/reservation/{id_}$|/ops/$|/rdv/{token}$"
)
"""what answers with a file, or leads on"""

PAEDIATRICS = "SM40"
WIDE_OPEN = "a" * 501
"""longer than a message to the practice may be"""


def page_routes() -> list[Route]:
    """The routes that show a page."""

    def all_of(router: APIRouter) -> Iterator[Route]:
        for route in router.routes:
            if isinstance(route, Route) and "GET" in (route.methods or ()):
                yield route

    return [route for router in routers() for route in all_of(router) if not NO_PAGES.match(route.path)]


class Walk:
    """A walk through all pages. Each method yields the name of the state in which the page now stands."""

    def __init__(self, visit: Callable[..., Visitor], letters: Letters, practice: Practice) -> None:
        self._visit = visit
        self._letters = letters
        self._practice = practice
        self.stranger = visit()
        self.patient = visit()
        self.seen: set[str] = set()
        self._booked = ""

    def stops(self) -> Iterator[tuple[str, Visitor]]:
        for visitor, part in (
            (self.stranger, self._looking),
            (self.patient, self._booking),
            (self._visit(Somebody()), self._against),
            (self.patient, self._afterwards),
            (self.stranger, self._by_code),
            (self.stranger, self._by_link),
            (self.patient, self._practice_acts),
            (self.patient, self._everything_else),
            (self._visit(Somebody()), self._leaving),
        ):
            for stop in part(visitor):
                self._saw(visitor.path)
                yield stop, visitor

    @property
    def unseen(self) -> list[str]:
        """Pages at which no stop was made."""
        return sorted({route.path for route in page_routes()} - self.seen)

    def _saw(self, path: str) -> None:
        self.seen |= {route.path for route in page_routes() if route.path_regex.fullmatch(path)}

    # -- without an account ----------------------------------------------------------------------------------

    def _looking(self, visitor: Visitor) -> Iterator[str]:
        visitor.open("/")
        yield "home"
        visitor.search("dermato", "renes")
        yield "results"
        first = visitor.page.locator(".card h2 a").first.get_attribute("href") or ""
        visitor.search("licorne", "rennes")
        yield "results: nobody"
        visitor.search("dentiste", "atlantide")
        yield "results: no such town"
        visitor.search("médecin", "saint")
        yield "which town"
        visitor.search("médecin", "35")
        visitor.open("/recherche?quoi=&ou=&page=2")
        yield "results: second page"
        visitor.open(first)
        yield "professional"
        visitor.open(f"{first}/creneaux")
        yield "times"
        visitor.open(f"{first}/creneaux?du=2030-01-07")
        yield "times: empty week"
        visitor.open(f"{first}/creneaux?moment=soir&motif=Rien")
        yield "times: none such"
        visitor.open("/soignants/personne")
        yield "not found"
        visitor.open("/connexion")
        yield "sign in"
        visitor.open("/auth/connexion?par=issuer&retour=/")
        visitor.press(re.compile("Revenir sans se connecter"))
        yield "sign in: refused"
        visitor.open(f"{first}/creneaux")
        visitor.page.locator("[name=form_key]").first.evaluate("field => field.value = 'old'")
        visitor.choose()
        yield "form too old"
        for language in ("en", "simple"):
            visitor.open(f"/langue/{language}?retour=/")
            yield f"home ({language})"
            visitor.open(f"{first}/creneaux")
            yield f"times ({language})"

    # -- a booking -------------------------------------------------------------------------------------------

    def _booking(self, visitor: Visitor) -> Iterator[str]:
        visitor.log_in()
        visitor.open("/mes-rendez-vous")
        yield "appointments: none"
        visitor.look_for_times()
        visitor.choose()
        yield "identity"
        for field in visitor.page.locator("main input:not([type=hidden])").all():
            field.fill("")
        visitor.press("Continuer")
        yield "identity: errors"
        visitor.page.locator("#prenom").fill(visitor.who.given)
        visitor.page.locator("#nom_de_naissance").fill(visitor.who.family)
        for name, text in (("jour", "27"), ("mois", "3"), ("annee", "1984")):
            visitor.page.locator(f"#{name}").fill(text)
        visitor.page.locator("#courriel").fill(visitor.who.email)
        visitor.press("Continuer")
        yield "check"
        recap = visitor.page.url
        visitor.open(f"/langue/simple?retour={visitor.path}")
        yield "check (simple)"
        visitor.open(f"/langue/fr?retour={visitor.path}")
        visitor.page.locator("#message").fill(WIDE_OPEN)
        visitor.page.locator("button.main").click()
        yield "check: errors"
        visitor.page.goto(recap.replace("/verifier", "/pour-qui"))
        yield "for whom"
        visitor.page.locator("#qui-0").check()
        visitor.press("Continuer")
        yield "identity of a relative"
        visitor.press("Continuer")
        yield "identity of a relative: errors"
        self._somebody_takes(visitor)
        yield "taken"
        visitor.choose()
        # What was too long above is kept where the same professional comes first again.
        visitor.page.locator("#message").fill("Je viens en fauteuil")
        self._booked = f"/rendez-vous/{visitor.confirm()}"
        yield "done"
        visitor.look_for_times()
        visitor.choose()
        yield "another one near"
        visitor.keep_both()

    def _against(self, visitor: Visitor) -> Iterator[str]:
        """Whose age is known only once the time is chosen: before, it would not be offered."""
        visitor.log_in()
        self._look_for_a_childrens_doctor(visitor)
        visitor.choose()
        visitor.identify()
        yield "against a rule"

    def _look_for_a_childrens_doctor(self, visitor: Visitor) -> None:
        """The first free time of those who receive children alone, whatever the demonstration has this week."""
        site = urlsplit(visitor.page.url)
        asked = f"{site.scheme}://{site.netloc}/fhir/Slot/$soonest?specialty={PAEDIATRICS}&_count=1"
        found = [entry["resource"] for entry in visitor.page.request.get(asked).json()["entry"]]
        slot = next(one for one in found if one["resourceType"] == "Slot")
        agenda = next(one for one in found if one["resourceType"] == "Schedule")
        named = [actor["reference"] for actor in agenda["actor"]]
        role = next(name for name in named if name.startswith("PractitionerRole/")).partition("/")[2]
        visitor.open(f"/soignants/{role}/creneaux?du={slot['start'][:10]}")

    def _somebody_takes(self, visitor: Visitor) -> None:
        """Another person books the very time that this one wanted, who had begun a second time with it."""
        with_whom = visitor.page.locator(".choice").count()
        assert with_whom
        visitor.look_for_times()  # gives the time back
        other = self._visit(Somebody())
        other.log_in()
        other.look_for_times()
        wanted = visitor.times.last.get_attribute("value")
        other.choose()
        other.identify()
        other.confirm()
        visitor.page.locator(f"button[value='{wanted}']").click()
        assert visitor.path.endswith("/pris"), visitor.page.url
        assert visitor.times.count(), visitor.page.locator("main").inner_text()

    # -- without an account ----------------------------------------------------------------------------------

    def _by_code(self, visitor: Visitor) -> Iterator[str]:
        visitor.open("/langue/fr?retour=/connexion/code")
        yield "code: where to"
        visitor.press("code")
        yield "code: where to: errors"
        visitor.page.locator("#contact").fill(visitor.who.email)
        visitor.press("code")
        yield "code"
        visitor.page.locator("#code").fill("000000")
        visitor.press("Continuer")
        yield "code: errors"

    def _by_link(self, visitor: Visitor) -> Iterator[str]:
        """What the patient was sent leads somewhere, in a browser in which nobody has logged in."""
        visitor.page.goto(self._letters.link(self.patient.who.email))
        yield "by link"
        visitor.page.locator("#reponse").fill("zzz")
        visitor.press("Continuer")
        yield "by link: errors"
        visitor.page.locator("#reponse").fill(self.patient.who.born[:4])
        visitor.press("Continuer")
        yield "by link: opened"
        visitor.open("/rdv/" + "x" * 43)
        yield "by link: unknown"

    # -- one's own pages -------------------------------------------------------------------------------------

    def _afterwards(self, visitor: Visitor) -> Iterator[str]:
        visitor.open("/mes-rendez-vous")
        yield "appointments"
        own = self._booked
        visitor.open(f"{own}/deplacer?tous=true")
        yield "move"
        visitor.choose()
        yield "move: check"
        visitor.page.goto(visitor.page.url.replace("/verifier", "/pris"))
        yield "move: taken"
        visitor.open(f"{own}/annuler")
        yield "cancel"
        visitor.open(f"/liste-attente?rendez-vous={own.rpartition('/')[2]}")
        yield "waiting list: joining"
        visitor.page.locator("main form button").last.click()
        yield "appointment, something earlier waited for"
        visitor.open("/mes-rendez-vous")
        yield "appointments, one waited for"
        visitor.page.locator("a[href^='/liste-attente/']").first.click()
        yield "waiting list"

    def _practice_acts(self, visitor: Visitor) -> Iterator[str]:
        own = self._booked.rpartition("/")[2]
        self._practice.proposes_another_time(own)
        visitor.open(self._booked)
        yield "appointment: another time is proposed"
        visitor.press("Répondre")
        yield "answering the practice"
        visitor.page.locator("button[value=garder]").click()
        self._practice.closes_the_day_of(own, "Formation du médecin")
        visitor.open(self._booked)
        yield "appointment: moved by the practice"
        self._practice.cancels(own, "Médecin absent")
        visitor.open(self._booked)
        yield "appointment: cancelled by the practice"
        visitor.open("/mes-proches")
        visitor.page.locator("form[action$=inviter] button").click()
        yield "relatives: errors"
        visitor.page.locator("#nom").fill("Anne")
        visitor.page.locator("form[action$=inviter] button").click()
        yield "an invitation"
        visitor.open("/mes-proches")
        yield "relatives, one invited"

    def _everything_else(self, visitor: Visitor) -> Iterator[str]:
        """Pages whose address is always the same, and those to which links lead; each kind once."""
        waiting = [route.path for route in page_routes() if "{" not in route.path]
        waiting += ["/mes-rendez-vous"]
        opened: set[str] = set()
        while waiting:
            path = waiting.pop(0)
            kind = self._kind(path)
            if kind is None or path in opened:
                continue
            opened.add(path)
            is_new = kind not in self.seen
            if not is_new and "{" in kind:
                continue
            if not self._is_page(visitor, path):
                self.seen.add(kind)
                continue
            if is_new and self._kind(visitor.path) == kind:
                yield kind
                self._saw(visitor.path)
            waiting += self._links(visitor)

    def _leaving(self, visitor: Visitor) -> Iterator[str]:
        """Whose name is known to nobody before, and to nobody afterwards."""
        visitor.log_in()
        visitor.look_for_times()
        visitor.choose()
        visitor.identify()
        visitor.open("/mes-donnees")
        visitor.page.locator("a[href^='/mes-donnees/effacer/']").first.click()
        visitor.page.locator("#nom").fill(visitor.who.family)
        visitor.page.locator("main form button.danger").click()
        yield "erased"

    @staticmethod
    def _is_page(visitor: Visitor, path: str) -> bool:
        """Go there; False for a file that the browser puts away."""
        try:
            visitor.open(path)
        except Error as error:
            if "Download is starting" not in str(error):
                raise
            return False
        return True

    @staticmethod
    def _links(visitor: Visitor) -> list[str]:
        links = visitor.page.locator("a[href^='/']").evaluate_all(
            "all => all.map(a => a.getAttribute('href'))"
        )
        links = [link.partition("#")[0] for link in links]
        return [link for link in links if not link.startswith(("/auth/", "/langue/"))]

    @staticmethod
    def _kind(path: str) -> str | None:
        path = urlsplit(path).path
        return next((route.path for route in page_routes() if route.path_regex.fullmatch(path)), None)
