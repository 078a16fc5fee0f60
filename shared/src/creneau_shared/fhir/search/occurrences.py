"""Conditions that must hold together within one occurrence of an element: `capacity-status=02&nb-capacity=ge3` is one
capacity that is free and has three, not a free one and another with three (ROR)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import And, Branch, Chain, Clause, Condition, Together

Occurrence = dict[str, Any]
"""`of`: the expression of the element; `terms`; `numbers` and `dates`: rows like those of the side tables."""


def joined(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions, all of which must hold, with one more for each element that several of them are about.

    Conditions on a place through the same reference are merged first: one and the same place has the capacity.
    """
    merged = _chains_merged(conditions)
    groups: dict[str, list[Clause]] = {}
    for condition in merged:
        if isinstance(condition, Clause) and condition.parameter.occurrence and condition.modifier is None:
            groups.setdefault(condition.parameter.occurrence, []).append(condition)
    return (*merged, *(Together(name, tuple(group)) for name, group in groups.items() if len(group) > 1))


def _chains_merged(conditions: Iterable[Condition]) -> list[Condition]:
    merged: list[Condition] = []
    places: dict[tuple[SearchParameter, str, str], int] = {}
    for condition in conditions:
        key = _of_occurrence(condition)
        if key is None or key not in places:
            if key is not None:
                places[key] = len(merged)
            merged.append(condition)
            continue
        before = merged[places[key]]
        assert isinstance(before, Chain)
        assert isinstance(condition, Chain)
        parts = (*_parts(before.branches[0].condition), *_parts(condition.branches[0].condition))
        plain = (part for part in parts if not isinstance(part, Together))
        branch = Branch(before.branches[0].resource_type, And(joined(plain)))
        merged[places[key]] = replace(before, branches=(branch,))
    return merged


def _of_occurrence(condition: Condition) -> tuple[SearchParameter, str, str] | None:
    """The reference, the target type and the element that a chain is about; None for other conditions."""
    if not isinstance(condition, Chain) or len(condition.branches) != 1:
        return None
    [branch] = condition.branches
    first = next(iter(_parts(branch.condition)))
    if isinstance(first, Clause) and first.parameter.occurrence and first.modifier is None:
        return condition.parameter, branch.resource_type, first.parameter.occurrence
    return None


def _parts(condition: Condition) -> Sequence[Condition]:
    return condition.conditions if isinstance(condition, And) else (condition,)


@cache
def occurrences_of(resource_type: str) -> Mapping[str, Mapping[str, SearchParameter]]:
    """Expression of an element of the type → the parameters that hold within one occurrence of it."""
    found: dict[str, dict[str, SearchParameter]] = {}
    for parameter in parameters_of(resource_type).values():
        if parameter.occurrence is not None:
            found.setdefault(parameter.occurrence, {}).setdefault(parameter.index_name, parameter)
    return found


def within(parameter: SearchParameter) -> SearchParameter:
    """The parameter as it is read within one occurrence."""
    assert parameter.occurrence is not None
    rest = parameter.expression.removeprefix(parameter.occurrence)
    return replace(parameter, expression=f"Extension{rest}")
