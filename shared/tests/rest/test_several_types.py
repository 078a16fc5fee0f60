"""Pages over several types: each match once, in the order of the types, and the total told from the first page on."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.errors import BadRequest, NotFound
from creneau_shared.fhir.rest.several_types import PageStart, Part, SeveralTypes, understood
from creneau_shared.fhir.search import page_bytes
from creneau_shared.type_table import TYPES

SERVED = ("A", "B", "C", "D")


class Types:
    """Types with so many matches each; a cursor is the number of matches before the page."""

    def __init__(self, sizes: dict[str, int], most: int = 99) -> None:
        self.sizes = sizes
        self.most = most
        self.asked: list[tuple[str, int]] = []

    async def ask(self, name: str, pairs: list[tuple[str, str]]) -> Part:
        given_ = dict(pairs)
        count, begin = int(given_["_count"]), int(given_.get("_cursor", 0))
        self.asked.append((name, count))
        rows = [f"{name}{n}" for n in range(begin, min(begin + min(count, self.most), self.sizes[name]))]
        end = begin + len(rows)
        following = str(end) if rows and end < self.sizes[name] else None
        return Part([*rows, *(f"+{row}" for row in rows)], len(rows), self.sizes[name], following, len(rows))


async def pages(types: Types, query: list[tuple[str, str]]) -> list[tuple[list[str], int | None]]:
    found = []
    while True:
        asked = SeveralTypes.of(query, SERVED)
        page = await asked.page(types.ask)
        found.append(([entry for entry in page.entries if entry[0] != "+"], page.total))
        links = {link.relation: link.url for link in asked.links("http://x/fhir", page)}
        assert ("first" in links) == (len(found) > 1)
        if "next" not in links:
            return found
        query = parse_qsl(urlsplit(links["next"]).query)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 9))
async def test_every_match_once_in_order(sizes: list[int], count: int) -> None:
    """Full pages but for the last, whatever type ends where; no page without anything, unless it is the only one."""
    types = Types(dict(zip(SERVED, sizes, strict=False)))
    found = await pages(types, [("_type", ",".join(types.sizes)), ("_count", str(count))])
    assert [row for rows, _ in found for row in rows] == [
        f"{t}{n}" for t, size in types.sizes.items() for n in range(size)
    ]
    assert {total for _, total in found} == {sum(sizes)}
    assert all(len(rows) == count for rows, _ in found[:-1])
    assert found[-1][0] or len(found) == 1


async def test_later_pages_ask_only_for_what_they_show() -> None:
    types = Types({"A": 2, "B": 0, "C": 2, "D": 1})
    await pages(types, [("_type", "A,B,C,D"), ("_count", "2")])
    assert types.asked == [("A", 2), ("B", 1), ("C", 1), ("D", 1), ("C", 2), ("D", 2)]


async def test_a_short_page_of_one_type_is_gone_on_with_before_the_next_type() -> None:
    """A service may cut a page down; what it has left comes first on the next one."""
    types = Types({"A": 3, "B": 1}, most=2)
    found = await pages(types, [("_type", "A,B"), ("_count", "3")])
    assert [rows for rows, _ in found] == [["A0", "A1"], ["A2", "B0"]]


async def test_a_page_that_is_full_leaves_the_next_types_to_the_next_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_bytes, "PAGE_BYTES_MAX", 3)
    types = Types({"A": 2, "B": 1, "C": 1, "D": 1})
    found = await pages(types, [("_type", "A,B,C,D"), ("_count", "9")])
    assert found == [(["A0", "A1", "B0"], 5), (["C0", "D0"], 5)]


async def test_counting_alone() -> None:
    types = Types({"A": 2, "B": 3})
    assert await pages(types, [("_type", "A,B"), ("_count", "0")]) == [([], 5)]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ([], BadRequest),
        ([("_type", "")], BadRequest),
        ([("_type", "A,X")], NotFound),
        ([("_type", "A,B"), ("_sort", "-_lastUpdated")], BadRequest),
        ([("_type", "A"), ("_count", "-1")], BadRequest),
        ([("_type", "A"), ("_count", "²")], BadRequest),
        ([("_type", "A"), ("_cursor", "x")], BadRequest),
        ([("_type", "A"), ("_cursor", PageStart(("B",), None, 1).encode())], BadRequest),
    ],
)
def test_what_cannot_be_answered_is_refused(query: list[tuple[str, str]], error: type[Exception]) -> None:
    """An order over several types, and a link of another search."""
    with pytest.raises(error):
        SeveralTypes.of(query, SERVED)


def test_one_type_may_be_sorted() -> None:
    assert SeveralTypes.of([("_type", "A"), ("_sort", "x")], SERVED).pairs == (("_sort", "x"),)


@given(
    st.one_of(
        st.text(max_size=40), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)
    )
)
def test_no_link_is_read_but_ours(text: str) -> None:
    """Anything else is a 400, never a failure."""
    for link in (text, urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")):
        try:
            position = PageStart.decode(link, SERVED)
        except BadRequest:
            continue
        assert set(position.types) <= set(SERVED)


async def test_each_type_is_asked_for_its_own_elements() -> None:
    """An element of one of the types is no unknown name in the search of another; one of none is, in each."""
    asked = SeveralTypes.of([("_type", "Patient,Slot"), ("_elements", "birthDate,start,colour,id")], TYPES)
    elements: dict[str, str] = {}

    async def ask(name: str, pairs: list[tuple[str, str]]) -> Part:
        elements[name] = dict(pairs)["_elements"]
        return Part([], 0, 0, None)

    await asked.page(ask)
    assert elements == {"Patient": "birthDate,colour,id", "Slot": "start,colour,id"}


def test_links_say_what_one_of_the_types_understood() -> None:
    """What no type knows was ignored, so that no link repeats it; a wrong value is not unknown."""
    query = [
        ("_type", "Patient,Slot"),
        ("family", "x"),
        ("colour", "blue"),
        ("start", "soon"),
        ("_count", "2"),
    ]
    assert understood(("Patient", "Slot"), query) == [True, True, False, True, True]
