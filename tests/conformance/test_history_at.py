"""Item 1: `_at` and what else narrows a history, by type, over the whole base, and with HEAD."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.conformance.builders import Agenda, created, link, organization, patient
from tests.fixtures.stack import Stack

Versions = list[tuple[str, str]]


def versions(client: httpx.Client, address: str, **query: str | int) -> Versions:
    """The ids and versions of every page of a history."""
    found: Versions = []
    answer = client.get(address, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        for entry in answer.json().get("entry", []):
            found.append((entry["fullUrl"].rpartition("/")[2], entry["response"]["etag"][3:-1]))
        following = link(answer, "next")
        if following is None:
            return found
        answer = client.get(following)


def moment_of(answer: httpx.Response) -> datetime:
    return datetime.fromisoformat(answer.json()["meta"]["lastUpdated"])


def test_item_01_at_gives_the_state_of_a_type_at_a_moment(system: httpx.Client) -> None:
    """What was current then: neither what came later nor what was superseded or deleted before."""
    kept, changed, gone = (created(system, organization())["id"] for _ in range(3))
    assert system.delete(f"/Organization/{gone}").status_code == 204
    first = system.get(f"/Organization/{changed}").json()
    second = system.put(f"/Organization/{changed}", json={**first, "name": "Deuxième"})
    at = second.json()["meta"]["lastUpdated"]
    system.put(f"/Organization/{changed}", json={**first, "name": "Troisième"})
    late = created(system, organization())["id"]
    mine = {kept, changed, gone, late}
    state = [(i, v) for i, v in versions(system, "/Organization/_history", _at=at, _count=50) if i in mine]
    assert (kept, "1") in state
    assert (changed, "2") in state
    assert late not in dict(state)
    now = datetime.now(UTC) + timedelta(seconds=5)
    present = [
        (i, v) for i, v in versions(system, "/Organization/_history", _at=now.isoformat()) if i in mine
    ]
    assert sorted(present) == sorted([(kept, "1"), (changed, "3"), (late, "1")]), "a deletion lasts no longer"


def test_item_01_at_with_a_day_is_the_whole_day_over_the_base(agenda: Agenda, system: httpx.Client) -> None:
    """Every version of today, of slots and of what other services hold, page by page and each once."""
    slot = agenda.slot()
    system.put(f"/Slot/{slot['id']}", json={**slot, "status": "busy-unavailable"})
    made, person = created(system, organization())["id"], created(system, patient())["id"]
    system.delete(f"/Slot/{slot['id']}")
    today = datetime.now(ZoneInfo("Europe/Paris")).date()
    seen = versions(system, "/_history", _at=today.isoformat(), _count=400)
    for expected in ((slot["id"], "1"), (slot["id"], "2"), (slot["id"], "3"), (made, "1"), (person, "1")):
        assert seen.count(expected) == 1, expected
    tomorrow = today + timedelta(days=1)
    assert slot["id"] not in dict(versions(system, "/Slot/_history", _at=tomorrow.isoformat(), _count=500))
    yesterday = today - timedelta(days=1)
    assert slot["id"] not in dict(versions(system, "/Slot/_history", _at=yesterday.isoformat(), _count=500))


@pytest.mark.parametrize(
    "address", ["/Patient/_history", "/Slot/_history", "/Communication/_history", "/_history"]
)
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"_at": "sa2026-01-01"}, "value"),
        ({"_since": "ge2026-01-01"}, "value"),
        ({"_since": "2026-01-01"}, "value"),
        ({"_at": "hier"}, "value"),
        ({"_list": "List/1"}, "not-supported"),
        ({"_sort": "_lastUpdated"}, "not-supported"),
    ],
)
def test_item_01_what_a_history_cannot_say_is_refused(
    system: httpx.Client, address: str, query: dict[str, str], code: str
) -> None:
    """Rather than ignored: the answer would be another one than was asked for."""
    answer = system.get(address, params=query)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, code)
    assert system.get(address, params={"_sort": "-_lastUpdated", "_count": 1}).status_code == 200


def test_item_03_head_says_what_get_would(stack: Stack, system: httpx.Client) -> None:
    person = created(system, patient())["id"]
    for address in (
        "/_history?_count=1",
        "/Patient/_history?_count=1",
        f"/Patient/{person}/_history",
        "/Patient?_count=1",
    ):
        head = system.head(address)
        assert (head.status_code, head.content) == (200, b""), address
        assert head.headers["Content-Type"].startswith("application/fhir+json")
