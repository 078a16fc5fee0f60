"""A search over several types (`[base]?_type=A,B`), page by page: one type after the other, as one list.

`_count` bounds the page over all of them. The first page asks every type, so that `total` is the sum and a `next` link
leads to something. Its link carries the total and the types still to come, so that later pages ask only for what they
show. Within the link stands the current type's own cursor, as its search made it.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from creneau_shared.errors import BadRequest, NotFound
from creneau_shared.fhir.rest.exchange import asked_count
from creneau_shared.fhir.search import page_bytes
from creneau_shared.fhir.search.bundle import Link, query_url
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER, has_element, understands
from creneau_shared.type_table import TYPES

COUNT_DEFAULT = 20
COUNT_MAX = 200
PROBE = 1
"""matches that are asked of a type whose turn has not come: enough to know whether it has any"""

_OWN = ("_type", "_count", "_format", CURSOR_PARAMETER)
"""parameters of the whole search, not of the search of one type"""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Part:
    """What one type answers: entries (matches, includes, outcome), how many of them are matches, all its matches
    (None: not told), where its next page begins, and the bytes of the entries."""

    entries: Sequence[Any]
    matches: int
    total: int | None
    next_cursor: str | None
    size: int = 0


Ask = Callable[[str, list[tuple[str, str]]], Awaitable[Part]]
"""Search one type by these pairs, `_count` and `_cursor` among them."""


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where a page begins: the types that are still to come, the cursor within the first of them, the total."""

    types: tuple[str, ...]
    cursor: str | None = None
    total: int | None = None

    def encode(self) -> str:
        """URL-safe text."""
        packed = orjson.dumps([self.types, self.cursor, self.total])
        return urlsafe_b64encode(packed).rstrip(b"=").decode()

    @staticmethod
    def decode(text: str, allowed: Collection[str]) -> PageStart:
        """BadRequest for what `encode` did not write for a search of these types."""
        try:
            types, cursor, total = orjson.loads(
                urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            )
            if not types or not set(types) <= set(allowed) or not isinstance(cursor, str | None):
                raise ValueError(text)
            return PageStart(tuple(types), cursor, None if total is None else int(total))
        except (ValueError, TypeError) as error:
            raise BadRequest(
                "Ce lien de page ne vaut pas pour cette recherche ; repartez de la première page.",
                "This page link does not belong to this search; start again from the first page.",
                expression=f"http.{CURSOR_PARAMETER}",
                details_code="cursor",
            ) from error


@dataclass(frozen=True, slots=True)
class SeveralTypes:
    """The search as it was asked for."""

    types: tuple[str, ...]
    count: int
    pairs: tuple[tuple[str, str], ...]
    """what each type is searched by"""
    asked: tuple[tuple[str, str], ...]
    """the query itself, for the links"""
    start: PageStart
    first: bool

    @staticmethod
    def of(query: Pairs, served: Collection[str]) -> SeveralTypes:
        """BadRequest without `_type`, or with `_sort` and several types; NotFound for a type that is not in `served`."""
        types = tuple(
            dict.fromkeys(t for name, text in query if name == "_type" for t in text.split(",") if t)
        )
        if not types:
            raise BadRequest(
                "Une recherche sur tout le système doit dire ses types : _type=Slot,Schedule.",
                "A search over the whole system must say its types: _type=Slot,Schedule.",
                code="required",
                expression="http._type",
            )
        unknown = [name for name in types if name not in served]
        if unknown:
            raise NotFound(
                f"Types inconnus ici : {', '.join(unknown)}.",
                f"Types not known here: {', '.join(unknown)}.",
                code="not-supported",
            )
        if len(types) > 1 and any(name == "_sort" for name, _ in query):
            raise BadRequest(
                "_sort se demande pour un seul type ; plusieurs viennent l'un après l'autre, dans l'ordre de _type.",
                "_sort is asked for one type; several come one after the other, in the order of _type.",
                code="not-supported",
                expression="http._sort",
            )
        cursor = _last(query, CURSOR_PARAMETER)
        return SeveralTypes(
            types=types,
            count=page_count(query),
            pairs=tuple(pair for pair in query if pair[0] not in _OWN),
            asked=tuple(query),
            start=PageStart.decode(cursor, types) if cursor else PageStart(types),
            first=not cursor,
        )

    async def page(self, ask: Ask) -> Page:
        """One page: each type's part as long as there is room, by number and by size (`page_bytes`); on the first page the
        other types' totals too."""
        entries: list[Any] = []
        size = 0
        left, total, ahead = self.count, self._first_total(), []
        cursor: str | None = None
        for index, name in enumerate(self.start.types):
            if left == 0 and self.count and not self.first:
                ahead.append(name)
                continue
            shown = left > 0 or self.count == 0
            part = await ask(name, self._asking(name, left, self.start.cursor if index == 0 else None, shown))
            if shown:
                entries += part.entries
                left -= part.matches
                size += part.size
                if part.next_cursor is not None:
                    ahead, cursor, left = [name], part.next_cursor, 0
                elif size >= page_bytes.PAGE_BYTES_MAX:
                    left = 0
            elif part.matches:
                ahead.append(name)
            if self.first:
                total = None if total is None or part.total is None else total + part.total
        following = PageStart(tuple(ahead), cursor, total).encode() if ahead else None
        return Page(entries, total, following)

    def links(self, url: str, page: Page, shown: Pairs | None = None) -> list[Link]:
        """Links self, first and next, with the query as it is `shown` (`understood`)."""
        asked = self.asked if shown is None else shown
        links = [Link("self", query_url(url, asked))]
        again = [pair for pair in asked if pair[0] != CURSOR_PARAMETER]
        if not self.first:
            links.append(Link("first", query_url(url, again)))
        if page.next_cursor is not None:
            links.append(Link("next", query_url(url, [*again, (CURSOR_PARAMETER, page.next_cursor)])))
        return links

    def _first_total(self) -> int | None:
        return 0 if self.first else self.start.total

    def _asking(self, name: str, count: int, cursor: str | None, shown: bool) -> list[tuple[str, str]]:
        bare = [pair for pair in self.pairs if not pair[0].startswith(("_include", "_revinclude"))]
        if not shown:
            return [*bare, ("_count", str(PROBE))]
        asked: Pairs = self.pairs
        if len(bare) == len(asked):  # nothing of another type comes with this one's
            asked = [
                (key, self._elements_of(name, text) if key == "_elements" else text) for key, text in asked
            ]
        own = [*asked, ("_count", str(count))]
        return [*own, (CURSOR_PARAMETER, cursor)] if cursor else own

    def _elements_of(self, resource_type: str, text: str) -> str:
        """`_elements` without the elements that only others of the types have."""
        others = [name for name in self.types if name != resource_type]
        return ",".join(
            element
            for element in text.split(",")
            if has_element(resource_type, element.strip())
            or not any(has_element(other, element.strip()) for other in others)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the whole; `next_cursor` is None on the last one."""

    entries: Sequence[Any]
    total: int | None
    next_cursor: str | None


def understood(types: Collection[str], query: Pairs) -> list[bool]:
    """Whether one of the types knows the pair, for each pair of the query (as it was before any sealing). Pairs that no
    type knows were ignored, and no link repeats them."""
    return [
        name in _OWN or any(understands(type_, name, text, known_types=TYPES) for type_ in types)
        for name, text in query
    ]


def page_count(query: Pairs) -> int:
    """The matches on a page."""
    return asked_count(query, COUNT_DEFAULT, COUNT_MAX)


def _last(query: Pairs, name: str) -> str:
    return next((text for key, text in reversed(query) if key == name), "")
