"""The caller and their token's claims: SMART App Launch v2 scopes, a role, the organisations and people for whom they
act."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from creneau_shared.choices import one_of
from creneau_shared.roles import EVERY_ROLE
from creneau_shared.roles import Action as Action
from creneau_shared.roles import Role as Role

Level = Literal["system", "user", "patient"]
ROLES: frozenset[Role] = frozenset(EVERY_ROLE) - {"public"}

_SCOPE = re.compile(r"^(patient|user|system)/([A-Z][A-Za-z]*|\*)\.(c?r?u?d?s?|read|write|\*)$")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_BREADTH: dict[Level, int] = {"patient": 0, "user": 1, "system": 2}
_REFERENCE = re.compile(r"^(?:[A-Z][A-Za-z]+/)?([A-Za-z0-9\-.]{1,64})\Z")
_NATIONAL_ID = re.compile(r"^[0-9A-Za-z]{1,32}\Z")


@dataclass(frozen=True, slots=True)
class Scope:
    """One SMART scope: `patient/Appointment.cruds` (v2) or its v1 spelling."""

    level: Level
    resource_type: str
    actions: frozenset[str]

    @staticmethod
    def parse(text: str) -> Scope | None:
        """The scope in a word; None if it is not about resources (openid, fhirUser …), or is limited by a query, which is
        not evaluated here."""
        match = _SCOPE.match(text)
        level = one_of(_BREADTH, match[1]) if match else None
        if match is None or level is None or not match[3]:
            return None
        letters = _V1.get(match[3], match[3])
        return Scope(level, match[2], frozenset(letters))

    def covers(self, resource_type: str, action: Action) -> bool:
        return self.resource_type in ("*", resource_type) and action in self.actions


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """The issuer's names of the claims that SMART does not define."""

    role: str = "creneau_role"
    organizations: str = "creneau_organizations"
    practitioner: str = "creneau_practitioner"
    national_id: str = "SubjectNameID"
    """Pro Santé Connect: the national identifier of a professional (8 and the RPPS number)"""
    acting_for: str = "creneau_for"
    """the Patient for whom a counsellor acts, under a mandate or in their presence"""
    mandate: str = "creneau_mandate"
    """the reference of that mandate, recorded in the trail"""


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a verified token; `ANONYMOUS` when there is none."""

    issuer: str
    subject: str
    scopes: tuple[Scope, ...] = ()
    flags: frozenset[str] = frozenset()
    """scopes that are not about resources, such as `creneau/operate`"""
    patient: str | None = None
    """SMART launch context: the Patient id that the issuer vouches for"""
    role: Role = "public"
    client: str = ""
    """the OAuth client through which they ask"""
    organizations: frozenset[str] = frozenset()
    """ids of the Organizations that the issuer says they speak for"""
    practitioner: str | None = None
    """id of their own Practitioner resource"""
    national_id: str | None = None
    """national identifier by which the directory finds their Practitioner"""
    acting_for: str | None = None
    """id of the Patient for whom they act, with `mandate`"""
    mandate: str | None = None
    appointment: str | None = None
    """the one Appointment (id) of `patient` for which the token is valid: it gives access to no other personal data"""

    @property
    def anonymous(self) -> bool:
        return not self.subject

    def level(self, resource_type: str, action: Action) -> Level | None:
        """The broadest level at which the token allows `action` on the type; None if it does not."""
        levels = [scope.level for scope in self.scopes if scope.covers(resource_type, action)]
        return max(levels, key=_BREADTH.__getitem__, default=None)


STANDARD_NAMES = ClaimNames()
ANONYMOUS = Principal(issuer="", subject="")


def principal_of(claims: Mapping[str, Any], names: ClaimNames = STANDARD_NAMES) -> Principal:
    """The principal from verified token claims (RFC 9068 `scope`: a blank-separated string)."""
    words = str(claims.get("scope", "")).split()
    scopes = tuple(scope for word in words if (scope := Scope.parse(word)) is not None)
    return Principal(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        scopes=scopes,
        flags=frozenset(word for word in words if Scope.parse(word) is None),
        patient=_id(claims.get("patient")),
        role=_role(claims, names, scopes),
        client=str(claims.get("client_id") or claims.get("azp") or ""),
        organizations=frozenset(_ids(claims.get(names.organizations))),
        practitioner=_id(claims.get(names.practitioner)),
        national_id=_matching(_NATIONAL_ID, claims.get(names.national_id)),
        acting_for=_id(claims.get(names.acting_for)),
        mandate=_words(claims.get(names.mandate)),
    )


def _role(claims: Mapping[str, Any], names: ClaimNames, scopes: Iterable[Scope]) -> Role:
    """The role that the issuer states; else the role with the fewest rights that fits the token. Scopes alone never give
    `system`."""
    stated = one_of(ROLES, claims.get(names.role))
    if stated is not None:
        return stated
    if claims.get(names.national_id):
        return "practitioner"
    return "patient" if all(scope.level == "patient" for scope in scopes) else "software"


def _words(value: object) -> str | None:
    """The text with at most 200 characters; None if it has only blanks or invisible characters, which are no mandate."""
    if not isinstance(value, str) or not any(c.isprintable() and not c.isspace() for c in value):
        return None
    return value.strip()[:200]


def _id(value: object) -> str | None:
    """A FHIR id, given bare or as a reference (`Patient/12`)."""
    match = _REFERENCE.match(value) if isinstance(value, str) else None
    return match[1] if match else None


def _ids(value: object) -> list[str]:
    """Ids in a list or a blank- or comma-separated string."""
    several = (
        value if isinstance(value, list) else re.split(r"[\s,]+", value) if isinstance(value, str) else []
    )
    return [id_ for item in several if (id_ := _id(item)) is not None]


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.match(value) else None
