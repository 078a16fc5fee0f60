"""Who browses: people whom nobody knows before, invented on the development issuer's page, and how they log in.

Their names occur nowhere else, so that they can be looked for where no name may be (X16).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from playwright.sync_api import Page

ISSUER_BUTTON = "Se connecter sous ce nom"


def _family() -> str:
    return "Kerzoncuf" + "".join(random.choices("bdfglmnprtv", k=6))


@dataclass(frozen=True)
class Somebody:
    """A person of these tests."""

    given: str = "Zéphyrine"
    family: str = field(default_factory=_family)
    born: str = "1984-03-27"

    @property
    def email(self) -> str:
        """The address that the issuer vouches for."""
        return f"zephyrine.{self.family.lower()}@exemple.fr"

    @property
    def words(self) -> tuple[str, ...]:
        """What says who they are."""
        return (self.family, self.born, "27/03/1984")


def log_in(page: Page, site: str, who: Somebody, back: str = "/") -> None:
    """By the development issuer, and on to `back`."""
    page.goto(f"{site}/auth/connexion?par=issuer&retour={back}")
    be(page, who)


def be(page: Page, who: Somebody) -> None:
    """Answer the development issuer's page."""
    page.get_by_label("Prénom").fill(who.given)
    page.get_by_label("Nom de naissance").fill(who.family)
    page.get_by_label("Date de naissance").fill(who.born)
    page.get_by_role("button", name=ISSUER_BUTTON).click()
