"""Who asks, and what their token allows: SMART App Launch v2 scopes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Level = Literal["system", "user", "patient"]
Action = Literal["c", "r", "u", "d", "s"]

_SCOPE = re.compile(r"^(patient|user|system)/([A-Z][A-Za-z]*|\*)\.(c?r?u?d?s?|read|write|\*)$")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_BREADTH: dict[Level, int] = {"patient": 0, "user": 1, "system": 2}


@dataclass(frozen=True, slots=True)
class Scope:
    """One SMART scope: `patient/Appointment.cruds` (v2) or its v1 spelling."""

    level: Level
    resource_type: str
    actions: frozenset[str]

    @staticmethod
    def parse(text: str) -> Scope | None:
        """None for what is no resource scope (openid, fhirUser …) or narrows by a query we do not evaluate."""
        match = _SCOPE.match(text)
        if match is None or not match[3]:
            return None
        return Scope(match[1], match[2], frozenset(_V1.get(match[3], match[3])))  # type: ignore[arg-type]

    def covers(self, resource_type: str, action: Action) -> bool:
        return self.resource_type in ("*", resource_type) and action in self.actions


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a verified token; `ANONYMOUS` when there is none."""

    issuer: str
    subject: str
    scopes: tuple[Scope, ...] = ()
    flags: frozenset[str] = frozenset()
    """scopes that are no resource scopes, such as `creneau/operate`"""
    patient: str | None = None
    """SMART launch context: the Patient id that the issuer vouches for"""

    @property
    def anonymous(self) -> bool:
        return not self.subject

    def level(self, resource_type: str, action: Action) -> Level | None:
        """The broadest level at which the token allows `action` on the type; None: not at all."""
        levels = [scope.level for scope in self.scopes if scope.covers(resource_type, action)]
        return max(levels, key=_BREADTH.__getitem__, default=None)


ANONYMOUS = Principal(issuer="", subject="")


def principal_of(claims: dict[str, object]) -> Principal:
    """The principal that verified token claims speak of (RFC 9068 `scope`: a blank-separated string)."""
    words = str(claims.get("scope", "")).split()
    scopes = tuple(scope for word in words if (scope := Scope.parse(word)) is not None)
    patient = claims.get("patient")
    return Principal(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        scopes=scopes,
        flags=frozenset(word for word in words if Scope.parse(word) is None),
        patient=str(patient) if patient else None,
    )
