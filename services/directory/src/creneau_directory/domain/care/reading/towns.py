"""Finds places in a text: a town, misspelt or not, an arrondissement, a département, a region, a postal code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from creneau_directory.domain.care.places import Gazetteer, Place
from creneau_directory.domain.care.reading.facts import Piece
from creneau_directory.domain.care.reading.typed_words import is_counted, says_nothing
from creneau_directory.domain.care.spelling import SMALL, joined, stem
from creneau_directory.domain.care.vocabulary import IDLE, Vocabulary
from creneau_shared.spelling import fold

PLACE_WORDS = frozenset(["a", "au", "aux", "en", "sur", "vers", "dans", "in", "near", "at"])
"""words that introduce the name of a place"""
SAINT = frozenset({"st", "ste", "saint", "sainte"})
ARTICLES = frozenset({"le", "la", "les", "l"})
ARTICLE_LETTERS_MIN = 5
"""fewest letters of a misspelt name together with its article"""
WHOLE_NAME_WORTH = 1.4
"""worth of each word of a commune's whole name: more than that of the towns, areas or complaints that its parts may be"""
ARTICLE_WORTH = 0.1
"""what the article adds that belongs to the name: `la falaise` is rather La Falaise than Falaise"""
NAME_WORDS_MAX = 4
"""most words in a misspelt name of a town"""
MISSPELT_MAX = 64
"""most pieces of one text that are looked up as misspelt names; long texts of people have up to fifty that may be"""
BEFORE_A_NUMBER = frozenset({"dans", "le", "du", "en"})
AFTER_A_NUMBER = frozenset({"e", "er", "eme", "ieme", "arrondissement", "arr", "ardt", "arrdt", "arrond"})


class _Misspelt:
    """The misspelt names in one text. Each is compared with those of all towns, so only the first are looked up."""

    def __init__(self, places: Gazetteer) -> None:
        self._places = places
        self._left = MISSPELT_MAX

    def name(self, words: Sequence[str]) -> tuple[Place, float] | None:
        if not self._left:
            return None
        self._left -= 1
        return self._places.misspelt(words)


