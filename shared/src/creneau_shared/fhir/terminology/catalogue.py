"""The known code systems and value sets: those of HL7 in this package, national ones (`fhir.national`), and our own.

Codes, labels and hierarchies are those of their publishers; here HL7 FHIR R4 4.0.1 and HL7 Terminology 7.0.1 (CC0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

from creneau_shared.fhir.national import national_code_systems, national_value_sets
from creneau_shared.fhir.terminology.model import CodeSystem, Concept, ValueSet
from creneau_shared.fhir.terminology.own import USED_WITH, own_code_systems, own_value_sets

_DATA: Final = files(__package__) / "data"
_CODE_SYSTEM_FILES: Final = ("hl7-r4", "hl7-tho")


@cache
def catalogue() -> Mapping[str, CodeSystem]:
    """The code systems by URL. Read once, at first use."""
    rows = (item for name in _CODE_SYSTEM_FILES for item in _read(name))
    published = (_code_system(item) for item in (*rows, *national_code_systems()))
    return {system.url: system for system in (*published, *own_code_systems())}


@cache
def value_set_catalogue() -> Mapping[str, ValueSet]:
    """The value sets by URL. Read once, at first use."""
    published = (_value_set(item) for item in (*_read("value-sets"), *national_value_sets()))
    return {value_set.url: value_set for value_set in (*published, *own_value_sets())}


def _read(name: str) -> Iterator[dict[str, Any]]:
    yield from orjson.loads((_DATA / f"{name}.json").read_bytes())


def _code_system(item: dict[str, Any]) -> CodeSystem:
    """A code system from its row; a concept is `[code, display, parent or parents or null, 1 when closed]`."""
    concepts = [_concept(*row) for row in item["concepts"]]
    return CodeSystem(
        url=item["url"],
        name=item["name"],
        publisher=item["publisher"],
        concepts={concept.code: concept for concept in concepts},
        version=item.get("version"),
        title=item.get("title"),
        oid=item.get("oid"),
        content=item.get("content", "complete"),
        contexts=USED_WITH.get(item["url"], ()),
    )


def _concept(code: str, display: str, parents: str | list[str] | None = None, closed: int = 0) -> Concept:
    above = (parents,) if isinstance(parents, str) else tuple(parents or ())
    return Concept(code, display, above, bool(closed))


def _value_set(item: dict[str, Any]) -> ValueSet:
    return ValueSet(
        url=item["url"],
        name=item["name"],
        publisher=item["publisher"],
        compose=item["compose"],
        version=item.get("version"),
        title=item.get("title"),
    )
