"""Searches that a table answers better in steps of its own than in the one statement that `pages` makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.pages import PageRecords
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.search.sql import Catalog, RowPlace, SearchScope


@dataclass(frozen=True, slots=True)
class Counted:
    """How many matches were counted; `whole`: there are no others."""

    number: int
    whole: bool


class Steps(Protocol):
    """How the matches of one search are found."""

    async def page(
        self, connection: Connection, place: RowPlace | None, references: Sequence[SearchParameter]
    ) -> PageRecords:
        """The page after (or before) `place`, and whether there is more, as `pages.compile_matches` has it."""
        ...

    async def count(self, connection: Connection, most: int) -> Counted:
        """The number of matches: the whole of it unless there are more than `most`, or more to look through than a number is
        worth."""
        ...


@runtime_checkable
class InSteps(Protocol):
    """A SearchTable that knows of such searches."""

    async def steps(
        self, connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest
    ) -> Steps | None:
        """None: the search is as any other."""
        ...
