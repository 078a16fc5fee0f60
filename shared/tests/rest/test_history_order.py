"""The order of versions in a history, and the links between its pages."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.clock import Clock, FixedClock, SystemClock
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import CALENDAR_BEGIN, CALENDAR_END, instant_of
from creneau_shared.fhir.rest.history import (
    CURSOR,
    OLDEST,
    Cursor,
    Place,
    asked_period,
    history_entry,
    one_page,
    page_links,
)
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.fhir.storage.store import Stored

MOMENTS = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(milliseconds=n) for n in range(2)]
URL = "https://creneau.test/fhir/_history"
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
def test_each_types_keyset_gives_what_stands_before_the_place(place: Place) -> None:
    """The same for a page that goes backward."""
    for kind in ("Appointment", "Patient"):
        after = place.before_for(kind)
        given_by_keyset = {
            p for p in PLACES if p.resource_type == kind and (p.last_updated, p.id, p.version) > after
        }
        assert given_by_keyset == {p for p in PLACES if p.resource_type == kind and p > place}


@pytest.mark.parametrize("cursor", [Cursor(PLACES[0]), Cursor(PLACES[-1], True, 7), Cursor(OLDEST, True, 0)])
def test_a_link_leads_back_to_its_place(cursor: Cursor) -> None:
    assert Cursor.decode(cursor.encode()) == cursor


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[A-Za-z0-9_-]{0,80}", fullmatch=True)))
def test_what_is_no_link_is_a_bad_request(text: str) -> None:
    with suppress(BadRequest):
        cursor = Cursor.decode(text)
        assert Cursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(
    "place",
    [
        ["2026-03-02T00:00:00", "Patient", "1", 1],
        ["2026-03-02T00:00:00+00:00", "Patient", "1", -1],
        ["2026-03-02T00:00:00+00:00", "Patient", "1", -1e30],
        ["2026-03-02T00:00:00+00:00", "Patient", "1", 1e30],
        ["2026-03-02T00:00:00+00:00", "Patient", "a b", 1],
        [None, "Patient", "1", 1],
    ],
)
def test_a_link_to_no_place_is_a_bad_request(place: list[object]) -> None:
    with pytest.raises(BadRequest):
        Cursor.decode(urlsafe_b64encode(orjson.dumps([*place, False, None])).decode())


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_link_leads_to_a_moment_that_every_clock_shows(moment: str) -> None:
    """PostgreSQL is asked in UTC, where neither is in the calendar."""
    place = Cursor.decode(urlsafe_b64encode(orjson.dumps([moment, "Patient", "1", 1, False, None])).decode())
    assert place.place.last_updated.astimezone(UTC)


def _walked(relation: str, query: list[tuple[str, str]], count: int) -> tuple[list[Place], list[str]]:
    """The places on all the pages that the links `relation` lead through, and the relations of the last one."""
    seen: list[Place] = []
    for _ in range(len(PLACES) + 1):
        cursor = Cursor.of(query)
        at, backward = (cursor.place, cursor.backward) if cursor else (None, False)
        beyond = [p for p in PLACES if at is None or (p > at if backward else p < at)]
        fetched = sorted(sorted(beyond, reverse=not backward)[: count + 1], reverse=True)
        page, more = one_page(fetched, count, cursor)
        seen += page
        links = {link.relation: link.url for link in page_links(URL, query, cursor, page, more, len(PLACES))}
        if relation not in links:
            return seen, list(links)
        query = parse_qsl(urlsplit(links[relation]).query)
        assert query[0] == ("_count", str(count))
    raise AssertionError("the links lead round and round")


@pytest.mark.parametrize("count", [1, 2, 3, len(PLACES) - 1])
def test_links_lead_through_all_pages_and_back(count: int) -> None:
    asked = [("_count", str(count))]
    newest_first = sorted(PLACES, reverse=True)
    forward, at_the_end = _walked("next", asked, count)
    assert forward == newest_first
    assert at_the_end == ["self", "first", "previous"]
    back, at_the_begin = _walked("previous", [*asked, (CURSOR, Cursor(OLDEST, True).encode())], count)
    assert sorted(back, reverse=True) == newest_first, "the last page is where it goes back from"
    assert "previous" not in at_the_begin


@pytest.mark.parametrize("microsecond", [0, 123_000, 123_456])
def test_an_entry_says_its_place_as_exactly_as_it_is_stored(microsecond: int) -> None:
    """The gateway's page links are made of it: a place before the version's own would pass over those of one moment."""
    place = Place(MOMENTS[0].replace(microsecond=microsecond), "Slot", "c", 2)
    response = history_entry(Stored("Slot", "c", 2, place.last_updated, b"{}"), URL).response
    assert response is not None
    assert datetime.fromisoformat(response["lastModified"]) == place.last_updated


@pytest.mark.parametrize("clock", [SystemClock(), FixedClock(MOMENTS[0].replace(microsecond=123_456))])
def test_a_clock_tells_what_a_resource_can_show(clock: Clock) -> None:
    assert all(instant_of(instant(now)) == now for now in (clock.now() for _ in range(20)))


PERIODS = {
    "2026-03": ("2026-02-28T23:00Z", "2026-03-31T22:00Z"),
    "eq2026-03-29": ("2026-03-28T23:00Z", "2026-03-29T22:00Z"),
    "ge2026": ("2025-12-31T23:00Z", None),
    "gt2026": ("2026-12-31T23:00Z", None),
    "le2026-03-29": (None, "2026-03-29T22:00Z"),
    "lt2026-03-29": (None, "2026-03-28T23:00Z"),
    "ge2026-03-29T10:00:00 02:00": ("2026-03-29T08:00Z", None),
}


@pytest.mark.parametrize(("text", "bounds"), PERIODS.items())
def test_a_prefix_says_on_which_side_of_its_value_the_period_lies(
    text: str, bounds: tuple[str | None, str | None]
) -> None:
    low, high = (datetime.fromisoformat(bound) if bound else None for bound in bounds)
    assert asked_period([text]) == (low or CALENDAR_BEGIN, high or CALENDAR_END)


def test_several_periods_are_what_they_have_in_common() -> None:
    assert asked_period([]) is None
    assert asked_period(["ge2026-03-01", "lt2026-04-01"]) == asked_period(["2026-03"])
    with pytest.raises(BadRequest):
        asked_period(["ge2026-04", "lt2026-04"])


@pytest.mark.parametrize(
    "text", ["hier", "ne2026", "sa2026", "ge", "gege2026", "2026-13", "ge2026-02-30", "ge2026-1"]
)
def test_what_is_no_period_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        asked_period([text])
