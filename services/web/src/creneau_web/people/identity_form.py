"""What is asked of a person who is not known yet, and what is wrong with an answer: pure."""

from __future__ import annotations

import re
from datetime import date

from pydantic import BaseModel, Field

from creneau_web.typed import EMAIL_MAX, NAME_MAX, PHONE_MAX, TYPED_MAX, too_long

MOST = {
    "prenom": NAME_MAX,
    "nom_de_naissance": NAME_MAX,
    "nom_utilise": NAME_MAX,
    "courriel": EMAIL_MAX,
    "telephone": PHONE_MAX,
}
"""characters of each field"""
OLDEST_YEARS = 130
MAJORITY_YEARS = 18
_LETTER = re.compile(r"[^\W\d_]")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"\+?[\d\s.()-]{9,24}")


class IdentityForm(BaseModel):
    """As it was typed; everything is text, so that nothing that was typed is lost."""

    prenom: str = Field("", max_length=TYPED_MAX)
    nom_de_naissance: str = Field("", max_length=TYPED_MAX)
    nom_utilise: str = Field("", max_length=TYPED_MAX)
    jour: str = Field("", max_length=TYPED_MAX)
    mois: str = Field("", max_length=TYPED_MAX)
    annee: str = Field("", max_length=TYPED_MAX)
    courriel: str = Field("", max_length=TYPED_MAX)
    telephone: str = Field("", max_length=TYPED_MAX)
    lien: str = Field("", max_length=20)
    """`moi`, `enfant` or `proche`: who this is to the person"""

    @property
    def birth_date(self) -> date | None:
        """The date of the three fields; None when there is no such day."""
        try:
            return date(int(self.annee), int(self.mois), int(self.jour))
        except (ValueError, OverflowError):
            return None

    @property
    def email(self) -> str:
        return self.courriel.strip().removeprefix("mailto:")

    @property
    def phone(self) -> str:
        return self.telephone.strip()


def problems_of(form: IdentityForm, today: date, *, first: bool) -> dict[str, str]:
    """Field → key of the sentence that says what is missing or wrong; empty when all is well.

    `first`: the person themselves, for whom a contact is needed.
    """
    found: dict[str, str] = {}
    for field in ("prenom", "nom_de_naissance"):
        text = getattr(form, field).strip()
        if not _LETTER.search(text):
            found[field] = f"identity.problem.{field}"
    born = form.birth_date
    if born is None or not 0 <= today.year - born.year <= OLDEST_YEARS or born > today:
        found["jour"] = "identity.problem.birth_date"
    if form.email and not _EMAIL.fullmatch(form.email):
        found["courriel"] = "identity.problem.email"
    if form.phone and not _PHONE.fullmatch(form.phone):
        found["telephone"] = "identity.problem.phone"
    if first and not form.email and not form.phone:
        found["courriel"] = "identity.problem.contact"
    if not first and form.lien not in ("enfant", "proche"):
        found["lien"] = "identity.problem.relation"
    elif not first and born is not None:
        found |= _against_relation(form.lien, is_minor=age(born, today) < MAJORITY_YEARS)
    return found | too_long(form.model_dump(), MOST)


def _against_relation(relation: str, *, is_minor: bool) -> dict[str, str]:
    """What the age says against the stated relation. Whoever registers a minor is their parent to the base, with everything
    that a parent may do (ADR "Proxies"): nobody else is let do so here."""
    if relation == "enfant" and not is_minor:
        return {"lien": "identity.problem.grown_up"}
    if relation == "proche" and is_minor:
        return {"lien": "identity.problem.under_age"}
    return {}


def age(born: date, today: date) -> int:
    """Full years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
