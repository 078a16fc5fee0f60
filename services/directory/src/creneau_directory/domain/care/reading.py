"""From what somebody typed to what they mean: whom, where, how, by what name. Pure; it never diagnoses.

The words are covered by pieces that are known (terms of the vocabulary, places, names), so that the pieces fit best
together; what no piece covers is ignored, and told. `Rennes dermato femme`, `dr Payet`, `kiné à domicile lyon 3`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise, product
from typing import Literal

from creneau_directory.domain.care.places import Gazetteer, Place, gazetteer
from creneau_directory.domain.care.spelling import SMALL, joined, stem
from creneau_directory.domain.care.vocabulary import (
    FILTERS,
    IDLE,
    JOINED_LETTERS_MIN,
    Term,
    Vocabulary,
    vocabulary,
)
from creneau_shared.spelling import fold

WORDS_MAX = 40
"""of a text; what follows is not read"""
WORDS_REMEMBERED_MAX = 16_384
PLACE_WORDS = frozenset(["a", "au", "aux", "en", "sur", "vers", "dans", "in", "near", "at"])
"""before the name of a place"""
NEVER_WRONG = frozenset({"saint", "sainte", "saints", "saintes"})
"""the beginnings of names of places"""
SAINT = frozenset({"st", "ste", "saint", "sainte"})
ARTICLES = frozenset({"le", "la", "les", "l"})
ARTICLE_LETTERS_MIN = 5
"""of a misspelt name with its article"""
NAME_WORDS_MAX = 4
"""of the name of a town that is found although it is misspelt"""
NAMED_LETTERS_MAX = 8
"""a shorter word after a title is a name rather than misspelt: `dr Marie` has nothing to do with caries"""
HEARD_LETTERS_MIN = 4
"""of what may be a name by its sound alone"""
INTERLEAVED_FROM = 0.75
"""cares whose share is this part of the first one's are shown in turn: for a backache a doctor, a physiotherapist …"""

PieceKind = Literal[
    "care",
    "motive",
    "filter",
    "emergency",
    "event",
    "past",
    "after",
    "place",
    "near",
    "nearme",
    "name",
    "title",
    "when",
    "aside",
    "skip",
    "negation",
]


