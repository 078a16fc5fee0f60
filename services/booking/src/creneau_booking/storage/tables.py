"""Booking's database.

Truth about who is taken when is in the schema, not in the code: a slot is claimed by a conditional UPDATE, and no
person, room or device can be in two places at once because `occupancy` excludes it.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ENUM, JSONB, TSTZMULTIRANGE, TSTZRANGE, TSVECTOR, ExcludeConstraint
from sqlalchemy.types import UserDefinedType

from creneau_shared.database.metadata import new_metadata
from creneau_shared.fhir.audit import audit_table
from creneau_shared.fhir.rest.idempotency import idempotency_table
from creneau_shared.fhir.storage.async_requests import async_request_table
from creneau_shared.fhir.storage.tables import history_table, resource_tables, words_index
from creneau_shared.limits.storage import rate_bucket_table
from creneau_shared.messaging.inbox import inbox_table
from creneau_shared.messaging.outbox import outbox_table
from creneau_shared.retention.job import retention_report_table
from creneau_shared.security.revocation import revoked_token_table
from creneau_shared.security.used_proofs import used_proof_table


class XID8(UserDefinedType[int]):
    """The number of a transaction."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


OWN_TYPES = ("Schedule", "Appointment", "AppointmentResponse", "Patient", "RelatedPerson", "Provenance")
"""Types that booking keeps in generic tables; Slot has tables of its own."""

REPLICA_TYPES = (
    "Organization",
    "Location",
    "HealthcareService",
    "Practitioner",
    "PractitionerRole",
    "OrganizationAffiliation",
    "Endpoint",
    "Device",
)
"""The directory's facts that booking searches and renders, kept up to date from the directory's topic."""

SLOT_STATUSES = ("free", "busy", "busy-unavailable", "busy-tentative", "entered-in-error")

metadata = new_metadata()

for resource_type in (*OWN_TYPES, *REPLICA_TYPES):
    resource_tables(metadata, resource_type)
Index(
    "ix_appointment_undated",
    "last_updated",
    postgresql_where=text("is_undated(content)"),
    _table=metadata.tables["appointment"],
)
resource_history = history_table(metadata)
Index(
    "ix_resource_history_compartment",
    "compartment",
    postgresql_using="gin",
    postgresql_with={"gin_pending_list_limit": 256},
    _table=resource_history,
)
idempotency_table(metadata)
audit_table(metadata)
revoked_token_table(metadata)
used_proof_table(metadata)
async_request_table(metadata)
rate_bucket_table(metadata)
inbox_table(metadata)
outbox_table(metadata)
retention_report_table(metadata)

slot_status = ENUM(*SLOT_STATUSES, name="slot_status", metadata=metadata)

slot_kind = Table(
    "slot_kind",
    metadata,
    # Unique by itself. Slots are joined by it alone: for two columns the planner would expect few rows that agree in both.
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    # What the slots of one schedule have in common, as JSON members without braces: `"serviceType":[…],…`
    Column("members", Text, nullable=False),
    # The members of meta that the client set, each with a leading comma: `,"security":[…]`
    Column("meta", Text, nullable=False),
    Column("terms", ARRAY(Text(collation="C")), nullable=False),
    Column("words", TSVECTOR, nullable=False, server_default=text("''")),
    # How many places each of its slots has, where it has several: what the slot says itself, else its agenda. A trigger
    # keeps it (migration 0029).
    Column("own_capacity", SmallInteger, nullable=True),
    Column("capacity", SmallInteger, nullable=True),
    # Whether its slots are for new patients (else for known ones), if they say so. A trigger keeps it (migration 0033).
    Column("new_patients", Boolean, nullable=True),
    UniqueConstraint("schedule_key", "digest"),
    Index("ix_slot_kind_terms", "terms", postgresql_using="gin"),
    words_index("slot_kind"),
)

