"""The Bundle: valid JSON around untouched bytes, with the links that were used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from shared.tests.search.store import BASE_URL, KNOWN_TYPES, NOW, Store

from creneau_shared.fhir.search.bundle import Entry, Link, query_url, searchset, write_bundle
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import SearchRequest

CONTENT = b'{"resourceType":"Slot","id":"l1","decimal":1.10,"text":"\\u00e9"}'


def row(kind: str = "Slot", id_: str = "l1", distance_m: float | None = None) -> Row:
    """A row with recognisable bytes."""
    return Row(kind, id_, 1, NOW, CONTENT, distance_m)


def request(*pairs: tuple[str, str]) -> SearchRequest:
    """A search of slots."""
    return parse_search("Slot", pairs, known_types=KNOWN_TYPES, now=NOW)


def result(**changes: Any) -> SearchResult:
    """One match, one include."""
    values: dict[str, Any] = {
        "matches": (row(),),
        "included": (row("Schedule", "s"),),
        "total": 1,
        "next_cursor": None,
        "previous_cursor": None,
        "issues": (),
    }
    return SearchResult(**(values | changes))


def test_bytes_are_spliced_untouched() -> None:
    """What was stored is served, to the byte (decimals, escapes)."""
    written = searchset(request(("status", "free")), result(), base_url=BASE_URL)
    assert written.count(CONTENT) == 2
    bundle = orjson.loads(written)
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 1)
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "include"]
    assert [entry["fullUrl"] for entry in bundle["entry"]] == [
        f"{BASE_URL}/Slot/l1",
        f"{BASE_URL}/Schedule/s",
    ]
    assert list(bundle) == ["resourceType", "id", "type", "total", "link", "entry"]


def test_links() -> None:
    """self shows what was used; next, previous and first lead to the same search."""
    asked = request(("identifier", "a b|c+d&é"), ("colour", "blue"), ("_count", "5000"), ("_cursor", "here"))
    bundle = orjson.loads(searchset(asked, result(next_cursor="n", previous_cursor="p"), base_url=BASE_URL))
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    assert list(links) == ["self", "first", "previous", "next"]
    assert all(url.isascii() and " " not in url for url in links.values())
    used = [("identifier", "a b|c+d&é"), ("_count", "1000")]
    for relation, cursor in (("self", "here"), ("next", "n"), ("previous", "p")):
        assert parse_qsl(urlsplit(links[relation]).query) == [*used, ("_cursor", cursor)]
    assert parse_qsl(urlsplit(links["first"]).query) == used
    assert links["self"].startswith(f"{BASE_URL}/Slot?")


def test_an_empty_answer_has_no_entry() -> None:
    """FHIR JSON has no empty arrays; a total of nothing is 0."""
    bundle = orjson.loads(searchset(request(), result(matches=(), included=(), total=0), base_url=BASE_URL))
    assert "entry" not in bundle
    assert bundle["total"] == 0
    assert bundle["link"] == [{"relation": "self", "url": f"{BASE_URL}/Slot"}]


def test_count_only() -> None:
    """_count=0: a total and link self, nothing else."""
    counted = result(matches=(), included=(), total=7)
    bundle = orjson.loads(searchset(request(("_count", "0")), counted, base_url=BASE_URL))
    assert (bundle["total"], [link["relation"] for link in bundle["link"]]) == (7, ["self"])


def test_an_unknown_total_is_left_out() -> None:
    """Rather than a wrong one."""
    assert "total" not in orjson.loads(searchset(request(), result(total=None), base_url=BASE_URL))


def test_outcome_and_distance() -> None:
    """The outcome comes last; a distance stands in entry.search."""
    bundle = orjson.loads(
        searchset(
            request(),
            result(matches=(row(distance_m=1234.56),), included=()),
            base_url=BASE_URL,
            search_url=f"{BASE_URL}/Patient/1/Slot",
            outcome=b'{"resourceType":"OperationOutcome"}',
            timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )
    match, outcome = bundle["entry"]
    assert match["search"]["extension"][0]["valueDistance"]["value"] == 1.235
    assert outcome.pop("fullUrl").startswith("urn:uuid:"), "every entry of a searchset has one"
    assert outcome == {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    assert bundle["link"][0]["url"] == f"{BASE_URL}/Patient/1/Slot"
    assert bundle["timestamp"] == "2026-01-01T00:00:00.000+00:00"


def test_history_and_batch_entries() -> None:
    """The generic splicer writes requests and responses, with or without a resource."""
    entries = [
        Entry(f"{BASE_URL}/Slot/l1", CONTENT, request={"method": "PUT", "url": "Slot/l1"}),
        Entry(
            f"{BASE_URL}/Slot/l1", request={"method": "DELETE", "url": "Slot/l1"}, response={"status": "204"}
        ),
    ]
    bundle = orjson.loads(write_bundle("history", entries, total=2, links=[Link("self", "x")]))
    assert [list(entry) for entry in bundle["entry"]] == [
        ["fullUrl", "resource", "request"],
        ["fullUrl", "request", "response"],
    ]


def test_query_url_round_trip() -> None:
    """What is written is read back the same."""
    pairs = [("name:exact", "Œuvre & fils, \\, | + = # ? /%"), ("_has:Slot:schedule:status", "free")]
    assert parse_qsl(urlsplit(query_url("https://x/y", pairs)).query) == pairs


async def test_the_links_of_a_real_search_can_be_followed(graph: Store) -> None:
    """next, parsed as a client's query would be, gives the next page."""
    asked = [("status", "free"), ("_sort", "-start"), ("_count", "2"), ("_format", "json")]
    found: list[str] = []
    while True:
        parsed = parse_search("Slot", asked, known_types=KNOWN_TYPES, now=NOW)
        query = "&".join(f"{name}={text}" for name, text in asked)
        answer = await graph.result(f"Slot?{query}")
        found += [match.id for match in answer.matches]
        bundle = orjson.loads(searchset(parsed, answer, base_url=BASE_URL))
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not following:
            break
        asked = parse_qsl(urlsplit(following[0]).query)
    assert sorted(found) == ["l1", "l3", "m1", "s1"]
    assert found[0] == "l3"
