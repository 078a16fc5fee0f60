"""What a search for free slots asks of agendas and kinds, and what of their slots.

What is asked of agendas and kinds repeats over many slots: it is answered first, over a few rows. What is left is a range of
each agenda's own index.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from creneau_booking.storage.availability.rule import COULD_BE_BOOKED
from creneau_shared.fhir.search.request import (
    And,
    Chain,
    Clause,
    Condition,
    DateValue,
    Not,
    Or,
    SearchRequest,
    TokenValue,
    clauses_of,
)
from creneau_shared.fhir.search.sql import Arguments, Catalog, Compiler, SearchScope, SearchTable, Selection

FREE = {"status": frozenset({"free"}), "bookable": COULD_BE_BOOKED}
"""Parameters by which free slots are asked for, with their values"""
_OF_SLOTS = frozenset({"_id", "_lastUpdated", "start", "end", "status", "bookable", "identifier"})
"""Parameters of the slot itself; all others have one value for many slots of an agenda."""
_FROM, _AFTER = frozenset({"eq", "ge", "ap"}), frozenset({"gt", "sa"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A search taken apart: its conditions on agendas and kinds, and those on their slots."""

    of_agendas: tuple[Condition, ...]
    of_slots: tuple[Condition, ...]

    @property
    def names_one_agenda(self) -> bool:
        """Whether it names the one agenda itself."""
        return any(map(_names_one_agenda, self.of_agendas))


def taken_apart(request: SearchRequest) -> Asked | None:
    """Takes a search apart. Returns None if it is not for free slots of some agendas in the order of time."""
    keys = [key.parameter.name for key in request.sort]
    if request.count_only or keys not in ([], ["start"]):
        return None
    of_agendas = tuple(c for c in request.conditions if _is_of_agendas(c))
    of_slots = tuple(c for c in request.conditions if not _is_of_agendas(c))
    if not of_agendas or not any(map(_wants_free, of_slots)) or not all(map(_goes_with_free, of_slots)):
        return None
    return Asked(of_agendas, of_slots)


@dataclass(frozen=True, slots=True)
class Tables:
    """Slot as a search of it is compiled: over the kinds alone, and over slots whose kind is joined."""

    kinds: SearchTable
    slots: SearchTable


def selected_kinds(
    catalog: Catalog, scope: SearchScope, asked: Asked, tables: Tables, arguments: Arguments
) -> Selection:
    """Returns the kinds (`schedule_key`, `kind_key`) that fit; for a statement with these arguments."""
    compiler = Compiler(catalog.with_table(tables.kinds), scope, arguments=arguments)
    return compiler.select("Slot", asked.of_agendas)


def met_by_kinds(scope: SearchScope) -> SearchScope:
    """Returns the scope without its conditions on Slot, which the kinds that fit meet already."""
    required = {name: terms for name, terms in scope.required.items() if name != "Slot"}
    return replace(scope, required=required)


def of_kinds(row: str, kinds: str) -> str:
    """Condition: the slot is of one of the kinds (a SELECT of keys)."""
    # IS TRUE: PostgreSQL then checks each slot against a set. It would read a joined table in another order.
    return f"({row}.kind_key IN ({kinds})) IS TRUE"


# -- which condition is of what ------------------------------------------------------------------------------------


def _is_of_agendas(condition: Condition) -> bool:
    """Whether the condition depends on an agenda and a kind alone."""
    if isinstance(condition, Clause):
        return condition.parameter.name not in _OF_SLOTS and not condition.parameter.full_text
    if isinstance(condition, Chain):
        return condition.parameter.name != "bookable-by"
    if isinstance(condition, And | Or):
        return all(map(_is_of_agendas, condition.conditions))
    return isinstance(condition, Not) and _is_of_agendas(condition.condition)


def _names_one_agenda(condition: Condition) -> bool:
    return (
        isinstance(condition, Clause)
        and condition.parameter.name == "schedule"
        and condition.modifier is None
        and len(condition.values) == 1
    )


def _wants_free(condition: Condition) -> bool:
    """Whether the condition is that slots are free."""
    if not isinstance(condition, Clause) or condition.modifier is not None:
        return False
    wanted = FREE.get(condition.parameter.name, ())
    return all(isinstance(value, TokenValue) and value.code in wanted for value in condition.values)


def is_of_time(condition: Condition) -> bool:
    return isinstance(condition, Clause) and condition.parameter.name in ("start", "end")


def _goes_with_free(condition: Condition) -> bool:
    """Whether many free slots may be expected to fulfil the condition."""
    return _wants_free(condition) or is_of_time(condition) or isinstance(condition, Chain)


def earliest(conditions: tuple[Condition, ...]) -> datetime | None:
    """Returns the moment before which no slot begins that fulfils the conditions."""
    values = [
        group[0]
        for clause in clauses_of(conditions)
        if clause.parameter.name == "start" and clause.modifier is None
        for group in clause.groups
        if len(group) == 1
    ]
    dates = [value for value in values if isinstance(value, DateValue)]
    lows = [value.low for value in dates if value.prefix in _FROM]
    lows += [value.high for value in dates if value.prefix in _AFTER]
    return max(lows, default=None)
