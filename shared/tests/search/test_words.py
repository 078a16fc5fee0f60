"""`_text` and `_content`: which words a resource has, what an expression finds, and that nothing upsets PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared.tests.search.store import Store, insert

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.words import (
    POSITIONS_MAX,
    WORD_CHARACTERS,
    WordsError,
    words_query,
    words_vector,
)
from creneau_shared.fhir.storage.words_backfill import FUNCTIONS

PATIENT = {
    "resourceType": "Patient",
    "id": "identifiant-technique",
    "meta": {"versionId": "7", "lastUpdated": "2026-11-01T08:00:00Z", "tag": [{"system": "urn:t", "code": "pilote"}]},
    "text": {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">Suivi du <b title="invisible">cœur</b>&nbsp;&amp; du foie'
        "<!-- caché --></div>",
    },
    "identifier": [{"system": "urn:oid:1.2.3", "value": "A-4711", "use": "official"}],
    "name": [{"family": "Lefèvre", "given": ["Jean-Marc"], "use": "official"}],
    "telecom": [{"system": "phone", "value": "06 12 34 56 78"}],
    "birthDate": "1980-05-12",
    "photo": [{"contentType": "image/png", "data": "QUJDREVG", "title": "Portrait"}],
    "generalPractitioner": [{"reference": "Practitioner/medecin", "display": "Dr Ève Noël"}],
    "extension": [{"url": "http://example.org/secret", "valueUri": "http://example.org/uri"}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Cabinet du Port"}],
}  # fmt: skip


def test_the_words_of_a_resource() -> None:
    """Texts, codes and identifiers; the narrative apart; nothing that only machines follow."""
    vector = words_vector(PATIENT)
    words = {part.partition(":")[0].strip("'") for part in vector.split(" ")}
    narrative = {part.partition(":")[0].strip("'") for part in vector.split(" ") if part.endswith("A")}
    assert narrative == {"suivi", "coeur", "foie"} | {"du"} & narrative
    assert words - narrative >= {
        "lefevre",
        "jean",
        "marc",
        "a",
        "4711",
        "eve",
        "noel",
        "pilote",
        "cabinet",
        "port",
    }
    for unread in ("invisible", "cache", "identifiant", "urn", "official", "1980", "qujdrevg", "png", "medecin",
                   "secret", "uri", "patient", "organization", "generated", "7", "phone", "xmlns"):  # fmt: skip
        assert unread not in words, unread


async def test_long_texts_are_cut_and_stored(empty: Store) -> None:
    """However much text: PostgreSQL takes it, and finds what stands in front."""
    many = " ".join(f"mot{n}" for n in range(POSITIONS_MAX + 100))
    wide = " ".join("œuvre" * 40 for _ in range(2_000))
    for text in (many, wide, "é" * 300_000, "𝔘𠀀" * 100_000, "x" * WORD_CHARACTERS + "y"):
        vector = words_vector({"resourceType": "Patient", "comment": f"début {text}"})
        found = "SELECT $1::text::tsvector @@ $2::text::tsquery"
        query = words_query("début", narrative=False, words_max=9)
        assert await empty.connection.fetchval(found, vector, query)
        whole = words_query(" ".join(text[:100].split()[:2]), narrative=False, words_max=100)
        assert await empty.connection.fetchval(found, vector, whole), text[:20]
        assert len(vector) < 2_000_000


async def _filled(store: Store) -> None:
    await insert(
        store.connection,
        [
            PATIENT,
            {"resourceType": "Patient", "id": "b", "name": [{"text": "Lefèvre Jeanne", "given": ["Marc"]}]},
            {"resourceType": "Patient", "id": "c", "text": {"div": "<div>foie et reins</div>"}},
            {"resourceType": "Patient", "id": "d"},
        ],
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_text=coeur", "a"),
        ("_text=CŒUR", "a"),
        ("_text=lefevre", ""),
        ("_content=lefèvre", "a b"),
        ("_content=coeur", "a"),
        ("_text=foie", "a c"),
        ("_text=foie reins", "c"),
        ("_text=foie AND reins", "c"),
        ("_text=coeur OR reins", "a c"),
        ("_text=coeur,reins", "a c"),
        ("_text=(coeur OR reins) and foie", "a c"),
        ("_text=foie -coeur", "c"),
        ("_text=foie NOT coeur", "c"),
        ("_text=NOT foie", "b d"),
        ("_text=-foie&_id=c,d", "d"),
        ('_text="foie et"', "c"),
        ('_text="et foie"', ""),
        ("_content=jean-marc", "a"),
        ("_content=marc-jean", ""),
        ('_content="jeanne marc"', ""),
        ("_content=lef*", "a b"),
        ("_content=lef", ""),
        ("_content=A-4711", "a"),
        ("_content=nul", ""),
        ("_content=lefèvre&_text=foie", "a"),
    ],
)
async def test_expressions(empty: Store, query: str, expected: str) -> None:
    """Words, AND, OR, NOT, phrases and beginnings; a phrase does not go from one value to the next."""
    await _filled(empty)
    found = await empty.ids(f"Patient?{query}")
    assert " ".join(sorted({"identifiant-technique": "a"}.get(id_, id_) for id_ in found)) == expected


async def test_a_deleted_word_is_not_found(empty: Store) -> None:
    """No filter, and no chain, sees the words of what is gone."""
    await _filled(empty)
    await empty.connection.execute(
        "UPDATE patient SET deleted = true, content = NULL, terms = '{}' WHERE id = 'c'"
    )
    assert await empty.ids("Patient?_content=reins") == []


_ANY = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="ab éŒ()\"-*'\\&|!<>:,0_\u0000\u0301\ud800", max_size=60),
    st.lists(st.sampled_from(["AND", "or", "NOT", "-", "(", ")", '"', "a*", "été", "'", "a-b", "\\"]), max_size=20).map(" ".join),
)  # fmt: skip


@given(text=_ANY, narrative=st.booleans())
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
async def test_no_input_upsets_postgresql(
    words_connection: asyncpg.Connection, text: str, narrative: bool
) -> None:
    """Any expression against the words of any text: a truth value, or a refusal in Python."""
    vector = words_vector({"resourceType": "Patient", "comment": text, "text": {"div": text}})
    try:
        query = words_query(text, narrative=narrative, words_max=64)
    except WordsError:
        query = "'x'"
    answer = await words_connection.fetchval("SELECT $1::text::tsvector @@ $2::text::tsquery", vector, query)
    assert answer in (True, False)


@pytest.fixture(scope="session")
async def words_connection(postgres_server: Any) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the functions of the migration."""
    connection = await asyncpg.connect(postgres_server.create_database("search_words"))
    for function in FUNCTIONS:
        await connection.execute(function)
    yield connection
    await connection.close()