@dataclass(frozen=True, slots=True)
class KnownNames:
    """Which pieces of a text are names that the directory has: piece → (names, how sure that is)."""

    names: Mapping[str, tuple[tuple[str, ...], float]] = field(default_factory=dict)

    def of(self, piece: str) -> tuple[tuple[str, ...], float] | None:
        return self.names.get(piece)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of the text that mean one thing."""

    start: int
    end: int
    kind: PieceKind
    worth: float
    meaning: Term | Place | tuple[str, ...] | None = None
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class NameWord:
    """A word of a name as it was typed, and the names of the directory that it may be."""

    typed: str
    names: tuple[str, ...]
    sure: float


@dataclass(frozen=True, slots=True)
class Understood:
    """A part of the text and what it was taken for."""

    text: str
    kind: str
    meaning: str
    corrected: bool = False
    keys: tuple[str, ...] = ()
    """of cares"""


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody looks for. `cares`: (key of a care, share from 0 to 1), the first first."""

    cares: tuple[tuple[str, float], ...] = ()
    place: Place | None = None
    near: bool = False
    """around the place rather than within it"""
    near_me: bool = False
    names: tuple[NameWord, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    emergencies: tuple[str, ...] = ()
    """numbers to call first"""
    times: tuple[str, ...] = ()
    """when, as the text says it: `night`, `sunday`, `tomorrow` …; the directory has no free times to compare it with"""
    understood: tuple[Understood, ...] = ()
    ignored: tuple[str, ...] = ()
    """what changes nothing of the answer, in the order of the text: words that nobody knows, and those aside"""
    unknown: tuple[str, ...] = ()
    """those of the ignored that nobody knows"""

    @property
    def empty(self) -> bool:
        return not (self.cares or self.place or self.names or self.filters or self.near_me)

    @property
    def lost(self) -> bool:
        """Whether what is looked for was not understood, whatever was of where: `licorne rennes`; or is no appointment:
        `urgences rennes`."""
        return bool(self.unknown or self.emergencies) and not (self.cares or self.names or self.filters)


class Reader:
    """Reads texts with a vocabulary and places."""

    def __init__(self, words: Vocabulary, places: Gazetteer) -> None:
        self._vocabulary = words
        self._places = places
        # Most texts are made of the same words, and what a misspelt one stands for costs as much as all the rest.
        self._corrected = lru_cache(WORDS_REMEMBERED_MAX)(self._correction)
        self._heard = lru_cache(WORDS_REMEMBERED_MAX)(words.alike.sounding)

    def name_pieces(self, text: str) -> list[str]:
        """What of a text could be a name: each word, and two neighbours as one (`le goff`, `n diaye`)."""
        words = _words(text)
        pairs = [joined(pair) for pair in pairwise(words)]
        return list(dict.fromkeys(word for word in (*words, *pairs) if len(word) > 1 and not word.isdigit()))

    def read(self, text: str, known: KnownNames | None = None) -> Intent:
        """The most fitting reading of a text; `known`: the names of the directory among its pieces."""
        words = _words(text)
        pieces = list(self._pieces(words, known or KnownNames()))
        best = _best_cover(
            words, [piece for piece in pieces if not self._is_idle_name(words, piece, known or KnownNames())]
        )
        if not any(piece.kind in ("care", "motive") for piece in best):
            best = _best_cover(words, pieces)
        return self._intent(words, _with_name(_with_place(words, best, pieces), pieces))

    # -- pieces ----------------------------------------------------------------------------------------------

    def _pieces(self, words: Sequence[str], known: KnownNames) -> Iterator[Piece]:
        corrections = [
            None
            if at and len(word) < NAMED_LETTERS_MAX and _is_title(self._vocabulary, words, at - 1)
            else self._corrected(word)
            for at, word in enumerate(words)
        ]
        for start in range(len(words)):
            yield from self._terms(words, corrections, start)
            yield from self._named_places(words, start)
            yield from self._names(words, start, known)

    def _correction(self, word: str) -> tuple[str, float] | None:
        """The word of the vocabulary that a misspelt one stands for."""
        stemmed = stem(word)
        vocabulary = self._vocabulary
        if stemmed in vocabulary.words or word in vocabulary.words or len(word) < 4 or word.isdigit():
            return None
        if word in NEVER_WRONG:
            return None
        heard = vocabulary.alike.sounding(stemmed)
        if heard is not None:
            return heard, 0.62
        spelt = vocabulary.alike.spelt(stemmed)
        return (spelt, 0.55) if spelt is not None else None

    def _terms(
        self, words: Sequence[str], corrections: Sequence[tuple[str, float] | None], start: int
    ) -> Iterator[Piece]:
        if words[start] in SMALL:
            exact = self._vocabulary.phrases.get((words[start],))
            if exact is not None and exact.kind == "skip":
                yield Piece(start, start + 1, "skip", 0.05, exact)
        chosen: list[tuple[tuple[str, float], ...]] = []
        for end in range(start + 1, min(len(words), start + 2 * self._vocabulary.longest) + 1):
            word = words[end - 1]
            if word not in SMALL:
                own = (stem(word), 1.0)
                other = corrections[end - 1]
                chosen.append((own, other) if other is not None else (own,))
                if len(chosen) > self._vocabulary.longest:
                    return
                yield from self._phrases(start, end, chosen)
                if len(chosen) in (2, 3):
                    yield from self._split(words, start, end)
            exact = self._vocabulary.phrases.get(tuple(words[start:end]))
            if exact is not None and len(words[start:end]) > 1:
                yield _term_piece(start, end, exact, 1.0, end - start)

    def _phrases(
        self, start: int, end: int, chosen: Sequence[tuple[tuple[str, float], ...]]
    ) -> Iterator[Piece]:
        for spelling in product(*chosen):
            term = self._vocabulary.phrases.get(tuple(word for word, _ in spelling))
            if term is not None:
                yield _term_piece(start, end, term, min(sure for _, sure in spelling), len(spelling))

    def _split(self, words: Sequence[str], start: int, end: int) -> Iterator[Piece]:
        """One word that was written, or dictated, as two or three: `dermato logue`, `ophtalmo-logue`, `os théo pathe`."""
        one = joined(words[start:end])
        if len(one) < JOINED_LETTERS_MIN:
            return
        term = self._vocabulary.phrases.get((stem(one),))
        sure = 0.9
        if term is None and any(len(w) > 1 and not self._says_nothing(w) for w in words[start:end]):
            heard = self._heard(stem(one))
            term, sure = (self._vocabulary.phrases.get((heard,)) if heard else None), 0.7
        if term is not None and (term.kind == "care" or (sure == 0.9 and term.kind == "motive")):
            yield _term_piece(start, end, term, sure, 2)

    def _named_places(self, words: Sequence[str], start: int) -> Iterator[Piece]:
        introduced = 0.35 if self._is_introduced(words, start) else 0.0
        if _is_counted(words, start):
            yield Piece(start, start + 1, "aside", 0.05)
            yield Piece(start, start + 2, "aside", 0.36)
            return
        ordinal = self._places.arrondissement(None, words[start])
        if ordinal is not None:
            yield Piece(start, start + 1, "place", 0.8, ordinal)
        content: list[str] = []
        for end in range(start + 1, min(len(words), start + self._places.longest + 2) + 1):
            word = words[end - 1]
            if word in SMALL:
                continue
            if _is_counted(words, end - 1):
                return
            content.append(word)
            if len(content) == 1 and (
                (not introduced and self._says_nothing(word)) or self._begins_a_saint(words, start)
            ):
                continue
            found = self._places.named(content)
            larger = self._places.looking_larger(word) if len(content) == 1 else None
            if larger is not None and found is not None:
                yield Piece(start, end, "place", found[1] + introduced, larger, corrected=True)
                continue
            if found is not None:
                place, sure = found
                worth = sure * (1 + 1.15 * (len(content) - 1)) + introduced
                yield Piece(start, end, "place", worth, place)
                yield from self._arrondissements(words, content, start, end, worth)
            elif len(content) <= NAME_WORDS_MAX and self._may_be_misspelt(content):
                alike = self._places.misspelt(content)
                if alike is not None:
                    worth = _worth_of_misspelt(alike[1], len(content)) + introduced
                    yield Piece(start, end, "place", worth, alike[0], corrected=True)
            if words[start] in ARTICLES and len(content) < NAME_WORDS_MAX:
                yield from self._with_article(words[start:end], content, start, introduced)
            if word in SMALL and len(content) > self._places.longest:
                return

    def _is_introduced(self, words: Sequence[str], at: int) -> bool:
        """Whether a word that leads to a place stands before; `sur` within a name leads to a river: `sur marne`."""
        before = words[at - 1] if at else ""
        return before in PLACE_WORDS and not (before == "sur" and self._places.ends(words[at]))

    def _may_be_misspelt(self, content: Sequence[str]) -> bool:
        """Whether some words may be the name of a town with something wrong: one of them nobody knows, and none says whom or
        how. What says nothing may be one of several: `asnierres sur seine`."""
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
        self, words: Sequence[str], content: Sequence[str], start: int, introduced: float
    ) -> Iterator[Piece]:
        """A name that has an article: `le manss`, `l ail les roses`; of a large town although the rest is a word: `le man`."""
        if len(joined(words)) < ARTICLE_LETTERS_MIN or (
            len(content) > 1 and not self._may_be_misspelt(content)
        ):
            return
        alike = self._places.misspelt(words)
        if alike is None or fold(alike[0].name).split()[0] != words[0]:
            return
        place, sure = alike
        is_word = len(content) == 1 and stem(content[0]) in self._vocabulary.words
        if is_word and not (self._places.is_large(place) and sure > 0.4):
            return
        worth = _worth_of_misspelt(sure, len(content) + 1) + introduced
        yield Piece(start, start + len(words), "place", worth, place, corrected=True)

    def _begins_a_saint(self, words: Sequence[str], at: int) -> bool:
        """Whether `st` begins the name of a saint, and is not Le Saint: `st nazere`."""
        after = words[at + 1] if at + 1 < len(words) else ""
        return words[at] in SAINT and after.isalpha() and stem(after) not in self._vocabulary.words

    def _says_nothing(self, word: str) -> bool:
        """Whether a word is one that says nothing of care, though some hamlet bears it: `hôpital`, `maison`."""
        term = self._vocabulary.phrases.get((word,))
        return term is not None and term.kind in IDLE

    def _is_idle_name(self, words: Sequence[str], piece: Piece, known: KnownNames) -> bool:
        """Whether a name is also a word of every day (`un bon dentiste`, `demain matin`) and nothing beside it says that
        it is a name: no title, no other name (`dr Petit`, `Jean Petit`)."""
        if piece.kind != "name" or not all(self._says_nothing(w) for w in words[piece.start : piece.end]):
            return False
        beside = [at for at in (piece.start - 1, piece.end) if 0 <= at < len(words)]
        return not any(
            _is_title(self._vocabulary, words, at) or self._is_surely_name(words[at], known) for at in beside
        )

    def _is_surely_name(self, word: str, known: KnownNames) -> bool:
        """A name of the directory, and nothing else that is known."""
        found = known.of(word)
        return (
            found is not None
            and found[1] == 1
            and stem(word) not in self._vocabulary.words
            and self._places.named([word]) is None
        )

    def _arrondissements(
        self, words: Sequence[str], content: Sequence[str], start: int, end: int, worth: float
    ) -> Iterator[Piece]:
        """`lyon 3`, `paris 18 eme`, `paris dans le 15e`."""
        if len(content) != 1:
            return
        at = end
        while at < len(words) and words[at] in ("dans", "le", "du", "en"):
            at += 1
        if at == len(words):
            return
        place = self._places.arrondissement(content[0], words[at])
        if place is not None:
            at += 1
            while at < len(words) and words[at] in (
                "e",
                "er",
                "eme",
                "ieme",
                "arrondissement",
                "arr",
                "ardt",
            ):
                at += 1
            yield Piece(start, at, "place", worth + 1.3, place)

    def _names(self, words: Sequence[str], start: int, known: KnownNames) -> Iterator[Piece]:
        titled = start > 0 and _is_title(self._vocabulary, words, start - 1)
        for length in (1, 2):
            end = start + length
            if end > len(words):
                return
            piece = joined(words[start:end])
            found = known.of(piece)
            if found is None or (length == 1 and piece in SMALL):
                continue
            names, sure = found
            if sure < 1 and (
                len(piece) < HEARD_LETTERS_MIN or any(w in self._vocabulary.words for w in words[start:end])
            ):
                continue
            worth = 0.8 * sure + (1.0 if titled else 0.0) + (0.25 if length == 2 else 0.0)
            if start > 0 and sure == 1 and self._is_surely_name(words[start - 1], known):
                worth += 0.5  # `Céline Rivière`: after a name that is nothing else, a name rather than a town
            yield Piece(start, end, "name", worth, names, corrected=sure < 1)

    # -- meaning ---------------------------------------------------------------------------------------------

    def _intent(self, words: Sequence[str], pieces: Sequence[Piece]) -> Intent:
        said = [piece for piece in pieces if piece.kind not in _IDLE_PIECES]
        names = tuple(
            NameWord(joined(words[p.start : p.end]), p.meaning, 1.0 if not p.corrected else 0.8)
            for p in said
            if p.kind == "name" and isinstance(p.meaning, tuple)
        )
        filters, excluded = _filters(said, words)
        place, near = _place(said)
        ignored = _ignored(words, pieces)
        said = _with_what_is_over(said, _between(words, pieces))
        terms = [(p, p.meaning) for p in said if isinstance(p.meaning, Term)]
        return Intent(
            cares=self._cares(terms, has_names=bool(names)),
            place=place,
            near=near,
            near_me=any(piece.kind == "nearme" for piece in said),
            names=names,
            filters=filters,
            excluded=excluded,
            emergencies=tuple(
                dict.fromkeys(
                    number for p, term in terms if p.kind in ("emergency", "event") for number in term.calls
                )
            ),
            times=tuple(
                dict.fromkeys(value for p, term in terms if p.kind == "when" for value, _ in term.targets)
            ),
            understood=tuple(self._told(words, piece) for piece in said if piece.kind not in _LEADING),
            ignored=tuple(text for text, _ in ignored),
            unknown=tuple(text for text, known in ignored if not known),
        )

    def _cares(
        self, terms: Sequence[tuple[Piece, Term]], *, has_names: bool
    ) -> tuple[tuple[str, float], ...]:
        """Whom is meant. A profession that is named counts before what it is for; `médecin` alone is any doctor."""
        named = [term for piece, term in terms if piece.kind == "care"]
        motives = [term for piece, term in terms if piece.kind == "motive"]
        titles = [term for piece, term in terms if piece.kind == "title"]
        generic = [
            term for term in named if [key for key, _ in term.targets] == [GENERAL] and _is_generic(term)
        ]
        if len(generic) == len(named) and motives:
            return _together(motives, with_general=bool(generic))
        specific = [term for term in named if term not in generic] or named
        if specific:
            return _together(specific)
        if motives:
            return _together(motives)
        if titles and not has_names and any(fold(term.text) in _TITLES_OF_DOCTORS for term in titles):
            return ((GENERAL, 1.0),)
        return ()

    def _told(self, words: Sequence[str], piece: Piece) -> Understood:
        text = " ".join(words[piece.start : piece.end])
        meaning = piece.meaning
        if isinstance(meaning, Term):
            kind = (
                "emergency"
                if piece.kind == "event"
                else meaning.kind
                if piece.kind == "filter"
                else piece.kind
            )
            cares = self._vocabulary.cares
            if kind == "emergency":
                return Understood(text, kind, ", ".join(meaning.calls), piece.corrected)
            if kind in ("care", "motive"):
                keys = tuple(key for key, _ in meaning.targets)
                return Understood(
                    text, kind, ", ".join(cares[key].french for key in keys), piece.corrected, keys
                )
            return Understood(text, kind, ", ".join(value for value, _ in meaning.targets), piece.corrected)
        if isinstance(meaning, Place):
            return Understood(text, meaning.kind, meaning.name, piece.corrected)
        return Understood(text, piece.kind, ", ".join(meaning or ()), piece.corrected)


