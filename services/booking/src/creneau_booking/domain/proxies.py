"""Who represents whom: a parent until majority, a legal representative, a carer; what each may do, and until when.

A person decides who represents them. Parents decide for a child until its majority. A judge appoints a guardian, so a
practice states it. Only the person decides about their own account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from creneau_booking.domain.access_rules import Birth, local_instant, months_later
from creneau_booking.domain.refusals.people import (
    AccountOfTheirOwn,
    GuardianAtPractice,
    MinorOnParents,
    ProxyNotTheirs,
)

MAJORITY_MONTHS = 18 * 12
SCOPES = ("see", "book", "cancel", "register")
"""what a person lets somebody do for them; `register`: keep the record up to date"""
EVERYTHING = frozenset({*SCOPES, "manage"})
"""what oneself, a parent or a legal representative may do; `manage`: say who else represents the person"""
PARENTS = frozenset({"PRN", "MTH", "FTH"})
"""relationships (v3-RoleCode) of those who answer for a minor"""
GUARDIAN = "GUARD"
ONESELF = "ONESELF"
RESPONSIBLE = frozenset({GUARDIAN, "POWATT", ONESELF})
"""relationships of those who answer for a person of any age: guardians, mandataries; and oneself"""
_CIVIL_ZONE = ZoneInfo("Europe/Paris")
_MIDNIGHT = datetime.min.time()


@dataclass(frozen=True, slots=True)
class Proxy:
    """The content of a RelatedPerson: for whom (Patient id), as what (v3-RoleCode), its scopes (none: those of the
    relationship), from when until when (half-open; None: open)."""

    patient: str
    relationships: frozenset[str]
    scopes: frozenset[str]
    since: datetime | None
    until: datetime | None
    active: bool = True
    ends_at_majority: bool = False
    """the end is the patient's majority, and moves if the birth date is corrected; without an end, the birth date is not
    known, or is one of somebody of age"""

    @property
    def depends_on_birth_date(self) -> bool:
        """Whether it ends with the majority: not where that end is only awaited, or was never to come."""
        return self.ends_at_majority and self.until is not None

    @property
    def is_oneself(self) -> bool:
        """Whether it is the person's own account, after somebody else had registered them."""
        return ONESELF in self.relationships

    def may(self, *, minor: bool) -> frozenset[str]:
        """The scopes that it gives. Whoever answers for the person may do everything if all SCOPES are stated, or none."""
        answers_for = self.relationships & (RESPONSIBLE | PARENTS if minor else RESPONSIBLE)
        if self.is_oneself or (answers_for and (not self.scopes or self.scopes >= frozenset(SCOPES))):
            return EVERYTHING
        return self.scopes | {"see"}

    def has_ended(self, now: datetime) -> bool:
        """Whether it is inactive or past its end."""
        return not self.active or (self.until is not None and self.until <= now)


def majority(birth: Birth) -> date:
    """The day on which a person is of age, counted from the latest possible birth date."""
    return months_later(birth.last, MAJORITY_MONTHS)


def is_minor(birth: Birth | None, now: datetime) -> bool:
    """Whether a person is known to be under age at `now`, by the civil day in France."""
    return birth is not None and now.astimezone(_CIVIL_ZONE).date() < majority(birth)


def end_of_minority(birth: Birth) -> datetime:
    """The instant at which parents no longer answer for their child."""
    return local_instant(majority(birth), _MIDNIGHT, _CIVIL_ZONE)


def majority_ending(
    proxy: Proxy, birth: Birth | None, now: datetime, *, by_parent: bool = False
) -> datetime | None:
    """The end that majority sets to a parent's proxy, and to any that a parent states for the child (`by_parent`), except
    the child's own account. None: no such end, or the stated end comes first."""
    ends = bool(proxy.relationships & PARENTS) or (by_parent and not proxy.is_oneself)
    if birth is None or not (ends and is_minor(birth, now)):
        return None
    end = end_of_minority(birth)
    return end if proxy.until is None or proxy.until >= end else None


@dataclass(frozen=True, slots=True)
class Person:
    """The person about whose representatives somebody decides."""

    minor: bool
    has_account: bool
    """whether the person has an account of their own"""


def require_may_decide(
    relationships: frozenset[str], person: Person, *, manages: bool, is_person: bool
) -> None:
    """Refuses a caller who may not state, change or end a proxy with these relationships (before and after).

    `manages`: they may say who represents the person; `is_person`: they are the person.
    """
    if not manages:
        raise ProxyNotTheirs()
    if ONESELF in relationships and person.has_account and not is_person:
        raise AccountOfTheirOwn()
    if GUARDIAN in relationships:
        raise GuardianAtPractice()
    if is_person and person.minor and relationships & PARENTS:
        raise MinorOnParents()


def same_person(one: Birth | None, other: Birth | None) -> bool:
    """Whether two records can be one person's: their birth dates do not contradict each other."""
    return one is None or other is None or (one.first <= other.last and other.first <= one.last)
