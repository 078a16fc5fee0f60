"""What a FHIR Reference in an operation's input points at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SAID_BY_SLOT = ("serviceCategory", "serviceType", "specialty", "appointmentType")
"""What an appointment in a slot is for, where the slot says it: same elements, same meaning."""


def id_of(reference: Mapping[str, Any]) -> str:
    """The id that a literal reference ends with, whatever stands before it; empty for a logical one."""
    text = str(reference.get("reference", "")).partition("/_history/")[0]
    return text.rstrip("/").rsplit("/", 1)[-1]
