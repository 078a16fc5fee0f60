"""Rivals with one condition, in transactions of two processes: no reference leads to what was never written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from shared.tests.service.small import BASE, NOW, SERVICE, Caller, Said, Small, bundle, small_server, urn

from creneau_shared.database.pool import Database
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.matching import read_criteria, take_turn
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource, WriteContext

SYSTEM = "urn:example:finess"
CONDITION = f"identifier={SYSTEM}|1"
SPELLINGS = [
    CONDITION,
    f"identifier={SYSTEM}%7C1&",
    "identifier=1",
    f"identifier=urn:other|2,{SYSTEM}|1",
    f"_format=json&identifier={SYSTEM}|1",
]


def practice(value: str = "1") -> Resource:
    return {
        "resourceType": "Organization",
        "name": "Cabinet des Lilas",
        "identifier": [{"system": SYSTEM, "value": value}],
    }


def registering(*conditions: str, method: str = "POST") -> Resource:
    """A transaction: for each condition a practice, unless it is there, and a person of it."""
    entries: list[tuple[str, str, Any]] = []
    for number, condition in enumerate(conditions):
        url = "Organization" if method == "POST" else f"Organization?{condition}"
        person = {"resourceType": "Patient", "managingOrganization": {"reference": urn(2 * number)}}
        entries += [(method, url, practice()), ("POST", "Patient", person)]
    made = bundle("transaction", *entries)
    if method == "POST":
        for number, condition in enumerate(conditions):
            made["entry"][2 * number]["request"]["ifNoneExist"] = condition
    return made


async def dangling(small: Small) -> int:
    """How many people are of a practice that is not there."""
    rows = await small.database.pool.fetch("SELECT unnest(terms) AS term FROM patient")
    named = {term.partition("Organization/")[2] for (term,) in rows if term.startswith("organization=Org")}
    there = {id_ for (id_,) in await small.database.pool.fetch("SELECT id FROM organization")}
    return len(named - there)


@asynccontextmanager
async def rival(small: Small) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """Another process, in the middle of the transaction in which it creates the practice under the same condition."""
    connection = await asyncpg.connect(small.url)
    service = small.server.service
    request = FhirRequest(
        method="POST", path=("Organization",), query=[], headers={}, body=b"", principal=small.system.principal,
        now=NOW, base_url=BASE,
    )  # fmt: skip
    transaction = connection.transaction()
    await transaction.start()
    await take_turn(connection, [read_criteria(service, request, "Organization", CONDITION)])
    context = WriteContext(NOW, "rival", "https://issuer.example", "system")
    stored = await GenericStore("Organization", BASE).create(connection, context, practice())
    try:
        yield connection, stored.id
    finally:
        await connection.close()


async def until_it_waits(small: Small, task: asyncio.Task[Said]) -> None:
    """Until somebody waits for an advisory lock, or the task has ended without waiting."""
    while not task.done():
        waiting = await small.database.pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        if waiting:
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_the_rival_is_rolled_back(small: Small, spelling: str, method: str) -> None:
    """What was found to be coming has not come: it is created here, and referred to."""
    async with rival(small) as (connection, _):
        task = asyncio.create_task(small.system.ask("POST", "", registering(spelling, method=method)))
        await until_it_waits(small, task)
        assert not task.done(), "it waits for the rival"
        await connection.execute("ROLLBACK")
        said = await task
    assert [entry["response"]["status"] for entry in said.resource["entry"]] == ["201", "201"]
    assert (await small.count("organization"), await dangling(small)) == (1, 0)


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_rival_commits(small: Small, method: str) -> None:
    """The references lead to what the rival wrote."""
    async with rival(small) as (connection, id_):
        task = asyncio.create_task(small.system.ask("POST", "", registering(CONDITION, method=method)))
        await until_it_waits(small, task)
        await connection.execute("COMMIT")
        said = await task
    assert [entry["response"]["status"] for entry in said.resource["entry"]] == ["200", "201"]
    person = said.resource["entry"][1]["resource"]
    assert person["managingOrganization"]["reference"] == f"Organization/{id_}"
    assert (await small.count("organization"), await dangling(small)) == (1, 0)


async def test_two_processes_at_once(small: Small) -> None:
    """Twenty transactions, in five spellings, through two processes: one practice, and everybody is of it."""
    async with Database(small.url, size=6, statement_timeout_s=60, name=SERVICE) as database:
        server = small_server(small.url, database)
        async with server.service.limits.database:
            both = [small.system, Caller(server, small.system.principal)]
            asked: list[Awaitable[Said]] = [
                both[n % 2].ask("POST", "", registering(SPELLINGS[n % len(SPELLINGS)])) for n in range(20)
            ]
            said = await asyncio.gather(*asked)
    assert {one.status for one in said} == {200}
    assert (await small.count("organization"), await small.count("patient")) == (1, 20)
    assert await dangling(small) == 0


async def test_transactions_that_name_two_in_another_order_do_not_deadlock(small: Small) -> None:
    """Each takes all its turns at once, in one order."""
    one, two = CONDITION, f"identifier={SYSTEM}|2"
    asked = [
        small.system.ask("POST", "", self_named(*([one, two] if n % 2 else [two, one]))) for n in range(12)
    ]
    assert {said.status for said in await asyncio.gather(*asked)} == {200}
    assert await small.count("organization") == 2


def self_named(*conditions: str) -> Resource:
    """A transaction that creates each practice unless it is there."""
    made = bundle("transaction", *(("POST", "Organization", practice(c[-1])) for c in conditions))
    for entry, condition in zip(made["entry"], conditions, strict=True):
        entry["request"]["ifNoneExist"] = condition
    return made


async def test_two_entries_with_one_condition_are_about_one_resource(small: Small) -> None:
    """The second finds what the first has created, and what refers to it leads there."""
    said = await small.system.ask("POST", "", registering(CONDITION, f"identifier={SYSTEM}%7C1&"))
    assert [entry["response"]["status"] for entry in said.resource["entry"]] == ["201", "201", "200", "201"]
    assert (await small.count("organization"), await dangling(small)) == (1, 0)


async def test_what_was_meant_is_no_longer_what_is_found(small: Small) -> None:
    """Conditions that differ and yet find the same: the references were written before, so that nothing stays."""
    said = await small.system.ask("POST", "", registering(CONDITION, f"{CONDITION}&name=cabinet"))
    assert (said.status, said.resource["issue"][0]["expression"]) == (
        409,
        ["Bundle.entry[2].request.ifNoneExist"],
    )
    assert (await small.count("organization"), await small.count("patient")) == (0, 0)


async def test_a_conditional_update_is_referred_to(small: Small) -> None:
    """Its fullUrl leads to what it updates, or creates."""
    created = await small.system.ask("POST", "", registering(CONDITION, method="PUT"))
    updated = await small.system.ask("POST", "", registering(CONDITION, method="PUT"))
    people = [said.resource["entry"][1]["resource"]["managingOrganization"] for said in (created, updated)]
    assert people[0] == people[1]
    assert await dangling(small) == 0
