"""The tables of one FHIR resource type, and of the versions that a service has superseded.

One row of the main table is the current version of one resource: the bytes that are served, and `terms`, the
array that answers every token, reference and uri search through one GIN index. What needs an order (strings,
dates, numbers) stands in narrow side tables. The forms of a term, written by `fhir.search.index` and read by
`fhir.search.sql`:

    status                          the parameter has a value            (:missing)
    status=booked                   a code, whatever its system
    identifier=urn:oid:1.2|8101     system and code;  identifier=|8101 a code without system
    identifier=urn:oid:1.2|         any code of this system
    identifier:of-type=sys|code|v   (:of-type)
    actor=Practitioner/12           a reference within the base;  actor=https://… one outside it
    actor:identifier=sys|value      a logical reference                  (:identifier)
    _profile=https://…              a uri
"""

from __future__ import annotations

import re

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
    text,
)


def table_name(resource_type: str) -> str:
    """`PractitionerRole` → `practitioner_role`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", resource_type).lower()


def resource_tables(
    metadata: MetaData,
    resource_type: str,
    *,
    strings: bool = False,
    dates: bool = False,
    numbers: bool = False,
    position: bool = False,
) -> Table:
    """Declare the tables of `resource_type` in `metadata`; the flags say which kinds of search it needs.

    `<type>`: id, key (order of creation, what side tables refer to), version, last_updated, deleted, content
    (UTF-8 JSON, absent once deleted), terms; with `position` also latitude and longitude (degrees, WGS 84).
    `<type>_string`: key, parameter, value (folded: lower case, no accents), exact.
    `<type>_date`: key, parameter, low (inclusive), high (exclusive); open ends are ±infinity.
    `<type>_number`: key, parameter, low, high.
    """
    name = table_name(resource_type)
    columns: list[Column[object]] = [
        Column("id", Text(collation="C"), primary_key=True),
        Column("key", BigInteger, Identity(always=True), nullable=False, unique=True),
        Column("version", Integer, nullable=False),
        Column("last_updated", DateTime(timezone=True), nullable=False, index=True),
        Column("deleted", Boolean, nullable=False, server_default=text("false")),
        Column("content", LargeBinary, nullable=True),
        Column("terms", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    ]
    if position:
        columns += [Column("latitude", Double), Column("longitude", Double)]
    table = Table(
        name,
        metadata,
        *columns,
        CheckConstraint("deleted = (content IS NULL)", name="content"),
        Index(f"ix_{name}_terms", "terms", postgresql_using="gin"),
    )
    if position:
        Index(
            f"ix_{name}_position",
            text("ll_to_earth(latitude, longitude)"),
            postgresql_using="gist",
            postgresql_where=text("latitude IS NOT NULL"),
            _table=table,
        )
    if strings:
        Table(
            f"{name}_string",
            metadata,
            Column("key", BigInteger, nullable=False, index=True),
            Column("parameter", Text, nullable=False),
            Column("value", Text(collation="C"), nullable=False),
            Column("exact", Text(collation="C"), nullable=False),
            Index(f"ix_{name}_string_value", "parameter", "value", "key"),
            Index(
                f"ix_{name}_string_trigram",
                "value",
                postgresql_using="gin",
                postgresql_ops={"value": "gin_trgm_ops"},
            ),
        )
    for kind, wanted, column_type in (("date", dates, DateTime(timezone=True)), ("number", numbers, Numeric())):
        if wanted:
            Table(
                f"{name}_{kind}",
                metadata,
                Column("key", BigInteger, nullable=False, index=True),
                Column("parameter", Text, nullable=False),
                Column("low", column_type, nullable=False),  # type: ignore[arg-type]
                Column("high", column_type, nullable=False),  # type: ignore[arg-type]
                Index(f"ix_{name}_{kind}_low", "parameter", "low", "key"),
                Index(f"ix_{name}_{kind}_high", "parameter", "high", "key"),
            )
    return table


def history_table(metadata: MetaData) -> Table:
    """`resource_history`: the superseded versions of all generic types of the service.

    The current version stands in the type's own table only; deleting a resource leaves a current row without
    content, whose version is the deletion's.
    """
    return Table(
        "resource_history",
        metadata,
        Column("resource_type", Text, primary_key=True),
        Column("id", Text(collation="C"), primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("last_updated", DateTime(timezone=True), nullable=False),
        Column("content", LargeBinary, nullable=True),
        Index("ix_resource_history_time", "resource_type", "last_updated"),
    )