slot = Table(
    "slot",
    metadata,
    # The FHIR id, or derived from it if it is no UUID (`storage.mapping.slot`).
    Column("id", Uuid, nullable=False),
    Column("start", DateTime(timezone=True), nullable=False),
    Column("end", DateTime(timezone=True), nullable=False),
    Column("schedule_key", BigInteger, nullable=False),
    Column("kind_key", BigInteger, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column("version", Integer, nullable=False),
    # The served status: what the appointment that has the slot makes of it, else whether the agenda's people are taken
    # elsewhere, else what the agenda says.
    Column("status", slot_status, nullable=False),
    # The FHIR id, where a client chose one that is no UUID.
    Column("name", Text(collation="C"), nullable=True),
    # What this one slot has of its own (identifier, narrative), as JSON members with a trailing comma.
    Column("extra", Text, nullable=True),
    Column("terms", ARRAY(Text(collation="C")), nullable=True),
    # The words of the whole slot, if it has any of its own; else its kind's words are all.
    Column("words", TSVECTOR, nullable=True),
    # What the agenda says, whoever has the slot: a feed may say it again at any time.
    Column("said", slot_status, nullable=False),
    # The appointment (id) that has it, or the group (`Slot/` and its id) of those who have one of its places.
    Column("taken_by", Text(collation="C"), nullable=True),
    # Of a group: how many places are left.
    Column("places", SmallInteger, nullable=True),
    # Made from the agenda's rules, and written by nobody since: the rules may take it away again.
    Column("generated", Boolean, nullable=True),
    CheckConstraint('"end" > start', name="order"),
    CheckConstraint(
        "taken_by IS NULL OR places IS NOT NULL OR status IN ('busy', 'busy-tentative')", name="taken"
    ),
    CheckConstraint("places IS NULL OR (places >= 0 AND taken_by IS NOT NULL)", name="places"),
    PrimaryKeyConstraint("schedule_key", "start", "id"),
    Index("ix_slot_id", "id", postgresql_using="hash"),
    Index("ix_slot_start", "start"),
    Index("ix_slot_end", "end", postgresql_using="brin"),
    Index("ix_slot_last_updated", "last_updated", postgresql_using="brin"),
    Index("ix_slot_terms", "terms", postgresql_using="gin", postgresql_where=text("terms IS NOT NULL")),
    Index("ix_slot_words", "words", postgresql_using="gin", postgresql_where=text("words IS NOT NULL")),
    postgresql_partition_by="RANGE (start)",
)
"""One row a slot, partitioned by month of start; past partitions are dropped whole."""

slot_history = Table(
    "slot_history",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("schedule_key", BigInteger, nullable=False),
    Column("start", DateTime(timezone=True), nullable=False),
    Column("end", DateTime(timezone=True), nullable=False),
    Column("kind_key", BigInteger, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    # Absent for the version that is a deletion.
    Column("status", slot_status, nullable=True),
    Column("name", Text(collation="C"), nullable=True),
    Column("extra", Text, nullable=True),
    # For older versions: when this column was added; they were superseded before.
    Column("superseded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("places", SmallInteger, nullable=True),
    Index("ix_slot_history_last_updated", "last_updated"),
    postgresql_partition_by="RANGE (superseded_at)",
)
"""The superseded versions of slots, and the deletions, by the month in which they were superseded. Each partition has
(id, version, schedule_key) as its primary key; who supersedes a version has locked its slot."""

_FRESH_UNTIL = (
    "CASE WHEN stale_after_s IS NULL THEN 'infinity'::timestamptz"
    " WHEN synchronised_at IS NULL THEN '-infinity'::timestamptz"
    " ELSE (synchronised_at AT TIME ZONE 'UTC' + stale_after_s * '1 second'::interval) AT TIME ZONE 'UTC' END"
)

agenda = Table(
    "agenda",
    metadata,
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False),
    # Whether it is open at all: it is active, and so is everyone and everything that it names.
    Column("open", Boolean, nullable=False),
    # The period in which it is open: its planning horizon, while those whom it names are there.
    Column("horizon_start", DateTime(timezone=True), nullable=False, server_default=text("'-infinity'")),
    Column("horizon_end", DateTime(timezone=True), nullable=False, server_default=text("'infinity'")),
    # Length of its longest slot: how far before a moment the slots begin that reach into it.
    Column("slot_length_max", Interval, nullable=False, server_default=text("'0'")),
    # What the practice demands of patients who book online.
    Column("zone", Text, nullable=False, server_default=text("'Europe/Paris'")),
    Column("minimum_notice_min", Integer, nullable=True),
    Column("window_days", Integer, nullable=True),
    Column("opens_at", Time, nullable=True),
    Column("age_from_months", Integer, nullable=True),
    # Whoever is that old is too old; absent: nobody is.
    Column("age_below_months", Integer, nullable=True),
    Column("appointments_max", Integer, nullable=True),
    Column("change_deadline_min", Integer, nullable=True),
    # How many places each of its slots has, unless the slot says so itself.
    Column("capacity", SmallInteger, nullable=True),
    # Whether patients take parts of its slots, and how many that follow each other.
    Column("parts", Boolean, nullable=True),
    Column("adjacent_max", SmallInteger, nullable=True),
    # Whether what a patient books waits for the practice, needs a referral, and is for known patients only.
    Column("confirmation_required", Boolean, nullable=True),
    Column("referral_required", Boolean, nullable=True),
    Column("known_patients_only", Boolean, nullable=True),
    # When its software last spoke, how long that is to be believed, and so until when.
    Column("synchronised_at", DateTime(timezone=True), nullable=True),
    Column("stale_after_s", Integer, nullable=True),
    Column("fresh_until", DateTime(timezone=True), Computed(_FRESH_UNTIL, persisted=True), nullable=False),
    Index("ix_agenda_closed", "schedule_key", postgresql_where=text("NOT open")),
)
"""What availability knows of a Schedule: one row each, kept with it and with the directory's word on its actors."""

agenda_actor = Table(
    "agenda_actor",
    metadata,
    Column("actor", Text(collation="C"), primary_key=True),
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False, index=True),
)
"""The actors of an agenda that can be in one place only (references): a role stands for its Practitioner, a place counts
if it is a room."""

agenda_opening = Table(
    "agenda_opening",
    metadata,
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False),
    Column("due_at", DateTime(timezone=True), nullable=False, index=True),
    # How often in a row its slots could not be made.
    Column("failed", Integer, nullable=False, server_default=text("0")),
)
"""The agendas whose slots are made from rules, and when each is due again. Whoever locks the row makes the agenda's slots:
one at a time."""

