"""Expressions of search parameters, compiled to extractors.

In addition to `grammar`: `extension.where(url='…').value` finds any value[x], and
`Patient.deceased.exists() and Patient.deceased != false` is R4's one expression that is not a path.

Expressions are compiled once; a resource is then walked by the elements that it has, not by all parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from creneau_shared.fhir.paths.grammar import Name, OfTarget, OfType, Step, Steps, Where, parse_union

Extract = Callable[[list[Any]], list[Any]]
"""Values at one level → values at the next, with lists flattened."""

_DECEASED = "Patient.deceased.exists() and Patient.deceased != false"


@dataclass(frozen=True, slots=True)
class Path:
    """One alternative of an expression: the element of the resource where it begins, and the steps from there.

    `target` keeps only references to that type. Paths with the same `route` find the same values, so that one
    walk serves several parameters.
    """

    element: str
    route: str
    steps: tuple[Extract, ...]
    target: str | None = None

    def values(self, value: Any) -> list[Any]:
        """The values found in `value`, the content of `element`; `target` is not applied."""
        found = value if isinstance(value, list) else [value]
        for step in self.steps:
            found = step(found)
        return found


def compile_expression(expression: str) -> tuple[Path, ...]:
    """The paths of an expression, the type's name dropped. Raises ValueError when unreadable."""
    if expression == _DECEASED:
        return (
            Path("deceasedBoolean", "deceasedBoolean", ()),
            Path("deceasedDateTime", "deceasedDateTime.exists()", (_exists,)),
        )
    return tuple(_compile(steps, expression) for steps in parse_union(expression))


def _compile(steps: Steps, expression: str) -> Path:
    """The path of one alternative; raises ValueError for steps that no search parameter uses."""
    _, *rest = _choices_named(steps)
    target = None
    if rest and isinstance(rest[-1], OfTarget):
        target = rest[-1].type
        rest.pop()
    if not rest or not isinstance(rest[0], Name):
        raise ValueError(f"no element in {expression!r}")
    extracts = tuple(_extract(step, expression) for step in rest[1:])
    return Path(rest[0].name, ".".join(map(_printed, rest)), extracts, target)


def _choices_named(steps: Steps) -> list[Step]:
    """The steps with one type of a choice as JSON names it: `deceased`, `ofType(dateTime)` → `deceasedDateTime`."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, OfType) and found and isinstance(found[-1], Name):
            found[-1] = Name(found[-1].name + step.type[0].upper() + step.type[1:])
        else:
            found.append(step)
    return found


def _extract(step: Step, expression: str) -> Extract:
    match step:
        case Name("value"):
            return _any_value
        case Name(name):
            return _child(name)
        case Where((((Name(name),), str(literal)),)):
            return _where(name, literal)
    raise ValueError(f"not a search path: {expression!r}")


def _printed(step: Step) -> str:
    return step.name if isinstance(step, Name) else repr(step)


def _exists(values: list[Any]) -> list[Any]:
    return [True] if values else []


def _child(name: str) -> Extract:
    def step(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            child = value.get(name) if isinstance(value, dict) else None
            if isinstance(child, list):
                found += child
            elif child is not None:
                found.append(child)
        return found

    return step


def _any_value(values: list[Any]) -> list[Any]:
    return [
        child
        for value in values
        if isinstance(value, dict)
        for name, child in value.items()
        if name.startswith("value")
    ]


def _where(name: str, literal: str) -> Extract:
    def step(values: list[Any]) -> list[Any]:
        return [value for value in values if isinstance(value, dict) and value.get(name) == literal]

    return step


def referenced_type(reference: dict[str, Any]) -> str | None:
    """The type that a Reference names, in its literal or else its `type`; None when it names none."""
    literal = reference.get("reference")
    if isinstance(literal, str) and "/" in literal:
        parts = literal.partition("/_history/")[0].rsplit("/", 2)
        return parts[-2]
    kind = reference.get("type")
    return kind if isinstance(kind, str) else None