class PlacePieces:
    """Finds places in texts; `vocabulary` says which words mean something else."""

    def __init__(self, places: Gazetteer, vocabulary: Vocabulary) -> None:
        self._places = places
        self._vocabulary = vocabulary

    def of(self, words: Sequence[str]) -> Iterator[Piece]:
        misspelt = _Misspelt(self._places)
        for start in range(len(words)):
            yield from self._beginning(words, start, misspelt)

    def _beginning(self, words: Sequence[str], start: int, misspelt: _Misspelt) -> Iterator[Piece]:
        introduced = 0.35 if self._is_introduced(words, start) else 0.0
        if is_counted(words, start):
            yield Piece(start, start + 1, "aside", 0.05)
            yield Piece(start, start + 2, "aside", 0.36)
            return
        ordinal = self._places.arrondissement(None, words[start])
        if ordinal is not None:
            if start and words[start - 1] == "en":
                yield Piece(start, start + 1, "aside", 0.8)  # a class at school: `en 6eme`
            else:
                yield Piece(start, start + 1, "place", 0.8, ordinal)
        yield from self._with_city_after(words, start)
        content: list[str] = []
        for end in range(start + 1, min(len(words), start + self._places.longest + 2) + 1):
            word = words[end - 1]
            if word in SMALL:
                continue
            if is_counted(words, end - 1):
                return
            content.append(word)
            if len(content) == 1 and (
                (not introduced and says_nothing(self._vocabulary, word))
                or self._begins_a_saint(words, start)
            ):
                continue
            whole = self._places.whole(words[start:end])
            if whole is not None and len(content) > 1:
                yield Piece(start, end, "place", WHOLE_NAME_WORTH * (end - start) + introduced, whole)
            found = self._places.named(content)
            larger = self._places.looking_larger(word) if len(content) == 1 else None
            if larger is not None and found is not None:
                yield Piece(start, end, "place", found[1] + introduced, larger, corrected=True)
                continue
            if found is not None:
                place, sure = found
                if whole is not None and place.kind == "commune":
                    place, sure = whole, sure + ARTICLE_WORTH
                worth = sure * (1 + 1.15 * (len(content) - 1)) + introduced
                yield Piece(start, end, "place", worth, place)
                yield from self._arrondissements(words, content, start, end, worth)
            elif len(content) <= NAME_WORDS_MAX and self._may_be_misspelt(content):
                alike = misspelt.name(content)
                if alike is not None:
                    worth = _worth_of_misspelt(alike[1], len(content)) + introduced
                    yield Piece(start, end, "place", worth, alike[0], corrected=True)
            if words[start] in ARTICLES and whole is None and len(content) < NAME_WORDS_MAX:
                yield from self._with_article(words[start:end], content, start, introduced, misspelt)

    def _is_introduced(self, words: Sequence[str], at: int) -> bool:
        """Whether the word before introduces a place; `sur` before a common ending does not (`sur marne` is a river)."""
        before = words[at - 1] if at else ""
        return before in PLACE_WORDS and not (before == "sur" and self._places.ends(words[at]))

    def _may_be_misspelt(self, content: Sequence[str]) -> bool:
        """Whether words may be a misspelt name of a town: at least one is not in the vocabulary, and none says whom or how.
        Idle words may be among several: `asnierres sur seine`."""
        if len(content) == 1 and self._places.ends(content[0]):
            return False
        if any(self._places.is_town(word) and not self._places.ends(word) for word in content):
            return False
        known = [stem(word) in self._vocabulary.words and word not in SAINT for word in content]
        if not any(known):
            return True
        if all(known) or content[-1] in PLACE_WORDS or (known[0] and not self._places.begins(content[0])):
            return False
        terms = [self._vocabulary.phrases.get((stem(word),)) for word in content]
        return all(term is None or term.kind in IDLE for term in terms)

    def _with_article(
        self,
        words: Sequence[str],
        content: Sequence[str],
        start: int,
        introduced: float,
        misspelt: _Misspelt,
    ) -> Iterator[Piece]:
        """A name with an article, misspelt or not: `le mans`, `le manss`, `l ail les roses`; only a city if the rest is a word:
        `le man`."""
        if len(joined(words)) < ARTICLE_LETTERS_MIN or (
            len(content) > 1 and not self._may_be_misspelt(content)
        ):
            return
        alike = misspelt.name(words)
        if alike is None or fold(alike[0].name).split()[0] != words[0]:
            return
        place, sure = alike
        is_word = len(content) == 1 and stem(content[0]) in self._vocabulary.words
        if is_word and not (self._places.is_large(place) and sure > 0.4):
            return
        worth = _worth_of_misspelt(sure, len(content) + 1) + introduced
        is_exact = list(words) == fold(place.name).split()
        yield Piece(start, start + len(words), "place", worth, place, corrected=not is_exact)

    def _begins_a_saint(self, words: Sequence[str], at: int) -> bool:
        """Whether `st` begins a name (`st nazere`), and is not the commune Le Saint."""
        after = words[at + 1] if at + 1 < len(words) else ""
        return words[at] in SAINT and after.isalpha() and stem(after) not in self._vocabulary.words

    def _arrondissements(
        self, words: Sequence[str], content: Sequence[str], start: int, end: int, worth: float
    ) -> Iterator[Piece]:
        """`lyon 3`, `paris 18 eme`, `paris dans le 15e`."""
        if len(content) != 1:
            return
        at = end
        while at < len(words) and words[at] in BEFORE_A_NUMBER:
            at += 1
        if at == len(words):
            return
        place = self._places.arrondissement(content[0], words[at])
        if place is not None:
            at += 1
            while at < len(words) and words[at] in AFTER_A_NUMBER:
                at += 1
            yield Piece(start, at, "place", worth + 1.3, place)

    def _with_city_after(self, words: Sequence[str], start: int) -> Iterator[Piece]:
        """`3e arrondissement de lyon`, `dans le 6e à marseille`; a bare number and one in words only with `arrondissement`."""
        at = start + 1
        while at < len(words) and words[at] in AFTER_A_NUMBER:
            at += 1
        alone = at == start + 1
        while at < len(words) and (words[at] in SMALL or words[at] in PLACE_WORDS):
            at += 1
        if at == len(words) or (alone and self._places.arrondissement(None, words[start]) is None):
            return
        place = self._places.arrondissement(words[at], words[start])
        if place is not None:
            yield Piece(start, at + 1, "place", 2.25, place)


def _worth_of_misspelt(sure: float, content: int) -> float:
    """The worth of a misspelt name: one of several words is worth more than several towns of one word each."""
    return sure * (1 + 1.8 * (content - 1))
