"""Searches that a table answers better in steps of its own than in the one statement that `pages` makes."""

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
    """The steps that find the matches of one search."""

    async def page(
        self, connection: Connection, place: RowPlace | None, references: Sequence[SearchParameter]
    ) -> PageRecords:
        """The page after (or before) `place`, and a row more if there is one, as in `pages.compile_matches`."""
        ...

    async def count(self, connection: Connection, most: int) -> Counted:
        """The number of matches; only a part of it when there are more than `most`, or when counting would cost too much."""
        ...


@runtime_checkable
class InSteps(Protocol):
    """A SearchTable that answers some searches in steps."""

    async def steps(
        self, connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest
    ) -> Steps | None:
        """The steps for a search; None: it is answered like any other."""
        ...
