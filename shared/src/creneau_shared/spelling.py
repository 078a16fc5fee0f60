"""Makes texts comparable: folded, by French pronunciation, and names with their particles apart or together."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l"})
_NOT_WORD = re.compile(r"[\W_]+")

# Spelling → sound, in this order, on folded text: French spellings with the same pronunciation.
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
    )
)
_SILENT_AT_THE_END = "estdp"
"""letters of a word's end that are not heard, beyond the first two of the text"""


SAINTS = ("saint", "sainte", "st", "ste")
"""spellings of one word"""
_ELIDED = frozenset({"d", "l"})
"""particles only before a vowel, y or h"""
_BEFORE_CONSONANTS = frozenset({"m", "n", "o"})
_NEVER_SECOND = frozenset({"d", "m", "n", "o"})
PARTICLES = _ELIDED.union(
    _BEFORE_CONSONANTS,
    SAINTS,
    (
        "al",
        "ait",
        "bel",
        "ben",
        "da",
        "de",
        "del",
        "della",
        "den",
        "der",
        "des",
        "di",
        "do",
        "dos",
        "du",
        "el",
    ),
    ("la", "le", "les", "mac", "mc", "ould", "van", "von"),
)
"""beginnings of names (folded) that people write apart, with an apostrophe or hyphen, or together: Le Goff, d'Aubigné,
Saint-Martin, Ben Ali, N'Diaye"""
_LED_TO_MIN = 3
"""least letters after a particle that is written together with them"""
_PARTICLES_MAX = 3
WAYS_MAX = 16
"""most ways of writing one name"""

REMEMBERED_CHARACTERS_MAX = 200
"""longer texts are not cached: they seldom come twice, and 16,384 of them would need much memory"""


def fold(text: str) -> str:
    """`text` in lower case without accents or ligatures, each run of punctuation and blanks as one blank.

    `"L’Haÿ-les-Roses"` → `"l hay les roses"`; `"Sacré-Cœur"` → `"sacre coeur"`.
    """
    return _folded(text) if len(text) <= REMEMBERED_CHARACTERS_MAX else _fold(text)


def phonetic(text: str) -> str:
    """`text` by its rough French pronunciation: Lefèvre equals Lefebvre, Tibaud equals Thibault."""
    return _heard(text) if len(text) <= REMEMBERED_CHARACTERS_MAX else _hear(text)


def ways_of_writing(folded: str) -> tuple[str, ...]:
    """The spellings of a folded name: as given, and with its leading particles written apart and together. Written apart,
    the spellings of Saint become `saint`.

    `"le goff"` → `"le goff", "legoff"`; `"daubigne"` → `"daubigne", "d aubigne"`; `"stmartin"` → `…, "saint martin",
    "saintmartin", …`; `"go"`, `"du"` and `"martin"` have one spelling.
    """
    words = folded.split()
    leading = 0
    while leading < len(words) and words[leading] in PARTICLES:
        leading += 1
    if leading == len(words):
        return (folded,)
    rest = " ".join(words[leading + 1 :])
    ways = _apart_and_together("".join(words[: leading + 1]), 0)
    return tuple(dict.fromkeys((folded, *(f"{way} {rest}".rstrip() for way in ways))))[:WAYS_MAX]


def _apart_and_together(letters: str, particles: int) -> list[str]:
    """The spellings of `letters`, which follow this number of particles."""
    found = [letters]
    for particle in sorted(PARTICLES - _NEVER_SECOND if particles else PARTICLES):
        led_to = letters.removeprefix(particle)
        if particles == _PARTICLES_MAX or led_to == letters or not _leads(particle, led_to):
            continue
        for way in _apart_and_together(led_to, particles + 1):
            if particle in SAINTS:
                found += [f"saint {way}", *(saint + way for saint in SAINTS)]
            else:
                found.append(f"{particle} {way}")
    return found


def _leads(particle: str, led_to: str) -> bool:
    if len(led_to) < _LED_TO_MIN:
        return False
    if particle in _ELIDED:
        return led_to[0] in "aeiouyh"
    return particle not in _BEFORE_CONSONANTS or led_to[0] not in "aeiouyh"


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
    # As words, not by a pattern: one that looks for the end of a word from each letter takes quadratic time.
    heard = " ".join(word.rstrip(_SILENT_AT_THE_END) for word in sound[2:].split(" "))
    return (sound[:2] + heard).lower()


_folded = lru_cache(maxsize=16_384)(_fold)
_heard = lru_cache(maxsize=16_384)(_hear)
