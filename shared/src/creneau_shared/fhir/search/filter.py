"""The grammar of `_filter` (FHIR R4 search_filter.html): text to tree and tree to text.

    filter   = unary (("and" / "or") unary)*         from left to right, neither binding tighter
    unary    = "not" unary / "(" filter ")" / test
    test     = path operator value / value           a value alone (with a bar or an address in it: what ROR's guide
                                                     writes) is compared as the one before it
    path     = step ("." step)*
    step     = name [":" type] ["[" filter "]"]      a filter within a path needs a step after it
    value    = JSON string / anything up to a blank, ")" or "]"

The meaning of the names is not known here, but in `filter_conditions`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import orjson

OPERATORS = frozenset(
    ("eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "ni", "re")
)  # fmt: skip

_BLANK = re.compile(r"\s*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE = re.compile(r'[^\s)\]"][^\s)\]]*')


class FilterError(ValueError):
    """A filter is wrong: why, in French and in English, and at which character (the first is 1)."""

    def __init__(self, fr: str, en: str, position: int, code: str = "invalid") -> None:
        self.fr = fr
        self.en = en
        self.position = position
        self.code = code
        super().__init__(f"{en} (at character {position})")


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path; `target` the type that a reference names, `where` what the referenced resource fulfils."""

    name: str
    target: str | None = None
    where: Filter | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path operator value`."""

    path: tuple[Step, ...]
    operator: str
    value: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negation:
    """`not`."""

    filter: Filter


@dataclass(frozen=True, slots=True)
class Logic:
    """Two or more filters joined by the same word."""

    word: Literal["and", "or"]
    filters: tuple[Filter, ...]


Filter = Comparison | Negation | Logic


def print_filter(tree: Filter) -> str:
    """The text that `parse_filter` reads as this tree."""
    if isinstance(tree, Comparison):
        path = ".".join(_print_step(step) for step in tree.path)
        return f"{path} {tree.operator} {orjson.dumps(tree.value).decode()}"
    if isinstance(tree, Negation):
        return f"not ({print_filter(tree.filter)})"
    parts = (f"({print_filter(f)})" if isinstance(f, Logic) else print_filter(f) for f in tree.filters)
    return f" {tree.word} ".join(parts)


def _print_step(step: Step) -> str:
    target = f":{step.target}" if step.target else ""
    where = f"[{print_filter(step.where)}]" if step.where is not None else ""
    return f"{step.name}{target}{where}"


def parse_filter(text: str, *, terms_max: int, depth_max: int) -> Filter:
    """The tree of `text`. Raises FilterError with the position of what cannot be read, or is over a limit."""
    return _Parser(text, terms_max, depth_max).whole()


class _Parser:
    """Recursive descent; `_at` is the next character to read."""

    def __init__(self, text: str, terms_max: int, depth_max: int) -> None:
        self._text = text
        self._at = 0
        self._terms_left = self._terms_max = terms_max
        self._depth_left = self._depth_max = depth_max
        self._before: Comparison | None = None

    def whole(self) -> Filter:
        tree = self._filter()
        self._skip_blanks()
        if self._at < len(self._text):
            raise self._expected("and, or", "and, or")
        return tree

    def _filter(self) -> Filter:
        tree = self._unary()
        joined: Logic | None = None  # joined on this level; parentheses keep others apart
        while word := self._keyword("and", "or"):
            filters = joined.filters if joined is not None and joined.word == word else (tree,)
            tree = joined = Logic("and" if word == "and" else "or", (*filters, self._unary()))
        return tree

    def _unary(self) -> Filter:
        if self._keyword("not"):
            self._descend()
            negated = self._unary()
            self._depth_left += 1
            return Negation(negated)
        if self._character("("):
            tree = self._inside()
            if not self._character(")"):
                raise self._expected("« ) »", "')'")
            return tree
        return self._test()

    def _inside(self) -> Filter:
        """The filter after an opening parenthesis or bracket."""
        self._descend()
        tree = self._filter()
        self._depth_left += 1
        return tree

    def _descend(self) -> None:
        if not self._depth_left:
            most = self._depth_max
            raise FilterError(
                f"plus de {most} niveaux imbriqués",
                f"more than {most} levels deep",
                self._at + 1,
                "too-costly",
            )
        self._depth_left -= 1

    def _test(self) -> Comparison:
        self._skip_blanks()
        position = self._at + 1
        if not self._terms_left:
            most = self._terms_max
            raise FilterError(
                f"plus de {most} comparaisons", f"more than {most} comparisons", position, "too-costly"
            )
        self._terms_left -= 1
        again = self._value_alone(position)
        if again is not None:
            return again
        path = self._path()
        self._skip_blanks()
        operator = self._word("un opérateur", "an operator")
        if operator not in OPERATORS:
            self._at -= len(operator)
            raise self._expected("un opérateur (eq, ne, co…)", "an operator (eq, ne, co…)")
        self._before = Comparison(path, operator, self._value(), position)
        return self._before

    def _value_alone(self, position: int) -> Comparison | None:
        """`A or B` for `name eq A or name eq B`."""
        match = _BARE.match(self._text, self._at)
        if self._before is None or match is None or not ("|" in match[0] or "://" in match[0]):
            return None
        self._at = match.end()
        return Comparison(self._before.path, self._before.operator, match[0], position)

    def _path(self) -> tuple[Step, ...]:
        steps = [self._step()]
        while self._character("."):
            steps.append(self._step())
        if steps[-1].where is not None:
            raise self._expected("« . » après « ] »", "'.' after ']'")
        return tuple(steps)

    def _step(self) -> Step:
        self._skip_blanks()
        position = self._at + 1
        name = self._word("un paramètre", "a parameter")
        target = (
            self._word("un type", "a type")
            if self._text.startswith(":", self._at) and self._skip(1)
            else None
        )
        where: Filter | None = None
        if self._text.startswith("[", self._at) and self._skip(1):
            where = self._inside()
            if not self._character("]"):
                raise self._expected("« ] »", "']'")
        return Step(name, target, where, position)

    def _value(self) -> str:
        self._skip_blanks()
        if match := _STRING.match(self._text, self._at):
            try:
                value: str = orjson.loads(match[0])
            except orjson.JSONDecodeError:
                value = "\x00"
            if "\x00" in value:
                raise self._expected("une chaîne JSON lisible", "a readable JSON string")
        elif match := _BARE.match(self._text, self._at):
            value = match[0]
        else:
            raise self._expected("une valeur", "a value")
        self._at = match.end()
        return value

    # -- characters ------------------------------------------------------------------------------------------------

    def _skip(self, count: int) -> bool:
        self._at += count
        return True

    def _skip_blanks(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _character(self, character: str) -> bool:
        self._skip_blanks()
        return self._text.startswith(character, self._at) and self._skip(1)

    def _keyword(self, *words: str) -> str | None:
        self._skip_blanks()
        match = _WORD.match(self._text, self._at)
        if match is None or match[0] not in words:
            return None
        self._at = match.end()
        return match[0]

    def _word(self, fr: str, en: str) -> str:
        match = _WORD.match(self._text, self._at)
        if match is None:
            raise self._expected(fr, en)
        self._at = match.end()
        return match[0]

    def _expected(self, fr: str, en: str) -> FilterError:
        found = self._text[self._at : self._at + 20]
        if not found:
            return FilterError(f"{fr} attendu, fin trouvée", f"expected {en}, found the end", self._at + 1)
        return FilterError(
            f"{fr} attendu, « {found} » trouvé", f"expected {en}, found '{found}'", self._at + 1
        )