_TEXT = st.text(alphabet="abÉéŒœß øŁ-'&<>\"1:.ÀÑ", max_size=30)
_JSON = st.recursive(
    st.one_of(
        _TEXT, st.booleans(), st.integers(0, 9), st.sampled_from(["http://x/y", "2026-01-01", "urn:a"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "div", "text", "status", "url", "use", "display"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@given(
    members=st.dictionaries(st.sampled_from(["name", "comment", "url", "extension"]), _JSON, max_size=4),
    div=_TEXT,
)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
async def test_the_migration_says_the_same(
    words_connection: asyncpg.Connection, members: dict[str, object], div: str
) -> None:
    """Rows that were stored before: SQL gives the very vector that a write gives."""
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": f"<p>{div}</p>"}, **members}
    row = await words_connection.fetchrow(
        "SELECT pg_temp.words($1::text::json)::text AS backfilled, $2::text::tsvector::text AS written",
        orjson.dumps(resource).decode(),
        words_vector(resource),
    )
    assert row is not None
    assert row["backfilled"] == row["written"]


def test_an_expression_without_words_is_refused() -> None:
    """Rather than answered with nothing, or with everything."""
    for text in ("...", "", "- -", "AND", "()"):
        with pytest.raises(WordsError):
            words_query(text, narrative=False, words_max=9)


async def test_sorting_by_text_is_not_offered(empty: Store) -> None:
    """A text has no order: strictly a 400, otherwise told."""
    with pytest.raises(BadRequest):
        await empty.result("Patient?_sort=_content", strict=True)
