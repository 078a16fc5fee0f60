"""What a search of Slot is for consumers: patients, and whoever has no token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.rest.declaration import Pairs
from creneau_shared.fhir.search.request import DateValue, SearchRequest, clauses_of
from creneau_shared.security.access import Access

EXPLICIT = frozenset({"status", "_id", "identifier"})
"""Whoever names one of these says which slots they mean."""
JUDGED = frozenset({"_id", "identifier", "bookable"})
"""Whoever names one of these wants slots whatever the practice's rules say, or says himself what they are to say."""
PATIENT = "bookable-by:Patient._id"
_FROM = frozenset({"eq", "gt", "ge", "sa", "ap"})
_UNTIL = frozenset({"eq", "lt", "le", "eb", "ap"})


@dataclass(frozen=True)
class ConsumersSlots:
    """The `SearchPolicy` of Slot. A consumer is whoever is limited to a patient's compartment."""

    window_days_max: int

    @property
    def documentation(self) -> str:
        return (
            "A search without status, _id or identifier gives patients and anonymous callers the free slots only "
            "(link[self] says status=free); every slot can be read by its id. Free slots that a rule of their agenda "
            "(booking window, minimum notice, ages) keeps them from booking are not among them (link[self] says "
            "bookable=true), unless the search names bookable, _id or identifier. Their searches span at most "
            f"{self.window_days_max} days (422 too-costly); software with user or system scopes is not limited."
        )

    def narrow(self, access: Access, pairs: Pairs) -> Pairs:
        asked = [_chained(name, value) for name, value in pairs]
        if access.patient_ids is None:
            return asked
        named = {name.partition(":")[0] for name, value in asked if value}
        if not named & EXPLICIT:
            asked.append(("status", "free"))
        if named & JUDGED or not _only_free(asked):
            return asked
        asked.append(("bookable", "true"))
        may_see_patients = access.principal.level("Patient", "s") is not None
        if access.patient_ids and may_see_patients and "bookable-by" not in named:
            asked.append((PATIENT, ",".join(sorted(access.patient_ids))))
        return asked

    def check(self, access: Access, wanted: SearchRequest) -> None:
        if access.patient_ids is None:
            return
        low, high = _window(wanted)
        if low is not None and high is not None and high - low > timedelta(days=self.window_days_max):
            raise Unprocessable(
                f"La période cherchée dépasse {self.window_days_max} jours ; raccourcissez-la.",
                f"The searched period is longer than {self.window_days_max} days; shorten it.",
                code="too-costly",
                expression="http.start",
                details_code="window-too-long",
            )


def _chained(name: str, value: str) -> tuple[str, str]:
    """`bookable-by=Patient/1` as the chain that it is short for: what is said of a patient is for who may see them."""
    if name == "bookable-by:identifier":
        return "bookable-by:Patient.identifier", value
    if name not in ("bookable-by", "bookable-by:Patient"):
        return name, value
    return PATIENT, ",".join(part.strip().removeprefix("Patient/") for part in value.split(","))


def _only_free(pairs: Pairs) -> bool:
    """Whether the search is for free slots and for no others."""
    statuses = [value.strip().rpartition("|")[2] for name, value in pairs if name == "status" and value]
    return bool(statuses) and set(statuses) == {"free"}


def _window(wanted: SearchRequest) -> tuple[datetime | None, datetime | None]:
    """The bounds that start and end set, None where they set none."""
    values = [
        group[0]
        for clause in clauses_of(wanted.conditions)
        if clause.parameter.name in ("start", "end")
        for group in clause.groups
        if len(group) == 1
    ]
    dates = [value for value in values if isinstance(value, DateValue)]
    lows = [value.low for value in dates if value.prefix in _FROM]
    highs = [value.high for value in dates if value.prefix in _UNTIL]
    return max(lows, default=None), min(highs, default=None)
