"""Whose each agenda, appointment and Patient is; who represents whom; whose each superseded version was"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

AFFILIATION = "organization_affiliation"
EVERYTHING = "'{see,book,cancel,register,manage}'"

AGENDA_OWNERS = """
WITH belonging AS (
  SELECT 'actor=PractitionerRole/' || id AS actor, substr(t, 27) AS organization
    FROM practitioner_role, unnest(terms) AS t WHERE starts_with(t, 'organization=Organization/')
  UNION ALL SELECT 'actor=HealthcareService/' || id, substr(t, 27)
    FROM healthcare_service, unnest(terms) AS t WHERE starts_with(t, 'organization=Organization/')
  UNION ALL SELECT 'actor=Location/' || id, substr(t, 27)
    FROM location, unnest(terms) AS t WHERE starts_with(t, 'organization=Organization/')
), owners AS (
  SELECT schedule.id, array_agg(DISTINCT '~owner=Organization/' || belonging.organization) AS terms
  FROM schedule JOIN LATERAL unnest(schedule.terms) AS t ON starts_with(t, 'actor=')
  JOIN belonging ON belonging.actor = t GROUP BY schedule.id
)
UPDATE schedule SET terms = schedule.terms || owners.terms FROM owners WHERE owners.id = schedule.id
"""
AGENDA_OWNERS_BY_PEOPLE = """
WITH owners AS (
  SELECT schedule.id, array_agg(DISTINCT '~owner=Organization/' || substr(o, 27)) AS terms
  FROM schedule JOIN LATERAL unnest(schedule.terms) AS t ON starts_with(t, 'actor=Practitioner/')
  JOIN practitioner_role AS role ON role.terms && ARRAY['practitioner=' || substr(t, 7)]
  JOIN LATERAL unnest(role.terms) AS o ON starts_with(o, 'organization=Organization/')
  WHERE NOT EXISTS (SELECT FROM unnest(schedule.terms) AS had WHERE starts_with(had, '~owner='))
  GROUP BY schedule.id
)
UPDATE schedule SET terms = schedule.terms || owners.terms FROM owners WHERE owners.id = schedule.id
"""
APPOINTMENT_OWNERS = """
WITH agendas AS (
  SELECT appointment.id, array_agg(DISTINCT '~agenda=Schedule/' || schedule.id) AS agendas,
         array_agg(DISTINCT o) FILTER (WHERE o IS NOT NULL) AS owners
  FROM appointment JOIN LATERAL unnest(appointment.terms) AS t ON starts_with(t, 'slot=Slot/')
  JOIN slot ON slot.id = CASE WHEN substr(t, 11) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                              THEN substr(t, 11)::uuid END OR slot.name = substr(t, 11)
  JOIN schedule ON schedule.key = slot.schedule_key
  LEFT JOIN LATERAL unnest(schedule.terms) AS o ON starts_with(o, '~owner=')
  GROUP BY appointment.id
)
UPDATE appointment SET terms = appointment.terms || agendas.agendas || coalesce(agendas.owners, '{}')
FROM agendas WHERE agendas.id = appointment.id
"""
SHARED = """
UPDATE appointment SET terms = terms || ARRAY(
  SELECT DISTINCT '~shared=' || substr(t, 9) FROM unnest(terms) AS t WHERE starts_with(t, 'patient=Patient/'))
WHERE NOT deleted
"""
PATIENT_OWNERS = """
WITH known AS (
  SELECT substr(p, 17) AS id, array_agg(DISTINCT o) AS owners
  FROM appointment JOIN LATERAL unnest(appointment.terms) AS p ON starts_with(p, 'patient=Patient/')
  JOIN LATERAL unnest(appointment.terms) AS o ON starts_with(o, '~owner=')
  GROUP BY 1
)
UPDATE patient SET terms = patient.terms || known.owners FROM known
WHERE known.id = patient.id AND NOT patient.deleted
"""
RELATED_OWNERS = """
UPDATE related_person SET terms = related_person.terms || ARRAY(
  SELECT DISTINCT o FROM unnest(related_person.terms) AS t
  JOIN patient ON starts_with(t, 'patient=Patient/') AND patient.id = substr(t, 17), unnest(patient.terms) AS o
  WHERE starts_with(o, '~owner='))
WHERE NOT deleted
"""
RESPONSES = """
UPDATE appointment_response SET terms = appointment_response.terms || ARRAY(
  SELECT DISTINCT o FROM unnest(appointment_response.terms) AS t
  JOIN appointment ON starts_with(t, 'appointment=Appointment/') AND appointment.id = substr(t, 25),
  unnest(appointment.terms) AS o WHERE starts_with(o, '~owner=') OR starts_with(o, '~shared='))