_LEADING = frozenset({"negation", "past", "after"})
"""kinds that only change what others mean"""
_IDLE_PIECES = frozenset({"aside", "skip"})
_NOW = frozenset({"now", "today", "night"})
GENERAL, CHILDREN = "medecine-generale", "pediatrie"
_GENERIC = frozenset({"medecin", "toubib", "doctor", "physician", "doc", "docteur"})
_TITLES_OF_DOCTORS = frozenset({"dr", "docteur", "docteurs"})


_NUMBER = re.compile(r"[0-9]+(?:er|e|eme|ieme)?")
_UNITS = frozenset(
    [
        *(
            "an",
            "ans",
            "mois",
            "semaine",
            "semaines",
            "jour",
            "jours",
            "heure",
            "heures",
            "minute",
            "minutes",
        ),
        *(
            "kilo",
            "kilos",
            "kg",
            "cm",
            "km",
            "m",
            "fois",
            "enfants",
            "years",
            "months",
            "weeks",
            "days",
            "hours",
        ),
    ]
)
"""what numbers count"""


def _is_counted(words: Sequence[str], at: int) -> bool:
    """Whether a number counts what follows and is no place: `12 ans` is not the Aveyron, `9eme mois` no arrondissement."""
    return at + 1 < len(words) and words[at + 1] in _UNITS and _NUMBER.fullmatch(words[at]) is not None


