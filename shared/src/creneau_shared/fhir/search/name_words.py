"""How names of people, organisations and places, and their addresses, are found by any of their words.

FHIR R4 lets a string search begin at the start of the text only, and leaves to a server what `name` of a person matches
(search.html#string). People know "de La Tour du Pin" by "tour", Mme Le Gall-Moreau by "moreau". So a text of such a
parameter is stored once more from each of its words on (`text_starts`), under a name of its own (`START`), by which
one range of the same index finds it; the text itself stays what it is compared and sorted by. Saint, Sainte, St and Ste
are one word on both sides. A person is found with the particles of the name apart or together (`Le Goff`, `legoff`): what is
asked for is looked for in each of these spellings, and nothing more is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from creneau_shared.spelling import PARTICLES, REMEMBERED_CHARACTERS_MAX, fold, ways_of_writing

START = ":start"
"""Suffix of a parameter's index name for its texts from each of their words on."""

WORDS_MAX = 16
"""most words of one text from which it can be found"""

_BASES = frozenset(
    {"HealthcareService", "Location", "Organization", "Patient", "Practitioner", "RelatedPerson"}
)
_NAMES = frozenset({"address", "address-city", "family", "given", "name"})
_PEOPLE = frozenset({"Patient", "Practitioner", "RelatedPerson"})
_OF_PEOPLE = frozenset({"family", "given", "name"})
_SAINT = re.compile(r"\b(?:sainte|ste|st)\b")
_PARTICLE_CHARACTERS = 2
"""words so short (de, la, d, le) select next to nothing; they are looked for together with the longer word after them"""


def found_by_words(base: str, parameter: str) -> bool:
    """Whether the string parameter of the type is found from each of its words on."""
    return base in _BASES and parameter in _NAMES


def found_in_any_order(base: str, parameter: str) -> bool:
    """Whether the words may stand in several parts of the value, in any order: the name of a person."""
    return base in _PEOPLE and parameter == "name"


def spellings(base: str, parameter: str, phrase: str) -> tuple[str, ...]:
    """The spellings with which a stored text may begin to match a folded phrase: a person's name also with its particles
    apart or together."""
    written = ways_of_writing(phrase) if base in _PEOPLE and parameter in _OF_PEOPLE else (phrase,)
    return tuple(dict.fromkeys((*written, same_saint(phrase))))


def same_saint(folded: str) -> str:
    """A folded text with one spelling of Saint: `"ste anne"` → `"saint anne"`."""
    return _SAINT.sub("saint", folded) if "st" in folded or "sainte" in folded else folded


@lru_cache(maxsize=16_384)
def _starts(folded: str) -> tuple[str, ...]:
    words = same_saint(folded).split()
    starts = (" ".join(words[number:]) for number in range(min(len(words), WORDS_MAX)))
    return tuple(start for number, start in enumerate(starts) if number or start != folded)


def text_starts(text: str) -> tuple[str, ...]:
    """The texts that find a text beside its folded form: itself from each further word on, with one spelling of Saint.

    `"Le Gall-Moreau"` → `"gall moreau"`, `"moreau"`; `"St Malo"` → `"saint malo"`, `"malo"`.
    """
    folded = fold(text)
    return _starts(folded) if len(folded) <= REMEMBERED_CHARACTERS_MAX else _starts.__wrapped__(folded)


def phrases(folded: str) -> list[str]:
    """The parts of a folded text that must each be found: its words, short ones together with the longer word after them.

    `"dupont jean"` → `["dupont", "jean"]`; `"jean de la tour"` → `["jean", "de la tour"]`.
    """
    return _led_by(folded, lambda word: len(word) <= _PARTICLE_CHARACTERS)


def readings(folded: str) -> list[list[str]]:
    """The ways to read a name as phrases, the first of them `phrases`. A longer word may be a particle: `"ben ali"` may be
    two names or one. A short one may be a name, an initial or a title instead: `"li wang"`, `"dr le goff"`, `"jean l martin"`;
    alone it selects little, so what is longer is looked for first."""
    ways = [
        phrases(folded),
        _led_by(folded, lambda word: len(word) <= _PARTICLE_CHARACTERS or word in PARTICLES),
    ]
    if any(len(word) <= _PARTICLE_CHARACTERS for word in folded.split()):
        apart = _led_by(folded, PARTICLES.__contains__), folded.split()
        ways += [sorted(way, key=len, reverse=True) for way in apart]
    return [way for number, way in enumerate(ways) if sorted(way) not in map(sorted, ways[:number])]


def _led_by(folded: str, leads: Callable[[str], bool]) -> list[str]:
    found: list[str] = []
    leading: list[str] = []
    for word in folded.split():
        leading.append(word)
        if not leads(word):
            found.append(" ".join(leading))
            leading = []
    return [*found, " ".join(leading)] if leading else found
