"""The grammar: text to steps.

Appointment.participant.where(actor.reference = 'Patient/1').status    names, conditions that hold together
name[0].given.last()  first()                                          items of lists
value.ofType(Quantity)  extension('url').value
Organization.name | Organization.alias                                 unions             } of search
Slot.schedule.where(resolve() is Schedule)                             targets of references } parameters
(Patient.deceased as dateTime)                                         one type of a choice  } only
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from creneau_shared.fhir import json

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


@dataclass(frozen=True, slots=True)
class OfTarget:
    """References to resources of one type: `where(resolve() is T)`."""

    type: str


Step = Name | Index | OfType | Where | OfTarget
Steps = tuple[Step, ...]


class _Scanner:
    """Reads a path from left to right; `resolving`: conditions on the target type of references are allowed."""

    def __init__(self, text: str, *, resolving: bool = False) -> None:
        self.text = text
        self.position = 0
        self._resolving = resolving

    def take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise PathError(self.position)
        self.position = match.end()
        return match

    def skip(self, literal: str) -> bool:
        """Skips `literal` and blanks around it, if it comes next."""
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
        steps: list[Step] = list(self.beginning())
        while True:
            if self.text.startswith("[", self.position):
                steps.append(Index(int(self.take(_INDEX)[1])))
            elif self.skip("."):
                steps.extend(self.member())
            else:
                return tuple(steps)

    def beginning(self) -> tuple[Step, ...]:
        """A name, or an extension of the element where the path begins."""
        name = self.name()
        if name != "extension" or not self.skip("("):
            return (Name(name),)
        steps = self.function(name)
        self.expect(")")
        return steps

    def one_of_a_choice(self) -> tuple[Step, ...]:
        """`(path as Type)`, or a path."""
        if not self.skip("("):
            return self.path()
        steps = self.path()
        self.expect("as ")
        steps = (*steps, OfType(self.name()))
        self.expect(")")
        return steps

    def member(self) -> tuple[Step, ...]:
        """The part after a dot: a name or a function."""
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
            case "where" if self._resolving and self.skip("resolve()"):
                self.expect("is ")
                return (OfTarget(self.name()),)
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


def parse_union(text: str) -> tuple[Steps, ...]:
    """The alternatives of a search parameter's expression; raises PathError."""
    scanner = _Scanner(text.strip(), resolving=True)
    paths = [scanner.one_of_a_choice()]
    while scanner.skip("|"):
        paths.append(scanner.one_of_a_choice())
    if scanner.position != len(scanner.text):
        raise PathError(scanner.position)
    return tuple(paths)
