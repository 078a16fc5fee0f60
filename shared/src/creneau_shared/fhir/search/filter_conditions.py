"""What a `_filter` means for a resource type: its tree as conditions (FHIR R4 search_filter.html#ops).

Each test is the clause that a plain parameter would give. Beyond plain parameters: `eq` and `ne` of a
string compare the whole of it, and strings have an order; except for dates and numbers, `ne` is the complement of
`eq` (as `:not` is), so that a resource without a value is unequal to all. Case and accents matter as in plain parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from creneau_shared.fhir.search.filter import Comparison, Filter, FilterError, Logic, Negation, Step
from creneau_shared.fhir.search.occurrences import joined
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import find_parameter, parameters_of
from creneau_shared.fhir.search.request import (
    Above,
    And,
    Branch,
    Chain,
    Clause,
    Condition,
    DateValue,
    MissingValue,
    Not,
    Or,
    Prefix,
)
from creneau_shared.fhir.search.values import BadValueError, Reading, read_clause_values, reference_types

_COMPARED = dict.fromkeys(("eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb"))
_OPERATORS: Mapping[str, Mapping[str, str | None]] = {
    "string": {
        "eq": "equal", "ne": "equal", "co": "contains", "sw": None, "ew": "ends", "gt": "gt", "lt": "lt",
        "ge": "ge", "le": "le",
    },
    "date": {**_COMPARED, "co": None, "po": None},
    "number": _COMPARED,
    "quantity": _COMPARED,
    "token": {"eq": None, "ne": None, "in": "in", "ni": "not-in", "ss": "below", "sb": "above"},
    "reference": {"eq": None, "ne": None, "re": None},
    "uri": {"eq": None, "ne": None, "ss": "below", "sb": "above"},
    "special": {"eq": None},
}  # fmt: skip
"""Type of parameter → operator → modifier of the clause."""
_WORDS: Mapping[str, str | None] = {"co": None}


class _UnknownNameError(Exception):
    """The first name of the path is no parameter of the type."""


@dataclass(frozen=True, slots=True)
class FilterReader:
    """Reads filters on resources of any type; a path has at most `chain_depth_max` links."""

    reading: Reading

    def condition(self, base: str, tree: Filter) -> Condition:
        """The condition that `tree` sets on resources of type `base`. Raises FilterError."""
        try:
            return self._condition(base, tree)
        except _UnknownNameError as error:
            name, position = error.args
            raise FilterError(
                f"paramètre inconnu pour {base} : {name}",
                f"unknown parameter for {base}: {name}",
                position,
                "not-supported",
            ) from None

    def _condition(self, base: str, tree: Filter) -> Condition:
        if isinstance(tree, Comparison):
            return self._path(base, tree, tree.path)
        if isinstance(tree, Negation):
            return Not(self._condition(base, tree.filter))
        return _joined(tree, tuple(self._condition(base, part) for part in tree.filters))

    def _path(self, base: str, test: Comparison, path: tuple[Step, ...]) -> Condition:
        step, *rest = path
        parameter = find_parameter(base, step.name)
        if parameter is None or parameter.name == "_filter":
            raise _UnknownNameError(step.name, step.position)
        if not rest:
            if step.target == "above" and parameter.climbs is not None:
                reference = find_parameter(parameter.base, parameter.climbs)
                assert reference is not None
                return Above(reference, self._test(parameter, test))
            if step.target is not None:
                raise FilterError(
                    "un type ne se dit qu’avant un point", "a type stands before a dot only", step.position
                )
            return self._test(parameter, test)
        if len(test.path) > self.reading.limits.chain_depth_max + 1:
            most = self.reading.limits.chain_depth_max
            raise FilterError(
                f"plus de {most} maillons", f"more than {most} links", test.position, "too-costly"
            )
        return self._chain(parameter, step, test, tuple(rest))

    def _chain(
        self, parameter: SearchParameter, step: Step, test: Comparison, rest: tuple[Step, ...]
    ) -> Condition:
        branches: list[Branch] = []
        unknown: _UnknownNameError | None = None
        for resource_type in self._types(parameter, step):
            try:
                condition = self._path(resource_type, test, rest)
                if step.where is not None:
                    condition = And((self._condition(resource_type, step.where), condition))
            except _UnknownNameError as error:
                unknown = error
                continue
            branches.append(Branch(resource_type, condition))
        if not branches:
            name, position = unknown.args if unknown else (rest[0].name, rest[0].position)
            raise FilterError(
                f"aucun type visé par {parameter.name} n’a le paramètre {name}",
                f"no type that {parameter.name} refers to has the parameter {name}",
                position,
                "not-supported",
            )
        return Chain(parameter, tuple(branches))

    def _types(self, parameter: SearchParameter, step: Step) -> list[str]:
        if parameter.type != "reference":
            raise FilterError(
                f"{parameter.name} n’est pas une référence",
                f"{parameter.name} is not a reference",
                step.position,
            )
        known = self.reading.known_types
        types = [t for t in reference_types(parameter, known) if t in known and parameters_of(t)]
        if step.target is None:
            return types
        if step.target not in types:
            raise FilterError(
                f"{parameter.name} ne vise pas {step.target}",
                f"{parameter.name} does not refer to {step.target}",
                step.position,
            )
        return [step.target]

    def _test(self, parameter: SearchParameter, test: Comparison) -> Condition:
        operator = test.operator
        if operator == "pr" and "missing" in parameter.modifiers:
            if test.value not in ("true", "false"):
                raise FilterError("pr attend true ou false", "pr takes true or false", test.position, "value")
            return Clause(parameter, "missing", ((MissingValue(test.value == "false"),),))
        allowed = _WORDS if parameter.full_text else _OPERATORS[parameter.type]
        if operator not in allowed:
            raise FilterError(
                f"{operator} ne vaut pas pour {parameter.name} ({parameter.type}) ; possibles : {', '.join(allowed)}",
                f"{operator} does not apply to {parameter.name} ({parameter.type}); possible: {', '.join(allowed)}",
                test.position,
                "not-supported",
            )
        clause = self._clause(parameter, allowed[operator], test)
        compared = parameter.type in ("date", "number", "quantity")
        return Not(clause) if operator == "ne" and not compared else clause

    def _clause(self, parameter: SearchParameter, modifier: str | None, test: Comparison) -> Clause:
        text, operator = test.value, test.operator
        if parameter.type in ("string", "uri"):
            text = text.replace("\\", "\\\\")  # a JSON string has its own escapes
        elif operator in _COMPARED and parameter.type in ("date", "number", "quantity"):
            text = operator + text
        try:
            modifier, values = read_clause_values(parameter, modifier, None, [text], self.reading)
        except BadValueError as error:
            raise FilterError(error.fr, error.en, test.position, error.code) from None
        if parameter.type == "date" and operator in ("co", "po"):
            prefix: Prefix = "co" if operator == "co" else "po"
            values = tuple(replace(cast(DateValue, value), prefix=prefix) for value in values)
        return Clause(parameter, modifier, (values,))


def _joined(tree: Logic, conditions: tuple[Condition, ...]) -> Condition:
    return And(joined(conditions)) if tree.word == "and" else Or(conditions)
