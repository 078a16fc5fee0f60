"""Reading claims: whatever a provider sends, what comes out is a short line of text, a date, or nothing. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from creneau_web.auth.facts import Sex

TEXT_LENGTH_MAX = 255


def text(claims: Mapping[str, Any], name: str) -> str:
    """A claim as one line without control characters; empty when it is not there or no text."""
    value = claims.get(name)
    if not isinstance(value, str):
        return ""
    line = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in value)
    return " ".join(line.split())[:TEXT_LENGTH_MAX]


def day(claims: Mapping[str, Any], name: str) -> date | None:
    """A claim that is a date (YYYY-MM-DD)."""
    try:
        return date.fromisoformat(text(claims, name))
    except ValueError:
        return None


def sex(claims: Mapping[str, Any]) -> Sex | None:
    value = claims.get("gender")
    return value if value in ("female", "male") else None


def rows(value: object) -> Iterable[Mapping[str, Any]]:
    """The objects of a list, whatever else it holds."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def words(value: object) -> tuple[str, ...]:
    """The texts of a list."""
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()
