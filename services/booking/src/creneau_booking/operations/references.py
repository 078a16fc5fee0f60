"""What a FHIR Reference in an operation's input points at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def id_of(reference: Mapping[str, Any]) -> str:
    """The id that a literal reference ends with, whatever stands before it; empty for a logical one."""
    text = str(reference.get("reference", "")).partition("/_history/")[0]
    return text.rstrip("/").rsplit("/", 1)[-1]
