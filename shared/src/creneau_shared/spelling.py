"""Texts made comparable: folded, and as a French speaker hears them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l"})
_NOT_WORD = re.compile(r"[\W_]+")

# Spelling → sound, in this order, on folded text: French written forms that are heard alike.
_SOUNDS = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"ph", "f"),
        (r"s?ch|sh", "C"),
        (r"th", "t"),
        (r"h", ""),
        (r"eau|au", "o"),
        (r"ou", "U"),
        (r"[ae]in|[ae]im|ym|yn", "in"),
        (r"ai|ei|ay|ey", "e"),
        (r"oe|eu", "e"),
        (r"y", "i"),
        (r"gu(?=[ei])", "G"),
        (r"g(?=[ei])", "j"),
        (r"sc(?=[ei])|c(?=[ei])", "s"),
        (r"qu|[cqk]+", "k"),
        (r"w", "v"),
        (r"b(?=v)", ""),
        (r"x|z", "s"),
        (r"m(?=[bp])", "n"),
        (r"(.)\1+", r"\1"),
        (r"(?<=..)[estdp]+\b", ""),
    )
)


REMEMBERED_CHARACTERS_MAX = 200
"""longer texts are not met twice, and 16,384 of them would be much to remember"""


def fold(text: str) -> str:
    """`text` in lower case without accents or ligatures, each run of punctuation and blanks as one blank.

    `"L’Haÿ-les-Roses"` → `"l hay les roses"`; `"Sacré-Cœur"` → `"sacre coeur"`.
    """
    return _folded(text) if len(text) <= REMEMBERED_CHARACTERS_MAX else _fold(text)


def phonetic(text: str) -> str:
    """How a French speaker hears `text`, roughly: Lefèvre meets Lefebvre, Tibaud meets Thibault."""
    return _heard(text) if len(text) <= REMEMBERED_CHARACTERS_MAX else _hear(text)


def _fold(text: str) -> str:
    lowered = text.casefold()
    if not lowered.isascii():
        decomposed = unicodedata.normalize("NFKD", lowered.translate(_LIGATURES))
        lowered = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return _NOT_WORD.sub(" ", lowered).strip()


def _hear(text: str) -> str:
    sound = fold(text).replace("ault", "o")
    for pattern, replacement in _SOUNDS:
        sound = pattern.sub(replacement, sound)
    return sound.lower()


_folded = lru_cache(maxsize=16_384)(_fold)
_heard = lru_cache(maxsize=16_384)(_hear)
