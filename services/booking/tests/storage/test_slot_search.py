"""Each search parameter of Slot over narrow rows and kinds, and that none reads the whole table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import orjson
import pytest
from services.booking.tests.factories import BASE, NOW, SKIN, VIDEO, appointment, slot, unique
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.telling import in_words

from creneau_booking.app import create_catalog
from creneau_booking.storage.finding.candidates import Candidate, Consumer
from creneau_booking.storage.slots.table import SlotTable
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.searching import KNOWN_TYPES
from creneau_shared.fhir.search.cursor import CursorCodec
from creneau_shared.fhir.search.execute import search
from creneau_shared.fhir.search.pages import compile_matches
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.search.sql import EVERYTHING, Catalog, compile_count

ROWS = 60_000
SCHEDULES = 300


def request_for(query: str) -> SearchRequest:
    return parse_search(
        "Slot",
        parse_qsl(query.replace("+", "%2B")),
        known_types=KNOWN_TYPES,
        now=NOW,
        base_url=BASE,
        strict=True,
    )


@dataclass
class Week:
    """Two agendas: one of a general practitioner, one of a dermatologist by video with slots of her own kind."""

    practice: Practice
    general: Agenda
    skin: Agenda
    names: dict[str, str]
    patient: str = ""

    async def found(self, query: str) -> str:
        """The slots of both agendas that `query` finds, by short name, sorted by start, then by name."""
        codec = CursorCodec("secret")
        async with self.practice.database.connection() as connection:
            result = await search(
                connection, create_catalog(), request_for(f"{query}&_count=500"), cursor_codec=codec
            )
        return " ".join(sorted(self.names[row.id] for row in result.matches if row.id in self.names))


@pytest.fixture(scope="session")
async def week(practice: Practice) -> Week:
    start = datetime.fromisoformat("2026-12-08T09:00:00+00:00")
    general = await practice.open_agenda(3, start=start)
    members = {
        "serviceType": [VIDEO],
        "specialty": [SKIN],
        "appointmentType": {"coding": [{"system": "urn:t", "code": "CONTROLE"}]},
        "meta": {"tag": [{"system": "urn:tag", "code": "pilote"}]},
    }
    skin = await practice.open_agenda(3, start=start + timedelta(minutes=10), slot_members=members)
    note = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Une note</div>'}
    number = {"system": "urn:logiciel", "value": "n7"}
    own = slot(unique("marque"), skin.id, skin.at(3), identifier=[number], text=note)
    await practice.put(own)
    patient = await practice.new_patient()
    who = patient.removeprefix("Patient/")
    await practice.create(appointment("booked", slots=general.slots[:1], patient=patient))
    names = {id_: f"g{index}" for index, id_ in enumerate(general.slots)}
    names |= {id_: f"s{index}" for index, id_ in enumerate(skin.slots)} | {own["id"]: "own"}
    return Week(practice, general, skin, names, who)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("schedule=Schedule/{g}", "g0 g1 g2"),
        ("schedule={g}", "g0 g1 g2"),
        ("schedule=http://127.0.0.1:8080/fhir/Schedule/{g}", "g0 g1 g2"),
        ("schedule={g},{s}&status=free", "g1 g2 own s0 s1 s2"),
        ("schedule={g}&status=busy", "g0"),
        ("schedule={g}&status:not=busy", "g1 g2"),
        ("schedule={g}&status=http://hl7.org/fhir/slotstatus|free", "g1 g2"),
        ("schedule={g}&status=free,busy", "g0 g1 g2"),
        ("schedule={g}&status=elsewhere|free", ""),
        ("schedule={g}&start=2026-12-08T09:20:00Z", "g1"),
        ("schedule={g}&start=ge2026-12-08T09:20:00Z&start=lt2026-12-08T09:40:00Z", "g1"),
        ("schedule={g}&start=2026-12-08T10:20:00+01:00", "g1"),
        ("schedule={g}&start=2026-12-08", "g0 g1 g2"),
        ("schedule={g}&start=gt2026-12-08", ""),
        ("schedule={g}&end=le2026-12-08T09:40:00Z", "g0 g1"),
        ("schedule={s}&service-type=VR", "s0 s1 s2"),
        ("schedule={s}&service-type:not=VR", "own"),
        ("schedule={s},{g}&specialty=SM15", "s0 s1 s2"),
        ("schedule={s}&appointment-type=urn:t|CONTROLE", "s0 s1 s2"),
        ("schedule={s}&appointment-type:missing=true", "own"),
        ("schedule={s}&identifier=urn:logiciel|n7", "own"),
        ("identifier=urn:logiciel|n7&schedule={s}&identifier:missing=false", "own"),
        ("schedule={s}&identifier:missing=true", "s0 s1 s2"),
        ("schedule={s}&_tag=urn:tag|pilote", "s0 s1 s2"),
        ("_id={g0},{s0}", "g0 s0"),
        ("_id={g0}&schedule={s}", ""),
        ("schedule={g}&_lastUpdated=gt2020", "g0 g1 g2"),
        ("schedule={g}&_lastUpdated=lt2020", ""),
        ("schedule.actor={gp}", "g0 g1 g2"),
        ("schedule.actor:Practitioner={gpid}&status=free", "g1 g2"),
        ("schedule={g}&_has:Appointment:slot:status=booked", "g0"),
        ("schedule={s}&_has:Appointment:slot:status=booked", ""),
        ("_has:Appointment:slot:patient={who}", "g0"),
        ("schedule={s}&_content=controle", "s0 s1 s2"),
        ("schedule={s}&_content=pilote", "s0 s1 s2"),
        ("schedule={s}&_content=N7", "own"),
        ("schedule={s}&_content=-controle", "own"),
        ("schedule={s}&_content=n7 OR controle", "own s0 s1 s2"),
        ("schedule={s}&_text=note", "own"),
        ("schedule={s}&_text=n7", ""),
        ("schedule={s}&_text=NOT note", "s0 s1 s2"),
        ("schedule={s},{g}&_filter=service-type eq VR or start lt 2026-12-08T09:10:00Z", "g0 s0 s1 s2"),
        ("schedule={s},{g}&_filter=not (status eq free or appointment-type pr true)", "g0"),
        ("schedule={s}&_filter=_content co n7 or appointment-type eq CONTROLE", "own s0 s1 s2"),
        ("schedule={g}&status:in=http://hl7.org/fhir/ValueSet/slotstatus", "g0 g1 g2"),
        ("schedule={g}&status:not-in=http://hl7.org/fhir/ValueSet/slotstatus", ""),
        ("schedule={s}&service-type:in=http://hl7.org/fhir/ValueSet/service-type", ""),
    ],
)
async def test_parameter(week: Week, query: str, expected: str) -> None:
    """Alone or beside the others, with its modifiers and prefixes."""
    text = query.format(
        g=week.general.id,
        s=week.skin.id,
        g0=week.general.slots[0],
        s0=week.skin.slots[0],
        gp=week.general.practitioner,
        gpid=week.general.practitioner.partition("/")[2],
        who=week.patient,
    )
    assert await week.found(text) == expected


async def test_the_agenda_by_its_identifier(practice: Practice) -> None:
    """SAS asks through the agenda and the practitioner's identifier."""
    value = unique("899")
    practitioner = {
        "resourceType": "Practitioner",
        "id": unique("prat"),
        "identifier": [{"system": "urn:p", "value": value}],
    }
    agenda = await practice.open_agenda(1, practitioner=await practice.put(practitioner))
    found = Week(practice, agenda, agenda, {agenda.slots[0]: "x"})
    assert await found.found(f"schedule.actor:Practitioner.identifier=urn:p|{value}&status=free") == "x"
    assert await found.found("schedule.actor:Practitioner.identifier=urn:p|000&status=free") == ""


