"""`$find` over several agendas: each proposal has one slot of each agenda; series of such proposals too.

The actors that a call names of one kind are one requirement: one of them has to take part. With `all-required` each actor is
a requirement. All requirements are met at one time. A proposal is not stored: its id says its agendas and its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from creneau_booking.domain.joint import (
    FreeTime,
    Requirement,
    Series,
    Together,
    by_patient,
    by_practice,
    in_series,
    together,
    without,
)
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.operations.finding.find_query import (
    KINDS_OF_AGENDA,
    SERVICE,
    named_in,
    require_few_together,
    times,
    too_many_agendas,
)
from creneau_booking.operations.finding.named_agendas import meant_by
from creneau_booking.storage.agendas.by_actor import agendas_of_actors, ranked_agendas
from creneau_booking.storage.agendas.joint import cutting_of, keys_of_agendas, zones_of
from creneau_booking.storage.agendas.slots_of_agendas import actors_of_schedules
from creneau_booking.storage.slots.free_times import free_times
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import WHOLE_NUMBER_MAX
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.operation import OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.search.request import Condition
from creneau_shared.fhir.search.sql import Catalog, SearchScope
from creneau_shared.fhir.storage.store import Resource

JOINT_PREFIX = "joint."
AGENDAS_MAX = 200
"""Agendas of one requirement"""
READ_AT_ONCE = 1_000
"""Slots that one page of the search reads"""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Common:
    """Result of a search for common times: series of visits (mostly of one), with what their slots say (by id) and actors.
    `cut`: there were more free slots than one search reads."""

    found: Sequence[tuple[Together, ...]]
    said: Mapping[str, Resource]
    actors: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, int]
    cut: bool


class TogetherSearch:
    """One search, in the tables and the scope of the caller."""

    def __init__(
        self,
        call: OperationCall,
        connection: Connection,
        catalog: Catalog,
        scope: SearchScope,
        given: OperationInput,
        *,
        conditions: tuple[Condition, ...],
        all_required: bool,
        bookable: bool,
        gathered_max: int,
    ) -> None:
        """`conditions`: further conditions on the slots of the first requirement.
        `all_required`: every named actor has to take part, not one of each kind."""
        self._call = call
        self._conditions = conditions
        self._connection = connection
        self._catalog = catalog
        self._scope = scope
        self._given = given
        self._all_required = all_required
        self._bookable = bookable
        self._gathered_max = gathered_max
        self._said: dict[str, Resource] = {}
        self._actors: dict[str, tuple[str, ...]] = {}
        self._cut = False

    async def run(
        self,
        start: datetime,
        end: datetime,
        series: Series | None,
        elsewhere: Sequence[tuple[datetime, datetime]],
    ) -> Common:
        """Returns the times within `[start, end)` that are free for all requirements. Later visits of a series may lie
        beyond `end`."""
        until = end + (series.span if series else timedelta(0))
        requirements = await self._requirements(start, until)
        whose = {free.agenda for requirement in requirements for free in requirement.free}
        cutting = await cutting_of(self._connection, sorted(whose))
        may_cut = by_patient(cutting) if self._bookable else by_practice(cutting)
        found = without(together(requirements, may_cut), elsewhere)
        if series is None:
            visits: list[tuple[Together, ...]] = [(one,) for one in found]
        else:
            zones = await zones_of(self._connection, sorted({a for one in found for a in one.agendas}))
            visits = in_series(found, series, zones, end)
        agendas = sorted({agenda for series_ in visits for one in series_ for agenda in one.agendas})
        return Common(
            visits,
            self._said,
            await self._actors_of(agendas),
            await keys_of_agendas(self._connection, agendas),
            self._cut,
        )

    async def _required(self) -> list[tuple[str, Mapping[str, int] | None]]:
        """Returns each requirement's kind and its agendas: id → rank of the agenda's actor in the order in which the call
        names them. None: any agenda will do. Equal requirements are one. Raises Unprocessable if there are more than one
        proposal can meet, before anything is searched."""
        wanted: dict[tuple[str, tuple[tuple[str, ...], ...]], None] = {}
        for kind, references in await self._by_kind():
            named = tuple(tuple(some) for some in references)
            wanted |= (
                dict.fromkeys((kind, (one,)) for one in named)
                if self._all_required
                else {(kind, named): None}
            )
        require_few_together(len(wanted))
        return [(kind, await self._ranked(named)) for kind, named in wanted] or [("", None)]

    async def _by_kind(self) -> list[tuple[str, list[list[str]]]]:
        """Returns each kind with the named references, in order. Agendas of one value are grouped by their actor's kind."""
        named = [one for one in named_in(self._given) if one.kind != SERVICE]
        found: list[tuple[str, list[list[str]]]] = []
        for one, references in await meant_by(self._connection, named):
            if one.kind == "Schedule" and len(references) > 1 and not self._all_required:
                found += await self._schedules_by_kind(references)
            else:
                found.append((one.kind, references))
        return found

    async def _schedules_by_kind(self, agendas: Sequence[list[str]]) -> list[tuple[str, list[list[str]]]]:
        ids = [reference.removeprefix("Schedule/") for some in agendas for reference in some]
        actors = await self._actors_of(ids)
        groups: dict[str, list[list[str]]] = {}
        for some in agendas:
            kind = _kind(
                [a for reference in some for a in actors.get(reference.removeprefix("Schedule/"), ())]
            )
            groups.setdefault(kind, []).append(some)
        return [("Schedule", some) for some in groups.values()]

    async def _ranked(self, references: Sequence[Sequence[str]]) -> Mapping[str, int]:
        """Counted before they are ranked: a call may name many, who have many agendas."""
        named = dict.fromkeys(reference for some in references for reference in some)
        agendas = await agendas_of_actors(self._connection, [*named])
        if len(agendas) > AGENDAS_MAX:
            raise too_many_agendas(
                f"Plus de {AGENDAS_MAX} agendas conviennent ; précisez avec qui ou où.",
                f"More than {AGENDAS_MAX} agendas fit; say more closely with whom or where.",
            )
        if len(references) == 1:
            return dict.fromkeys(agendas, 0)
        return await ranked_agendas(self._connection, references)

    async def _requirements(self, start: datetime, until: datetime) -> list[Requirement]:
        required = await self._required()
        await self._actors_of([agenda for _, agendas in required for agenda in agendas or ()])
        found = []
        for number, (kind, agendas) in enumerate(required):
            own = await self._own(kind, agendas or ())
            # The other agendas (a room's) need not state what the visit is for.
            free = await self._free(agendas, start, until, self._conditions if number == 0 else ())
            found.append(Requirement(free, agendas, own))
        return found

    async def _own(self, kind: str, agendas: Iterable[str]) -> frozenset[str]:
        """Returns those of the agendas (ids) that are of the kind of actor that is required."""
        if kind == "Schedule":
            return frozenset(agendas)
        actors = await self._actors_of(agendas)
        of_people = "Practitioner" if kind == "PractitionerRole" else kind
        return frozenset(agenda for agenda in agendas if _kind(actors.get(agenda, ())) == of_people)

    async def _actors_of(self, agendas: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Returns the actors of at least these agendas (ids); each agenda is asked for once."""
        if missing := [agenda for agenda in agendas if agenda not in self._actors]:
            self._actors |= dict.fromkeys(missing, ())
            self._actors |= await actors_of_schedules(self._connection, missing)
        return self._actors

    async def _free(
        self,
        agendas: Mapping[str, int] | None,
        start: datetime,
        until: datetime,
        conditions: tuple[Condition, ...],
    ) -> list[FreeTime]:
        """Returns the free slots of these agendas (None: of any) in order of time. Stops reading at `gathered_max`, and notes
        the cut."""
        if agendas is not None and not agendas:
            return []
        pairs = times(start, until)
        if agendas is not None:
            pairs.append(("schedule", ",".join(sorted(agendas))))
        if self._bookable:
            pairs.append(("bookable", "true"))
        service, request = self._call.service, self._call.request
        wanted = searching.parse(service, request, "Slot", pairs, strict=True)
        wanted = replace(wanted, conditions=(*wanted.conditions, *conditions), count=READ_AT_ONCE)
        times_ = await free_times(
            self._connection, self._catalog, self._scope, wanted, most=self._gathered_max
        )
        self._cut = self._cut or times_.cut
        self._said |= times_.said
        return times_.free


def _kind(actors: Sequence[str]) -> str:
    """Returns the kind of actor that an agenda counts as: the first of KINDS_OF_AGENDA that it names. A role counts as
    Practitioner."""
    kinds = {actor.partition("/")[0] for actor in actors}
    kind = next((kind for kind in KINDS_OF_AGENDA if kind in kinds), "")
    return "Practitioner" if kind == "PractitionerRole" else kind


# -- proposals ---------------------------------------------------------------------------------------------------


def proposal_of(one: Together, common: Common, patients: Sequence[Resource]) -> Resource:
    """Returns the proposed Appointment; it may be held or booked by its id or as a resource."""
    actors = list(dict.fromkeys(a for agenda in one.agendas for a in common.actors.get(agenda, ())))
    first = common.said[one.slots[0]]
    start, end = _instant(one.start), _instant(one.end)
    participants = [{"reference": actor} for actor in actors] + list(patients)
    return {
        "resourceType": "Appointment",
        "id": joint_id(one, common.keys),
        "status": "proposed",
        **{name: first[name] for name in SAID_BY_SLOT if name in first},
        "start": start,
        "end": end,
        "slot": [{"reference": f"Slot/{slot}"} for slot in one.slots],
        "participant": [
            {"actor": actor, "required": "required", "status": "needs-action"} for actor in participants
        ],
        "requestedPeriod": [{"start": start, "end": end}],
    }


def joint_id(one: Together, keys: Mapping[str, int]) -> str:
    """Returns the proposal's id: its start and length (both in minutes) and the keys of its agendas, in base 36."""
    minutes = int(one.start.timestamp()) // 60
    length = int((one.end - one.start).total_seconds()) // 60
    return JOINT_PREFIX + ".".join(_base36(n) for n in (minutes, length, *(keys[a] for a in one.agendas)))


def read_joint_id(id_: str) -> tuple[datetime, datetime, list[int]] | None:
    """Returns start, end and agendas (keys) of a joint proposal; None for another id."""
    try:
        minutes, length, *keys = (int(part, 36) for part in id_.removeprefix(JOINT_PREFIX).split("."))
        start = datetime.fromtimestamp(minutes * 60, UTC)
        end = start + timedelta(minutes=length)
    except (ValueError, OverflowError, OSError):
        return None
    plausible = keys and start < end and all(0 < key <= WHOLE_NUMBER_MAX for key in keys)
    return (start, end, keys) if plausible else None


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment."


def with_series(proposals: Sequence[Resource], series: Series, zone: ZoneInfo) -> list[Resource]:
    """Returns the visits of one series, each with its number; the first has the recurrenceTemplate (R5's elements)."""
    first = {"reference": f"Appointment/{proposals[0]['id']}"}
    weeks = [{"url": "weekInterval", "valuePositiveInt": series.weeks}]
    template = {
        "url": f"{R5}recurrenceTemplate",
        "extension": [
            _coded("timezone", "https://www.iana.org/time-zones", str(zone)),
            _coded("recurrenceType", "http://unitsofmeasure.org", "wk"),
            {"url": "occurrenceCount", "valuePositiveInt": series.count},
            {"url": "weeklyTemplate", "extension": weeks},
        ],
    }
    told = []
    for number, proposal in enumerate(proposals, 1):
        said: list[Resource] = [{"url": f"{R5}recurrenceId", "valuePositiveInt": number}]
        said.append(
            template if number == 1 else {"url": f"{R5}originatingAppointment", "valueReference": first}
        )
        told.append({**proposal, "extension": said})
    return told


def _coded(url: str, system: str, code: str) -> Resource:
    return {"url": url, "valueCodeableConcept": {"coding": [{"system": system, "code": code}]}}
