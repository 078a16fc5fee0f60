"""How Slot is searched: over its narrow rows and their kinds (the `SearchTable` of `storage.tables.slot`).

What repeats over an agenda is looked up among the kinds, a few thousand times fewer than slots; what remains is
a range of one agenda's slots, or of one status, by index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from creneau_booking.storage.slot_rows import content_sql, slot_key
from creneau_booking.storage.tables import SLOT_STATUSES
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.generic import clause_terms, instant_condition, literal
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import (
    Clause,
    DateValue,
    MissingValue,
    NearValue,
    ReferenceValue,
    SortKey,
    TokenValue,
)
from creneau_shared.fhir.search.sql import Arguments, Columns, Selection, SortValue

STATUS_SYSTEM = "http://hl7.org/fhir/slotstatus"
_INSTANTS = {"start": "start", "end": '"end"', "_lastUpdated": "last_updated"}
_ALWAYS = frozenset({"start", "end", "status", "schedule", "_id", "_lastUpdated"})


class SlotTable:
    """`SearchTable` of Slot. Each alias `a` stands for the row, `a_kind` for its kind."""

    resource_type = "Slot"
    key_type = "uuid"

    @property
    def default_sort(self) -> tuple[SortKey, ...]:
        """By start, as whoever looks for an appointment expects."""
        return (SortKey(parameters_of("Slot")["start"]),)

    def source(self, alias: str) -> str:
        return f"slot AS {alias} JOIN slot_kind AS {alias}_kind ON {alias}_kind.key = {alias}.kind_key"

    def columns(self, alias: str) -> Columns:
        return Columns(
            key=f"{alias}.id",
            id=f"coalesce({alias}.name, {alias}.id::text)",
            version=f"{alias}.version",
            last_updated=f"{alias}.last_updated",
            content=content_sql(alias, f"{alias}_kind"),
        )

    def live(self, alias: str) -> str:
        return "true"

    def predicate(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        name = clause.parameter.index_name
        if clause.modifier == "missing":
            return self._missing(clause, alias, arguments)
        if name in _INSTANTS:
            return _instant(clause, f"{alias}.{_INSTANTS[name]}", arguments)
        if name == "_id":
            return self._id(clause, alias, arguments)
        if name == "status":
            return self._status(clause, alias, arguments)
        if name == "schedule":
            return self._schedule(clause, alias, arguments)
        if clause.modifier in ("text", "below"):
            raise _unsupported(clause)
        terms = arguments.add(clause_terms(clause), "text[]")
        found = self._bearing(name, terms, alias)
        return f"NOT ({found})" if clause.modifier == "not" else found

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        if parameter.name == "schedule" and selection.table.resource_type == "Schedule":
            # A key of the generic table, so that the agenda's index on (schedule, start) is used.
            return f"{alias}.schedule_key IN ({selection.select(f'{selection.alias}.key')})"
        start = literal(f"{parameter.index_name}={selection.table.resource_type}/")
        target = f"{start} || {selection.table.columns(selection.alias).id}"
        return f"{alias}.kind_key IN (SELECT k.key FROM slot_kind k WHERE k.terms && ARRAY({selection.select(target)}))"

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
        return f"coalesce({alias}.name, {alias}.id::text) IN ({ids})"

    def bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        if not terms:
            return "false"
        return f"{alias}_kind.terms && {arguments.add(list(terms), 'text[]')}"

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
            return SortValue(f"{alias}.status::text", "text", nullable=False, descending=key.descending)
        start = f"{key.parameter.index_name}="
        first = "max" if key.descending else "min"
        expression = (
            f'(SELECT {first}(substr(t, {len(start) + 1}) COLLATE "C") FROM unnest({alias}_kind.terms ||'
            f" coalesce({alias}.terms, '{{}}')) AS t WHERE starts_with(t, {literal(start)}) AND strpos(t, '|') = 0)"
        )
        return SortValue(expression, "text", descending=key.descending)

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        raise TypeError("a Slot has no position")

    # -- predicates ------------------------------------------------------------------------------------------

    def _missing(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        wanted = {cast(MissingValue, value).missing for value in clause.values}
        if len(wanted) == 2:
            return "true"
        name = clause.parameter.index_name
        present = "true" if name in _ALWAYS else self._bearing(name, arguments.add([name], "text[]"), alias)
        return f"NOT ({present})" if True in wanted else present

    def _bearing(self, name: str, terms: str, alias: str) -> str:
        """Condition: the slot bears one of the terms, its own (identifier) or its kind's."""
        if name == "identifier":
            return f"({alias}.terms IS NOT NULL AND {alias}.terms && {terms})"
        return f"{alias}.kind_key IN (SELECT k.key FROM slot_kind k WHERE k.terms && {terms})"

    def _id(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        ids = [v.code or "" for v in clause.values if isinstance(v, TokenValue) and v.system is None]
        found = f"{alias}.id = ANY({arguments.add([slot_key(id_) for id_ in ids], 'uuid[]')})"
        return f"NOT {found}" if clause.modifier == "not" else found

    def _status(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        if clause.modifier not in (None, "not"):
            raise _unsupported(clause)
        values = [v for v in clause.values if isinstance(v, TokenValue) and v.system in (None, STATUS_SYSTEM)]
        codes = [v.code for v in values if v.code in SLOT_STATUSES]
        if any(v.code is None or v.code == "" for v in values if v.system == STATUS_SYSTEM):
            codes = list(SLOT_STATUSES)
        if codes == ["free"]:
            found = f"{alias}.status = 'free'"
        else:
            found = f"{alias}.status = ANY({arguments.add(codes, 'slot_status[]')})"
        return f"NOT ({found})" if clause.modifier == "not" else found

    def _schedule(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        if clause.modifier == "identifier":
            terms = arguments.add(clause_terms(clause), "text[]")
            return f"{alias}.kind_key IN (SELECT k.key FROM slot_kind k WHERE k.terms && {terms})"
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


def _instant(clause: Clause, expression: str, arguments: Arguments) -> str:
    groups = [
        "(" + " OR ".join(instant_condition(cast(DateValue, v), expression, arguments) for v in group) + ")"
        for group in clause.groups
    ]
    return " AND ".join(groups)


def _unsupported(clause: Clause) -> BadRequest:
    name = f"{clause.parameter.name}:{clause.modifier}"
    return BadRequest(
        f"La recherche de créneaux par {name} n'est pas prise en charge.",
        f"Searching slots by {name} is not supported.",
        code="not-supported",
        expression=f"http.{clause.parameter.name}",
    )