async def test_a_modifier_that_is_not_searched_is_refused(week: Week) -> None:
    with pytest.raises(BadRequest), in_words():
        await week.found("service-type:text=vid")


@pytest.mark.parametrize(("sort", "first"), [("start", 0), ("-start", 2), ("-end", 2), ("status", 0)])
async def test_sort(week: Week, sort: str, first: int) -> None:
    """By an instant either way, or by status in the order of its codes (busy before free)."""
    query = f"schedule={week.general.id}&status=free,busy&_sort={sort}"
    async with week.practice.database.connection() as connection:
        result = await search(
            connection, create_catalog(), request_for(query), cursor_codec=CursorCodec("secret")
        )
    assert result.matches[0].id == week.general.slots[first]


@pytest.fixture(scope="session")
async def large(postgres_server: Any, template: str) -> AsyncIterator[asyncpg.Connection]:
    """60,000 slots of 300 agendas over two months, analysed."""
    url = postgres_server.create_database("booking_plans", template=template)
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    for statement in _fill():
        await connection.execute(statement)
    yield connection
    await connection.close()


def _fill() -> Iterator[str]:
    number = f"generate_series(1, {SCHEDULES}) AS n"
    yield (
        "INSERT INTO schedule (id, version, last_updated, content, terms) SELECT 'a' || n, 1, now(), '{}',"
        f" ARRAY['active=true', 'actor=Practitioner/p' || n % 250] FROM {number}"
    )
    yield "INSERT INTO agenda (schedule_key, open) SELECT key, true FROM schedule"
    yield (
        "INSERT INTO agenda_actor (actor, schedule_key) SELECT substr(t, 7), key FROM schedule, unnest(terms) AS t"
        " WHERE starts_with(t, 'actor=')"
    )
    yield (
        "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms, words) SELECT key, decode(md5(key::text), 'hex'),"
        " '', '', ARRAY['service-type=t' || key % 50, 'specialty=s' || key % 50, 'appointment-type=x' || key % 50,"
        " '_tag=g' || key % 50, 'service-type-reference=HealthcareService/h' || key % 50],"
        " format('visite:1 mot%s:2', key % 50)::tsvector FROM schedule"
    )
    yield (
        'INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said, terms, words)'
        " SELECT gen_random_uuid(), begin, begin + interval '15 min', k.schedule_key, k.key,"
        " timestamptz '2026-01-01' + n * interval '1 min', 1,"
        " (CASE WHEN n % 2 = 0 THEN 'free' ELSE 'busy' END)::slot_status, 'free',"
        " CASE WHEN n % 10 = 0 THEN ARRAY['identifier=urn:i|' || n] END,"
        " CASE WHEN n % 10 = 0 THEN format('visite:1 propre%s:2A', n)::tsvector END"
        f" FROM slot_kind k, generate_series(1, {ROWS // SCHEDULES}) AS n,"
        " LATERAL (SELECT timestamptz '2026-12-01 08:00Z' + n * interval '6 hours') AS t (begin)"
    )
    yield (
        "INSERT INTO occupancy SELECT 'r' || n, 'Practitioner/p' || n % 250, tstzrange(t, t + interval '15 min')"
        " FROM generate_series(1, 1000) AS n, LATERAL (SELECT timestamptz '2026-12-01' + n * interval '1 hour') AS u (t)"
    )
    yield "VACUUM ANALYZE"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def read_whole(connection: asyncpg.Connection, query: str, catalog: Catalog) -> list[str]:
    """The parts of the slot table that the plans of a search read from end to end."""
    request, found = request_for(query), []
    for statement in (
        compile_count(catalog, EVERYTHING, request, None),
        *(query.statement for query in compile_matches(catalog, EVERYTHING, request)),
    ):
        explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.values)
        nodes = [n for n in _nodes(orjson.loads(explained)[0]["Plan"]) if n["Node Type"] == "Seq Scan"]
        full = {"slot_2026_12", "slot_2027_01", "occupancy"}
        found += [node["Relation Name"] for node in nodes if node["Relation Name"] in full]
    return found


