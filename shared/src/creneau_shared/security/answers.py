"""The question before a link lets somebody act for a person: the year of birth, or the beginning of the birth name.

Booking knows the right answers and passes them on as keyed hashes. Notifications hashes the given answer and compares.
Without the key, which both services share, nobody can test answers against a hash.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

LETTERS = 3
DIGEST_CHARS = 32
BIRTH_NAMES = frozenset({"official", "maiden"})
"""HumanName.use of a birth name (FR Core: official)"""
_SPELLED = {"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d"}
_YEAR = re.compile(r"[12][0-9]{3}")


class Answers:
    """Makes and checks the hashes. `secret`: shared by booking and notifications; empty: no answer is right."""

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()

    def right(self, patient: Mapping[str, Any], recipient: str) -> list[str]:
        """Hashes of the right answers about a Patient, for messages to `recipient` (its reference)."""
        if not self._key:
            return []
        names = patient.get("name", ())
        births = [name for name in names if name.get("use") in BIRTH_NAMES] or names
        said = {str(patient.get("birthDate", ""))[:4], *(str(name.get("family") or "") for name in births)}
        return sorted({self._digest(recipient, one) for text in said if (one := normalised(text))})

    def holds(self, answer: str, recipient: str, right: Collection[str]) -> bool:
        """Whether the answer is one of the right ones."""
        said = normalised(answer)
        if not self._key or not said:
            return False
        given = self._digest(recipient, said)
        return any(hmac.compare_digest(given, one) for one in right)

    def _digest(self, recipient: str, answer: str) -> str:
        said = f"answer\0{recipient}\0{answer}".encode()
        return hmac.new(self._key, said, "sha256").hexdigest()[:DIGEST_CHARS]


def normalised(text: str) -> str:
    """A year of four digits, or the first three letters in lower case, without accents and other characters; empty if the
    text has neither."""
    bare = text.strip()
    if _YEAR.fullmatch(bare):
        return bare
    spelled = "".join(_SPELLED.get(character, character) for character in bare.casefold())
    letters = [c for c in unicodedata.normalize("NFKD", spelled) if c.isalpha()]
    return "".join(letters[:LETTERS])
