"""What one request may do. Rights are looked up once, before anything is read or written; from then on they are plain
values, computed without the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from creneau_shared.errors import Forbidden, Unauthenticated
from creneau_shared.security.principal import Action, Principal, Role
from creneau_shared.security.role_table import STAFF, Reach, needed, reach_of
from creneau_shared.type_table import COMPARTMENT, PUBLIC, TYPES

MAY_ALL = frozenset({"see", "book", "cancel", "register", "manage"})
"""What oneself may do for oneself, or a practice for itself."""
BY_LINK = frozenset({"see", "cancel", "move", "answer"})
"""What whoever was sent a link to an appointment may do with it. To answer: what its practice asks, for the patient."""
_WITHIN_LINK: Mapping[str, str] = {"Appointment": "rsu", "AppointmentResponse": "c"}
"""What of a person's a token for one appointment is for, and by which interactions."""
REGULATION = "@regulation"
"""Owner of the regulators' accounts: no Organization can have this id."""

OWNER = "~owner=Organization/"
"""Internal term: whose (an organisation's) a resource is. No search parameter begins with a tilde."""
REGISTERED = "~registered="
"""Begin of the internal terms of a Patient: which organisations (`Organization/…`) registered them; `nobody`: none did."""
AGENDA = "~agenda=Schedule/"
"""Internal term of an appointment: in whose agenda it is."""
SHARED = "~shared=Patient/"
"""Internal term: a person's representatives see it too."""
INSTEAD = "~instead=Appointment/"
"""Internal term of an appointment: in the place of which other one it stands, or waits to, and whose both are."""
_OF_A_PRACTICE: Mapping[str, str] = {"RelatedPerson": "manage"}
"""What a practice must have delegated to whoever writes a type for it, where that is more than a person must allow."""
OPEN = "~public"
"""Internal term of a slot that is open to everybody."""


