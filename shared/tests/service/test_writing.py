"""One write, whole or not at all: its row, its history, its trace and what comes with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from shared.tests.service.small import Caller, Small, bundle, patient_principal, small_server

from creneau_shared.database.pool import Database

PERSON = {"resourceType": "Patient", "name": [{"family": "Lefèvre"}]}
PLACE = {"resourceType": "Organization", "name": "Cabinet des Lilas"}


async def created(caller: Caller, resource: Mapping[str, object] = PERSON) -> str:
    """`Type/id` of a new resource."""
    said = await caller.ask("POST", str(resource["resourceType"]), resource)
    assert said.status == 201, said.resource
    return f"{resource['resourceType']}/{said.resource['id']}"


async def test_a_resource_from_its_creation_to_its_end(small: Small) -> None:
    """Each version has its ETag, stays readable by its number, and the last one is the deletion."""
    at = await created(small.system)
    changed = {**PERSON, "id": at.partition("/")[2], "active": True}
    assert (await small.system.ask("PUT", at, changed, If_Match='W/"1"')).headers["ETag"] == 'W/"2"'
    stale = await small.system.ask("PUT", at, changed, If_Match='W/"1"')
    assert (stale.status, stale.headers["ETag"]) == (412, 'W/"2"')
    patch = [{"op": "replace", "path": "/active", "value": False}]
    patched = await small.system.ask("PATCH", at, patch, Content_Type="application/json-patch+json")
    assert (patched.status, patched.resource["active"]) == (200, False)
    assert (await small.system.ask("DELETE", at)).status == 204
    assert (await small.system.ask("GET", at)).status == 410
    assert "active" not in (await small.system.ask("GET", f"{at}/_history/1")).resource
    history = (await small.system.ask("GET", f"{at}/_history")).resource
    methods = [entry["request"]["method"] for entry in history["entry"]]
    assert methods == ["DELETE", "PUT", "PUT", "POST"]


@pytest.mark.parametrize("part", ["_elements=active", "_summary=data"])
async def test_a_part_is_not_written_over_the_whole(small: Small, part: str) -> None:
    """What was read in part and sent back would erase the rest."""
    at = await created(small.system)
    read = (await small.system.ask("GET", f"{at}?{part}")).resource
    refused = await small.system.ask("PUT", at, read)
    assert (refused.status, refused.resource["issue"][0]["details"]["coding"][0]["code"]) == (
        422,
        "subsetted",
    )
    entry = {"resource": read, "request": {"method": "PUT", "url": at}}
    together = await small.system.ask(
        "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    )
    assert together.status == 422
    assert (await small.system.ask("GET", at)).resource["meta"]["versionId"] == "1"


async def test_what_is_refused_leaves_nothing_but_its_trace(small: Small) -> None:
    at = await created(small.system)
    other = small.patient("somebody-else")
    before = await small.count("audit")
    refused = await other.ask("PUT", at, {**PERSON, "id": at.partition("/")[2], "active": True})
    assert refused.status == 404, "not even that it exists"
    assert await small.count("resource_history") == 0
    rows = await small.database.pool.fetch("SELECT outcome, agent FROM audit ORDER BY recorded, id")
    assert len(rows) == before + 1
    assert [row["agent"] for row in rows if row["outcome"] != "0"] == ["camille"]


async def test_who_may_not_is_told_so_before_a_connection_is_taken() -> None:
    """Access is decided from rights, before anything is read or written: the database is not even open here."""
    url = "postgresql://nobody@127.0.0.1/never_opened"
    server = small_server(url, Database(url, size=1, statement_timeout_s=1))
    patient = Caller(server, patient_principal("camille"))
    for method, address, body in (
        ("POST", "Organization", PLACE),
        ("PUT", "Organization/1", {**PLACE, "id": "1"}),
        ("PATCH", "Organization?name=x", []),
        ("DELETE", "Organization?name=x", None),
        ("GET", "Provenance", None),
    ):
        said = await patient.ask(method, address, body)
        assert (said.status, said.code) == (403, "forbidden"), (method, address, said.resource)


async def test_a_conditional_create_of_rivals_happens_once(small: Small) -> None:
    """They wait for each other: nobody finds nothing and creates beside somebody who did."""
    person = {**PERSON, "identifier": [{"system": "urn:test", "value": "1"}]}
    said = await asyncio.gather(
        *(
            small.system.ask("POST", "Patient", person, If_None_Exist="identifier=urn:test|1")
            for _ in range(5)
        )
    )
    assert sorted(one.status for one in said) == [200, 200, 200, 200, 201]
    assert await small.count("patient") == 1


async def test_one_idempotency_key_creates_once(small: Small) -> None:
    """Rivals and those who come later get the same answer; another body under the key is refused."""
    said = await asyncio.gather(
        *(small.system.ask("POST", "Patient", PERSON, Idempotency_Key="k") for _ in range(4))
    )
    assert {one.status for one in said} == {201}
    assert len({one.headers["Location"] for one in said}) == 1
    assert sum("Idempotency-Replayed" in one.headers for one in said) == 3
    other = await small.system.ask("POST", "Patient", {**PERSON, "active": True}, Idempotency_Key="k")
    assert (other.status, other.code) == (422, "duplicate")
    assert await small.count("patient") == 1
    theirs = await small.patient("x").ask("POST", "Patient", PERSON, Idempotency_Key="k")
    assert (theirs.status, "Idempotency-Replayed" in theirs.headers) == (201, False), "a key is its account's"


@pytest.mark.parametrize("version", ["²", "\u0661", "9" * 5_000])
async def test_a_version_that_is_no_number_is_not_there(small: Small, version: str) -> None:
    address = await created(small.system)
    assert (await small.system.ask("GET", f"{address}/_history/{version}")).status == 404


async def test_provenance_is_kept_with_the_version_that_it_tells_of(small: Small) -> None:
    said = {
        "resourceType": "Provenance",
        "recorded": "2026-11-16T08:00:00Z",
        "agent": [{"who": {"display": "Reprise de l'ancien logiciel"}}],
    }
    created = await small.system.ask("POST", "Patient", PERSON, X_Provenance=json.dumps(said))
    id_ = created.resource["id"]
    found = (await small.system.ask("GET", f"Provenance?target=Patient/{id_}")).resource
    assert [e["resource"]["target"][0]["reference"] for e in found["entry"]] == [f"Patient/{id_}/_history/1"]


@pytest.mark.parametrize("header", ["{", '{"resourceType":"Patient"}', '{"resourceType":"Provenance"}'])
async def test_a_provenance_that_cannot_be_kept_stops_the_write(small: Small, header: str) -> None:
    assert (await small.system.ask("POST", "Patient", PERSON, X_Provenance=header)).status == 400
    assert await small.count("patient") == 0


@pytest.mark.parametrize(
    "condition", ["identifier=&name=Cabinet", "identifier=,&name=Cabinet", "name=Cabinet&active=%20", "name="]
)
async def test_a_condition_with_an_empty_criterion_is_refused(small: Small, condition: str) -> None:
    """Whoever had no number to put there does not mean the only place of that name."""
    ask = small.system.ask
    address = await created(small.system, PLACE)
    operations = [{"op": "replace", "path": "/name", "value": "Autre"}]
    said = [
        await ask("DELETE", f"Organization?{condition}"),
        await ask("PUT", f"Organization?{condition}", PLACE),
        await ask(
            "PATCH", f"Organization?{condition}", operations, Content_Type="application/json-patch+json"
        ),
        await ask("POST", "Organization", PLACE, If_None_Exist=condition),
        await ask("POST", "", bundle("transaction", ("DELETE", f"Organization?{condition}", None))),
    ]
    assert [one.status for one in said] == [400] * 5, [one.resource for one in said]
    assert (await ask("GET", address)).headers["ETag"] == 'W/"1"'
    assert await small.count("organization") == 1
    found = (await ask("GET", f"Organization?{condition}")).resource
    assert found["entry"], "a search leaves out what is empty"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('W/"1"', 200),
        ('W/"7", W/"1"', 200),
        ("*", 200),
        ('W/"7", W/"8"', 412),
        (f'W/"{"9" * 5_000}"', 412),
        ('W/"²"', 400),
        ('W/"\u0661"', 400),
    ],
)
async def test_if_match_alone_and_in_a_transaction(small: Small, header: str, status: int) -> None:
    """One of a list has to be the version; what is no version is the client's fault, of one entry too."""
    address = await created(small.system)
    changed = {**PERSON, "id": address.partition("/")[2]}
    assert (await small.system.ask("PUT", address, changed, If_Match=header)).status == status
    asked = bundle("transaction", ("PUT", address, changed))
    current = (await small.system.ask("GET", address)).headers["ETag"]
    asked["entry"][0]["request"]["ifMatch"] = header.replace('W/"1"', current)
    assert (await small.system.ask("POST", "", asked)).status == status


