"""The tables of people's search.

`care_situation`: one row a situation that can be found (see `domain.care.situation` for its terms), from day to day (`since`,
`until`: first and last, in Paris).
`care_name`: the words of professionals' names, and how they sound; a word stays when its last bearer goes.
`care_change`: written entries (`Location/12`), one row a write, whose dependent situations are still to be found.
`care_due`: PractitionerRoles to rebuild, one row each time that one is found due. Nobody shares a row of the queue: it might
be taken before their own change has committed.
"""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, Date, Double, Identity, Index, MetaData, Table, Text


def care_tables(metadata: MetaData) -> None:
    """Declares the tables. The database needs pg_trgm."""
    Table(
        "care_situation",
        metadata,
        Column("role", Text(collation="C"), primary_key=True),
        Column("practitioner", Text(collation="C")),
        Column("terms", ARRAY(Text(collation="C")), nullable=False),
        Column("facets", ARRAY(Text(collation="C")), nullable=False),
        Column("latitude", Double),
        Column("longitude", Double),
        Column("label", Text, nullable=False),
        Column("since", Date),
        Column("until", Date),
        Index(
            "ix_care_situation_terms",
            "terms",
            postgresql_using="gin",
            # Every search reads the whole list of pending entries: keep it short (kB).
            postgresql_with={"gin_pending_list_limit": 256},
        ),
    )
    Table(
        "care_name",
        metadata,
        Column("name", Text(collation="C"), primary_key=True),
        Column("heard", Text(collation="C"), nullable=False, index=True),
        Index(
            "ix_care_name_trigram", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
        ),
    )
    Table(
        "care_change",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("reference", Text(collation="C"), nullable=False),
    )
    Table(
        "care_due",
        metadata,
        Column("role", Text(collation="C"), primary_key=True),
        Column("id", BigInteger, Identity(always=True), primary_key=True),
    )


def in_period(day: int) -> str:
    """SQL: a row of `care_situation` is found on a day (days since 1970)."""
    there = f"date '1970-01-01' + {day}"
    return f"(since IS NULL OR since <= {there}) AND (until IS NULL OR until >= {there})"
