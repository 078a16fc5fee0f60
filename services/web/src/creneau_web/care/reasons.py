"""What a professional may be seen for: the reasons that their free times name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from creneau_web.care.kept import Kept
from creneau_web.care.model import Opening, Professional, Reason
from creneau_web.care.soonest import openings_after
from creneau_web.fhir.client import Fhir
from creneau_web.fhir.refusal import is_about_who_asks

LOOKED_AT = 60
"""first free times, whose reasons are up to date; reasons of later ones may be some minutes old"""


class Reasons:
    """The reasons of professionals. If there are many free times, the reasons of later ones are kept for `kept_s` seconds: a
    check-up in three weeks is a reason too, however many short visits come before."""

    def __init__(self, kept_s: float) -> None:
        self._later: Kept[list[Reason]] = Kept(kept_s, is_personal=is_about_who_asks)

    async def of(self, fhir: Fhir, professional: Professional, first: list[Opening]) -> list[Reason]:
        """Reasons in the order of their times. `first`: the first free times, at most `LOOKED_AT`."""
        if len(first) < LOOKED_AT:
            return reasons_of(first)
        public = fhir.as_(None)
        later = await self._later.get(
            professional.id, lambda: self._read(public, professional, first[-1].start)
        )
        now = reasons_of(first)
        known = {reason.text for reason in now}
        return [*now, *(reason for reason in later if reason.text not in known)]

    async def _read(self, fhir: Fhir, professional: Professional, after: datetime) -> list[Reason]:
        return reasons_of(await openings_after(fhir, professional, after))


def reasons_of(openings: Iterable[Opening]) -> list[Reason]:
    """The reasons of free times, in the order in which they come; each once."""
    found: dict[str, Reason] = {}
    for opening in openings:
        if opening.reason:
            minutes = int((opening.end - opening.start).total_seconds() // 60)
            before = found.get(opening.reason)
            modes = opening.modes | (before.modes if before else frozenset())
            found[opening.reason] = Reason(opening.reason, before.minutes if before else minutes, modes)
    return list(found.values())