async def test_a_conditional_update_that_finds_nothing_overwrites_nothing(small: Small) -> None:
    """If-Match says that there was something; an id in use belongs to what does not fit the condition (R5's rule)."""
    ask = small.system.ask
    condition = "Organization?name=Cabinet%20des%20Roses"
    assert (await ask("PUT", condition, PLACE, If_Match='W/"1"')).status == 412
    asked = bundle("transaction", ("PUT", condition, PLACE))
    asked["entry"][0]["request"]["ifMatch"] = 'W/"1"'
    assert (await ask("POST", "", asked)).status == 412
    assert await small.count("organization") == 0
    await ask("PUT", "Organization/lilas", {**PLACE, "id": "lilas"})
    roses = {**PLACE, "id": "lilas", "name": "Cabinet des Roses"}
    said = await ask("PUT", condition, roses)
    assert (said.status, said.resource["issue"][0]["expression"]) == (409, ["Organization.id"])
    said = await ask("POST", "", bundle("transaction", ("PUT", condition, roses)))
    assert (said.status, said.resource["issue"][0]["expression"]) == (409, ["Bundle.entry[0].resource.id"])
    assert (await ask("GET", "Organization/lilas")).headers["ETag"] == 'W/"1"'
    await ask("DELETE", "Organization/lilas")
    assert (await ask("PUT", condition, roses)).status == 201, "the id is free again"