def _is_generic(term: Term) -> bool:
    return fold(term.text) in _GENERIC


def _is_title(words: Vocabulary, text: Sequence[str], at: int) -> bool:
    term = words.phrases.get((text[at],))
    return (term is not None and term.kind == "title") or text[at] in ("docteur", "dr")


_GLUED = re.compile(
    r"(?:(?<=\bparis)|(?<=\blyon)|(?<=\bmarseille))(?=[0-9])|(?<=[a-z]{3})(?=[0-9]{5}\b)|(?<=\b[0-9]{5})(?=[a-z]{3})"
)
"""between a word and a number that were typed as one: `lyon3`, `paris15e`, `dentiste13008`, `69003lyon`"""


def _words(text: str) -> list[str]:
    return _GLUED.sub(" ", fold(text)).split()[:WORDS_MAX]


def _term_piece(start: int, end: int, term: Term, sure: float, content: int) -> Piece:
    kind: PieceKind = "filter" if term.kind in FILTERS else term.kind  # type: ignore[assignment]
    weight = {
        "skip": 0.3,
        "aside": 0.3,
        "title": 0.6,
        "near": 0.7,
        "when": 0.6,
        "past": 0.9,
        "after": 0.5,
    }.get(term.kind, 1.0)
    worth = weight * sure * (content + 0.3 * (content - 1)) * (0.97 if term.kind == "motive" else 1.0)
    return Piece(start, end, kind, worth, term, corrected=sure < 1)


