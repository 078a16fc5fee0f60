"""The part of FHIRPath that a patch needs: to point at elements of a resource.

`Appointment.participant.where(actor.reference = 'Patient/1').status`: names (a choice by its name without
type), `[i]`, `first()`, `last()`, `where(path = literal and …)`, `ofType(T)`, `extension('url')`. The result
are nodes: where an element is kept, so that it can be changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from creneau_shared.fhir import json
from creneau_shared.fhir.definitions import (
    ElementDefinition,
    TypeDefinition,
    is_resource_type,
    type_definition,
)

PATH_LENGTH_MAX: Final = 1000
"""Longest path that is read, characters."""

_NAME = re.compile(r"`(?P<quoted>[^`]+)`|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)")
_INDEX = re.compile(r"\[\s*(\d{1,6})\s*\]")
_LITERAL = re.compile(
    r"'(?P<text>(?:[^'\\]|\\.)*)'|(?P<boolean>true|false)|@(?P<date>[0-9T:.+\-Z]+)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
)
_BLANK = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\(.)")


class PathError(ValueError):
    """The text is not a path of this subset; `position` is the character where reading stopped."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not a path at character {position + 1}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    index: int


@dataclass(frozen=True, slots=True)
class OfType:
    type: str


@dataclass(frozen=True, slots=True)
class Where:
    """All conditions hold: each a relative path whose single value equals the literal."""

    conditions: tuple[tuple[tuple[Step, ...], Any], ...]


Step = Name | Index | OfType | Where


@dataclass(frozen=True, slots=True)
class Node:
    """One element: the item `index` (None: the only one) of the element `definition` of `owner`.

    The root has no definition and is its owner.
    """

    owner: dict[str, Any]
    definition: ElementDefinition | None
    index: int | None = None

    @property
    def value(self) -> Any:
        """The JSON value; None of a primitive that has extensions only."""
        if self.definition is None:
            return self.owner
        return _item(self.owner.get(self.definition.name), self.index)

    @property
    def is_primitive(self) -> bool:
        return self.definition is not None and self.definition.kind == "primitive"

    def type(self) -> TypeDefinition | None:
        """The definition of what may stand below this node, None when nothing may."""
        if self.is_primitive:
            return type_definition("Element")
        if self.definition is None or self.definition.kind == "resource":
            name = self.value.get("resourceType") if isinstance(self.value, dict) else None
            return type_definition(name) if isinstance(name, str) and is_resource_type(name) else None
        return None if self.definition.kind == "xhtml" else type_definition(self.definition.type)

    def content(self, create: bool = False) -> dict[str, Any] | None:
        """The object that holds the children: of a primitive, its id and extensions."""
        if not self.is_primitive or self.definition is None:
            return self.value if isinstance(self.value, dict) else None
        beside = f"_{self.definition.name}"
        found = _item(self.owner.get(beside), self.index)
        if found is None and create:
            found = {}
            if self.index is None:
                self.owner[beside] = found
            else:
                length = len(self.owner[self.definition.name])
                self.owner.setdefault(beside, [None] * length)[self.index] = found
        return found if isinstance(found, dict) else None


def _item(value: Any, index: int | None) -> Any:
    if index is None:
        return value
    return value[index] if isinstance(value, list) and index < len(value) else None