agenda_closure = Table(
    "agenda_closure",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("schedule_key", BigInteger, nullable=False, index=True),
    Column("period", TSTZRANGE, nullable=False),
    Column("reason", Text, nullable=True),
    Column("closed_at", DateTime(timezone=True), nullable=False),
    Column("closed_by", Text, nullable=False),
)
"""Time of an agenda that was closed (`Schedule/$close`), why, and by whom (issuer and subject)."""

agenda_closed_slot = Table(
    "agenda_closed_slot",
    metadata,
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False),
    Column("start", DateTime(timezone=True), primary_key=True),
    Column("id", Uuid, primary_key=True),
)
"""Slots that an agenda's software has pushed and a closure has blocked: free again when the closure is taken back."""

opening_left_out = Table(
    "opening_left_out",
    metadata,
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False),
    Column("start", DateTime(timezone=True), primary_key=True),
    Column("end", DateTime(timezone=True), primary_key=True),
)
"""Slots made from rules that somebody has deleted by hand: they are not made again."""

agenda_named = Table(
    "agenda_named",
    metadata,
    Column("reference", Text(collation="C"), primary_key=True),
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False, index=True),
)
"""Everybody and everything that an agenda names as its actors (`Location/12`), kept by triggers of `schedule`."""

first_free = Table(
    "first_free",
    metadata,
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False),
    Column("kind_key", BigInteger, primary_key=True, autoincrement=False),
    # Absent: none is free. Once it is past, the first from then on is looked up (`storage.finding.soonest`).
    Column("start", DateTime(timezone=True), nullable=True),
    Index("ix_first_free_start", "start", "schedule_key", postgresql_where=text("start IS NOT NULL")),
    postgresql_with={"fillfactor": 80},
)
"""When the first free slot of each kind begins, kept by triggers of `slot` as a transaction commits (migration 0027)."""

