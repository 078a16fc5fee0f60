"""The tables of the notifications database."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from creneau_shared.database.metadata import new_metadata
from creneau_shared.fhir.audit import audit_table
from creneau_shared.fhir.storage.async_requests import async_request_table
from creneau_shared.fhir.storage.tables import history_table, resource_tables
from creneau_shared.limits.storage import rate_bucket_table
from creneau_shared.messaging.inbox import inbox_table
from creneau_shared.retention.job import retention_report_table
from creneau_shared.security.revocation import revoked_token_table
from creneau_shared.security.used_proofs import used_proof_table

metadata = new_metadata()

communication = resource_tables(metadata, "Communication")
resource_history = history_table(metadata)
inbox = inbox_table(metadata)
audit = audit_table(metadata)
Index("ix_audit_own", audit.c.who, postgresql_where=text("role = 'patient'"))
"""finds the accesses of a leaving person to their messages, also when there were none"""
revoked_token_table(metadata)
used_proof_table(metadata)
async_request_table(metadata)
retention_report_table(metadata)
rate_bucket_table(metadata)

recipient = Table(
    "recipient",
    metadata,
    Column("reference", Text(collation="C"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("phone", Text),
    Column("language", Text, nullable=False),
    Column("email_vouched", Boolean, nullable=False, server_default=text("false")),
    Column("answers", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("phone_vouched", Boolean, nullable=False, server_default=text("false")),
    Column("zone", Text),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    comment="Replica of the contacts: how each recipient is reached. But for attempt, no other table names a person.",
)

directory_fact = Table(
    "directory_fact",
    metadata,
    Column("reference", Text(collation="C"), primary_key=True),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column("name", Text),
    Column("address", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("phone", Text),
    Column("zone", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("practitioner", Text),
    Column("locations", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("organization", Text),
    # Whether it is in use, and within which period.
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("since", DateTime(timezone=True)),
    Column("until", DateTime(timezone=True)),
    Column("part_of", Text),
    # From when on it says another name or number, as far as its periods tell.
    Column("turns", JSONB),
    # When the directory deleted it; patients of its cancelled visits are still told with whom and where.
    Column("gone_at", DateTime(timezone=True)),
    Index("ix_directory_fact_practitioner", "practitioner"),
    Index("ix_directory_fact_gone_at", "gone_at", postgresql_where=text("gone_at IS NOT NULL")),
    comment="Replica of what messages say of professionals and places, fed by the directory's events.",
)

account_person = Table(
    "account_person",
    metadata,
    Column("account", Text(collation="C"), primary_key=True),
    Column("patient", Text(collation="C"), primary_key=True),
    Column("may", ARRAY(Text), nullable=False),
    Column("oneself", Boolean, nullable=False),
    Column("since", DateTime(timezone=True)),
    Column("until", DateTime(timezone=True)),
    comment="Replica: for which Patients (ids) an account, known by a digest alone, acts, from when until when.",
)

last_word = Table(
    "last_word",
    metadata,
    Column("replica", Text, primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("said_at", DateTime(timezone=True), nullable=False),
    Column("gone_at", DateTime(timezone=True)),
    Index("ix_last_word_gone_at", "gone_at", postgresql_where=text("gone_at IS NOT NULL")),
    comment="When each thing in a replica was last spoken of by its owner, and since when it is gone from it.",
)

appointment_state = Table(
    "appointment_state",
    metadata,
    Column("appointment", Text(collation="C"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("recipient", Text(collation="C")),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("event", JSONB, nullable=False),
    # The other patients of a visit of several.
    Column("others", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Index("ix_appointment_state_recipient", "recipient", "ends_at"),
    Index(
        "ix_appointment_state_others",
        "others",
        postgresql_using="gin",
        postgresql_where=text("others <> '{}'"),
    ),
    Index("ix_appointment_state_ends_at", "ends_at"),
    comment="What each appointment's messages tell of: an event whose version is not greater has no effect.",
)

message = Table(
    "message",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("appointment", Text(collation="C"), nullable=False),
    Column("recipient", Text(collation="C"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("rule", Text, nullable=False, server_default=text("''")),
    Column("channel", Text, nullable=False),
    Column("planned_at", DateTime(timezone=True), nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False, server_default=text("'planned'")),
    Column("reason", Text),
    # Only in rows before migration 0018, for the previous version.
    Column("event", JSONB),
    # The event of a message about several visits of a series; others tell of their appointment's last event.
    Column("of_several", JSONB),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # What its tries count together: none that came to nobody.
    Column("spent", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("lease_until", DateTime(timezone=True)),
    Column("superseded", Boolean, nullable=False, server_default=text("false")),
    # The letter box (a keyed hash) whose allowance this message has been counted against.
    Column("counted_for", LargeBinary),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint(
        "status IN ('planned', 'sending', 'sent', 'failed', 'cancelled', 'expired')", name="status"
    ),
    # Half a lease cannot be represented: who holds one is sending, who is sending holds one.
    CheckConstraint("(status = 'sending') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint("(status IN ('planned', 'sending')) = (finished_at IS NULL)", name="finished"),
    # A claim does not touch these indexes: messages being sent stay among those due, and are skipped.
    Index("ix_message_pending", "next_attempt_at", postgresql_where=text("finished_at IS NULL")),
    Index("ix_message_pending_appointment", "appointment", postgresql_where=text("finished_at IS NULL")),
    Index("ix_message_recipient", "recipient"),
    Index("ix_message_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    postgresql_with={"fillfactor": "60", "autovacuum_vacuum_scale_factor": "0.02"},
    comment="What is to be told, to whom, by which way and by when, and what became of it.",
)

address_standing = Table(
    "address_standing",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("mailbox", LargeBinary, primary_key=True),
    Column("unconfirmed", Integer, nullable=False, server_default=text("0")),
    Column("day", Date, nullable=False),
    Column("day_sent", Integer, nullable=False, server_default=text("0")),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("refused_until", DateTime(timezone=True)),
    Index("ix_address_standing_last_at", "last_at"),
    postgresql_with={"fillfactor": "80"},
    comment="How many messages have gone to each letter box (a keyed hash), and whether its owner wants none.",
)

address_confirmation = Table(
    "address_confirmation",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("address", LargeBinary, primary_key=True),
    Column("recipient", Text(collation="C"), primary_key=True),
    Column("confirmed_at", DateTime(timezone=True), nullable=False),
    Index("ix_address_confirmation_recipient", "recipient"),
    comment="The owner of the address (a keyed hash) has said that messages for the recipient are for them; and when, as proof.",
)

address_link = Table(
    "address_link",
    metadata,
    Column("token", LargeBinary, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("mailbox", LargeBinary, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("recipient", Text(collation="C"), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("ix_address_link_recipient", "recipient"),
    Index("ix_address_link_expires_at", "expires_at"),
    comment="The links of messages to unconfirmed addresses: SHA-256 of the token, and what it speaks of.",
)

contact_code = Table(
    "contact_code",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("address", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("ix_contact_code_expires_at", "expires_at"),
    comment="The code that a contact (a keyed hash) received last: a keyed hash of it, and how often one was tried.",
)

contact_code_leaving = Table(
    "contact_code_leaving",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("address", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("ix_contact_code_leaving_expires_at", "expires_at"),
    comment="Codes on their way to a contact, which end the earlier one once they have left; as contact_code.",
)

contact_code_sent = Table(
    "contact_code_sent",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("mailbox", LargeBinary, primary_key=True),
    Column("sent", ARRAY(DateTime(timezone=True)), nullable=False, server_default=text("'{}'")),
    Column("last_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("ix_contact_code_sent_last_at", "last_at"),
    comment="When codes were sent to a letter box, or asked for from a network (keyed hashes), as far as it counts.",
)

visit_link = Table(
    "visit_link",
    metadata,
    Column("message", Uuid, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, nullable=False, server_default=text("0")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("made", Integer, nullable=False, server_default=text("0")),
    comment="Of the links that were used: the number of the one that left last, the wrong answers since, and the highest made.",
)

attempt = Table(
    "attempt",
    metadata,
    Column("message", Uuid, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("result", Text, nullable=False),
    Column("smtp_code", Integer),
    Column("error", Text),
    Column("message_id", Text),
    Column("sent_to", Text),
    Column("subject", Text),
    CheckConstraint("result IN ('accepted', 'deferred', 'refused', 'interrupted')", name="result"),
    CheckConstraint("length(error) <= 2048", name="error"),
    comment="One row for each try of a message; message_id is the e-mail's Message-ID; sent_to the address used.",
)

departure = Table(
    "departure",
    metadata,
    Column("recipient", Text(collation="C"), primary_key=True),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("forget_by", DateTime(timezone=True), nullable=False),
    Column("awaited", ARRAY(Text(collation="C")), nullable=False, server_default=text("'{}'")),
    Column("done_at", DateTime(timezone=True)),
    Index("ix_departure_forget_by", "forget_by", postgresql_where=text("done_at IS NULL")),
    comment="Who was erased, and which cancellations they are still told of before they are forgotten.",
)
