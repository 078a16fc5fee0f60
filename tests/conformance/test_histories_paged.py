"""Items 1 and 2: a history says how many versions there are, and its pages lead on and back, by type, instance and over
the whole base."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.conformance.builders import Agenda, created, link, organization, patient

Key = tuple[str, str]


def keys(page: dict[str, Any]) -> list[Key]:
    return [(entry["fullUrl"], entry["response"]["etag"]) for entry in page.get("entry", [])]


@pytest.fixture
def person(system: httpx.Client) -> str:
    """A Patient of five versions."""
    stored = created(system, patient())
    for number in range(4):
        system.put(f"/Patient/{stored['id']}", json={**stored, "birthDate": f"1980-01-0{number + 1}"})
    return str(stored["id"])


def test_item_01_an_instance_says_its_versions_whatever_the_page(system: httpx.Client, person: str) -> None:
    address, seen = f"/Patient/{person}/_history", []
    first = page = system.get(address, params={"_count": 2})
    assert link(page, "previous") is None
    while True:
        assert page.json()["total"] == 5
        seen += keys(page.json())
        following = link(page, "next")
        if following is None:
            break
        last, page = link(page, "last"), system.get(following)
    assert [etag for _, etag in seen] == [f'W/"{n}"' for n in (5, 4, 3, 2, 1)]
    back = system.get(link(page, "previous") or "")
    assert [etag for _, etag in keys(back.json())] == ['W/"3"', 'W/"2"']
    assert back.json()["total"] == 5
    assert keys(system.get(link(back, "first") or "").json()) == keys(first.json())
    assert [etag for _, etag in keys(system.get(last or "").json())] == ['W/"2"', 'W/"1"']
    assert system.get(address, params={"_count": 2, "_total": "none"}).json().get("total") is None
    assert system.get(address, params={"_total": "many"}).status_code == 400


@pytest.mark.parametrize("address", ["/Organization/_history", "/Slot/_history", "/_history"])
def test_item_01_types_and_the_base_count_and_lead_back(
    system: httpx.Client, agenda: Agenda, address: str
) -> None:
    """Over the base: versions of three services, those of one moment in their order, none lost and none twice."""
    # Not a moment earlier: what a test before has left under way may be committed while pages are turned.
    since = datetime.now(UTC).isoformat(timespec="milliseconds")
    for _ in range(3):
        agenda.slot()
        system.delete(f"/Organization/{created(system, organization())['id']}")
    until = datetime.now(UTC).isoformat()
    page = system.get(
        address, params={"_count": 3, "_since": since, "_at": f"le{until}", "_total": "accurate"}
    )
    total, forward = page.json()["total"], [keys(page.json())]
    while (following := link(page, "next")) is not None:
        page = system.get(following)
        assert page.json()["total"] == total
        forward.append(keys(page.json()))
    backward = [keys(page.json())]
    while (before := link(page, "previous")) is not None:
        page = system.get(before)
        backward.insert(0, keys(page.json()))
    whole = [key for part in forward for key in part]
    assert len(whole) == len(set(whole)) == total >= 3
    assert [key for part in backward for key in part] == whole


def test_item_01_since_and_at_with_prefixes_are_both_kept(system: httpx.Client, person: str) -> None:
    address = f"/Patient/{person}/_history"
    moments = [entry["response"]["lastModified"] for entry in system.get(address).json()["entry"]]

    def found(*query: tuple[str, str]) -> list[str]:
        page = system.get(address, params=list(query)).json()
        assert page["total"] == len(page.get("entry", []))
        return [etag[3:-1] for _, etag in keys(page)]

    assert found(("_at", f"ge{moments[1]}")) == ["5", "4"]
    assert found(("_at", f"lt{moments[1]}")) == ["3", "2", "1"]
    assert found(("_at", f"ge{moments[3]}"), ("_at", f"lt{moments[1]}")) == ["3", "2"]
    assert found(("_since", moments[2]), ("_at", f"le{moments[1]}")) == ["4", "3"]
    assert found(("_at", "ge2001"), ("_at", "lt2002")) == []
