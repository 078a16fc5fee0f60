"""What each caller must be answered, from the one table (`security/role_table.py`) and whose each thing of the world is.

Written beside the code that it is held against, and not with it: who sees what is decided there by search terms in SQL,
and here by comparing sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from creneau_shared.security import role_table
from creneau_shared.security.principal import Action, Role, Scope
from creneau_shared.security.rights import REGULATION
from creneau_shared.security.role_table import STAFF, Reach, needed
from creneau_shared.type_table import TYPES

ReachOf = Callable[[Role, str, Action], Reach]
READING: tuple[Action, ...] = ("r", "s")
BY_LINK: Mapping[str, tuple[Action, ...]] = {"Appointment": ("r", "s", "u"), "AppointmentResponse": ("c",)}


@dataclass(frozen=True)
class Caller:
    """Who asks, and what is known of them. `people` and `practices`: Patient or Organization id → what they may do."""

    name: str
    role: Role
    token: str | None = None
    scopes: tuple[Scope, ...] = ()
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    oneself: frozenset[str] = frozenset()
    practices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    practitioner: str | None = None
    appointment: str | None = None
    """the one that their token is for: they came by a link"""
    by_token: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    """those of the people and of the practices that the token itself names"""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass(frozen=True)
class Version:
    """Whose one version of a resource is."""

    owners: frozenset[str] = frozenset()
    """ids of Organizations"""
    patients: frozenset[str] = frozenset()
    """ids of the Patients whom it is about"""
    shared: bool = True
    """whether those see it who represent them"""
    open: bool = True
    """whether everybody sees it, where the type is public"""
    deleted: bool = False


@dataclass(frozen=True)
class Item:
    """One resource of the world, its current version as it was answered, and whose each version is."""

    name: str
    resource: Mapping[str, Any]
    versions: tuple[Version, ...]

    @property
    def type(self) -> str:
        return str(self.resource["resourceType"])

    @property
    def id(self) -> str:
        return str(self.resource["id"])

    @property
    def address(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def now(self) -> Version:
        return self.versions[-1]

    def refers_to(self, other: Item) -> bool:
        return other.address in _references(self.resource)


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def known_by(caller: Caller, kind: str) -> Caller:
    """The caller as the type's service knows them: notifications learns of accounts from the bus, which carries nothing
    here, and of a practice's people nothing at all: it takes what the token says."""
    if TYPES[kind].service != "notifications":
        return caller
    people, practices = caller.by_token
    return replace(
        caller,
        people={id_: may for id_, may in caller.people.items() if id_ in people},
        practices={id_: may for id_, may in caller.practices.items() if id_ in practices},
    )


class Expectation:
    """What a table gives each caller; the table that is in force, unless another is given."""

    def __init__(self, reach_of: ReachOf = role_table.reach_of) -> None:
        self._reach_of = reach_of

    def reach(self, caller: Caller, kind: str, action: Action) -> Reach:
        """How far they reach; `none`: they are refused."""
        caller = known_by(caller, kind)
        is_open = action in READING and TYPES[kind].public
        if caller.appointment and not is_open and action not in BY_LINK.get(kind, ()):
            return "none"
        if not is_open and not any(scope.covers(kind, action) for scope in caller.scopes):
            return "none"
        found = self._reach_of(caller.role, kind, action)
        if found == "practice" and caller.role in STAFF and not caller.practices:
            return "public" if is_open else "none"
        return found

    def refusal(self, caller: Caller, kind: str, action: Action) -> int | None:
        """The status with which they are refused whatever they name; None: they are not."""
        if self.reach(caller, kind, action) != "none":
            return None
        return 401 if caller.token is None else 403

    def refuses_versions(self, caller: Caller, kind: str) -> int | None:
        """As `refusal`, for what was before: of the appointment of a link there is no history."""
        beyond = 403 if caller.appointment and not TYPES[kind].public else None
        return self.refusal(caller, kind, "r") or beyond

    def sees(self, caller: Caller, item: Item, action: Action = "s", version: Version | None = None) -> bool:
        """Whether a version (the current one) is within what they may do this with."""
        version, caller = version or item.now, known_by(caller, item.type)
        reach = self.reach(caller, item.type, action)
        own = item.type == "Practitioner" and item.id == caller.practitioner
        if reach == "own" and caller.appointment:
            return item.id == caller.appointment
        return {
            "none": False,
            "all": True,
            "public": version.open,
            "own": any(self._for_person(caller, item, action, p, version.shared) for p in version.patients),
            "practice": bool(version.owners & self.practices(caller, item.type, action))
            or own
            or (item.type == "Slot" and action in READING and version.open),
        }[reach]

    def practices(self, caller: Caller, kind: str, action: Action) -> frozenset[str]:
        """The Organizations (ids) on behalf of which they may do this."""
        if caller.role == "regulator":
            return frozenset({REGULATION})
        # Who represents somebody is stated for a practice by whom it lets decide for it, and not by whom it lets book.
        decides = kind == "RelatedPerson" and action not in READING
        wanted = {"manage"} if decides else _wanted(kind, action)
        return frozenset(id_ for id_, may in caller.practices.items() if may & wanted)

    def people(self, caller: Caller, kind: str, action: Action) -> frozenset[str]:
        """The Patients (ids) for whom they may do this."""
        return frozenset(id_ for id_, may in caller.people.items() if may & _wanted(kind, action))

    def _for_person(self, caller: Caller, item: Item, action: Action, patient: str, shared: bool) -> bool:
        whole = patient in caller.oneself or item.type in ("Patient", "RelatedPerson")
        return patient in self.people(caller, item.type, action) and (whole or shared)


def _wanted(kind: str, action: Action) -> set[str]:
    wanted = {needed(kind, action)}
    if (kind, action) == ("AppointmentResponse", "c"):
        return wanted | {"answer"}
    return wanted | {"cancel"} if wanted == {"book"} and action in ("u", "d") else wanted
