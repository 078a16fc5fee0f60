"""Writes what a search means, whatever its spelling: the same conditions have the same text.

Order, repetition, escapes, the long or short name of a parameter, `system|code` where the element implies the system,
the offset in which an instant is written, case and accents of a string make no difference (most are gone once a query
is read; the rest goes here). Rivals with conditions of the same meaning meet by this text (`rest.matching`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from decimal import Decimal
from typing import Any

from creneau_shared.fhir.search.request import (
    Above,
    And,
    Chain,
    Clause,
    Condition,
    DateValue,
    Has,
    Not,
    NumberValue,
    Or,
    ReferenceValue,
    StringValue,
    Together,
    TokenValue,
    Value,
)

Normal = tuple[Any, ...]
"""Nested tuples of texts."""


def normal_form(conditions: Iterable[Condition]) -> str:
    """The text of conditions that must all hold."""
    return repr(_all(conditions))


def meeting_points(conditions: Iterable[Condition]) -> frozenset[str]:
    """Texts by which searches meet: two searches share one when the same new resource could answer both.

    For searches by a business identifier, its values without their systems: `identifier=a|b`, `identifier=b` and
    `identifier=b&active=true` meet. For others the normal form of the whole.
    """
    conditions = tuple(conditions)
    values = {
        value.code
        for clause in conditions
        if isinstance(clause, Clause) and clause.parameter.name == "identifier" and clause.modifier is None
        for value in clause.values
        if isinstance(value, TokenValue)
    }
    if values and None not in values:
        return frozenset(f"identifier={value}" for value in values)
    return frozenset((normal_form(conditions),))


def _all(conditions: Iterable[Condition]) -> Normal:
    return _sorted(_normal(condition) for condition in conditions)


def _sorted(parts: Iterable[Normal]) -> Normal:
    """Each part once, in a fixed order."""
    return tuple(sorted(set(parts), key=repr))


def _normal(condition: Condition) -> Normal:
    match condition:
        case Clause(parameter, modifier, groups):
            alternatives = _sorted(_sorted(_value(value, modifier) for value in group) for group in groups)
            return "clause", parameter.base, parameter.index_name, modifier or "", alternatives
        case Chain(parameter, branches):
            ways = _sorted((branch.resource_type, _normal(branch.condition)) for branch in branches)
            return "chain", parameter.base, parameter.index_name, ways
        case Has(parameter, conditions):
            return "has", parameter.base, parameter.index_name, _all(conditions)
        case And(conditions):
            return "and", _all(conditions)
        case Or(conditions):
            return "or", _all(conditions)
        case Not(condition):
            return "not", _normal(condition)
        case Together(occurrence, clauses):
            return "together", occurrence, _all(clauses)
        case Above(parameter, condition):
            return "above", parameter.base, parameter.index_name, _normal(condition)
    raise TypeError(f"no condition: {condition!r}")


def _value(value: Value, modifier: str | None) -> Normal:
    match value:
        case DateValue(prefix, low, high):
            return prefix, low.astimezone(UTC).isoformat(), high.astimezone(UTC).isoformat()
        case NumberValue(prefix, number, low, high, unit):
            return (prefix, *(_plain(bound) for bound in (number, low, high)), unit or "")
        case StringValue(text, folded):
            return (text if modifier == "exact" else folded,)
        case ReferenceValue(references):
            return tuple(sorted(references))
    return (repr(value),)


def _plain(number: Decimal) -> str:
    """`1.0` and `1` are one number; the bounds around it hold its precision."""
    return str(number.normalize())