found_by = Table(
    "found_by",
    metadata,
    Column("kind_key", BigInteger, primary_key=True, autoincrement=False),
    Column("schedule_key", BigInteger, nullable=False, index=True),
    # The purpose of its slots, and its agenda's owner, language and place: from the kind, the Schedule and the directory.
    Column("terms", ARRAY(Text(collation="C")), nullable=False),
    Column("latitude", Double, nullable=True),
    Column("longitude", Double, nullable=True),
    Index("ix_found_by_terms", "terms", postgresql_using="gin", postgresql_with={"fastupdate": False}),
    Index("ix_found_by_place", text("point(longitude, latitude)"), postgresql_using="gist"),
)
"""The terms and the place by which a kind of slots is found, kept by triggers of whatever says them."""

found_in = Table(
    "found_in",
    metadata,
    Column("specialty", Text(collation="C"), primary_key=True),
    Column("cell", Integer, primary_key=True),
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False, index=True),
    Column("kind_key", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_found_in_specialty", "specialty", "schedule_key", "kind_key"),
)
"""The kinds for a speciality (a code; empty: for any) in a cell of 0.1° by 0.15° (`found_cell`; 0: nowhere)."""

first_free_due = Table(
    "first_free_due",
    metadata,
    Column("transaction", XID8, primary_key=True),
    Column("schedule_key", BigInteger, primary_key=True, autoincrement=False),
    Column("kind_key", BigInteger, primary_key=True, autoincrement=False),
    Column("freed", DateTime(timezone=True), nullable=True),
    Column("lost", DateTime(timezone=True), nullable=True),
    prefixes=["UNLOGGED"],
)
"""The rows of `first_free` that a transaction has still to settle; empty but within one."""

role_place = Table(
    "role_place",
    metadata,
    Column("place", Text(collation="C"), primary_key=True),
    Column("role", Text(collation="C"), primary_key=True, index=True),
)
"""The places (ids of Location) of a role (id), kept by triggers of `practitioner_role`."""

occupancy = Table(
    "occupancy",
    metadata,
    Column("appointment_id", Text(collation="C"), nullable=False, index=True),
    Column("actor", Text(collation="C"), nullable=False),
    Column("period", TSTZRANGE, nullable=False),
    ExcludeConstraint(("actor", "="), ("period", "&&"), using="gist", name="ex_occupancy"),
)
"""Who (a reference such as `Practitioner/12`) is taken when, and by which appointment, or by which group (`Slot/` and the
id of a slot of several places). No overlap is possible."""

slot_place = Table(
    "slot_place",
    metadata,
    Column("slot_id", Uuid, primary_key=True),
    # The patient (a reference), or the appointment where it names none.
    Column("person", Text(collation="C"), primary_key=True),
    Column("appointment_id", Text(collation="C"), nullable=False, index=True),
)
"""Who has a place in a slot of several, and by which appointment."""

