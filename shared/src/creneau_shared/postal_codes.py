"""French postal codes, in whichever spelling people and files write them."""

from __future__ import annotations

import re
import unicodedata

_BETWEEN = re.compile(r"[\s\u200b\u200c\u200d\u2060\ufeff.\-\u2010-\u2015]+")
"""separators between digits: visible and invisible blanks, dots, hyphens"""
_CODE = re.compile(r"(?:F(?:R|RA)?|GP|MQ|GF|RE|PM|YT|BL|MF|TF|WF|PF|NC)?([0-9]{5})(?![0-9])", re.IGNORECASE)
"""five digits, optionally after the country code of France or of a territory; a town may follow"""


def postal_code(text: str) -> str | None:
    """The five digits of a French postal code in any spelling (`97 400`, `F-97400`, `97400 Saint-Denis`); None for other
    text."""
    match = _CODE.match(_compact(text))
    return match[1] if match else None


def whole_postal_code(text: str) -> str | None:
    """The five digits of a text that is a postal code and nothing else; None for other text."""
    match = _CODE.fullmatch(_compact(text))
    return match[1] if match else None


def postal_code_beginning(text: str) -> str | None:
    """The postal code, or the first digits of one (`97 4`); None for other text."""
    compact = _compact(text)
    return postal_code(text) or (compact if compact.isascii() and compact.isdigit() else None)


def _compact(text: str) -> str:
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text))
