"""Search of Slot for consumers: patients, and callers without a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.domain.rehearsal import ORGANIZATION
from creneau_booking.storage.availability.rule import COULD_BE_BOOKED
from creneau_booking.storage.finding.candidates import consumer_with
from creneau_booking.storage.slots.table import SlotTable
from creneau_booking.storage.tables import SLOT_STATUSES
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.rest.declaration import Pairs
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.request import (
    DateValue,
    SearchRequest,
    TokenValue,
    asked_of,
    clauses_of,
)
from creneau_shared.fhir.search.sql import SearchTable
from creneau_shared.security.access import Access

EXPLICIT = frozenset({"status", "_id", "identifier"})
"""A search with one of these parameters says itself which slots it means."""
PATIENT = "bookable-by:Patient._id"
BOOKABLE_IF_FREE = "bookable eq true or " + " or ".join(
    f"status eq {status}" for status in SLOT_STATUSES if status != "free"
)
"""`_filter` for a search of several statuses: a free slot is found only if it can be booked."""
_FROM = frozenset({"eq", "gt", "ge", "sa", "ap"})
_UNTIL = frozenset({"eq", "lt", "le", "eb", "ap"})


@dataclass(frozen=True)
class ConsumersSlots:
    """The `SearchPolicy` of Slot. A consumer is a caller who is limited to a patient's compartment."""

    window_days_max: int
    per_agenda_max: int
    """Appointments to come that a patient may have in an agenda that sets no number itself"""

    @property
    def documentation(self) -> str:
        return (
            "A search without status, _id or identifier gives patients and anonymous callers the free slots only "
            "(link[self] says status=free); every slot can be read by its id. Free slots that a rule of their agenda "
            "(booking window, minimum notice, ages) or a visit of their own at that time keeps them from booking are not "
            "among them (link[self] says bookable=true), unless the search names bookable. Open time is among them while a "
            "part of it can be booked; bookable=whole finds what can be booked from its start to its end. However they come "
            "to a slot (by its id, an include, a history, a chain), what they could not book is not free to them but "
            "busy-unavailable. Their searches that name both ends of a time span at most "
            f"{self.window_days_max} days (422 too-costly); software with user or system scopes is not limited."
        )

    def narrow(self, access: Access, pairs: Pairs) -> Pairs:
        asked = [_chained(name, value) for name, value in pairs]
        if not access.by_patient:
            return asked
        named = {name.partition(":")[0] for name, value in asked if value}
        if not named & EXPLICIT:
            asked.append(("status", "free"))
        if "bookable" in named:
            return asked
        if _only_free(asked):
            asked.append(("bookable", "true"))
            may_see_patients = access.principal.level("Patient", "s") is not None
            if access.patient_ids and may_see_patients and "bookable-by" not in named:
                asked.append((PATIENT, ",".join(sorted(access.patient_ids))))
        elif (
            "status" in named and ("_filter", BOOKABLE_IF_FREE) not in asked
        ):  # a page's links have it already
            asked.append(("_filter", BOOKABLE_IF_FREE))
        return asked

    async def table(
        self, connection: Connection, access: Access, request: FhirRequest, wanted: SearchRequest
    ) -> SearchTable | None:
        """Returns the Slot table for this caller: the rehearsal's for the rehearsal, the plain one (None) for staff.

        For a patient, `bookable` is judged for those for whom they act (or those of them who are named), and their own holds
        count as free. A filter by status alone, in a chain for instance, uses the status that they are shown.
        """
        if access.organizations == frozenset({ORGANIZATION}):
            return SlotTable(rehearsal=True)
        if not access.by_patient:
            return None
        asked = {clause.parameter.name for name, clause in asked_of(wanted) if name == "Slot"}
        # The public may book what anybody may: the plain table answers `bookable` for them.
        if not (access.patient_ids if "bookable" in asked else "status" in asked):
            return None
        named = {
            part.strip().rpartition("/")[2]
            for name, value in request.query
            if name.partition(":")[0] == "bookable-by"
            for part in value.split(",")
        }
        consumer = await consumer_with(
            connection, access, request.now, per_agenda_max=self.per_agenda_max, patients=named
        )
        return SlotTable(consumer=consumer, as_shown="bookable" not in asked)

    def leaves_nothing_to_complete(self, wanted: SearchRequest) -> bool:
        """Whether the search finds only bookable slots: these are shown as they are stored."""
        return any(
            clause.parameter.name == "bookable"
            and clause.modifier is None
            and {value.code for value in clause.values if isinstance(value, TokenValue)} <= COULD_BE_BOOKED
            for clause in clauses_of(wanted.conditions)
        )

    def check(self, access: Access, wanted: SearchRequest) -> None:
        if not access.by_patient:
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
    """Returns `bookable-by=Patient/1` as the chain that it is short for, so that it works only for patients whom the caller
    may see."""
    if name == "bookable-by:identifier":
        return "bookable-by:Patient.identifier", value
    if name not in ("bookable-by", "bookable-by:Patient"):
        return name, value
    return PATIENT, ",".join(part.strip().removeprefix("Patient/") for part in value.split(","))


def _only_free(pairs: Pairs) -> bool:
    """Whether the search is for free slots only."""
    statuses = [value.strip().rpartition("|")[2] for name, value in pairs if name == "status" and value]
    return bool(statuses) and set(statuses) == {"free"}


def _window(wanted: SearchRequest) -> tuple[datetime | None, datetime | None]:
    """Returns the bounds that `start` and `end` set; None for a bound that they do not set."""
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