PLANNED = [
    "schedule=a7",
    "schedule=a7&status=free&start=ge2026-12-05&start=lt2026-12-12",
    "schedule.actor:Practitioner=p7&status=free&start=ge2026-12-05&start=lt2026-12-12",
    "start=2026-12-05T08:00:00Z&status=free",
    "end=2026-12-05T08:15:00Z",
    "_id=0199aaaa-bbbb-7ccc-8ddd-000000000001",
    "_lastUpdated=2026-01-01T00:05:00Z",
    "identifier=urn:i|50",
    "service-type=t7&start=ge2026-12-05&start=lt2026-12-06",
    "specialty=s7&status=free&start=ge2026-12-05&start=lt2026-12-06",
    "appointment-type=x7&start=ge2026-12-05&start=lt2026-12-06",
    "service-type=t7",
    "service-type-reference=HealthcareService/h7",
    "_tag=g7",
    "start=2026-12-05T08:00:00Z",
    "start=ge2026-12-05&start=lt2026-12-06",
    "_content=mot7",
    "_content=propre50",
    "_text=propre50",
    "_filter=identifier eq urn:i|50 or _id eq 0199aaaa-bbbb-7ccc-8ddd-000000000001",
    "_has:Appointment:slot:identifier=urn:i|50",
    "schedule=a7&_sort=-start",
]