WHERE NOT deleted
"""
HISTORY = """
WITH said AS (
  SELECT resource_type, id, version, convert_from(content, 'UTF8')::jsonb AS resource FROM resource_history
  WHERE content IS NOT NULL AND resource_type IN ('Appointment', 'AppointmentResponse', 'RelatedPerson')
), people AS (
  SELECT resource_type, id, version, reference FROM said, LATERAL (
    SELECT jsonb_path_query(resource, '$.participant[*].actor.reference') #>> '{}' AS reference
    UNION ALL SELECT resource #>> '{patient,reference}'
    UNION ALL SELECT resource #>> '{actor,reference}') AS named
  WHERE reference LIKE 'Patient/%'
), compartments AS (
  SELECT resource_type, id, version, array_agg(DISTINCT 'patient=' || reference) AS terms FROM people GROUP BY 1, 2, 3
)
UPDATE resource_history AS past SET compartment = compartments.terms FROM compartments
WHERE (past.resource_type, past.id, past.version) = (compartments.resource_type, compartments.id, compartments.version)
"""
"""A superseded version says itself about whom it was; to which practices it was shown is not known any more."""
BACKFILL = (
    AGENDA_OWNERS,
    AGENDA_OWNERS_BY_PEOPLE,
    APPOINTMENT_OWNERS,
    SHARED,
    PATIENT_OWNERS,
    RELATED_OWNERS,
    RESPONSES,
    HISTORY,
)


def upgrade() -> None:
    resource_table(AFFILIATION)
    op.add_column(
        "resource_history",
        sa.Column(
            "compartment",
            sa.ARRAY(sa.Text(collation="C")),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    rekey_idempotency()
    op.create_index(op.f("ix_patient_account_patient_id"), "patient_account", ["patient_id"], unique=False)
    for column in (
        sa.Column("oneself", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("may", sa.ARRAY(sa.Text()), server_default=sa.text(EVERYTHING), nullable=False),
        sa.Column("related_person", sa.Text(collation="C"), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("patient_account", column)
    op.create_index(
        op.f("ix_patient_account_related_person"), "patient_account", ["related_person"], unique=False
    )
    op.create_table(
        "proxy_invitation",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("related_person", sa.Text(collation="C"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_proxy_invitation")),
    )
    for column in ("related_person", "expires_at"):
        op.create_index(op.f(f"ix_proxy_invitation_{column}"), "proxy_invitation", [column], unique=False)
    for statement in BACKFILL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("proxy_invitation")
    op.drop_index(op.f("ix_patient_account_related_person"), "patient_account")
    for column in ("until", "since", "related_person", "may", "oneself"):
        op.drop_column("patient_account", column)
    op.drop_index(op.f("ix_patient_account_patient_id"), "patient_account")
    for table in ("schedule", "appointment", "appointment_response", "patient", "related_person"):
        op.execute(
            f"UPDATE {table} SET terms = ARRAY(SELECT t FROM unnest(terms) AS t WHERE NOT starts_with(t, '~'))"
        )
    op.execute("DELETE FROM idempotency")
    op.drop_constraint("pk_idempotency", "idempotency")
    op.create_primary_key("pk_idempotency", "idempotency", ["subject", "key"])
    op.drop_column("idempotency", "client")
    op.drop_column("idempotency", "issuer")
    op.drop_column("resource_history", "compartment")
    for suffix in ("_string", "_date", ""):
        op.drop_table(f"{AFFILIATION}{suffix}")


def rekey_idempotency() -> None:
    """Answers that were kept under a subject alone are nobody's: they live for two days, and are forgotten now."""
    op.execute("DELETE FROM idempotency")
    op.add_column("idempotency", sa.Column("issuer", sa.Text(), nullable=False))
    op.add_column("idempotency", sa.Column("client", sa.Text(), nullable=False))
    op.drop_constraint("pk_idempotency", "idempotency")
    op.create_primary_key("pk_idempotency", "idempotency", ["issuer", "subject", "client", "key"])


def resource_table(name: str) -> None:
    """The tables of a type with terms, strings and dates."""
    op.create_table(
        name,
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("words", TSVECTOR(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f(f"ck_{name}_content")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("key", name=op.f(f"uq_{name}_key")),
    )
    op.create_index(f"ix_{name}_last_updated", name, ["last_updated", "key"], unique=False)
    for column, limit_kb in (("terms", 256), ("words", 1024)):
        op.create_index(
            f"ix_{name}_{column}",
            name,
            [column],
            unique=False,
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": limit_kb},
        )
    op.create_table(
        f"{name}_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(op.f(f"ix_{name}_date_key"), f"{name}_date", ["key"], unique=False)
    for column in ("low", "high"):
        op.create_index(
            f"ix_{name}_date_{column}", f"{name}_date", ["parameter", column, "key"], unique=False
        )
    op.create_table(
        f"{name}_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f(f"ix_{name}_string_key"), f"{name}_string", ["key"], unique=False)
    op.create_index(
        f"ix_{name}_string_trigram",
        f"{name}_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        f"ix_{name}_string_value",
        f"{name}_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
