"""Selectors of XML Patch: from the root down to one element or attribute (RFC 5261 §4.1).

/f:Patient/f:name[2]/f:given[last()]                       names; one of several, counted from 1 among its siblings
Patient/name[family/@value='Martin'][use/@value='usual']   conditions on what stands below; all hold, one after the other
Patient/*/extension[@url='https://…']/@url                 an attribute, at the end

Nothing else of XPath is read: no axis, no `//`, no function, no condition within a condition. So each step looks once at
what stands below the last one, and `Effort` counts it; libxml2 would carry out whatever is asked, for as long as it takes.

Names without prefix belong to FHIR's namespace, as with a default namespace in the patch document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from creneau_shared.fhir import xml
from creneau_shared.fhir.narrative import XHTML_NAMESPACE
from creneau_shared.fhir.paths.effort import Effort

SELECTOR_LENGTH_MAX: Final = 1000
"""Longest selector that is read, characters."""

_NAMESPACES: Final = {"": xml.FHIR_NAMESPACE, "f": xml.FHIR_NAMESPACE, "h": XHTML_NAMESPACE}
_ELEMENT: Final = re.compile(r"(?:([A-Za-z_][\w.\-]*):)?([A-Za-z_][\w.\-]*|\*)")
_ATTRIBUTE: Final = re.compile(r"@([A-Za-z_][\w.\-]*)")
_PLACE: Final = re.compile(r"(\d{1,6})|last\(\s*\)")
_LITERAL: Final = re.compile(r"""\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BLANK: Final = re.compile(r"\s*")


class SelectorError(ValueError):
    """The text is not a selector of this subset."""


@dataclass(frozen=True, slots=True)
class _Place:
    """`[2]`, `[last()]`: one of the siblings, counted from 0; -1 is the last."""

    index: int

    def among(self, siblings: Sequence[etree._Element], effort: Effort) -> Sequence[etree._Element]:
        return siblings[self.index : self.index + 1 or None]


@dataclass(frozen=True, slots=True)
class _Condition:
    """`[use/@value='usual']`: those below which an attribute has this value."""

    path: tuple[str | None, ...]
    attribute: str
    value: str

    def among(self, siblings: Sequence[etree._Element], effort: Effort) -> Sequence[etree._Element]:
        return [element for element in siblings if self._holds(element, effort)]

    def _holds(self, element: etree._Element, effort: Effort) -> bool:
        effort.spend(1)
        below: Sequence[etree._Element] = [element]
        for tag in self.path:
            effort.spend(sum(map(len, below)))
            below = [child for parent in below for child in _with_tag(tag, parent)]
        return any(one.get(self.attribute) == self.value for one in below)


@dataclass(frozen=True, slots=True)
class _Step:
    """An element's name (None: any) and what is asked of it."""

    tag: str | None
    predicates: tuple[_Place | _Condition, ...]

    def among(self, siblings: Iterable[etree._Element], effort: Effort) -> Sequence[etree._Element]:
        found: Sequence[etree._Element] = _with_tag(self.tag, siblings)
        for predicate in self.predicates:
            found = predicate.among(found, effort)
        return found


@dataclass(frozen=True, slots=True)
class Selector:
    """Steps from the root, which is the first one, and the attribute at the end."""

    steps: tuple[_Step, ...]
    attribute: str | None

    def select(self, root: etree._Element, effort: Effort) -> list[etree._Element]:
        """The elements that are meant, or whose attribute is; raises TooMuchEffortError."""
        found = list(self.steps[0].among([root], effort))
        for step in self.steps[1:]:
            effort.spend(len(found) + sum(map(len, found)))
            found = [child for parent in found for child in step.among(parent, effort)]
        if self.attribute is None:
            return found
        return [element for element in found if self.attribute in element.attrib]


def _with_tag(tag: str | None, elements: Iterable[etree._Element]) -> list[etree._Element]:
    """The elements of a name, or of any; comments and processing instructions are none, and their `tag` is no text."""
    return [one for one in elements if isinstance(one.tag, str) and (tag is None or one.tag == tag)]


class _Scanner:
    """Reads a selector from left to right."""

    def __init__(self, text: str, namespaces: Mapping[str, str]) -> None:
        self._text = text
        self._position = 0
        self._namespaces = {**_NAMESPACES, **namespaces}

    def selector(self) -> Selector:
        self._skip("/")
        steps, attribute = [self._step()], None
        while attribute is None and self._skip("/"):
            attribute = self._attribute()
            if attribute is None:
                steps.append(self._step())
        if self._position != len(self._text):
            raise SelectorError
        return Selector(tuple(steps), attribute)

    def _step(self) -> _Step:
        tag = self._tag()
        predicates: list[_Place | _Condition] = []
        while self._skip("["):
            self._take(_BLANK)
            predicates.append(self._place() or self._condition())
            self._take(_BLANK)
            self._expect("]")
        return _Step(tag, tuple(predicates))

    def _place(self) -> _Place | None:
        match = _PLACE.match(self._text, self._position)
        if match is None:
            return None
        self._position = match.end()
        if match[1] is None:
            return _Place(-1)
        if not int(match[1]):
            raise SelectorError
        return _Place(int(match[1]) - 1)

    def _condition(self) -> _Condition:
        path: list[str | None] = []
        while (attribute := self._attribute()) is None:
            path.append(self._tag())
            self._expect("/")
        literal = self._take(_LITERAL)
        return _Condition(tuple(path), attribute, literal[1] if literal[1] is not None else literal[2])

    def _tag(self) -> str | None:
        prefix, name = self._take(_ELEMENT).groups(default="")
        if name == "*":
            return None
        if prefix not in self._namespaces:
            raise SelectorError
        return f"{{{self._namespaces[prefix]}}}{name}"

    def _attribute(self) -> str | None:
        match = _ATTRIBUTE.match(self._text, self._position)
        if match is None:
            return None
        self._position = match.end()
        return match[1]

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._position)
        if match is None:
            raise SelectorError
        self._position = match.end()
        return match

    def _skip(self, literal: str) -> bool:
        if not self._text.startswith(literal, self._position):
            return False
        self._position += len(literal)
        return True

    def _expect(self, literal: str) -> None:
        if not self._skip(literal):
            raise SelectorError


def read_selector(text: str, namespaces: Mapping[str, str]) -> Selector:
    """The steps of `sel`; `namespaces`: the prefixes of the patch document, with their namespaces.

    Raises SelectorError.
    """
    if len(text) > SELECTOR_LENGTH_MAX:
        raise SelectorError
    return _Scanner(text.strip(), namespaces).selector()