@pytest.mark.parametrize("query", PLANNED)
async def test_no_parameter_reads_the_whole_table(large: asyncpg.Connection, query: str) -> None:
    assert await read_whole(large, query, create_catalog()) == [], query


@pytest.mark.parametrize("query", ["", "_sort=-start", "status=free", "start=ge2026-12-05"])
async def test_a_page_in_the_order_of_time_sorts_nothing(large: asyncpg.Connection, query: str) -> None:
    """Whoever mirrors all agendas reads them along an index."""
    statement = compile_matches(create_catalog(), EVERYTHING, request_for(query))[0].statement
    explained = await large.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.values)
    kinds = {node["Node Type"] for node in _nodes(orjson.loads(explained)[0]["Plan"])}
    assert "Sort" not in kinds, statement.sql


_BUSY_AGENDA = """
INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)
SELECT gen_random_uuid(), begin, begin + interval '10 min', schedule_key, key, begin, 1,
  (CASE WHEN n % 3 = 0 THEN 'free' ELSE 'busy' END)::slot_status, 'free'
FROM slot_kind, generate_series(0, 4999) AS n,
  LATERAL (SELECT timestamptz '2026-12-03 08:02Z' + n * interval '10 min') AS t (begin)
WHERE schedule_key = (SELECT key FROM schedule WHERE id = 'a7')
"""


@pytest.mark.parametrize(
    "query",
    [
        "start=gt2026-12-20T08:00:00Z&start=lt2026-12-22T08:00:00Z",
        "start=lt2026-12-20T08:00:00Z&start=gt2026-12-18T08:00:00Z&_sort=-start",
    ],
)
async def test_the_nearest_free_times_of_an_agenda_are_read_along_its_index(
    large: asyncpg.Connection, query: str
) -> None:
    """What a page shows after a 409: three later and three earlier, of the agenda as a patient may book it; of its five
    thousand slots none is read beyond the window."""
    consumer = Consumer(datetime.fromisoformat("2026-12-01T00:00:00+00:00"), (Candidate(None),))
    catalog = create_catalog().with_table(SlotTable(consumer=consumer))
    asked = f"schedule=a7&status=free&bookable=true&_count=3&_total=none&{query}"
    [statement] = [found.statement for found in compile_matches(catalog, EVERYTHING, request_for(asked))]
    undone = large.transaction()
    await undone.start()
    try:
        await large.execute(f"{_BUSY_AGENDA}; ANALYZE slot")
        explained = await large.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *statement.values)
    finally:
        await undone.rollback()
    read = sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in _nodes(orjson.loads(explained)[0]["Plan"])
        if node.get("Relation Name", "").startswith("slot_20")
    )
    assert 3 <= read <= 300, read  # 288 of them are in the window


async def test_find_reads_neither_all_slots_nor_all_occupancies(large: asyncpg.Connection) -> None:
    catalog = create_catalog()
    others = [catalog.table(name) for name in catalog.types if name != "Slot"]
    open_slots = Catalog([SlotTable(besides="r1"), *others])
    for query in ("schedule.actor:Practitioner=p7", "specialty=s7"):
        narrowed = f"{query}&status=free&start=ge2026-12-05&start=lt2026-12-07&end=le2026-12-07"
        assert await read_whole(large, narrowed, open_slots) == [], query


async def test_a_missing_index_is_noticed(large: asyncpg.Connection) -> None:
    """The check itself can fail."""
    transaction = large.transaction()
    await transaction.start()
    try:
        await large.execute("DROP INDEX ix_slot_terms")
        assert await read_whole(large, "identifier=urn:i|50", create_catalog()) != []
    finally:
        await transaction.rollback()
