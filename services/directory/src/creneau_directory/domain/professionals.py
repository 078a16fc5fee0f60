"""The parts of a professional's entry that decide rights: national numbers and `active` determine for which practices a
log-in speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from creneau_shared.national_numbers import OF_PERSONS

ReliedOn = Literal["identifier", "active"]
"""the elements of Practitioner that decide rights"""


def national_numbers(practitioner: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The national numbers of a professional: (system, value)."""
    return frozenset(
        (identifier["system"], str(identifier.get("value", "")))
        for identifier in practitioner.get("identifier", ())
        if identifier.get("system") in OF_PERSONS
    )


def relied_on_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ReliedOn]:
    """Yields the elements that decide rights and differ between two versions; `before` is empty if the entry is new."""
    if national_numbers(before) != national_numbers(after):
        yield "identifier"
    if _is_active(before) != _is_active(after):
        yield "active"


def numbers_taken(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The national numbers that the entry bears in use from this version on: new ones, or all once it is active again. What
    two entries in use bore before stays as it is."""
    if not _is_active(after):
        return frozenset()
    return national_numbers(after) - (national_numbers(before) if _is_active(before) else frozenset())


def _is_active(practitioner: Mapping[str, Any]) -> bool:
    return practitioner.get("active") is not False
