"""Full text: the words of a resource, and the queries of `_text` and `_content` (FHIR R4 search.html#text).

Words are those of `fold`: without case or accents, punctuation between them. Both sides are made here and handed to
PostgreSQL as finished `tsvector` and `tsquery` texts, so that no dictionary and no parser of its own has a say.
Words of the narrative have the weight A, by which `_text` is told from `_content`.

`_content` finds what a person would read or type: texts, names, displays, codes, identifiers, contact points. It
leaves out what only machines follow (`_UNREAD`), URIs, dates and what is neither letter nor digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html import unescape
from typing import Any

from creneau_shared.spelling import fold

NARRATIVE = "A"
"""The weight of the words of `text.div`."""

WORD_CHARACTERS = 64
"""Longer words are cut, when stored and when searched: a lexeme may not be longer than an index entry."""
POSITIONS_MAX = 16_000
"""Words of one resource that are indexed; PostgreSQL counts no further than 16,383."""
CHARACTERS_MAX = 100_000
"""Characters of those words: a tsvector holds less than a mebibyte."""

_UNREAD = frozenset(
    {
        "contentType",
        "data",
        "hash",
        "header",
        "id",
        "implicitRules",
        "language",
        "lastUpdated",
        "reference",
        "resourceType",
        "status",
        "system",
        "type",
        "url",
        "use",
        "valueBase64Binary",
        "versionId",
    }
)
"""Elements whose plain values are no text: ids and references, base64, secrets, and codes that have a parameter."""

# A URI is one word with a scheme; a date may have a time. Both have parameters of their own.
_NOT_TEXT = re.compile(r"[a-z][a-z0-9+.\-]*:\S+|\d{4}-\d\d-\d\d(T\S*)?")
_TAG = re.compile(r"<[^<>]*>")


Text = tuple[str, str]
"""what a person would read, and its weight"""


def words_vector(resource: Mapping[str, Any]) -> str:
    """The words of a resource (a dict in FHIR JSON shape) as the text of a tsvector: `'dupont':1,7 'jardin':9A`."""
    return vector_of(texts_of(resource))


def vector_of(texts: Iterable[Text]) -> str:
    """The words of these texts, in the form of `words_vector`."""
    positions: dict[str, list[str]] = {}
    place = characters = 0
    for text, weight in texts:
        for word in _words(text) if len(text) <= WORD_CHARACTERS else _split(text):
            place += 1
            characters += len(word)
            if place > POSITIONS_MAX or characters > CHARACTERS_MAX:
                return _vector(positions)
            positions.setdefault(word, []).append(f"{place}{weight}")
        place += 1  # the words of two values are not neighbours
    return _vector(positions)


def _vector(positions: Mapping[str, list[str]]) -> str:
    return " ".join([f"'{word}':{','.join(places)}" for word, places in positions.items()])


def texts_of(resource: Mapping[str, Any]) -> list[Text]:
    """Each text of the resource, in the order of the document."""
    texts: list[Text] = []
    for name, value in resource.items():
        if name == "text" and isinstance(value, dict):
            texts.append((_plain(value.get("div", "")), NARRATIVE))
        else:
            _collect(name, value, texts)
    return texts


def _collect(name: str, value: Any, texts: list[Text]) -> None:
    if isinstance(value, dict):
        for child_name, child in value.items():
            if not isinstance(child, str):
                _collect(child_name, child, texts)
            elif child_name not in _UNREAD:
                _add(child_name, child, texts)
    elif isinstance(value, list):
        for child in value:
            _collect(name, child, texts)
    elif isinstance(value, str) and name not in _UNREAD:
        _add(name, value, texts)


def _add(name: str, value: str, texts: list[Text]) -> None:
    if not _NOT_TEXT.fullmatch(value):
        texts.append((_plain(value) if name == "div" else value, ""))


def _plain(div: str) -> str:
    """XHTML without its comments and tags."""
    return unescape(_TAG.sub(" ", " ".join(_uncommented(div))))


def _uncommented(div: str) -> Iterator[str]:
    """Yields the parts between comments. No pattern: it would look for the end of each comment without one (in CDATA)."""
    place = 0
    while (begin := div.find("<!--", place)) >= 0 and (end := div.find("-->", begin)) >= 0:
        yield div[place:begin]
        place = end + 3
    yield div[place:]


def _split(text: str) -> list[str]:
    return [word[:WORD_CHARACTERS] for word in fold(text[:CHARACTERS_MAX]).split()]


_words = lru_cache(maxsize=16_384)(_split)


def has_words(vector: str, folded: str) -> bool:
    """Whether all words of a folded text are in a vector of `words_vector`."""
    return all(f"'{word}':" in vector for word in _words(folded))


# -- the query ---------------------------------------------------------------------------------------------------

_PIECE = re.compile(r'"(?P<phrase>[^"]*)"?|(?P<mark>[()])|(?P<minus>-(?=[^\s-]))|(?P<word>[^\s()"]+)')
_OPERATORS = {"and": "&", "or": "|", "not": "!"}


class WordsError(ValueError):
    """The expression has no word, or is over a limit."""

    def __init__(self, fr: str, en: str, code: str = "value") -> None:
        self.fr = fr
        self.en = en
        self.code = code
        super().__init__(en)


def string_query(folded: str, modifier: str | None) -> str | None:
    """A tsquery that holds for the words of every text that matches `folded` (a folded text) under this modifier of a
    search parameter; None when it can name no word."""
    words = _words(folded)
    if modifier == "exact":
        known = [f"'{word}'" for word in words]
    elif modifier in (None, "contains"):
        whole = words[:-1] if modifier is None else words[1:-1]
        last = words[-1:] if modifier is None or len(words) > 1 else []
        known = [*(f"'{word}'" for word in whole), *(f"'{word}':*" for word in last)]
    elif modifier == "ends":
        known = [f"'{word}'" for word in words[1:]]
    else:
        known = []
    return " & ".join(known) or None


def words_query(text: str, *, narrative: bool, words_max: int, depth_max: int = 16) -> str:
    """Turns what a client wrote into the text of a tsquery that PostgreSQL can always read.

    Words are joined by AND; `OR` between them, `NOT` or `-` before one, parentheses, `"a phrase"`, and `star*` for
    words that start so. `AND`, `OR` and `NOT` in any case. Unclosed quotes and parentheses are closed at the end.
    Raises WordsError when nothing is left to look for, or beyond the limits.
    """
    pieces = [piece for match in _PIECE.finditer(text) if (piece := _piece(match, narrative=narrative))]
    words = sum(piece.count("'") // 2 for piece in pieces)
    if words > words_max:
        raise WordsError(
            f"Trop de mots : au plus {words_max}", f"Too many words: at most {words_max}", "too-costly"
        )
    query = _Query(pieces, depth_max).whole()
    if not query:
        raise WordsError("Aucun mot à chercher", "There is no word to look for")
    return query


def _piece(match: re.Match[str], *, narrative: bool) -> str:
    """An operator, a parenthesis, or the lexemes of a word or phrase; empty when nothing is left of it."""
    if match["mark"]:
        return match["mark"]
    if match["minus"]:
        return "!"
    written: str = match["word"] or match["phrase"] or ""
    if match["word"] and written.lower() in _OPERATORS:
        return _OPERATORS[written.lower()]
    words = _split(written)
    weights = ["A" if narrative else ""] * len(words)
    if match["word"] and written.endswith("*") and words:
        weights[-1] = "*" + weights[-1]
    lexemes = [
        f"'{word}':{weight}" if weight else f"'{word}'" for word, weight in zip(words, weights, strict=True)
    ]
    return f"({' <-> '.join(lexemes)})" if len(lexemes) > 1 else "".join(lexemes)


class _Query:
    """Recursive descent over the pieces: or → and → not → word."""

    def __init__(self, pieces: list[str], depth_max: int) -> None:
        self._pieces = pieces
        self._at = 0
        self._depth_left = depth_max

    def whole(self) -> str:
        """The query; a closing parenthesis that nothing opened is passed over."""
        parts = []
        while self._at < len(self._pieces):
            parts.append(self._either())
            self._at += 1
        return _joined(parts, " & ")

    def _next(self) -> str | None:
        return self._pieces[self._at] if self._at < len(self._pieces) else None

    def _either(self) -> str:
        parts = [self._both()]
        while self._next() == "|":
            self._at += 1
            parts.append(self._both())
        return _joined(parts, " | ")

    def _both(self) -> str:
        parts = []
        while (piece := self._next()) not in (None, "|", ")"):
            if piece == "&":
                self._at += 1
            else:
                parts.append(self._one())
        return _joined(parts, " & ")

    def _one(self) -> str:
        negative = False
        while self._next() in ("!", "&"):
            negative ^= self._next() == "!"
            self._at += 1
        piece = self._next()
        if piece in (None, "|", ")"):
            return ""
        self._at += 1
        found = self._inside() if piece == "(" else piece
        return f"!({found})" if negative and found else found or ""

    def _inside(self) -> str:
        if not self._depth_left:
            raise WordsError(
                "Trop de parenthèses imbriquées", "Too many parentheses within parentheses", "too-costly"
            )
        self._depth_left -= 1
        found = self._either()
        self._depth_left += 1
        self._at += 1
        return found


def _joined(parts: list[str], operator: str) -> str:
    parts = [part for part in parts if part]
    return f"({operator.join(parts)})" if len(parts) > 1 else "".join(parts)
