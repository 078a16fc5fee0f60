"""A table of quite another shape takes part in every kind of search: what booking's slots rely on.

One narrow row a slot, partitioned by time; what slots of an agenda share stands in a kind; the id is a uuid, the
schedule a number, and the content is put together in SQL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import asyncpg
import orjson
import pytest
from shared.tests.search.graph import GRAPH
from shared.tests.search.store import CODEC, KNOWN_TYPES, NOW, Store, ddl, insert

from creneau_shared.fhir.search.execute import search
from creneau_shared.fhir.search.generic import GenericTable, clause_terms, instant_condition
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import (
    Clause,
    Condition,
    DateValue,
    NearValue,
    ReferenceValue,
    SortKey,
    TokenValue,
)
from creneau_shared.fhir.search.sql import (
    Arguments,
    Catalog,
    Columns,
    SearchScope,
    Selection,
    SortValue,
    Walk,
)

OTHERS = [
    "Schedule",
    "Practitioner",
    "Appointment",
    "Patient",
    "Location",
    "PractitionerRole",
    "HealthcareService",
]
DDL = """
CREATE TABLE slot_kind (key bigint PRIMARY KEY, members text NOT NULL, terms text[] NOT NULL);
CREATE TABLE slot (
    id uuid, start timestamptz, "end" timestamptz NOT NULL, schedule_key bigint NOT NULL, kind_key bigint NOT NULL,
    status text NOT NULL, version integer NOT NULL, last_updated timestamptz NOT NULL, PRIMARY KEY (id, start)
) PARTITION BY RANGE (start);
CREATE TABLE slot_2026_12 PARTITION OF slot FOR VALUES FROM ('2026-12-01') TO ('2027-01-01');
CREATE INDEX ON slot (schedule_key, start);
"""
CONTENT = """convert_to(
    '{{"resourceType":"Slot","id":"' || {a}.id || '","status":"' || {a}.status
    || '","start":"' || to_char({a}.start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    || '",' || {a}_kind.members || '}}', 'UTF8')"""


@dataclass(frozen=True)
class SlotTable:
    """Narrow slots. Only what a search needs is written here; the compiler does the rest."""

    resource_type: str = "Slot"
    key_type: str = "uuid"
    default_sort: tuple[SortKey, ...] = (SortKey(parameters_of("Slot")["start"]),)

    def source(self, alias: str) -> str:
        return f"slot AS {alias} JOIN slot_kind AS {alias}_kind ON {alias}_kind.key = {alias}.kind_key"

    def columns(self, alias: str) -> Columns:
        return Columns(
            key=f"{alias}.id",
            id=f"{alias}.id::text",
            version=f"{alias}.version",
            last_updated=f"{alias}.last_updated",
            content=CONTENT.format(a=alias),
        )

    def live(self, alias: str) -> str:
        return "true"

    def predicate(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        name = clause.parameter.name
        if name in ("start", "end"):
            groups = [
                " OR ".join(
                    instant_condition(cast(DateValue, v), f'{alias}."{name}"', arguments) for v in group
                )
                for group in clause.groups
            ]
            return " AND ".join(f"({group})" for group in groups)
        if name == "status":
            codes = [cast(TokenValue, value).code for value in clause.values]
            return f"{alias}.status = ANY({arguments.add(codes, 'text[]')})"
        if name == "schedule":
            references = [r for v in clause.values for r in cast(ReferenceValue, v).references]
            ids = arguments.add([r.removeprefix("Schedule/") for r in references], "text[]")
            return f"{alias}.schedule_key IN (SELECT key FROM schedule WHERE id = ANY({ids}))"
        if name == "_id":
            ids = arguments.add([cast(TokenValue, value).code for value in clause.values], "text[]")
            return f"{alias}.id::text = ANY({ids})"
        return f"{alias}_kind.terms && {arguments.add(clause_terms(clause), 'text[]')}"

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        return f"{alias}.schedule_key IN ({selection.select(selection.table.columns(selection.alias).key)})"

    def referred_ids(self, parameter: SearchParameter, target_type: str, selection: Selection) -> str:
        rows = selection.select(f"{selection.alias}.schedule_key")
        return f"SELECT id FROM schedule WHERE key IN ({rows})"

    def has_id(self, ids: str, alias: str) -> str:
        return f"{alias}.id IN (SELECT found::uuid FROM ({ids}) AS ids (found))"

    def bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        return f"{alias}_kind.terms && {arguments.add(list(terms), 'text[]')}"

    def references(self, parameters: Iterable[SearchParameter], alias: str) -> str:
        return f"ARRAY(SELECT 'schedule=Schedule/' || s.id FROM schedule AS s WHERE s.key = {alias}.schedule_key)"

    def sort_value(self, key: SortKey, alias: str, arguments: Arguments) -> SortValue:
        return SortValue(f"{alias}.start", "timestamptz", nullable=False, descending=key.descending)

    def walk(
        self, key: SortKey, conditions: Sequence[Condition], alias: str, arguments: Arguments
    ) -> Walk | None:
        return None

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        raise NotImplementedError


def uuid_of(logical_id: str) -> UUID:
    """A uuid that shows the id of the graph: l1 → …6c31."""
    return UUID(int=int.from_bytes(logical_id.encode()))


@pytest.fixture(scope="module")
async def narrow(postgres_server: Any) -> AsyncIterator[Store]:
    """The graph, its slots in narrow rows."""
    url = postgres_server.create_database("search_narrow")
    connection = await asyncpg.connect(url)
    await connection.execute(ddl(OTHERS) + ";" + DDL)
    slots = {r["id"]: r for r in GRAPH if r["resourceType"] == "Slot"}
    rest = [r for r in GRAPH if r["resourceType"] in OTHERS]
    text = orjson.dumps(rest).decode().replace('"Slot/l2"', f'"Slot/{uuid_of("l2")}"')
    await insert(connection, orjson.loads(text))
    await connection.execute("""INSERT INTO slot_kind VALUES (1, '"comment":"plain"', '{}'),
        (2, '"comment":"consultation"', '{service-type,service-type=consultation}')""")
    for id_, slot in slots.items():
        await connection.execute(
            """INSERT INTO slot SELECT $1, $2::text::timestamptz, $3::text::timestamptz, key, $4, $5, 1, now()
            FROM schedule WHERE id = $6""",
            uuid_of(id_), slot["start"], slot["end"], 2 if "serviceType" in slot else 1, slot["status"],
            slot["schedule"]["reference"].removeprefix("Schedule/"),
        )  # fmt: skip
    store = Store(connection, [], url)
    store.catalog = Catalog([SlotTable(), *(GenericTable.of(kind) for kind in OTHERS)])
    yield store
    await connection.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Slot", "l1 l2 m1 s1 l3"),
        ("Slot?status=free&start=ge2026-12-01T10:00:00&start=lt2026-12-02", "m1 s1"),
        ("Slot?service-type=consultation", "l3"),
        ("Slot?schedule=lefevre&_sort=-start", "l3 l2 l1"),
        ("Slot?schedule.actor:Practitioner.identifier=urn:oid:1.2.250.1.71.4.2.1|800001288385", "m1"),
        ("Slot?_has:Appointment:slot:status=booked", "l2"),
        ("Slot?_count=2", "l1 l2"),
    ],
)
async def test_searching_narrow_slots(narrow: Store, query: str, expected: str) -> None:
    """Ordered by start without asking; chained forward and reverse."""
    result = await narrow.result(query)
    assert [row.id for row in result.matches] == [str(uuid_of(id_)) for id_ in expected.split()]
    assert orjson.loads(result.matches[0].content)["resourceType"] == "Slot"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Schedule?_has:Slot:schedule:status=busy", "lefevre"),
        ("Appointment?slot.start=2026-12-01", "a1"),
        ("Practitioner?_has:Schedule:actor:_has:Slot:schedule:service-type=consultation", "lefevre"),
    ],
)
async def test_searching_through_narrow_slots(narrow: Store, query: str, expected: str) -> None:
    """Generic tables chain through the narrow one."""
    assert " ".join(await narrow.ids(query)) == expected


async def test_paging_narrow_slots(narrow: Store) -> None:
    """Keys that are uuids travel in cursors."""
    first = await narrow.result("Slot?_count=3")
    second = await narrow.result("Slot?_count=3", cursor=first.next_cursor)
    back = await narrow.result("Slot?_count=3", cursor=second.previous_cursor)
    assert [len(page.matches) for page in (first, second, back)] == [3, 2, 3]
    assert back.matches == first.matches
    assert first.total == 5


async def test_including_narrow_slots(narrow: Store) -> None:
    """In both directions, through the iteration of SAS."""
    included = await narrow.included(
        f"Slot?_id={uuid_of('m1')}&_include=Slot:schedule&_include:iterate=Schedule:actor"
    )
    assert included == ["Practitioner/martin", "Schedule/martin"]
    assert await narrow.included("Schedule?_id=martin&_revinclude=Slot:schedule") == [f"Slot/{uuid_of('m1')}"]
    assert await narrow.included("Appointment?_id=a1&_include=Appointment:slot") == [f"Slot/{uuid_of('l2')}"]


async def test_a_view_narrows_what_it_includes(narrow: Store) -> None:
    """`Include.where`: SAS (SOS Médecins) wants the free slots of the agendas, not all their slots."""
    request = parse_search("Schedule", [("_revinclude", "Slot:schedule")], known_types=KNOWN_TYPES, now=NOW)
    busy = Clause(parameters_of("Slot")["status"], None, ((TokenValue(None, "busy"),),))
    (include,) = request.includes
    narrowed = replace(request, includes=(replace(include, where=(busy,)),))
    result = await search(narrow.connection, narrow.catalog, narrowed, cursor_codec=CODEC)
    assert [row.id for row in result.included] == [str(uuid_of("l2"))]


async def test_scope_holds_for_narrow_slots(narrow: Store) -> None:
    """The table itself says what a required term means."""
    scope = SearchScope({"Slot": ("service-type=consultation",)})
    assert await narrow.ids("Slot", scope=scope) == [str(uuid_of("l3"))]