class _Scanner:
    """Reads a path from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise PathError(self.position)
        self.position = match.end()
        return match

    def skip(self, literal: str) -> bool:
        """Pass over `literal` and blanks around it, if it comes next."""
        start = self.position
        self.take(_BLANK)
        if not self.text.startswith(literal, self.position):
            self.position = start
            return False
        self.position += len(literal)
        self.take(_BLANK)
        return True

    def expect(self, literal: str) -> None:
        if not self.skip(literal):
            raise PathError(self.position)

    def name(self) -> str:
        match = self.take(_NAME)
        return match["quoted"] or match["plain"]

    def path(self) -> tuple[Step, ...]:
        steps: list[Step] = [Name(self.name())]
        while True:
            if self.text.startswith("[", self.position):
                steps.append(Index(int(self.take(_INDEX)[1])))
            elif self.skip("."):
                steps.extend(self.member())
            else:
                return tuple(steps)

    def member(self) -> tuple[Step, ...]:
        """What stands after a dot: a name or a function."""
        name = self.name()
        if not self.skip("("):
            return (Name(name),)
        steps = self.function(name)
        self.expect(")")
        return steps

    def function(self, name: str) -> tuple[Step, ...]:
        """The steps that the function `name` stands for, its arguments read."""
        match name:
            case "first":
                return (Index(0),)
            case "last":
                return (Index(-1),)
            case "ofType":
                self.skip("FHIR.")
                return (OfType(self.name()),)
            case "extension":
                return Name("extension"), Where((((Name("url"),), self.literal()),))
            case "where":
                conditions = [self.condition()]
                while self.skip("and "):
                    conditions.append(self.condition())
                return (Where(tuple(conditions)),)
        raise PathError(self.position)

    def condition(self) -> tuple[tuple[Step, ...], Any]:
        path = self.path()
        self.expect("=")
        return path, self.literal()

    def literal(self) -> Any:
        match = self.take(_LITERAL)
        if match["text"] is not None:
            return _ESCAPE.sub(r"\1", match["text"])
        if match["boolean"]:
            return match["boolean"] == "true"
        return match["date"] or json.number(match["number"])


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path; raises PathError."""
    if len(text) > PATH_LENGTH_MAX:
        raise PathError(PATH_LENGTH_MAX)
    scanner = _Scanner(text.strip())
    steps = scanner.path()
    if scanner.position != len(scanner.text):
        raise PathError(scanner.position)
    return steps


def select(resource: dict[str, Any], steps: tuple[Step, ...]) -> list[Node]:
    """The nodes of `resource` that a path points at; its first name may be the type of the resource."""
    root = Node(resource, None)
    if steps[0] == Name(str(resource.get("resourceType"))):
        steps = steps[1:]
    return _follow([root], steps)


def _follow(nodes: list[Node], steps: tuple[Step, ...]) -> list[Node]:
    for step in steps:
        match step:
            case Name(name):
                nodes = [child for node in nodes for child in children(node, name)]
            case Index(index):
                nodes = nodes[index : index + 1 or None]
            case OfType(type_name):
                nodes = [node for node in nodes if _type_name(node) == type_name]
            case Where(conditions):
                nodes = [node for node in nodes if all(_equals(node, *each) for each in conditions)]
    return nodes


def children(node: Node, name: str) -> Iterator[Node]:
    """The elements `name` below a node: each item of a list, a choice under its name with or without type."""
    content, definition = node.content(), node.type()
    if content is None or definition is None:
        return
    element = definition.by_name.get(name)
    for candidate in (element,) if element else definition.choices.get(name, ()):
        values, beside = content.get(candidate.name), content.get(f"_{candidate.name}")
        if candidate.is_list:
            lists = [found for found in (values, beside) if isinstance(found, list)]
            for index in range(max(map(len, lists), default=0)):
                yield Node(content, candidate, index)
        elif values is not None or beside is not None:
            yield Node(content, candidate)


def _type_name(node: Node) -> str:
    if node.is_primitive and node.definition is not None:
        return node.definition.type
    definition = node.type()
    return definition.name if definition is not None else ""


def _equals(node: Node, path: tuple[Step, ...], literal: Any) -> bool:
    found = [child.value for child in _follow([node], path)]
    if len(found) != 1 or isinstance(found[0], bool) != isinstance(literal, bool):
        return False
    value = found[0]
    if isinstance(value, int | Decimal) != isinstance(literal, int | Decimal):
        return False
    return bool(value == literal)
