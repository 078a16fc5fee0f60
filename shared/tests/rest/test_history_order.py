"""The order of versions in a history, and the links between its pages."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.history import Place

MOMENTS = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(milliseconds=n) for n in range(2)]
PLACES = [Place(*parts) for parts in product(MOMENTS, ("Appointment", "Patient"), ("1", "A-.z"), (1, 2))]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_each_types_keyset_gives_what_stands_after_the_place(place: Place) -> None:
    """A page ends between versions of one moment and several types: none is lost, none seen twice."""
    for kind in ("Appointment", "Patient"):
        before = place.before_for(kind)
        given_by_keyset = {
            p for p in PLACES if p.resource_type == kind and (p.last_updated, p.id, p.version) < before
        }
        assert given_by_keyset == {p for p in PLACES if p.resource_type == kind and p < place}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_link_leads_back_to_its_place(place: Place) -> None:
    assert Place.decode(place.encode()) == place


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[A-Za-z0-9_-]{0,80}", fullmatch=True)))
def test_what_is_no_link_is_a_bad_request(text: str) -> None:
    with suppress(BadRequest):
        place = Place.decode(text)
        assert Place.decode(place.encode()) == place