appointment_series = Table(
    "appointment_series",
    metadata,
    Column("series", Text(collation="C"), primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("appointment_id", Text(collation="C"), nullable=False, unique=True),
)
"""The appointments of each series, in the order of time."""

hold = Table(
    "hold",
    metadata,
    Column("appointment_id", Text(collation="C"), primary_key=True),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    Column("subject", Text, nullable=False, index=True),
    Column("issuer", Text, nullable=False, server_default=text("''")),
    Column("extensions", Integer, nullable=False, server_default=text("0")),
    # `later`: whoever books it has to ask the practice; `asked`: it waits for the practice's answer, and is nobody's hold.
    Column("confirmation", Text, nullable=True),
)
"""The appointments that are held, until when, for whom, and how often the hold was extended; and those that wait for their
practice, until when."""

waiting = Table(
    "waiting",
    metadata,
    Column(
        "appointment_id",
        Text(collation="C"),
        ForeignKey("appointment.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    # As in `occupancy`.
    Column("patient", Text(collation="C"), nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    # Whether something is offered to them at this moment.
    Column("offered", Boolean, nullable=False, server_default=text("false")),
    # What they wait for, in the terms of slots; empty: any. Absent periods: whenever.
    Column("periods", TSTZMULTIRANGE, nullable=True),
    *(
        Column(name, ARRAY(Text(collation="C")), nullable=False, server_default=text("'{}'"))
        for name in ("times", "agendas", "people", "services", "places", "specialties", "visit")
    ),
    Column("slots", ARRAY(Uuid), nullable=False, server_default=text("'{}'")),
    Column("latitude", Double, nullable=True),
    Column("longitude", Double, nullable=True),
    Column("radius_m", Double, nullable=True),
    # While something is offered: what the Appointment said before, to be restored if nothing comes of it.
    Column("wish", JSONB, nullable=True),
)
"""Who waits (a `waitlist` Appointment, or one that an offer made pending), for what, and in which order."""

waiting_key = Table(
    "waiting_key",
    metadata,
    # A term of a slot's agenda or kind (`actor=Practitioner/12`, `schedule=Schedule/3`, `specialty=…|SM54`), and for a
    # speciality where: a Location (`Location/12`), a square degree (`#48:2`), or anywhere (empty).
    Column("key", Text(collation="C"), primary_key=True),
    Column("place", Text(collation="C"), primary_key=True),
    Column("rank", SmallInteger, primary_key=True, autoincrement=False),
    Column("since", DateTime(timezone=True), primary_key=True),
    Column(
        "appointment_id",
        Text(collation="C"),
        ForeignKey("waiting.appointment_id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)
"""The keys by which those who wait are found, in their order: the first row that fits is the first whom a slot suits."""

waiting_offer = Table(
    "waiting_offer",
    metadata,
    Column(
        "appointment_id",
        Text(collation="C"),
        ForeignKey("appointment.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("slot", Uuid, primary_key=True),
    # Nobody reads it. Processes of the version before 0045 write it; it is dropped a release later.
    Column("offered_at", DateTime(timezone=True), nullable=True),
    # As in `waiting`, so that somebody who is asked for a hidden request is asked for one that is seen as well: nobody who
    # represents them learns of the hidden one by what is not offered. Absent: a process of the version before offered it.
    Column("patient", Text(collation="C"), nullable=True),
    Index("ix_waiting_offer_patient_slot", "patient", "slot"),
)
"""What was offered to whom: nobody is asked twice about one slot, however many requests of theirs it suits."""

booking_action = Table(
    "booking_action",
    metadata,
    # A digest of an account (issuer and subject) or of a Patient.
    Column("key", LargeBinary, primary_key=True),
    Column("booked", ARRAY(DateTime(timezone=True)), nullable=False),
    Column("held", ARRAY(DateTime(timezone=True)), nullable=False),
    Column("cancelled", ARRAY(DateTime(timezone=True)), nullable=False),
    Column("registered", ARRAY(DateTime(timezone=True)), nullable=False, server_default=text("'{}'")),
    Column("latest", DateTime(timezone=True), nullable=False),
)
"""When an account or a patient last booked, held and cancelled, and an account registered people: what the quotas by the
hour, the day and the month count.

No index but the key: every act changes its row in place. The row is also a lock: rivals of one account or of one patient
wait for each other here.
"""

patient_account = Table(
    "patient_account",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("patient_id", Text(collation="C"), primary_key=True, index=True),
    Column("oneself", Boolean, nullable=False, server_default=text("true")),
    # What they may do for the Patient: see, book, cancel, register, manage (`security.rights.MAY_ALL`).
    Column("may", ARRAY(Text), nullable=False, server_default=text("'{see,book,cancel,register,manage}'")),
    # The RelatedPerson that states the link, if they are not the Patient themselves; the link ends with it.
    Column("related_person", Text(collation="C"), nullable=True, index=True),
    Column("since", DateTime(timezone=True), nullable=True),
    Column("until", DateTime(timezone=True), nullable=True),
)
"""The Patients for whom the holder of a token acts: themselves, and those whom they represent, from when until when."""

proxy_invitation = Table(
    "proxy_invitation",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("related_person", Text(collation="C"), nullable=False, index=True),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    # Who gave it, and so cannot take it.
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("by_person", Boolean, nullable=False, server_default="false"),
)
"""Codes by which another account may take up what a RelatedPerson states; only their digests are kept. `by_person`: the giver
acts for the Patient, and the code holds as long as they decide who represents them."""

erased_patient = Table(
    "erased_patient",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    Column("receipt", JSONB, nullable=False),
    Column("swept_at", DateTime(timezone=True), nullable=True),
    Column("sealed_at", DateTime(timezone=True), nullable=True),
    Index("ix_erased_patient_unsealed", "erased_at", postgresql_where=text("sealed_at IS NULL")),
)
"""The ids of Patients who were erased, which are never used again; `swept_at`: when they were looked for a second time;
`sealed_at`: when the tombstone of their contact was repeated, so that the log can be compacted up to it."""

patient_ins = Table(
    "patient_ins",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("patient_id", Text(collation="C"), nullable=False, index=True),
)
"""The one Patient who holds an INS (SHA-256 of its system and value), however many register it at once."""

feed = Table(
    "feed",
    metadata,
    # The OAuth client through which agendas are published, and the practice for which it speaks (empty: several).
    Column("client", Text(collation="C"), primary_key=True),
    Column("organization", Text(collation="C"), primary_key=True, server_default=text("''")),
    Column("received_at", DateTime(timezone=True), nullable=True),
    Column("failing_since", DateTime(timezone=True), nullable=True),
)
"""Which software publishes agendas: when it was last accepted, and since when everything of it is refused."""

publication = Table(
    "publication",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("etag", Text, nullable=False),
    Column("manifest", Text, nullable=False),
)
"""The manifest of what was published in bulk last: one row."""

calendar_feed = Table(
    "calendar_feed",
    metadata,
    Column("schedule", Text(collation="C"), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("details", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
"""The agendas (Schedule ids) that are read by a secret address, of which only the SHA-256 is kept."""

external_calendar = Table(
    "external_calendar",
    metadata,
    Column("schedule", Text(collation="C"), primary_key=True),
    Column("url", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False, index=True),
    Column("read_at", DateTime(timezone=True), nullable=True),
    Column("failing_since", DateTime(timezone=True), nullable=True),
    Column("credentials", Text, nullable=True),
    Column("homes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("state", Text, nullable=True),
    Column("busy", TSTZMULTIRANGE, nullable=True),
    Column("busy_until", DateTime(timezone=True), nullable=True),
    Column("problem", Text, nullable=True),
)
"""The calendars elsewhere whose busy times block the time of an agenda's (Schedule id) professionals."""

sas_report = Table(
    "sas_report",
    metadata,
    Column("appointment_id", Text(collation="C"), primary_key=True),
    # The newest version that there is to tell, and the newest that was told.
    Column("version", Integer, nullable=False),
    Column("reported_version", Integer, nullable=True),
    Column("due_at", DateTime(timezone=True), nullable=True, index=True),
    # Until when a worker that reports it has it for itself.
    Column("sending_until", DateTime(timezone=True), nullable=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Whether the platform may know of it already.
    Column("begun", Boolean, nullable=False, server_default=text("false")),
    # The last report that was sent (JSON), and why the platform did not take it.
    Column("report", LargeBinary, nullable=True),
    Column("refused", Text, nullable=True),
)
"""The appointments that were made for a regulator, and what the SAS platform has been told of them (INT_R03)."""

vouched_address = Table(
    "vouched_address",
    metadata,
    Column("patient_id", Text(collation="C"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
)
"""The addresses (SHA-256 with the Patient's id) that somebody other than the patient's account has given."""

contact_change = Table(
    "contact_change",
    metadata,
    Column("patient_id", Text(collation="C"), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("contact_change_at", "at"),
)
"""The next begin or end of a period that decides how to reach a Patient: then notifications are told again."""
