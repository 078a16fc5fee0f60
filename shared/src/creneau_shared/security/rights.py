"""The rights of one request. They are looked up once, before anything is read or written; after that they are plain
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
"""What a person may do for themselves, or a practice for itself."""
BY_LINK = frozenset({"see", "cancel", "move", "answer"})
"""What the receiver of a link to an appointment may do with it. `answer`: answer the practice for the patient."""
_WITHIN_LINK: Mapping[str, str] = {"Appointment": "rsu", "AppointmentResponse": "c"}
"""Personal type → the interactions that a token for one appointment allows on it."""
REGULATION = "@regulation"
"""Owner of the regulators' accounts; no Organization can have this id."""

OWNER = "~owner=Organization/"
"""Internal term: the organisation that owns a resource. No search parameter begins with a tilde."""
REGISTERED = "~registered="
"""Begins the internal terms of a Patient that name who registered them: `Organization/…`, or `nobody`."""
AGENDA = "~agenda=Schedule/"
"""Internal term of an appointment: the agenda (Schedule) that has it."""
SHARED = "~shared=Patient/"
"""Internal term: the representatives of this person see the resource too."""
INSTEAD = "~instead=Appointment/"
"""Internal term of an appointment: the other appointment that it has replaced or waits to replace, and their patient."""
_OF_A_PRACTICE: Mapping[str, str] = {"RelatedPerson": "manage"}
"""Type → the right that a practice must have delegated for writing it, where persons need to grant less."""
OPEN = "~public"
"""Internal term of a slot that is open to everybody."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The persons for whom a principal acts, and the practices for which they speak, at this moment."""

    principal: Principal
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Patient (id) → what they may do for them: see, book, cancel, register, manage"""
    oneself: frozenset[str] = frozenset()
    """the Patients (ids) that are the principal"""
    practices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Organization (id) → what they may do on its behalf"""
    own_practices: frozenset[str] = frozenset()
    """their own Organizations (ids), without those that delegate; resources that name no owner belong to these"""
    anonymous_read: bool = True
    """whether public information is open to callers without a token"""
    statements: Mapping[str, str] = field(default_factory=dict)
    """Patient (id) → the RelatedPerson (id) that states their right to act for them, if there is one"""

    @property
    def role(self) -> Role:
        return self.principal.role

    @property
    def patients(self) -> frozenset[str]:
        """The Patients (ids) for whom they may do anything."""
        return frozenset(self.people)

    @property
    def organizations(self) -> frozenset[str]:
        """The Organizations (ids) for which they may do anything."""
        return frozenset(self.practices)

    def with_own(self, patient_id: str) -> Rights:
        """These rights plus all rights for this Patient, whom the principal has just registered."""
        return replace(self, people={**self.people, patient_id: MAY_ALL})

    def access(self, resource_type: str, action: Action) -> Access:
        """The access for `action` on a type; raises Unauthenticated or Forbidden if there is none."""
        found = self.reach(resource_type, action)
        if found is not None:
            return Access(self, resource_type, action, found)
        if self.principal.anonymous:
            raise _unauthenticated()
        if self.role in STAFF and not self.practices and self._may(resource_type, action):
            raise _for_no_practice(resource_type)
        raise _forbidden(resource_type, action)

    def reach(self, resource_type: str, action: Action) -> Reach | None:
        """The reach of `action` on a type; None: no access."""
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
            return None  # with a patient-level scope, staff act for no person whom the new resource could be about
        if found == "practice" and role in STAFF and not self.practices:
            return "public" if open_to_all else None
        return None if found == "none" else found

    def required(self) -> Mapping[str, tuple[str, ...]]:
        """Type → the terms of which a resource needs one to be visible; empty: none is visible. Types that the caller sees
        wholly are left out. For searches that lead into other types."""
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
        """Whether the token's scopes allow `action` on the type."""
        return self.principal.level(resource_type, action) is not None


@lru_cache(maxsize=4096)
def required_alone(principal: Principal, anonymous_read: bool) -> Mapping[str, tuple[str, ...]]:
    """`Rights.required` of callers who act for no person and no practice. Cached, as it depends on the arguments alone."""
    return Rights(principal, anonymous_read=anonymous_read)._required()


@dataclass(frozen=True, slots=True)
class Access:
    """The access of a request to one type by one interaction."""

    rights: Rights
    resource_type: str
    action: Action
    reach: Reach

    @property
    def principal(self) -> Principal:
        return self.rights.principal

    @property
    def by_patient(self) -> bool:
        """Whether the caller acts as a consumer: for Patients that are named, under the rules for patients."""
        return self.patient_ids is not None

    @property
    def patient_ids(self) -> frozenset[str] | None:
        """The Patients (ids) for whom they may do this; None if they do not act for patients here."""
        if self.reach in ("all", "practice"):
            return None
        if self.reach != "own" and self.rights.role in STAFF and self.rights.practices:
            return None
        return self._allowed(self.rights.people)

    @property
    def organizations(self) -> frozenset[str] | None:
        """The practices (ids) for which they may do this; None if they are not limited to practices."""
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
        """The principal's own practices (ids), without those that delegate."""
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
        """The terms of which a resource needs one to be within reach; None: no limit; empty: none is within reach."""
        return self.required_terms(self.resource_type)

    def required_terms(self, resource_type: str) -> tuple[str, ...] | None:
        """As `required`; raises ValueError if `resource_type` is not the type of this access."""
        if resource_type != self.resource_type:
            raise ValueError(f"access to {self.resource_type} says nothing of {resource_type}")
        row = TYPES.get(resource_type)
        partly = row is not None and row.partly and self.action in ("r", "s")
        if self.reach == "own" and self.principal.appointment is not None:
            # The lookup of the rights has already checked that the appointment is this person's.
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
    """Whether a token for one appointment can allow this: that appointment, an answer to it, and reading what is open to
    everybody."""
    if resource_type in PUBLIC:
        return action in ("r", "s")
    return action in _WITHIN_LINK.get(resource_type, "")


def _tied(resource_type: str, appointment: str, people: Iterable[str]) -> tuple[str, ...]:
    """The terms of the resources that a link to one appointment covers: the appointment itself, appointments that have
    replaced it or wait to replace it, and the answers to it."""
    if resource_type == "Appointment":
        return (f"_id={appointment}", *(instead_of(appointment, f"Patient/{id_}") for id_ in sorted(people)))
    return (f"appointment=Appointment/{appointment}",)


def instead_of(appointment: str, patient: str) -> str:
    """The term of appointments that have replaced, or wait to replace, an Appointment (id) of a Patient (reference)."""
    return f"{INSTEAD}{appointment}|{patient}"


def terms_of(resource_type: str, patients: Iterable[str], oneself: frozenset[str]) -> tuple[str, ...]:
    """The terms of the resources about these patients that the principal may see: all resources about themselves, and the
    shared ones about persons whom they represent."""
    row, found = TYPES[resource_type], list[str]()
    for patient in sorted(patients):
        if row.share == "whole" or patient in oneself:
            found += [f"{n}={patient}" if n == "_id" else f"{n}=Patient/{patient}" for n in row.personal]
        elif row.share == "shared":
            found.append(f"{SHARED}{patient}")
    return tuple(found)


def person_terms(resource_type: str, terms: Iterable[str]) -> frozenset[str]:
    """The terms of a resource that name the Patients it is about."""
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
