"""What a log-in gives: the identity that the provider vouches for, and the tokens for the FHIR base."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from creneau_shared.roles import Role
from creneau_web.login_settings import ProviderName

Sex = Literal["female", "male"]


class Exercise(BaseModel):
    """One situation in which a professional practises, as Pro Santé Connect tells it. Empty: not told."""

    model_config = ConfigDict(frozen=True)

    profession: str = ""
    """TRE_G15"""
    specialty: str = ""
    """TRE_R38"""
    place: str = ""
    """name of the structure"""
    structure: str = ""
    """technical identifier of the structure in the national directory"""
    finess: str = ""
    siret: str = ""


class Identity(BaseModel):
    """Who has logged in. What the provider does not say is empty or None: nothing is guessed."""

    model_config = ConfigDict(frozen=True)

    provider: ProviderName
    subject: str
    """the provider's id of the person: never shown, never compared between providers"""
    role: Role
    level: str = ""
    """`acr`: how sure the provider is"""
    given_names: tuple[str, ...] = ()
    family_name: str = ""
    """of birth"""
    usual_name: str = ""
    birth_date: date | None = None
    """a day or month that is not known is 1 (FranceConnect)"""
    sex: Sex | None = None
    birth_place: str = ""
    """INSEE code of the commune; empty if born abroad"""
    birth_country: str = ""
    """INSEE code of the country; 99100 is France"""
    email: str = ""
    national_id: str = ""
    """of a professional: 8 and the RPPS number (IDNPS)"""
    practitioner: str = ""
    """id of the Practitioner, where the deployment's issuer knows it"""
    organizations: tuple[str, ...] = ()
    exercises: tuple[Exercise, ...] = ()

    @property
    def name(self) -> str | None:
        """The first given name and the usual name, else the one of birth; None when neither is known."""
        words = (*self.given_names[:1], self.usual_name or self.family_name)
        return " ".join(word for word in words if word) or None


class Tokens(BaseModel):
    """The tokens of somebody who is logged in; never sent to a browser."""

    model_config = ConfigDict(frozen=True)

    access_token: str
    """for the FHIR base, from the deployment's issuer"""
    expires_at: datetime
    refresh_token: str | None = None
    id_token: str
    """from the provider of the log-in, which asks for it at log-out"""
    provider_session: str | None = None
    """the provider's log-in (`session_name`); None: it does not say"""


class Pending(BaseModel):
    """A log-in that has begun: what must be found again when the person comes back."""

    model_config = ConfigDict(frozen=True)

    provider: ProviderName
    nonce: str
    verifier: str
    """empty where the provider takes no challenge"""
    back: str
    """path of the page from which they came"""
    until: datetime
