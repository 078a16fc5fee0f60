"""The tables of loading: loads, fragments of their files, entries that each source gave, lines of the report."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


def load_tables(metadata: MetaData) -> None:
    """Declares the tables. `load`: one row a run. `load_fragment` (unlogged: after a crash of PostgreSQL a load begins
    anew): fragments of each resource. `load_known`: digests of what each source gave last. `load_refusal`: the report."""
    Table(
        "load",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("source", Text, nullable=False),
        Column("file", Text, nullable=False),
        Column("fingerprint", Text, nullable=False),
        Column("whole", Boolean, nullable=False),
        Column("phase", Text, nullable=False, server_default="reading"),
        Column("lines", BigInteger, nullable=False, server_default=text("0")),
        Column("after_type", Text(collation="C"), nullable=False, server_default=""),
        Column("after_id", Text(collation="C"), nullable=False, server_default=""),
        Column("counts", JSONB, nullable=False, server_default=text("'{}'")),
        Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("finished_at", DateTime(timezone=True), nullable=True),
    )
    Table(
        "load_fragment",
        metadata,
        Column("load", BigInteger, nullable=False),
        Column("resource_type", Text(collation="C"), nullable=False),
        Column("id", Text(collation="C"), nullable=False),
        Column("line", BigInteger, nullable=False),
        Column("gone", Boolean, nullable=False),
        Column("completes", Boolean, nullable=False, server_default=text("false")),
        Column("content", LargeBinary, nullable=False),
        Index("ix_load_fragment_place", "load", "resource_type", "id", "line"),
        prefixes=["UNLOGGED"],
    )
    Table(
        "load_known",
        metadata,
        Column("source", Text(collation="C"), primary_key=True),
        Column("resource_type", Text(collation="C"), primary_key=True),
        Column("id", Text(collation="C"), primary_key=True),
        Column("digest", LargeBinary, nullable=False),
        Column("load", BigInteger, nullable=False),
        Column("gone", Boolean, nullable=False, server_default=text("false")),
        Index("ix_load_known_resource", "resource_type", "id"),
    )
    Table(
        "load_refusal",
        metadata,
        Column("load", BigInteger, nullable=False),
        Column("line", BigInteger, nullable=False),
        Column("kind", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("detail", Text, nullable=False),
        Index("ix_load_refusal_load", "load", "line"),
    )
