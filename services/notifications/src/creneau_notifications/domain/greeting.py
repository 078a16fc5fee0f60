"""The name by which a message greets its reader. Whoever registered the person gave it. It is used only if it could stand in
a register of births, so that nobody else's words reach a stranger's letter box."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

NAME_CHARS_MAX = 70
"""longer than the longest of French civil names; what is longer is a text, not a name"""
WORDS_MAX = 6
MARKS_MAX = 3
"""combining marks on one letter: Vietnamese has two, Indic scripts three; more is a picture made of letters"""

_LETTER = r"[^\W\d_]"
_JOINED = rf"{_LETTER}+(?:['’-]{_LETTER}+)*['’]?"
_INITIALS = rf"(?:{_LETTER}\.-?)*{_LETTER}\."
_TITLE = rf"{_LETTER}{{2,4}}\."
_WORD = re.compile(rf"{_JOINED}|{_INITIALS}|{_TITLE}")
_SPACES = frozenset({"Zs", "Zl", "Zp", "Cc"})
_HYPHENS = str.maketrans({"‐": "-", "–": "-"})


@lru_cache(maxsize=256)
def addressed_as(name: str) -> str | None:
    """`name` on one line, or None if it is no name to greet a person by.

    Compatible forms are made plain first (`ｅｖｉｌ．ｃｏｍ` is `evil.com`), and invisible characters are removed. The rest
    may hold letters, their marks, hyphens, apostrophes and the points of initials. Anything else (a link, a number,
    an address, markup, pictures), or too long a text, is not repeated even in part. Cached: a message asks several
    times.
    """
    if len(name) > 2 * NAME_CHARS_MAX:
        return None
    text = " ".join(_visible(unicodedata.normalize("NFKC", name)).translate(_HYPHENS).split())
    words = text.split()
    plausible = 0 < len(text) <= NAME_CHARS_MAX and len(words) <= WORDS_MAX
    return text if plausible and all(_is_word(word) for word in words) else None


def _visible(text: str) -> str:
    categories = ((c, unicodedata.category(c)) for c in text)
    return "".join(" " if category in _SPACES else c for c, category in categories if category != "Cf")


def _is_word(word: str) -> bool:
    bare: list[str] = []
    marks = 0
    for character in word:
        if unicodedata.category(character) in ("Mn", "Mc"):
            marks += 1
            if marks > MARKS_MAX or not bare:
                return False
            continue
        if not (character.isalpha() or character in "-'’."):
            return False
        bare.append(character)
        marks = 0
    return _WORD.fullmatch("".join(bare)) is not None