@dataclass(frozen=True, slots=True)
class Rights:
    """For whom a principal acts, and for which practices they speak, at this moment."""

    principal: Principal
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """what they may do for which Patient (id): see, book, cancel, register, manage"""
    oneself: frozenset[str] = frozenset()
    """those of the people who they are"""
    practices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """what they may do on behalf of which Organization (id)"""
    own_practices: frozenset[str] = frozenset()
    """those of the Organizations that are theirs, and not by a delegation: whose is what names no other"""
    anonymous_read: bool = True
    """whether public information is open to callers without a token"""
    statements: Mapping[str, str] = field(default_factory=dict)
    """Patient (id) → the RelatedPerson (id) by which they act for them, where one states it"""

    @property
    def role(self) -> Role:
        return self.principal.role

    @property
    def patients(self) -> frozenset[str]:
        """The Patients for whom they act in any way."""
        return frozenset(self.people)

    @property
    def organizations(self) -> frozenset[str]:
        """The Organizations for which they speak in any way."""
        return frozenset(self.practices)

    def with_own(self, patient_id: str) -> Rights:
        """The same rights after they have registered this Patient as one of theirs."""
        return replace(self, people={**self.people, patient_id: MAY_ALL})

    def access(self, resource_type: str, action: Action) -> Access:
        """The access for `action` on a type; Unauthenticated or Forbidden when there is none."""
        found = self.reach(resource_type, action)
        if found is not None:
            return Access(self, resource_type, action, found)
        if self.principal.anonymous:
            raise _unauthenticated()
        if self.role in STAFF and not self.practices and self._may(resource_type, action):
            raise _for_no_practice(resource_type)
        raise _forbidden(resource_type, action)

    def reach(self, resource_type: str, action: Action) -> Reach | None:
        """How far they reach into a type with `action`; None: they have no access to it."""
        open_to_all = self.anonymous_read and action in ("r", "s") and resource_type in PUBLIC
        if self.principal.appointment is not None and not _is_within_link(resource_type, action):
            return None
        if not (open_to_all or self._may(resource_type, action)):
            return None
        role = self.role
        at_patients_app = role in STAFF and self.principal.level(resource_type, action) == "patient"
        if at_patients_app:
            role = "patient"
        found = reach_of(role, resource_type, action)
        if at_patients_app and found == "own" and action == "c":
            return None  # it would be about nobody for whom they act
        if found == "practice" and role in STAFF and not self.practices:
            return "public" if open_to_all else None
        return None if found == "none" else found

    def required(self) -> Mapping[str, tuple[str, ...]]:
        """For each type that a search can lead into and that they do not see whole, the terms of which a resource must
        bear one; with no terms, none is seen."""
        if not (self.people or self.practices):
            return required_alone(self.principal, self.anonymous_read)
        return self._required()

    def _required(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name in TYPES:
            reach = self.reach(name, "s")
            terms = () if reach is None else Access(self, name, "s", reach).required
            if terms is not None:
                found[name] = terms
        return found

    def _may(self, resource_type: str, action: Action) -> bool:
        """Whether the token's scopes allow it at all."""
        return self.principal.level(resource_type, action) is not None


@lru_cache(maxsize=4096)
def required_alone(principal: Principal, anonymous_read: bool) -> Mapping[str, tuple[str, ...]]:
    """`Rights.required` of callers who act for no person and no practice: it depends on the principal alone, so it is kept."""
    return Rights(principal, anonymous_read=anonymous_read)._required()


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may do with one type by one interaction."""

    rights: Rights
    resource_type: str
    action: Action
    reach: Reach

    @property
    def principal(self) -> Principal:
        return self.rights.principal

    @property
    def patient_ids(self) -> frozenset[str] | None:
        """The Patients for whom they may do this, when they act as a consumer does; None: they do not."""
        if self.reach in ("all", "practice"):
            return None
        if self.reach != "own" and self.rights.role in STAFF and self.rights.practices:
            return None
        return self._allowed(self.rights.people)

    @property
    def organizations(self) -> frozenset[str] | None:
        """The practices for which they may do this; None: they are not limited to practices."""
        if self.reach != "practice":
            return None
        if self.rights.role == "regulator":
            return frozenset({REGULATION})
        scopes = self.rights.practices
        if (more := _OF_A_PRACTICE.get(self.resource_type)) is not None and self.action not in ("r", "s"):
            return frozenset(id_ for id_, allowed in scopes.items() if more in allowed)
        return self._allowed(scopes)

    @property
    def own_organizations(self) -> frozenset[str]:
        """Those of `organizations` that are theirs, and not by a delegation."""
        if self.reach != "practice":
            return frozenset()
        return frozenset({REGULATION}) if self.rights.role == "regulator" else self.rights.own_practices

    def _allowed(self, scopes: Mapping[str, frozenset[str]]) -> frozenset[str]:
        wanted = {needed(self.resource_type, self.action)}
        if wanted == {"book"} and self.action in ("u", "d"):
            wanted.add("cancel")
        if self.resource_type == "AppointmentResponse" and self.action == "c":
            wanted.add("answer")
        return frozenset(id_ for id_, allowed in scopes.items() if allowed & wanted)

    @property
    def required(self) -> tuple[str, ...] | None:
        """The terms of which a resource must bear one to be within reach; None: no limit, empty: none is."""
        return self.required_terms(self.resource_type)

    def required_terms(self, resource_type: str) -> tuple[str, ...] | None:
        """`required`, for the type that the access was decided for."""
        if resource_type != self.resource_type:
            raise ValueError(f"access to {self.resource_type} says nothing of {resource_type}")
        row = TYPES.get(resource_type)
        partly = row is not None and row.partly and self.action in ("r", "s")
        if self.reach == "own" and self.principal.appointment is not None:
            # That it is the person's at all was looked up with the rights.
            people = self._allowed(self.rights.people)
            return _tied(resource_type, self.principal.appointment, people) if people else ()
        if self.reach == "own":
            return terms_of(resource_type, self._allowed(self.rights.people), self.rights.oneself)
        if self.reach == "practice":
            owners = sorted(self.organizations or ())
            own = self.principal.practitioner if resource_type == "Practitioner" else None
            return (
                *((OPEN,) if partly else ()),
                *(f"{OWNER}{owner}" for owner in owners),
                *((f"_id={own}",) if own else ()),
            )
        if self.reach == "public":
            return (OPEN,) if partly else None
        return None


def _is_within_link(resource_type: str, action: Action) -> bool:
    """Whether a token for one appointment can be for this at all: that appointment, an answer to it, and what is open to
    everybody."""
    if resource_type in PUBLIC:
        return action in ("r", "s")
    return action in _WITHIN_LINK.get(resource_type, "")


def _tied(resource_type: str, appointment: str, people: Iterable[str]) -> tuple[str, ...]:
    """The terms that tie something of a person's to the one appointment of a link: that one, what waits for an earlier time
    of it or has taken its place, and the answers to it."""
    if resource_type == "Appointment":
        return (f"_id={appointment}", *(instead_of(appointment, f"Patient/{id_}") for id_ in sorted(people)))
    return (f"appointment=Appointment/{appointment}",)


def instead_of(appointment: str, patient: str) -> str:
    """The term of what stands in the place of an Appointment (id) of a Patient (reference), or waits to."""
    return f"{INSTEAD}{appointment}|{patient}"


def terms_of(resource_type: str, patients: Iterable[str], oneself: frozenset[str]) -> tuple[str, ...]:
    """The terms by which a resource is about one of these patients. What is about oneself is seen whole; of what is
    about somebody whom one represents, that which is shared."""
    row, found = TYPES[resource_type], list[str]()
    for patient in sorted(patients):
        if row.share == "whole" or patient in oneself:
            found += [f"{n}={patient}" if n == "_id" else f"{n}=Patient/{patient}" for n in row.personal]
        elif row.share == "shared":
            found.append(f"{SHARED}{patient}")
    return tuple(found)


def person_terms(resource_type: str, terms: Iterable[str]) -> frozenset[str]:
    """Those of a resource's terms that say about whom it is."""
    starts = tuple(f"{name}=Patient/" for name in COMPARTMENT[resource_type])
    return frozenset(term for term in terms if term.startswith(starts))


def _unauthenticated() -> Unauthenticated:
    return Unauthenticated(
        "Identifiez-vous pour accéder à cette information.",
        "Log in to reach this information.",
        headers={"WWW-Authenticate": 'Bearer realm="Creneau"'},
    )


def _forbidden(resource_type: str, action: Action) -> Forbidden:
    return Forbidden(
        f"Votre jeton ne permet pas cette action sur {resource_type}.",
        f"Your token does not allow this action on {resource_type}.",
        diagnostics=f"needs a role that may do so, and a scope such as patient/{resource_type}.{action} or"
        f" user/{resource_type}.{action}",
    )


def _for_no_practice(resource_type: str) -> Forbidden:
    return Forbidden(
        f"Votre jeton ne dit pour quel cabinet vous agissez : {resource_type} ne s'ouvre qu'aux cabinets concernés.",
        f"Your token does not say for which practice you act: {resource_type} is open to the practices concerned only.",
        details_code="no-practice",
    )
