"""The part of FHIRPath that search parameters are written in, compiled to extractors.

    Slot.start                                              elements, lists flattened
    Organization.name | Organization.alias                  unions
    Practitioner.telecom.where(system='email')              a child equal to a literal
    Appointment.participant.actor.where(resolve() is Patient)   references to one type
    (Patient.deceased as dateTime)                          one type of a choice
    ….extension.where(url='…').value                        whatever value[x] is there
    Patient.deceased.exists() and Patient.deceased != false     the one condition of R4 that is not a path

Compiled once; a resource is then walked by the elements that it has, not by the parameters that exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Step = Callable[[list[Any]], list[Any]]
"""From the values at one level to those at the next, lists flattened."""

_PIECE = re.compile(
    r"where\(resolve\(\) is (?P<target>\w+)\)"
    r"|where\((?P<child>\w+)\s*=\s*'(?P<literal>[^']*)'\)"
    r"|(?P<element>[A-Za-z]\w*)(?=\.|$)"
)
_CHOICE = re.compile(r"\((?P<path>[\w.]+) as (?P<type>\w+)\)")
_DECEASED = "Patient.deceased.exists() and Patient.deceased != false"


@dataclass(frozen=True, slots=True)
class Path:
    """One alternative of an expression: the resource's element it begins with, and the steps from there.

    `target` keeps only references to that type. Paths with the same `route` find the same values, so that one
    walk serves several parameters.
    """

    element: str
    route: str
    steps: tuple[Step, ...]
    target: str | None = None

    def values(self, value: Any) -> list[Any]:
        """The values found in `value`, the content of `element`, whatever the target."""
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
    return tuple(_compile_path(part.strip()) for part in expression.split(" | "))


def _compile_path(text: str) -> Path:
    choice = _CHOICE.fullmatch(text)
    if choice:
        text = choice["path"] + choice["type"][0].upper() + choice["type"][1:]
    _, _, route = text.partition(".")
    element: str | None = None
    target: str | None = None
    steps: list[Step] = []
    position = 0
    while position < len(route):
        match = _PIECE.match(route, position)
        if match is None or target is not None:
            raise ValueError(f"not a search path: {text!r}")
        if match["target"]:
            target = match["target"]
        elif match["child"]:
            steps.append(_where(match["child"], match["literal"]))
        elif element is None:
            element = match["element"]
        else:
            steps.append(_any_value if match["element"] == "value" else _child(match["element"]))
        position = match.end() + 1
    if element is None:
        raise ValueError(f"no element in {text!r}")
    return Path(element, route.partition(".where(resolve()")[0], tuple(steps), target)


def _exists(values: list[Any]) -> list[Any]:
    return [True] if values else []


def _child(name: str) -> Step:
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


def _where(name: str, literal: str) -> Step:
    def step(values: list[Any]) -> list[Any]:
        return [value for value in values if isinstance(value, dict) and value.get(name) == literal]

    return step


def referenced_type(reference: dict[str, Any]) -> str | None:
    """The type that a Reference names, by its literal or else its `type`; None when it does not say."""
    literal = reference.get("reference")
    if isinstance(literal, str) and "/" in literal:
        parts = literal.partition("/_history/")[0].rsplit("/", 2)
        return parts[-2]
    kind = reference.get("type")
    return kind if isinstance(kind, str) else None
