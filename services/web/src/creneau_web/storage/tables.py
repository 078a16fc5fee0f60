"""The tables of the pages' own database: sessions, and the drafts that belong to them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)

from creneau_shared.database.metadata import new_metadata

metadata = new_metadata()

SESSION = Table(
    "session",
    metadata,
    Column("key_hash", LargeBinary, primary_key=True),  # SHA-256 of what the cookie holds
    Column("form_key", Text, nullable=False),  # each form of the session sends it back
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("content", LargeBinary, nullable=False),  # sealed; see sessions/session.py
    # SHA-256 of the provider's name and of what it calls the log-in (`sid`), by which it can end it
    Column("provider_session", LargeBinary, nullable=True),
    # until when one process has the renewal of its tokens to itself
    Column("renewed_until", DateTime(timezone=True), nullable=True),
    Index("ix_session_seen_at", "seen_at"),
    Index(
        "ix_session_provider_session",
        "provider_session",
        postgresql_where=text("provider_session IS NOT NULL"),
    ),
)

DRAFT = Table(
    "draft",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column(
        "session",
        LargeBinary,
        ForeignKey("session.key_hash", onupdate="CASCADE", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("content", LargeBinary, nullable=False),  # sealed; see pages/booking/draft.py
    Index("ix_draft_session", "session"),
)

REPORT = Table(
    "report",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("path", Text, nullable=False),
    Column("reason", Text, nullable=False),  # see reports.py
    Column("text", Text, nullable=False),
    Index("ix_report_at", "at"),
)

TROUBLE = Table(
    "trouble",
    metadata,
    Column("line", Text(collation="C"), primary_key=True),  # of the operators' page
    Column("since", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),  # when it was last seen to be so
    Column("ended_at", DateTime(timezone=True), nullable=True),
)
