"""Whose agendas are whose is looked up by index, of however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import asyncpg
import orjson
import pytest
from services.booking.tests.recorder import Recorder
from services.booking.tests.storage.test_slot_search import request_for

from creneau_booking.app import create_catalog
from creneau_booking.operations.references import with_literal
from creneau_booking.storage.agendas.by_actor import agendas_of_actors, ranked_agendas
from creneau_booking.storage.logical import identified
from creneau_booking.storage.outside.sas_reports import people_identified
from creneau_booking.storage.people.named_people import with_known_answerer
from creneau_booking.views.sas.family import SasView
from creneau_booking.views.sas.query import PRACTITIONERS, neutral
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.search.request import Chain
from creneau_shared.fhir.search.sql import EVERYTHING, compile_count
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.national_numbers import NATIONAL_PERSON

AGENDAS, AT_A_PLACE, PEOPLE = 5_000, 40, 50_000
RPPS = "https://rpps.esante.gouv.fr"
_FILL = (
    # What triggers keep is written here as they have it: each agenda names a role alone, every fortieth of one place.
    "SET session_replication_role = replica",
    "INSERT INTO practitioner_role (id, version, last_updated, content, terms) SELECT 'r' || n, 1, now(), '{}',"
    f" ARRAY['practitioner=Practitioner/p' || n, 'location=Location/l' || n / {AT_A_PLACE}]"
    f" FROM generate_series(0, {AGENDAS - 1}) AS n",
    f"INSERT INTO role_place SELECT 'l' || n / {AT_A_PLACE}, 'r' || n FROM generate_series(0, {AGENDAS - 1}) AS n",
    "INSERT INTO schedule (id, version, last_updated, content, terms) SELECT 'a' || n, 1, now(), '{}',"
    f" ARRAY['actor=PractitionerRole/r' || n] FROM generate_series(0, {AGENDAS - 1}) AS n",
    "INSERT INTO agenda_named SELECT 'PractitionerRole/r' || substr(id, 2), key FROM schedule",
    "INSERT INTO practitioner (id, version, last_updated, content, terms) SELECT 'p' || n, 1, now(), '{}',"
    f" ARRAY['identifier={RPPS}|' || (99000000000 + n)] FROM generate_series(0, {PEOPLE - 1}) AS n",
    "INSERT INTO patient (id, version, last_updated, content, terms) SELECT 'p' || n, 1, now(), '{}',"
    f" ARRAY['identifier={RPPS}|' || (99000000000 + {PEOPLE} + n)] FROM generate_series(0, {PEOPLE - 1}) AS n",
    "SET session_replication_role = origin",
    "VACUUM ANALYZE",
)


@pytest.fixture(scope="module")
async def country(postgres_server: Any, template: str) -> AsyncIterator[asyncpg.Connection]:
    url = postgres_server.create_database("booking_by_actor", template=template)
    connection = await asyncpg.connect(url, server_settings={"jit": "off", "timezone": "UTC"})
    for statement in _FILL:
        await connection.execute(statement)
    yield connection
    await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
@pytest.mark.parametrize(
    ("reference", "agendas"),
    [("Practitioner/p7", 1), ("PractitionerRole/r7", 1), ("Location/l7", AT_A_PLACE), ("Schedule/a7", 1)],
)
async def test_no_more_is_read_than_is_theirs(
    country: asyncpg.Connection, reference: str, agendas: int, generic: bool
) -> None:
    recorder = Recorder(country)
    found = await agendas_of_actors(recorder, [reference])  # type: ignore[arg-type]
    assert len(found) == agendas
    [(statement, values)] = recorder.asked
    tables = ("schedule", "agenda_named", "practitioner_role", "role_place")
    read = await rows_read(country, statement, values, generic=generic)
    assert {name: read[name] for name in tables if read[name] > 8 * agendas + 10} == {}


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
async def test_many_actors_are_ranked_by_one_statement(country: asyncpg.Connection, generic: bool) -> None:
    """By whom the call names first; who is named again, or has no agenda, costs nothing more."""
    recorder = Recorder(country)
    actors = [["Schedule/a9"], ["Location/none"], ["Practitioner/p8", "Practitioner/p7"], ["Location/l0"]]
    actors += [[f"Practitioner/p{n}"] for n in range(200)]
    ranks = await ranked_agendas(recorder, actors)  # type: ignore[arg-type]
    at_the_place = {f"a{n}": 3 for n in range(AT_A_PLACE)} | {"a9": 0, "a7": 2, "a8": 2}
    assert ranks == {f"a{n}": 4 + n for n in range(200)} | at_the_place
    assert list(ranks)[:3] == ["a9", "a7", "a8"]
    [(statement, values)] = recorder.asked
    read = await rows_read(country, statement, values, generic=generic)
    tables = ("schedule", "agenda_named", "practitioner_role", "role_place")
    assert {name: read[name] for name in tables if read[name] > 8 * len(ranks)} == {}


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
async def test_identifiers_are_looked_up_by_one_statement(country: asyncpg.Connection, generic: bool) -> None:
    recorder = Recorder(country)
    tokens = [f"{RPPS}|{99000000000 + n}" for n in range(0, PEOPLE, 250)]
    wanted = [("Practitioner", token) for token in (*tokens, *tokens, f"{RPPS}|1", "|", "|" + "9" * 5_000)]
    found = await identified(recorder, wanted)  # type: ignore[arg-type]
    assert [found["Practitioner", token] for token in tokens] == [[f"p{n}"] for n in range(0, PEOPLE, 250)]
    assert found["Practitioner", f"{RPPS}|1"] == []
    [(statement, values)] = recorder.asked
    read = await rows_read(country, statement, values, generic=generic)
    assert read["practitioner"] <= len(tokens)


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
async def test_who_bears_an_identifier_is_found_without_looking_at_the_others(
    country: asyncpg.Connection, generic: bool
) -> None:
    """A participant named by number, the operator of an appointment, and whom an operation is about."""
    recorder = Recorder(country)
    number = str(99000000000 + PEOPLE - 1)
    known = await with_known_answerer(
        recorder,  # type: ignore[arg-type]
        WriteContext(now=datetime(2026, 12, 1, tzinfo=UTC)),
        {"actor": {"identifier": {"system": RPPS, "value": number}}},
        "https://creneau.example/fhir",
    )
    assert known["actor"]["reference"] == f"Practitioner/p{PEOPLE - 1}"
    await people_identified(recorder, [], [(NATIONAL_PERSON, f"8{number}"), (RPPS, number)])  # type: ignore[arg-type]
    everybody = SimpleNamespace(access_if_any=lambda *_: SimpleNamespace(required=None))
    who = {"identifier": {"system": NATIONAL_PERSON, "value": f"8{99000000000 + 2 * PEOPLE - 1}"}}
    given = OperationInput([("patient", who)], "https://creneau.example/fhir")
    named = await with_literal(recorder, everybody, given, ["patient"])  # type: ignore[arg-type]
    assert named.references("patient") == [{"reference": f"Patient/p{PEOPLE - 1}"}]
    assert len(recorder.asked) == 3
    for statement, values in recorder.asked:
        read = await rows_read(country, statement, values, generic=generic)
        assert {name: rows for name, rows in read.items() if name and rows > 2} == {}


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
@pytest.mark.parametrize("asked", [1, 25])
async def test_the_sas_reads_no_more_than_whom_it_asks_for(
    country: asyncpg.Connection, asked: int, generic: bool
) -> None:
    """By the numbers of professionals to the agendas that name these, and those that name their roles alone."""
    numbers = ",".join(f"{NATIONAL_PERSON}|8{99000000000 + n}" for n in range(asked))
    query = f"status=free&start=ge2026-12-01&start=le2026-12-03&{PRACTITIONERS}={numbers}"
    wanted = SasView().widen(
        request_for(urlencode(neutral(parse_qsl(query)))), datetime(2026, 12, 1, tzinfo=UTC)
    )
    [chain] = [condition for condition in wanted.conditions if isinstance(condition, Chain)]
    [agendas] = chain.branches
    found = replace(wanted, resource_type="Schedule", conditions=(agendas.condition,))
    statement = compile_count(create_catalog(), EVERYTHING, found, None)
    assert await country.fetchval(statement.sql, *statement.values) == asked
    read = await rows_read(country, statement.sql, statement.values, generic=generic)
    tables = ("schedule", "agenda_named", "practitioner_role", "practitioner")
    assert {name: read[name] for name in tables if read[name] > 8 * asked + 10} == {}


async def rows_read(
    connection: asyncpg.Connection, statement: str, values: Sequence[Any], *, generic: bool
) -> Counter[str]:
    """How many rows of each table a statement looks at."""
    await connection.execute(f"SET plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
    await connection.execute("RESET plan_cache_mode")
    read: Counter[str] = Counter()
    for node in nodes(orjson.loads(explained)[0]["Plan"]):
        passed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        read[node.get("Relation Name", "")] += round((node["Actual Rows"] + passed) * node["Actual Loops"])
    return read
