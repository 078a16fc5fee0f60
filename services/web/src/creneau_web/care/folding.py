"""Folds spellings into one: case, accents, ligatures, hyphens and apostrophes aside."""

from __future__ import annotations

import re
import unicodedata

_SAINT = re.compile(r"\b(?:saint|st)(e?)\b")


def fold(text: str) -> str:
    """`St-Étienne`, `saint etienne` → `saint etienne`."""
    plain = unicodedata.normalize("NFKD", text).casefold().replace("œ", "oe").replace("æ", "ae")
    plain = unicodedata.normalize("NFKD", plain)
    letters = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return _SAINT.sub(r"saint\1", " ".join(letters.split()))
