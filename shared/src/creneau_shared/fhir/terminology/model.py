"""Code systems and value sets as plain frozen data, with the hierarchy ready for use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Concept:
    """One code. `parents`: its direct parents by is-a; `closed`: not to be used any more; `english`: the English label
    where `display` is French and both are known."""

    code: str
    display: str
    parents: tuple[str, ...] = ()
    closed: bool = False
    english: str | None = None


@dataclass(frozen=True)
class CodeSystem:
    """A code system. `content` is `fragment` when the publisher has codes that are not held here."""

    url: str
    name: str
    publisher: str
    concepts: Mapping[str, Concept]
    version: str | None = None
    title: str | None = None
    oid: str | None = None
    content: Literal["complete", "fragment"] = "complete"
    language: str | None = None
    contexts: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The logical id that it is served under."""
        return self.url.rsplit("/", 1)[-1]

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Code → the codes directly below it, for each code that has any."""
        below: dict[str, list[str]] = {}
        for concept in self.concepts.values():
            for parent in concept.parents:
                below.setdefault(parent, []).append(concept.code)
        return {code: tuple(codes) for code, codes in below.items()}

    def closure(self, code: str, *, upwards: bool) -> frozenset[str]:
        """`code` and all codes above or below it."""
        found: set[str] = set()
        waiting = [code]
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting += self.concepts[current].parents if upwards else self.children.get(current, ())
        return frozenset(found)


@dataclass(frozen=True)
class ValueSet:
    """A value set by its composition, in FHIR's own shape (`{"include": […], "exclude": […]}`)."""

    url: str
    name: str
    publisher: str
    compose: Mapping[str, Any] = field(repr=False)
    version: str | None = None
    title: str | None = None
    contexts: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The logical id that it is served under."""
        return self.url.rsplit("/", 1)[-1]