async def test_a_history_says_what_it_was_asked_and_understood(small: Small) -> None:
    """A name that it does not know is refused where the client wants to know, else left out, also of its links."""
    for address in (await created(small.system), "Organization", ""):
        at = f"{address}/_history?_count=1&_type=Patient&colour=red"
        said = await small.system.ask("GET", at)
        (link,) = [link["url"] for link in said.resource["link"] if link["relation"] == "self"]
        assert link.endswith("_history?_count=1")
        said = await small.system.ask("GET", at, Prefer="handling=strict")
        assert (said.status, said.code) == (400, "not-supported")
        assert said.resource["issue"][0]["expression"] == ["http._type"]


async def test_a_history_tells_what_happened(small: Small) -> None:
    """R4 http.html#history: what a client put under an id of its own was put there, and what was put where something had been
    deleted was created, as the answers said; on whichever page its deletion is."""
    ask = small.system.ask
    lilas = {"resourceType": "Organization", "id": "lilas", "name": "Cabinet des Lilas"}
    answered = [(await ask("PUT", "Organization/lilas", lilas)).status]
    answered += [(await ask("PUT", "Organization/lilas", {**lilas, "active": True})).status]
    answered += [(await ask("DELETE", "Organization/lilas")).status]
    answered += [(await ask("PUT", "Organization/lilas", lilas)).status]
    assert answered == [201, 200, 204, 201]

    def told(bundle: dict[str, Any]) -> list[tuple[str, str, int]]:
        entries = [(e["request"], e["response"]) for e in bundle["entry"]]
        return [(r["method"], r["url"], int(a["status"])) for r, a in reversed(entries)]

    whole = told((await ask("GET", "Organization/lilas/_history")).resource)
    at = "Organization/lilas"
    assert whole == [("PUT", at, 201), ("PUT", at, 200), ("DELETE", at, 204), ("PUT", at, 201)]
    assert told((await ask("GET", "Organization/lilas/_history?_count=1")).resource) == whole[-1:]
    assert told((await ask("GET", "Organization/_history")).resource) == whole
    ours = await created(small.system)
    assert told((await ask("GET", f"{ours}/_history")).resource) == [("POST", "Patient", 201)]
