"""Which town is meant: as the directory's search has understood it, and which others it could have been.

Knows how the directory tells of places (`$find-care`, `$suggest`); `finding.py` alone asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from creneau_web.care.folding import fold

CHOICES_MAX = 8
TOWNS = ("commune", "arrondissement", "postal-code")


@dataclass(frozen=True, slots=True)
class Town:
    """A place as the directory understood it: a town, or an area (`kind`)."""

    name: str
    department: str = ""
    postal_code: str = ""
    kind: str = "commune"


def town_of(told: Mapping[str, Any]) -> Town | None:
    """The place that was understood, by the Parameters of an answer."""
    return next(_towns(told, "place"), None)


def choices_of(told: Mapping[str, Any], suggested: Mapping[str, Any], where: str) -> list[Town]:
    """The towns to choose from if it is not clear which is meant; none if it is.

    It is unclear if several larger towns have the name, or if it is no town's name but the beginning of several.
    """
    town = town_of(told)
    beginning = [Town(*_named(label)) for label in _suggested(suggested)]
    if any(c.isdigit() for c in where) and town is not None:
        return []
    if town is None:
        return beginning[:CHOICES_MAX]
    others = list(_towns(told, "other-place"))
    if others:
        return [town, *others][:CHOICES_MAX]
    misspelt = any(
        _value(part, "corrected") for part in _parts(told, "understood") if _value(part, "kind") in TOWNS
    )
    same = fold(where) == fold(town.name)
    if same or misspelt or town.kind not in TOWNS or not beginning or beginning[0].name == town.name:
        return []
    return beginning[:CHOICES_MAX]


def _towns(told: Mapping[str, Any], name: str) -> Iterator[Town]:
    for part in _parts(told, name):
        yield Town(
            str(_value(part, "name") or ""),
            str(_value(part, "department") or ""),
            str(_value(part, "postal-code") or ""),
            str(_value(part, "kind") or "commune"),
        )


def _suggested(suggested: Mapping[str, Any]) -> Iterator[str]:
    for part in _parts(suggested, "suggestion"):
        if _value(part, "group") == "place":
            yield str(_value(part, "display") or "")


def _named(label: str) -> tuple[str, str]:
    """`Rennes (35)` → its name and département."""
    name, _, department = label.rpartition(" (")
    return (name, department.rstrip(")")) if name else (label, "")


def _parts(parameters: Mapping[str, Any], name: str) -> Iterator[list[dict[str, Any]]]:
    for parameter in parameters.get("parameter", ()):
        if parameter.get("name") == name:
            yield parameter.get("part", [])


def _value(parts: list[dict[str, Any]], name: str) -> Any:
    part = next((part for part in parts if part.get("name") == name), {})
    return next((value for key, value in part.items() if key.startswith("value")), None)
