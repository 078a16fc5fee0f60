"""Who read or changed what is readable as FHIR AuditEvents, by those who may."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.builders import created, ids, issue, link, patient, resources, unique
from tests.fixtures.stack import Stack

REFUSED = pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])


def actions(answer: httpx.Response) -> list[str]:
    return [event["action"] for event in resources(answer)]


def test_every_access_leaves_an_audit_event(stack: Stack, system: httpx.Client) -> None:
    subject = unique()
    with stack.client("system", subject=subject) as secretary:
        stored = created(secretary, patient())
        address = f"Patient/{stored['id']}"
        secretary.get(f"/{address}", headers={"X-Correlation-Id": "audit-test-1"})
        secretary.put(f"/{address}", json=stored)
        secretary.delete(f"/{address}")
    trail = system.get("/AuditEvent", params={"entity": address})
    assert actions(trail) == ["D", "U", "R", "C"], "the latest first"
    read = resources(trail)[2]
    assert read["agent"][0]["who"]["identifier"]["value"] == subject
    assert read["entity"][0]["what"]["reference"] == f"{address}/_history/1"
    assert read["entity"][0]["detail"][0]["valueString"] == "audit-test-1"
    assert read["subtype"][0]["code"] == "read"
    assert "Fictive" not in trail.text, "never what the resource holds"
    assert system.get(f"/AuditEvent/{read['id']}").json() == read


def test_audit_events_are_valid_r4(system: httpx.Client) -> None:
    created(system, patient())
    system.get("/Patient", params={"_count": 1})
    for event in resources(system.get("/AuditEvent", params={"_count": 20})):
        verdict = system.post("/AuditEvent/$validate", json=event)
        assert issue(verdict)["severity"] == "information", verdict.text


def test_audit_events_are_searched(stack: Stack, system: httpx.Client) -> None:
    subject = unique()
    with stack.client("system", subject=subject) as professional:
        stored = created(professional, patient())
        professional.get(f"/Patient/{stored['id']}")
        professional.get("/Patient", params={"_id": stored["id"]})

    def search(**parameters: Any) -> httpx.Response:
        named = {name.replace("__", ":").replace("_", "-"): value for name, value in parameters.items()}
        return system.get("/AuditEvent", params=named, headers={"Prefer": "handling=strict"})

    assert actions(search(agent__identifier=subject)) == ["R", "R", "C"]
    own = {"altid": subject}
    assert actions(search(**own)) == ["R", "R", "C"]
    assert actions(search(**own, action="C")) == ["C"]
    assert actions(search(**own, action__not="C")) == ["R", "R"]
    assert actions(search(**own, subtype="search-type")) == ["R"]
    assert actions(search(**own, patient=stored["id"])) == ["R", "R", "C"], "what a search returned, too"
    assert actions(search(**own, entity__missing="true")) == []
    assert actions(search(**own, entity_type="Appointment")) == []
    assert actions(search(**own, type="rest", date="ge2020")) == ["R", "R", "C"]
    assert actions(search(**own, date="lt2020")) == []
    assert search(**own, agent_name="x").status_code == 400, "not kept, so not declared"
    sorted_up = system.get("/AuditEvent", params={**own, "_sort": "date"})
    assert actions(sorted_up) == ["C", "R", "R"]
    page = system.get("/AuditEvent", params={**own, "_count": 2})
    assert (actions(page), page.json()["total"]) == (["R", "R"], 3)
    assert actions(system.get(link(page, "next") or "")) == ["C"]
    included = system.get("/AuditEvent", params={**own, "action": "C", "_include": "AuditEvent:entity"})
    assert ids(included, "include") == [stored["id"]]
    chained = system.get("/AuditEvent", params={**own, "entity:Patient._id": stored["id"]})
    assert actions(chained) == ["R", "R", "C"]
    seen = system.get("/Patient", params={"_has:AuditEvent:entity:altid": subject})
    assert ids(seen) == [stored["id"]]


@REFUSED
def test_audit_events_are_not_written(system: httpx.Client, method: str) -> None:
    address = "/AuditEvent" if method == "POST" else f"/AuditEvent/{unique()}"
    answer = system.request(method, address, json={"resourceType": "AuditEvent"})
    assert (answer.status_code, "POST" in answer.headers["Allow"]) == (405, False)


def test_strangers_do_not_see_them(stack: Stack, system: httpx.Client, anonymous: httpx.Client) -> None:
    """Whoever is somebody else sees nothing of it, by no way that leads there."""
    stored = created(system, patient())
    event = resources(system.get("/AuditEvent", params={"entity": f"Patient/{stored['id']}"}))[0]
    with stack.client("patient", subject=unique(), patient="x") as person:
        assert resources(person.get("/AuditEvent")) == []
        assert person.get(f"/AuditEvent/{event['id']}").status_code == 404
        hidden = person.get("/Patient", params={"_has:AuditEvent:entity:action": "C"})
        assert ids(hidden) == []
    with stack.client("operator") as operator:
        assert operator.get("/AuditEvent").status_code == 403
    assert anonymous.get("/AuditEvent").status_code == 401


def test_the_trails_of_all_the_services_are_one(stack: Stack, system: httpx.Client) -> None:
    """Merged newest first, page by page, each event once; one event is read from whichever service keeps it."""
    subject = unique()
    with stack.client("system", subject=subject) as professional:
        for number in range(7):
            professional.get("/Communication" if number in (0, 3, 4) else "/Patient", params={"_count": 1})
    whole = resources(system.get("/AuditEvent", params={"altid": subject, "_count": 50}))
    kinds = [event["entity"][0]["type"]["code"] for event in whole]
    assert kinds[::-1] == [
        "Communication", "Patient", "Patient", "Communication", "Communication", "Patient", "Patient"
    ]  # fmt: skip
    assert {event["source"]["observer"]["display"] for event in whole} == {
        "creneau-booking",
        "creneau-notifications",
    }
    for count in (1, 2, 3):
        for query, expected in (({}, whole), ({"_sort": "date"}, whole[::-1])):
            seen: list[str] = []
            page = system.get("/AuditEvent", params={"altid": subject, "_count": count, **query})
            while True:
                assert page.json()["total"] == 7
                assert len(resources(page)) <= count
                seen += ids(page)
                following = link(page, "next")
                if following is None:
                    break
                page = system.get(following)
            assert seen == [event["id"] for event in expected], (count, query)
    for event in whole:
        found = system.get(f"/AuditEvent/{event['id']}")
        assert (found.json(), found.headers["ETag"]) == (event, 'W/"1"')
    counted = system.get("/AuditEvent", params={"altid": subject, "_summary": "count"}).json()
    assert (counted["total"], "entry" in counted) == (7, False)
    assert ids(system.post("/AuditEvent/_search", data={"altid": subject, "_count": "2"})) == [
        e["id"] for e in whole[:2]
    ]


def test_the_trail_of_the_whole_wherever_it_is_asked_for(stack: Stack, system: httpx.Client) -> None:
    """In a search over several types, and as an entry of a batch."""
    subject = unique()
    with stack.client("system", subject=subject) as professional:
        professional.get("/Communication", params={"_count": 1})
        professional.get("/Patient", params={"_count": 1})
    both = system.get("", params={"_type": "AuditEvent", "altid": subject, "_count": 1})
    rest = system.get(link(both, "next") or "")
    assert both.json()["total"] == 2
    assert ids(both) + ids(rest) == ids(system.get("/AuditEvent", params={"altid": subject}))
    urls = (
        f"AuditEvent?altid={subject}",
        f"AuditEvent/{ids(both)[0]}",
        f"AuditEvent/{unique()}",
        "Slot?_count=1",
    )
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    answer = system.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}).json()[
        "entry"
    ]
    assert [entry["response"]["status"] for entry in answer] == ["200", "200", "404", "200"]
    assert answer[0]["resource"]["total"] == 2
    assert answer[1]["resource"]["id"] == ids(both)[0]
    assert answer[2]["response"]["outcome"]["issue"][0]["code"] == "not-found"


@pytest.mark.parametrize(
    "query", [{"_sort": "altid"}, {"_cursor": "x"}, {"_count": "x"}, {"date": "hier"}], ids=str
)
def test_what_the_trails_cannot_be_asked_together_is_refused(
    system: httpx.Client, query: dict[str, str]
) -> None:
    assert system.get("/AuditEvent", params=query).status_code == 400


def test_an_ignored_parameter_is_told_once(system: httpx.Client) -> None:
    """And one that all refuse is refused, with the first reason."""
    told = resources(system.get("/AuditEvent", params={"invented": "1", "altid": unique()}), "outcome")
    assert len(told) == 1
    strict = {"Prefer": "handling=strict"}
    assert system.get("/AuditEvent", params={"invented": "1"}, headers=strict).status_code == 400
