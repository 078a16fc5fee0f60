"""Who looked at somebody's record: an AuditEvent in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from creneau_web.care.model import PARIS
from creneau_web.fhir.values import instant

ROLES = frozenset(
    {"patient", "practitioner", "secretary", "software", "regulator", "counsellor", "operator", "system"}
)
DONE = frozenset({"C", "R", "U", "D", "E"})
REASONS = frozenset({"TREAT", "PATRQT", "PATADMIN", "ETREAT", "HSYSADMIN"})
REFUSED = "4"


@dataclass(frozen=True, slots=True)
class Access:
    """One interaction with the record."""

    at: datetime
    role: str
    """of who did it, as the catalogue names it; `unknown` for others"""
    who: str | None
    """reference of the person, where the trail knows them"""
    name: str | None
    practice: str | None
    on_behalf: str | None
    mandate: str | None
    done: str
    """`C` created, `R` read, `U` changed, `D` deleted, `E` an operation"""
    what: str | None
    """type of what it was done with"""
    why: str | None
    refused: bool


def access_of(event: Mapping[str, Any]) -> Access:
    """What an AuditEvent tells (docs/guides/patient-frontend.md)."""
    agents = event.get("agent", ())
    who = agents[0] if agents else {}
    role = _role(who)
    entity: Mapping[str, Any] = next(iter(event.get("entity", ())), {})
    details = {d.get("type"): d.get("valueString") for d in entity.get("detail", ())}
    reference = str((entity.get("what") or {}).get("reference", ""))
    why = next((c.get("code") for p in event.get("purposeOfEvent", ()) for c in p.get("coding", ())), None)
    return Access(
        at=instant(event["recorded"]),
        role=role if role in ROLES else "unknown",
        who=(who.get("who") or {}).get("reference"),
        # The technical name of an account without a person says nothing to people.
        name=who.get("name") if role != "patient" or "reference" in (who.get("who") or {}) else None,
        practice=_named(agents, "practice"),
        on_behalf=_named(agents, "represented"),
        mandate=details.get("mandate"),
        done=event.get("action", "E") if event.get("action") in DONE else "E",
        what=reference.partition("/")[0] or (entity.get("type") or {}).get("code"),
        why=why if why in REASONS else None,
        refused=str(event.get("outcome", "0")) == REFUSED,
    )


def runs_of(accesses: Iterable[Access], patient: str) -> list[tuple[bool, list[Access]]]:
    """Groups accesses in their order: those in a row that the person (reference) made themselves on one day are one run, all
    others stand alone. Gives whether it is such a run, and its accesses."""
    found: list[tuple[bool, list[Access]]] = []
    for access in accesses:
        own = access.who == patient
        run = found[-1] if found else None
        if own and run is not None and run[0] and _day(run[1][-1]) == _day(access):
            run[1].append(access)
        else:
            found.append((own, [access]))
    return found


def _day(access: Access) -> date:
    """The day by the clock of the page."""
    return access.at.astimezone(PARIS).date()


def _role(agent: Mapping[str, Any]) -> str:
    return next((str(c.get("code")) for r in agent.get("role", ()) for c in r.get("coding", ())), "unknown")


def _named(agents: Any, role: str) -> str | None:
    return next((a.get("name") for a in agents if _role(a) == role and a.get("name")), None)
