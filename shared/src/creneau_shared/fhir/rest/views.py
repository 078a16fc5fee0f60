"""Other renderings of search results, for profile families that the neutral stored bytes cannot satisfy all at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.request import SearchRequest


class SearchView(Protocol):
    """One profile family's answers to the searches of a type (`ServedType.views`).

    A view is chosen by the request alone. Reading resources to answer a search is done here and nowhere else:
    without a view, stored bytes go out as they are.
    """

    @property
    def resource_type(self) -> str:
        """The type that is searched, which may differ from the type that the request names."""

    def asked_by(self, request: FhirRequest) -> bool:
        """Whether the request asks for this family."""

    def pairs(self, request: FhirRequest) -> list[tuple[str, str]]:
        """The query to search by in place of the request's; BadRequest when the family demands more of it."""

    def widen(self, asked: SearchRequest, now: datetime) -> SearchRequest:
        """The search that brings everything that the rendering needs, beyond what was asked for."""

    def matches_max(self, asked: SearchRequest) -> int:
        """How many matches one answer is to have: pages are read one after the other until there are so many, or the
        answer is full (`page_bytes`). 0: the page that was asked for is the answer."""

    def bundle(self, request: FhirRequest, asked: SearchRequest, result: SearchResult) -> bytes:
        """The answer to `asked`, as JSON; `result` is that of the widened search."""


def view_for(views: Sequence[SearchView], request: FhirRequest) -> SearchView | None:
    """The first view that the request asks for; None: the neutral answer."""
    return next((view for view in views if view.asked_by(request)), None)
