"""The tables of one FHIR resource type, and of the versions that a service has superseded.

One row of the main table is the current version of one resource: the bytes that are served, and `terms`, the
array that answers every token, reference and uri search through one GIN index. What needs an order (strings,
dates, numbers) stands in narrow side tables; names stand there once more from each of their words on, under
`name:start` (`search.name_words`). The forms of a term, written by `fhir.search.index` and read by
`fhir.search.sql`:

    status                          the parameter has a value            (:missing)
    status=booked                   a code, whatever its system
    identifier=urn:oid:1.2|8101     system and code;  identifier=|8101 a code without system
    identifier=urn:oid:1.2|         any code of this system
    identifier:of-type=sys|code|v   (:of-type)
    actor=Practitioner/12           a reference within the base;  actor=https://… one outside it
    actor:identifier=sys|value      a logical reference                  (:identifier)
    telecom=phone|+33612345678      a contact point by its system or use, in one spelling
    _profile=https://…              a uri
    ~owner=Organization/12          internal, of no parameter: whose the resource is (`security.rights`)

`words` are the words of the whole resource, those of its narrative with weight A (`fhir.search.words`), for `_text`
and `_content`.

A bar within a system, code or value is written `\\|`; a value too long for an index stands as its digest.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from creneau_shared.fhir.search.layout import NARROW, STRING_INDEX_CHARACTERS, table_name
from creneau_shared.fhir.search.registry import storage_needs

SEARCH_EXTENSIONS = ("pg_trgm", "cube", "earthdistance")
"""The PostgreSQL extensions that searching needs, in the order in which they are created."""


def resource_tables(
    metadata: MetaData,
    resource_type: str,
    *,
    strings: bool | None = None,
    dates: bool | None = None,
    numbers: bool | None = None,
    position: bool | None = None,
) -> Table:
    """Declare the tables of `resource_type` in `metadata`; by default all that its search parameters need.

    `<type>`: id, key (order of creation, what side tables refer to), version, last_updated, deleted, content
    (UTF-8 JSON, absent once deleted), terms, words; with `position` also latitude and longitude (degrees, WGS 84); of a
    narrow type also traits, what it is searched by that no index holds (`search.layout.NARROW`), strings among it.
    `<type>_string`: key, parameter, value (folded: lower case, no accents), exact.
    `<type>_date`: key, parameter, low (inclusive), high (exclusive); an open end is the year 1 or 9999.
    `<type>_number`: key, parameter, value.

    The database needs the extensions of `SEARCH_EXTENSIONS`.
    """
    needs = storage_needs(resource_type)
    name = table_name(resource_type)
    with_position = needs.position if position is None else position
    table = _main_table(
        metadata,
        name,
        position=with_position,
        narrow=resource_type in NARROW,
        occurrences=needs.occurrences,
    )
    if needs.strings if strings is None else strings:
        _string_table(metadata, name)
    if needs.dates if dates is None else dates:
        _date_table(metadata, name)
    if needs.numbers if numbers is None else numbers:
        _number_table(metadata, name)
    return table


def _main_table(metadata: MetaData, name: str, *, position: bool, narrow: bool, occurrences: bool) -> Table:
    columns: list[Column[Any]] = [
        Column("id", Text(collation="C"), primary_key=True),
        Column("key", BigInteger, Identity(always=True), nullable=False, unique=True),
        Column("version", Integer, nullable=False),
        Column("last_updated", DateTime(timezone=True), nullable=False),
        Column("deleted", Boolean, nullable=False, server_default=text("false")),
        Column("content", LargeBinary, nullable=True),
        # The collation of ids, too: an index answers a chain only when both sides of && are collated alike.
        Column("terms", ARRAY(Text(collation="C")), nullable=False, server_default=text("'{}'")),
        Column("words", TSVECTOR, nullable=False, server_default=text("''")),
    ]
    if narrow:
        columns.append(
            Column("traits", ARRAY(Text(collation="C")), nullable=False, server_default=text("'{}'"))
        )
    if occurrences:
        columns.append(Column("occurrences", JSONB, nullable=False, server_default=text("'[]'")))
    if position:
        columns += [Column("latitude", Double), Column("longitude", Double)]
    table = Table(
        name,
        metadata,
        *columns,
        CheckConstraint("deleted = (content IS NULL)", name="content"),
        Index(f"ix_{name}_last_updated", "last_updated", "key"),
        Index(
            f"ix_{name}_terms",
            "terms",
            postgresql_using="gin",
            # Every search reads the list of pending entries from end to end: keep it short (kB).
            postgresql_with={"gin_pending_list_limit": 256},
        ),
        words_index(name),
    )
    if position:
        Index(
            f"ix_{name}_position",
            text("ll_to_earth(latitude, longitude)"),
            postgresql_using="gist",
            postgresql_where=text("latitude IS NOT NULL"),
            _table=table,
        )
    return table


def words_index(name: str) -> Index:
    """The index of a column `words`, for `_text` and `_content`.

    Its list of pending entries may be longer than that of terms: fewer searches read it, and a row adds more to it.
    """
    return Index(
        f"ix_{name}_words", "words", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 1024}
    )


def _string_table(metadata: MetaData, name: str) -> None:
    Table(
        f"{name}_string",
        metadata,
        Column("key", BigInteger, nullable=False, index=True),
        Column("parameter", Text, nullable=False),
        Column("value", Text(collation="C"), nullable=False),
        Column("exact", Text(collation="C"), nullable=False),
        Index(f"ix_{name}_string_value", "parameter", text(f"left(value, {STRING_INDEX_CHARACTERS})"), "key"),
        Index(
            f"ix_{name}_string_trigram",
            "value",
            postgresql_using="gin",
            postgresql_ops={"value": "gin_trgm_ops"},
            postgresql_with={"gin_pending_list_limit": 256},
        ),
    )


def _date_table(metadata: MetaData, name: str) -> None:
    Table(
        f"{name}_date",
        metadata,
        Column("key", BigInteger, nullable=False, index=True),
        Column("parameter", Text, nullable=False),
        Column("low", DateTime(timezone=True), nullable=False),
        Column("high", DateTime(timezone=True), nullable=False),
        Index(f"ix_{name}_date_low", "parameter", "low", "key"),
        Index(f"ix_{name}_date_high", "parameter", "high", "key"),
    )


def _number_table(metadata: MetaData, name: str) -> None:
    Table(
        f"{name}_number",
        metadata,
        Column("key", BigInteger, nullable=False, index=True),
        Column("parameter", Text, nullable=False),
        Column("value", Numeric, nullable=False),
        Index(f"ix_{name}_number_value", "parameter", "value", "key"),
    )


def history_table(metadata: MetaData) -> Table:
    """`resource_history`: the superseded versions of all generic types of the service.

    The current version stands in the type's own table only; deleting a resource leaves a current row without
    content, whose version is the deletion's. Partitioned by month of `superseded_at`, when the successor came: versions
    are kept from then on. Each partition has (resource_type, id, version) as its primary key; a writer
    that supersedes a version holds its resource's lock, so that the version is in one month only.
    """
    return Table(
        "resource_history",
        metadata,
        Column("resource_type", Text, nullable=False),
        Column("id", Text(collation="C"), nullable=False),
        Column("version", Integer, nullable=False),
        Column("last_updated", DateTime(timezone=True), nullable=False),
        Column("content", LargeBinary, nullable=True),
        # About whom and whose this version was: its own, not its successor's, decides who may see it.
        Column("compartment", ARRAY(Text(collation="C")), nullable=False, server_default=text("'{}'")),
        # Versions from before this column existed were superseded at this time or earlier.
        Column("superseded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("ix_resource_history_time", "resource_type", "last_updated"),
        postgresql_partition_by="RANGE (superseded_at)",
    )
