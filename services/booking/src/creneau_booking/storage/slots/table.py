"""Searches of Slot: over its narrow rows and their kinds (the `SearchTable` of `storage.tables.slot`).

What repeats over an agenda is looked up among the kinds, a few thousand times fewer than slots; what remains is
a range of one agenda's slots, or of one status, by index.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from datetime import datetime, timedelta

from creneau_booking.domain.refusals.offering import BookableUnclear, SlotsNotSearchedBy
from creneau_booking.storage.agendas.by_actor import agendas_alone_in, agendas_at
from creneau_booking.storage.availability import agenda_walk
from creneau_booking.storage.availability.asked import Tables
from creneau_booking.storage.availability.rule import (
    COULD_BE_BOOKED,
    JUDGED,
    agenda_of,
    is_free,
    is_open,
    takes_age,
)
from creneau_booking.storage.finding.candidates import Consumer
from creneau_booking.storage.finding.computed import AT_PLACE, FOUND_BY, RECEIVED_IN
from creneau_booking.storage.finding.local_times import LocalTimes
from creneau_booking.storage.mapping import visibility
from creneau_booking.storage.mapping.slot import KEY_SQL, content_sql, slot_key
from creneau_booking.storage.tables import SLOT_STATUSES
from creneau_booking.storage.unshown import real_slot
from creneau_shared.clock import PARIS, Clock, SystemClock
from creneau_shared.database.conditions import all_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.generic import clause_terms, instants_condition, literal, words_condition
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import (
    Clause,
    Condition,
    DateValue,
    MissingValue,
    NearValue,
    ReferenceValue,
    SearchRequest,
    SortKey,
    TokenValue,
    UriValue,
)
from creneau_shared.fhir.search.sql import (
    Arguments,
    Catalog,
    Columns,
    SearchScope,
    Selection,
    SortValue,
    Walk,
)
from creneau_shared.fhir.search.steps import Steps

STATUS_SYSTEM = "http://hl7.org/fhir/slotstatus"
_INSTANTS = {"start": "start", "end": '"end"', "_lastUpdated": "last_updated"}
_FOUND_BY = "{kind}.key IN (SELECT known.kind_key FROM found_by AS known WHERE known.terms && {terms})"
_ALWAYS = frozenset({"start", "end", "status", "schedule", "bookable", "_id", "_lastUpdated"})


class SlotTable:
    """`SearchTable` of Slot. Each alias `a` stands for the row, `a_kind` for its kind, `a_agenda` for its agenda.

    `consumer`: the person for whom `bookable` is judged; without one it is judged for anybody. `besides`: an appointment
    (id) to be moved, whose slots and people count as free. `rehearsal`: shows the slots of the rehearsal's agenda. `times`:
    slots count as free on these days and at these hours only. `as_shown`: a status in the query is the one that the consumer
    is shown; otherwise `free` is what is free to anybody.
    """

    resource_type = "Slot"
    key_type = "uuid"

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        consumer: Consumer | None = None,
        besides: str | None = None,
        rehearsal: bool = False,
        times: LocalTimes | None = None,
        as_shown: bool = False,
    ) -> None:
        self._clock = clock or SystemClock()
        self._consumer = consumer
        self._besides = besides
        self._rehearsal = rehearsal
        self._times = times
        self._as_shown = as_shown
        self._told: str | None = None

    def telling(self, told: str) -> SlotTable:
        """Returns a copy whose rows have `told` for their content, and no version: SQL (bytea) of the slot `{row}` and its
        kind `{row}_kind`."""
        other = copy(self)
        other._told = told
        return other

    @property
    def _now(self) -> datetime:
        return self._clock.now() if self._consumer is None else self._consumer.now

    @property
    def default_sort(self) -> tuple[SortKey, ...]:
        """By start, as whoever looks for an appointment expects."""
        return (SortKey(parameters_of("Slot")["start"]),)

    def source(self, alias: str) -> str:
        kind = f"JOIN slot_kind AS {alias}_kind ON {alias}_kind.key = {alias}.kind_key"
        return f"slot AS {alias} {kind} {agenda_of(alias)}"

    def columns(self, alias: str) -> Columns:
        key, id_ = f"{alias}.id", f"coalesce({alias}.name, {alias}.id::text)"
        if self._told is not None:
            return Columns(key, id_, "NULL", "NULL", self._told.format(row=alias))
        return Columns(
            key=key,
            id=id_,
            version=f"{alias}.version",
            last_updated=f"{alias}.last_updated",
            content=content_sql(alias, f"{alias}_kind", self._shown_status(alias)),
        )

    def live(self, alias: str) -> str:
        return "true" if self._rehearsal else real_slot(alias)

    def has_one_plan(self, conditions: Sequence[Condition]) -> bool:
        """Slots that are named are found by the index on their ids in each month, whichever they are. With the ids in sight,
        PostgreSQL would plan over all months at each call."""
        return any(
            isinstance(condition, Clause)
            and condition.parameter.index_name == "_id"
            and condition.modifier is None
            for condition in conditions
        )

    async def steps(
        self, connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest
    ) -> Steps | None:
        """Free slots in the order of time are found agenda by agenda."""
        joined = _KindJoined(
            self._clock,
            consumer=self._consumer,
            besides=self._besides,
            rehearsal=self._rehearsal,
            times=self._times,
            as_shown=self._as_shown,
        )
        joined._told = self._told
        tables = Tables(_KindTable(self._clock, rehearsal=self._rehearsal), joined)
        return await agenda_walk.steps_of(connection, catalog, scope, request, tables)

    def predicate(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        name = clause.parameter.index_name
        if clause.parameter.full_text:
            return self._words(clause, alias, arguments)
        if clause.modifier == "missing":
            return self._missing(clause, alias, arguments)
        if name in _INSTANTS:
            return _instants(clause, alias, arguments)
        if name == "_id":
            return self._id(clause, alias, arguments)
        if name == "status":
            return self._status(clause, alias, arguments)
        if name == "schedule":
            return self._schedule(clause, alias, arguments)
        if name == "bookable":
            return self._bookable(clause, alias, arguments)
        if clause.parameter is FOUND_BY:
            found_by = arguments.add([value.uri for value in clause.values_as(UriValue)], "text[]")
            return self._of_kinds(lambda kind: _FOUND_BY.format(kind=kind, terms=found_by), alias)
        if name == "bookable-by" or clause.modifier == "below":
            raise SlotsNotSearchedBy(clause.parameter.name, clause.modifier)
        terms = arguments.add(clause_terms(clause), "text[]")
        found = self._bearing(name, terms, alias)
        return f"NOT ({found})" if clause.modifier == "not" else found

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        if parameter.name == "schedule" and selection.table.resource_type == "Schedule":
            # A key of the generic table, so that the agenda's index on (schedule, start) is used.
            return f"{alias}.schedule_key IN ({selection.select(f'{selection.alias}.key')})"
        if parameter.name == "bookable-by":
            return _takes_one_of(selection, alias)
        if parameter in (AT_PLACE, RECEIVED_IN):
            ids = selection.select(selection.table.columns(selection.alias).id)
            agendas = agendas_at(ids) if parameter is AT_PLACE else agendas_alone_in(ids)
            return f"{alias}.schedule_key IN ({agendas})"
        start = literal(f"{parameter.index_name}={selection.table.resource_type}/")
        target = f"{start} || {selection.table.columns(selection.alias).id}"
        return self._of_kinds(lambda kind: f"{kind}.terms && ARRAY({selection.select(target)})", alias)

    def referred_ids(self, parameter: SearchParameter, target_type: str, selection: Selection) -> str:
        alias = selection.alias
        if parameter.name == "schedule" and target_type == "Schedule":
            return selection.select(
                "owner.id", f"(SELECT s.id FROM schedule s WHERE s.key = {alias}.schedule_key) owner"
            )
        start = f"{parameter.index_name}={target_type}/"
        selected = selection.select(f"substr(t, {len(start) + 1})", f"unnest({alias}_kind.terms) AS t")
        return f"{selected} AND starts_with(t, {literal(start)})"

    def has_id(self, ids: str, alias: str) -> str:
        keys = f"SELECT {KEY_SQL.format(id='named.id')} FROM ({ids}) AS named (id)"
        return f"{alias}.id = ANY(ARRAY({keys}))"

    def bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        return visibility.bears(terms, f"{alias}_kind", arguments)

    def references(self, parameters: Iterable[SearchParameter], alias: str) -> str:
        parts = []
        for parameter in parameters:
            if parameter.name == "schedule":
                parts.append(
                    f"ARRAY(SELECT 'schedule=Schedule/' || s.id FROM schedule s WHERE s.key = {alias}.schedule_key)"
                )
            else:
                start = literal(f"{parameter.index_name}=")
                parts.append(
                    f"ARRAY(SELECT t FROM unnest({alias}_kind.terms) AS t WHERE starts_with(t, {start}))"
                )
        return " || ".join(parts) or "'{}'::text[]"

    def sort_value(self, key: SortKey, alias: str, arguments: Arguments) -> SortValue:
        name = key.parameter.name
        if name in _INSTANTS:
            return SortValue(
                f"{alias}.{_INSTANTS[name]}", "timestamptz", nullable=False, descending=key.descending
            )
        if name == "_id":
            return SortValue(self.columns(alias).id, "text", nullable=False, descending=key.descending)
        if name == "status":
            return SortValue(
                f"({self._shown_status(alias)})::text", "text", nullable=False, descending=key.descending
            )
        start = f"{key.parameter.index_name}="
        first = "max" if key.descending else "min"
        expression = (
            f'(SELECT {first}(substr(t, {len(start) + 1}) COLLATE "C") FROM unnest({alias}_kind.terms ||'
            f" coalesce({alias}.terms, '{{}}')) AS t WHERE starts_with(t, {literal(start)}) AND strpos(t, '|') = 0)"
        )
        return SortValue(expression, "text", descending=key.descending)

    def walk(
        self, key: SortKey, conditions: Sequence[Condition], alias: str, arguments: Arguments
    ) -> Walk | None:
        return None

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        raise TypeError("a Slot has no position")

    # -- predicates ------------------------------------------------------------------------------------------

    def _missing(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        wanted = {value.missing for value in clause.values_as(MissingValue)}
        if len(wanted) == 2:
            return "true"
        name = clause.parameter.index_name
        present = "true" if name in _ALWAYS else self._bearing(name, arguments.add([name], "text[]"), alias)
        return f"NOT ({present})" if True in wanted else present

    def _bearing(self, name: str, terms: str, alias: str) -> str:
        """Condition: the slot bears one of the terms, its own (identifier) or its kind's."""
        if name == "identifier":
            return f"({alias}.terms IS NOT NULL AND {alias}.terms && {terms})"
        return self._of_kinds(lambda kind: f"{kind}.terms && {terms}", alias)

    def _words(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        """Condition: the slot's words, its own or else its kind's, are those that are looked for.

        Arrays, not joins, so that both ways are index conditions and the planner can take their union.
        """
        own = words_condition(clause, f"{alias}.words", arguments)
        kinds = f"SELECT {{}} FROM slot_kind k WHERE {words_condition(clause, 'k.words', arguments)}"
        return (
            f"({own} OR ({alias}.words IS NULL AND {alias}.kind_key IN ({kinds.format('k.key')})"
            f" AND {alias}.schedule_key = ANY(ARRAY({kinds.format('k.schedule_key')}))))"
        )

    def _id(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        ids = [v.code or "" for v in clause.values if isinstance(v, TokenValue) and v.system is None]
        found = f"{alias}.id = ANY({arguments.add([slot_key(id_) for id_ in ids], 'uuid[]')})"
        return f"NOT {found}" if clause.modifier == "not" else found

    def _status(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        if clause.modifier not in (None, "not"):
            raise SlotsNotSearchedBy(clause.parameter.name, clause.modifier)
        values = [v for v in clause.values if isinstance(v, TokenValue) and v.system in (None, STATUS_SYSTEM)]
        codes = [v.code for v in values if v.code in SLOT_STATUSES]
        if any(v.code is None or v.code == "" for v in values if v.system == STATUS_SYSTEM):
            codes = list(SLOT_STATUSES)
        status = self._shown_status(alias)
        if self._as_shown:
            found = self._shown_as(codes, alias, arguments)
            return f"NOT ({found})" if clause.modifier == "not" else found
        if clause.modifier == "not":
            return f"NOT {status} = ANY({arguments.add(codes, 'slot_status[]')})"
        others = [code for code in codes if code != "free"]
        ways = [self._free(alias, arguments)] if "free" in codes else []
        if others or not ways:
            ways.append(f"{status} = ANY({arguments.add(others, 'slot_status[]')})")
        return f"({' OR '.join(ways)})" if len(ways) > 1 else ways[0]

    def _shown_as(self, codes: Collection[str], alias: str, arguments: Arguments) -> str:
        """Condition: the consumer is shown the slot with one of these statuses."""
        shown, could = self._shown_status(alias), self._could(alias, arguments)
        ways = [f"{shown} = ANY({arguments.add([c for c in codes if c != 'free'], 'slot_status[]')})"]
        if "free" in codes:
            ways.append(could)
        if "busy-unavailable" in codes:
            ways.append(f"({shown} = 'free' AND NOT {could})")
        return f"({' OR '.join(ways)})"

    def _free(self, alias: str, arguments: Arguments) -> str:
        """Condition: the slot is free, as the one truth has it (`storage.availability`)."""
        ways, besides = [f"{alias}.status = 'free'"], []
        if self._besides is not None:
            besides = [arguments.add(self._besides, "text")]
            as_if = JUDGED.format(slot=alias, besides=besides[0])
            ways.append(f"({alias}.taken_by IS NULL OR {alias}.taken_by = {besides[0]}) AND {as_if} = 'free'")
        if own := self._own(alias):
            nobodys = f"ALL(ARRAY[{', '.join([f'{alias}.taken_by', *besides])}])"
            ways.append(f"{own} AND {JUDGED.format(slot=alias, besides=nobodys)} = 'free'")
        now = arguments.add(self._now, "timestamptz")
        free = is_free(alias, now, " OR ".join(f"({way})" for way in ways) if len(ways) > 1 else None)
        return free if self._times is None else f"({free} AND {self._times.condition(alias, arguments)})"

    def _own(self, alias: str) -> str | None:
        """Condition: the consumer's own account holds the slot; None: it holds nothing."""
        own = self._consumer.holders if self._consumer is not None else ()
        return f"{alias}.taken_by IN ({', '.join(map(literal, own))})" if own else None

    def _shown_status(self, alias: str) -> str:
        """SQL: the status of the slot, as the consumer sees it: a slot that they hold themselves is free."""
        own = self._own(alias)
        return f"CASE WHEN {own} THEN 'free' ELSE {alias}.status END" if own else f"{alias}.status"

    def _bookable(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        wanted = {value.code for value in clause.values if isinstance(value, TokenValue)}
        if clause.modifier not in (None, "not"):
            raise SlotsNotSearchedBy(clause.parameter.name, clause.modifier)
        if not wanted <= {*COULD_BE_BOOKED, "false"}:
            raise BookableUnclear()
        if wanted >= {"true", "false"}:
            return "false" if clause.modifier == "not" else "true"
        ways = [
            f"{'NOT ' if code == 'false' else ''}{self._could(alias, arguments, whole=code == 'whole')}"
            for code in sorted({*COULD_BE_BOOKED, "false"} & wanted)
        ]
        found = " OR ".join(ways)
        return f"({found})" if clause.modifier is None else f"NOT ({found})"

    def _could(self, alias: str, arguments: Arguments, *, whole: bool = False) -> str:
        """Condition: the slot could be booked by the consumer, or, without one, by somebody; if `whole`, from its start to its
        end."""
        if self._consumer is None:
            opened = is_open(alias, arguments.add(self._clock.now(), "timestamptz"), whole=whole)
        else:
            opened = self._consumer.condition(alias, arguments, whole=whole)
        return f"({self._free(alias, arguments)} AND {opened})"

    def _schedule(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        if clause.modifier == "identifier":
            return self._bearing("schedule", arguments.add(clause_terms(clause), "text[]"), alias)
        ids = [
            reference.removeprefix("Schedule/")
            for value in clause.values
            if isinstance(value, ReferenceValue)
            for reference in value.references
            if reference.startswith("Schedule/")
        ]
        wanted = f"SELECT s.key FROM schedule s WHERE s.id = ANY({arguments.add(ids, 'text[]')})"
        if len(ids) == 1:
            # One agenda: a scalar, so that its index gives the slots in their order.
            return f"{alias}.schedule_key = ({wanted})"
        return f"{alias}.schedule_key IN ({wanted})"

    def _of_kinds(self, condition: Callable[[str], str], alias: str) -> str:
        """Condition: the slot is of a kind that fulfils `condition` (of an alias of slot_kind). Uses the agenda's index, as
        slots have no index of kinds."""
        kinds = f"SELECT k.schedule_key, k.key FROM slot_kind k WHERE {condition('k')}"
        return f"({alias}.schedule_key, {alias}.kind_key) IN ({kinds})"


class _KindJoined(SlotTable):
    """Slot for searches that judge few slots, each by its joined kind."""

    def _of_kinds(self, condition: Callable[[str], str], alias: str) -> str:
        return condition(f"{alias}_kind")


class _KindTable(_KindJoined):
    """The kinds, for conditions of Slot that an agenda and a kind answer: an alias `a` stands for their two keys."""

    def source(self, alias: str) -> str:
        keys = f"SELECT {alias}_kind.schedule_key AS schedule_key, {alias}_kind.key AS kind_key"
        return f"slot_kind AS {alias}_kind CROSS JOIN LATERAL ({keys}) AS {alias}"

    def columns(self, alias: str) -> Columns:
        nothing = "NULL"
        return Columns(f"{alias}.kind_key", nothing, nothing, nothing, nothing)


_ENDS_BY = {"eq": "high", "le": "high", "lt": "low", "eb": "low"}
"""Prefix of `end` → the bound of its value after which no matching slot begins."""


def to_come(now: datetime) -> Clause:
    """Returns the condition that a slot has not begun at `now`."""
    moment = DateValue("ge", now, now + timedelta(microseconds=1))
    return Clause(parameters_of("Slot")["start"], None, ((moment,),))


def _instants(clause: Clause, alias: str, arguments: Arguments) -> str:
    """Condition on an instant. A condition on `end` also bounds `start`, because the months are by start."""
    name = clause.parameter.index_name
    conditions = [instants_condition(clause, f"{alias}.{_INSTANTS[name]}", arguments)]
    if name == "end":
        for group in clause.groups:
            value = group[0]
            if len(group) == 1 and isinstance(value, DateValue) and value.prefix in _ENDS_BY:
                bound = getattr(value, _ENDS_BY[value.prefix])
                conditions.append(f"{alias}.start < {arguments.add(bound, 'timestamptz')}")
    return all_of(conditions)


def _takes_one_of(patients: Selection, alias: str) -> str:
    """Condition: the slot's agenda takes people of the age of one of the patients."""
    birth = (
        f"FROM patient_date AS birth WHERE birth.key = {patients.alias}.key AND birth.parameter = 'birthdate'"
    )
    zone = literal(str(PARIS))
    first = f"(SELECT (low AT TIME ZONE {zone})::date {birth}) AS first"
    last = f"(SELECT (high AT TIME ZONE {zone})::date - 1 {birth}) AS last"
    people = patients.select(f"{first}, {last}")
    takes = takes_age(alias, "person.first", "person.last")
    return (
        f"({alias}_agenda.age_from_months IS NULL OR EXISTS (SELECT FROM ({people}) AS person WHERE {takes}))"
    )