def _worth_of_misspelt(sure: float, content: int) -> float:
    """A whole name of several words rather than some towns that each of them is like."""
    return sure * (1 + 1.8 * (content - 1))


def _best_cover(words: Sequence[str], pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that do not overlap and are worth most together."""
    by_end: dict[int, list[Piece]] = {}
    for piece in pieces:
        by_end.setdefault(piece.end, []).append(piece)
    best: list[tuple[float, tuple[Piece, ...]]] = [(0.0, ())]
    for end in range(1, len(words) + 1):
        choice = best[end - 1]
        for piece in by_end.get(end, ()):
            worth, before = best[piece.start]
            # Of two covers worth the same, the one of fewer pieces.
            if worth + piece.worth - 0.01 > choice[0]:
                choice = (worth + piece.worth - 0.01, (*before, piece))
        best.append(choice)
    return list(best[-1][1])


def _with_place(words: Sequence[str], best: Sequence[Piece], pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Where it is said whom, but not where, a misspelt word is a town rather than a complaint: `dermatologue reines`."""
    guessed = [piece for piece in best if piece.kind == "motive" and piece.corrected]
    if not guessed or not any(piece.kind == "care" for piece in best) or _place(best)[0] is not None:
        return best
    other = _best_cover(
        words, [p for p in pieces if not (p.kind == "motive" and p.corrected) and p.kind != "name"]
    )
    return other if _place(other)[0] is not None else best


def _with_name(best: Sequence[Piece], pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Of two towns, one that somebody is called like is their name: `Laval Rennes`."""
    places = [piece for piece in best if isinstance(piece.meaning, Place)]
    towns = [
        piece for piece in places if isinstance(piece.meaning, Place) and piece.meaning.kind == "commune"
    ]
    if len(towns) < 2 or any(piece.kind == "name" for piece in best):
        return best
    names = {(p.start, p.end): p for p in pieces if p.kind == "name" and not p.corrected}
    for town in sorted(towns, key=lambda piece: piece.worth):
        name = names.get((town.start, town.end))
        if name is not None:
            return [name if piece is town else piece for piece in best]
    return best


def _between(words: Sequence[str], pieces: Sequence[Piece]) -> frozenset[int]:
    """Which words lead from one piece to another: small ones, and those that say nothing."""
    small = {at for at, word in enumerate(words) if word in SMALL}
    return frozenset(small.union(*(range(p.start, p.end) for p in pieces if p.kind in _IDLE_PIECES)))


def _with_what_is_over(said: Sequence[Piece], between: frozenset[int]) -> list[Piece]:
    """What happened once is a need of today where the text says that it is over, and an emergency where it does not:
    `séquelles d'avc`, `a fait un infarctus l'an dernier`. The words that say so may be a need themselves (`rééducation`)."""
    is_now = any(
        piece.kind == "when" and isinstance(piece.meaning, Term) and _NOW & dict(piece.meaning.targets).keys()
        for piece in said
    )
    is_over = not is_now and any(piece.kind == "past" for piece in said)
    ends = () if is_now else [piece.end for piece in said if piece.kind == "after"]

    def is_need(piece: Piece) -> bool:
        if piece.kind != "event":
            return piece.kind == "past"
        return is_over or any(
            end <= piece.start and between.issuperset(range(end, piece.start)) for end in ends
        )

    return [
        replace(piece, kind="motive")
        if isinstance(piece.meaning, Term) and piece.meaning.targets and is_need(piece)
        else piece
        for piece in said
    ]


def _place(pieces: Sequence[Piece]) -> tuple[Place | None, bool]:
    """The narrowest place that is named, and whether what is meant is around it."""
    found = [piece for piece in pieces if isinstance(piece.meaning, Place)]
    if not found:
        return None, False
    order = {"arrondissement": 0, "postal-code": 1, "commune": 2, "department": 3, "region": 4}

    def rank(piece: Piece) -> tuple[int, float, int]:
        assert isinstance(piece.meaning, Place)
        return order[piece.meaning.kind], -round(piece.worth, 2), -piece.meaning.population

    best = min(found, key=rank)
    place = best.meaning
    assert isinstance(place, Place)
    for other in found:
        wider = other.meaning
        if other is not best and isinstance(wider, Place) and wider.kind in ("department", "region"):
            place = _within(place, wider)
    return place, any(piece.kind == "near" for piece in pieces)


def _within(place: Place, wider: Place) -> Place:
    """Of communes of one name, the one in the area that is named too: `Saint-Pierre`, `Réunion`."""
    places = gazetteer()
    same = places.of_name(place.name)
    key = wider.key.partition(":")[2]
    for commune in same:
        area = commune.department if wider.kind == "department" else places.region_of.get(commune.department)
        if area == key:
            return commune.place
    return place


def _filters(
    pieces: Sequence[Piece], words: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Wishes by their kind, and those that are negated right before."""
    wanted: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for piece in pieces:
        if piece.kind != "filter" or not isinstance(piece.meaning, Term):
            continue
        target = refused if _negation_of(piece, pieces, words) else wanted
        target.setdefault(piece.meaning.kind, []).extend(value for value, _ in piece.meaning.targets)
    return _unique(wanted), _unique(refused)


def _negation_of(wish: Piece, pieces: Sequence[Piece], words: Sequence[str]) -> Piece | None:
    """The negation right before a wish."""
    before = next((at for at in range(wish.start - 1, -1, -1) if words[at] not in SMALL), -1)
    return next((piece for piece in pieces if piece.kind == "negation" and piece.end == before + 1), None)


def _ignored(words: Sequence[str], pieces: Sequence[Piece]) -> list[tuple[str, bool]]:
    """What of a text changes nothing of the answer, and whether it is known: words that no piece covers; pieces aside; a
    negation of what is no wish, and what says that something is over where nothing happened."""
    used = [_negation_of(piece, pieces, words) for piece in pieces if piece.kind == "filter"]
    happened = any(piece.kind == "event" for piece in pieces)

    def is_ignored(piece: Piece) -> bool:
        if piece.kind == "past":
            return not happened and isinstance(piece.meaning, Term) and not piece.meaning.targets
        return piece.kind == "aside" or (piece.kind == "negation" and piece not in used)

    covered = {at for piece in pieces for at in range(piece.start, piece.end)}
    found = [(at, word, False) for at, word in enumerate(words) if at not in covered and word not in SMALL]
    found += [(p.start, " ".join(words[p.start : p.end]), True) for p in pieces if is_ignored(p)]
    return [(text, known) for _, text, known in sorted(found)]


def _unique(found: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {kind: tuple(dict.fromkeys(values)) for kind, values in found.items()}


def _together(terms: Sequence[Term], *, with_general: bool = False) -> tuple[tuple[str, float], ...]:
    """Cares with their shares, those that most of the terms mean first."""
    sums: dict[str, float] = {}
    for term in terms:
        for key, share in term.targets:
            sums[key] = sums.get(key, 0.0) + share * term.weight
    most = max(sums.values(), default=1.0)
    shares = {key: value / most for key, value in sums.items()}
    first = [term.targets[0][0] for term in terms if term.targets]
    if CHILDREN in first and len(set(first)) > 1:
        # `mon fils a de la fièvre`: a child has it, whatever it is.
        shares[CHILDREN] = max(shares.get(CHILDREN, 0.0), 0.95)
    if with_general:
        shares[GENERAL] = max(shares.get(GENERAL, 0.0), 0.95)
    return tuple(sorted(shares.items(), key=lambda pair: -pair[1]))


def reader() -> Reader:
    """The reader with the words and places of the package."""
    return Reader(vocabulary(), gazetteer())
