"""The first free start of each kind of each agenda, kept in the transaction that changes it, and what kinds are found by.

Row triggers, which every month of `slot` gets with the others, note in `first_free_due` what a transaction changes; as it
commits, a deferred trigger settles all of it at once, in one order, so that nobody waits in a circle. Whoever writes slots
need not know of it. What is noted is never read by another transaction, and gone with it: the table is not logged.
"""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

BATCH = 500
"""agendas that are filled in one transaction"""

TABLES = (
    """CREATE TABLE first_free (
  schedule_key bigint NOT NULL, kind_key bigint NOT NULL, start timestamptz,
  CONSTRAINT pk_first_free PRIMARY KEY (schedule_key, kind_key)
) WITH (fillfactor = 80)""",
    "CREATE INDEX ix_first_free_start ON first_free (start, schedule_key) WHERE start IS NOT NULL",
    """CREATE TABLE found_by (
  kind_key bigint NOT NULL, schedule_key bigint NOT NULL, terms text[] COLLATE "C" NOT NULL,
  latitude double precision, longitude double precision,
  CONSTRAINT pk_found_by PRIMARY KEY (kind_key)
)""",
    "CREATE INDEX ix_found_by_schedule_key ON found_by (schedule_key)",
    """CREATE TABLE found_in (
  specialty text COLLATE "C" NOT NULL, cell integer NOT NULL, schedule_key bigint NOT NULL, kind_key bigint NOT NULL,
  CONSTRAINT pk_found_in PRIMARY KEY (specialty, cell, schedule_key, kind_key)
)""",
    "CREATE INDEX ix_found_in_schedule_key ON found_in (schedule_key)",
    # `kind_key` 0: what the agenda's kinds are found by. `freed`, `lost`: the earliest starts that became free, or not free.
    """CREATE UNLOGGED TABLE first_free_due (
  transaction xid8 NOT NULL, schedule_key bigint NOT NULL, kind_key bigint NOT NULL, freed timestamptz, lost timestamptz,
  CONSTRAINT pk_first_free_due PRIMARY KEY (transaction, schedule_key, kind_key)
)""",
)

NOTE = """CREATE FUNCTION note_first_free(agenda bigint, kind bigint, freed timestamptz, lost timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  INSERT INTO first_free_due AS due VALUES (pg_current_xact_id(), agenda, kind, freed, lost)
  ON CONFLICT ON CONSTRAINT pk_first_free_due
  DO UPDATE SET freed = least(due.freed, excluded.freed), lost = least(due.lost, excluded.lost)
  WHERE excluded.freed < due.freed OR excluded.lost < due.lost
    OR (due.freed IS NULL AND excluded.freed IS NOT NULL) OR (due.lost IS NULL AND excluded.lost IS NOT NULL)
$$"""

SLOT_WRITTEN = """CREATE FUNCTION slot_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.status = 'free' THEN
    PERFORM note_first_free(OLD.schedule_key, OLD.kind_key, NULL, OLD.start);
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.status = 'free' THEN
    PERFORM note_first_free(NEW.schedule_key, NEW.kind_key, NEW.start, NULL);
  END IF;
  RETURN NULL;
END
$$"""
SLOT_TRIGGERS = (
    """CREATE TRIGGER first_free_new AFTER INSERT ON slot FOR EACH ROW WHEN (NEW.status = 'free')
EXECUTE FUNCTION slot_written()""",
    """CREATE TRIGGER first_free_gone AFTER DELETE ON slot FOR EACH ROW WHEN (OLD.status = 'free')
EXECUTE FUNCTION slot_written()""",
    """CREATE TRIGGER first_free_changed AFTER UPDATE ON slot FOR EACH ROW
WHEN ((OLD.status = 'free' OR NEW.status = 'free') AND (OLD.status <> NEW.status OR OLD.start <> NEW.start
  OR OLD.kind_key <> NEW.kind_key OR OLD.schedule_key <> NEW.schedule_key))
EXECUTE FUNCTION slot_written()""",
)

# Whoever locks a row sees what the one before has settled: each statement here looks anew.
SETTLE = """CREATE FUNCTION settle_first_free() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  agendas bigint[];
  of_agenda bigint[];
  kinds bigint[];
  freed timestamptz[];
  lost timestamptz[];
BEGIN
  WITH due AS (DELETE FROM first_free_due WHERE transaction = pg_current_xact_id() RETURNING *)
  SELECT array_agg(due.schedule_key ORDER BY due.schedule_key) FILTER (WHERE due.kind_key = 0),
    array_agg(due.schedule_key ORDER BY due.schedule_key, due.kind_key) FILTER (WHERE due.kind_key <> 0),
    array_agg(due.kind_key ORDER BY due.schedule_key, due.kind_key) FILTER (WHERE due.kind_key <> 0),
    array_agg(due.freed ORDER BY due.schedule_key, due.kind_key) FILTER (WHERE due.kind_key <> 0),
    array_agg(due.lost ORDER BY due.schedule_key, due.kind_key) FILTER (WHERE due.kind_key <> 0)
  INTO agendas, of_agenda, kinds, freed, lost FROM due;
  IF agendas IS NOT NULL THEN
    PERFORM keep_found_by(agendas);
  END IF;
  IF kinds IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO first_free AS known (schedule_key, kind_key)
  SELECT d.agenda, d.kind FROM unnest(of_agenda, kinds) AS d (agenda, kind) ORDER BY 1, 2
  ON CONFLICT ON CONSTRAINT pk_first_free DO UPDATE SET start = known.start WHERE false;
  UPDATE first_free AS known SET start = next.start
  FROM (
    SELECT d.agenda, d.kind, row.start AS was, (
      SELECT slot.start FROM slot
      WHERE slot.schedule_key = d.agenda AND slot.kind_key = d.kind AND slot.status = 'free' AND slot.start >= since.moment
      ORDER BY slot.start LIMIT 1) AS start
    FROM unnest(of_agenda, kinds, freed, lost) AS d (agenda, kind, freed, lost)
    JOIN first_free AS row ON row.schedule_key = d.agenda AND row.kind_key = d.kind
    CROSS JOIN LATERAL (SELECT CASE WHEN row.start IS NULL OR d.freed < row.start THEN d.freed
      WHEN d.lost <= row.start THEN row.start END AS moment) AS since
    WHERE since.moment IS NOT NULL
  ) AS next
  WHERE known.schedule_key = next.agenda AND known.kind_key = next.kind AND known.start IS DISTINCT FROM next.start;
  RETURN NULL;
END
$$"""
SETTLE_TRIGGER = """CREATE CONSTRAINT TRIGGER settle_first_free AFTER INSERT ON first_free_due
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle_first_free()"""

CELL = """CREATE FUNCTION found_cell(latitude double precision, longitude double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT coalesce(floor((latitude + 90) * 10)::integer * 10000 + floor((longitude + 180) / 0.15)::integer, 0) $$"""

# What a kind says itself; of what it says nothing, what its agenda says; of what that says nothing, what the directory says
# of those whom it names. One transaction after the other: each finds what the one before has left.
KEEP = r"""CREATE FUNCTION keep_found_by(agendas bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('found by', 0));
  WITH named AS MATERIALIZED (
    SELECT schedule.key, substr(t, 7) AS reference FROM schedule, unnest(schedule.terms) AS t
    WHERE schedule.key = ANY (agendas) AND t ~ '^actor=[A-Za-z]+/[^/|]+$'
  ), role AS MATERIALIZED (
    SELECT named.key, role.id, role.terms, role.content, 1 AS place FROM named
    JOIN practitioner_role AS role ON starts_with(named.reference, 'PractitionerRole/')
      AND role.id = substr(named.reference, 18) AND NOT role.deleted
    UNION ALL
    SELECT named.key, role.id, role.terms, role.content, 2 FROM named
    JOIN practitioner_role AS role ON starts_with(named.reference, 'Practitioner/')
      AND role.terms && ARRAY['practitioner=' || named.reference] AND NOT role.deleted
      AND NOT role.terms @> ARRAY['active=false']
    WHERE NOT EXISTS (SELECT FROM named AS other WHERE other.key = named.key
      AND starts_with(other.reference, 'PractitionerRole/'))
  ), service AS MATERIALIZED (
    SELECT named.key, service.terms, service.content FROM named
    JOIN healthcare_service AS service ON starts_with(named.reference, 'HealthcareService/')
      AND service.id = substr(named.reference, 19) AND NOT service.deleted
  ), person AS MATERIALIZED (
    SELECT key, reference FROM named WHERE starts_with(reference, 'Practitioner/')
    UNION SELECT role.key, substr(t, 14) FROM role, unnest(role.terms) AS t
    WHERE starts_with(t, 'practitioner=Practitioner/')
  ), at AS MATERIALIZED (
    SELECT named.key, substr(reference, 10) AS id, 0 AS place FROM named WHERE starts_with(reference, 'Location/')
    UNION ALL SELECT role.key, substr(t, 19), role.place FROM role, unnest(role.terms) AS t
    WHERE starts_with(t, 'location=Location/')
  ), position AS MATERIALIZED (
    SELECT DISTINCT ON (at.key) at.key, location.latitude, location.longitude FROM at JOIN location ON location.id = at.id
    WHERE location.latitude IS NOT NULL AND NOT location.deleted ORDER BY at.key, at.place, at.id
  ), said AS MATERIALIZED (
    SELECT key, 2 AS after, t FROM schedule, unnest(terms) AS t WHERE key = ANY (agendas)
    UNION ALL SELECT key, 3, t FROM role, unnest(terms) AS t WHERE starts_with(t, 'specialty=')
    UNION ALL SELECT key, 3, t FROM service, unnest(terms) AS t
  ), asked AS MATERIALIZED (
    SELECT key, after, split_part(t, '=', 1) AS name, t FROM said
    WHERE starts_with(t, 'specialty=') OR starts_with(t, 'service-type=')
  ), trait AS MATERIALIZED (
    SELECT key, 'actor=' || reference AS t FROM named
    UNION SELECT key, 'actor=' || reference FROM person
    UNION SELECT key, 'actor=PractitionerRole/' || id FROM role
    UNION SELECT key, 'actor=Location/' || id FROM at
    UNION SELECT person.key, 'language=' || substr(t, 15) FROM person
      JOIN practitioner ON practitioner.id = substr(person.reference, 14) AND NOT practitioner.deleted,
      unnest(practitioner.terms) AS t WHERE starts_with(t, 'communication=')
    UNION SELECT key, t FROM role, unnest(terms) AS t WHERE starts_with(t, 'organization=')
    UNION SELECT key, t FROM service, unnest(terms) AS t WHERE starts_with(t, 'organization=')
    UNION SELECT at.key, t FROM at JOIN location ON location.id = at.id, unnest(location.terms) AS t
      WHERE starts_with(t, 'organization=')
    UNION SELECT key, 'accessibility=' || substr(t, 16) FROM service, unnest(terms) AS t
      WHERE starts_with(t, 'characteristic=')
    UNION SELECT own.key, 'accessibility=' || code FROM (
        SELECT at.key, location.content FROM at JOIN location ON location.id = at.id AND location.content IS NOT NULL
        UNION ALL SELECT key, content FROM service) AS own,
      stated_codes(own.content, 'accessib') AS code
    UNION SELECT key, 'sector=' || code FROM role, stated_codes(role.content, 'contracted|conventionnement|sector') AS code
    UNION SELECT own.key, 'new-patient=' || code FROM (
        SELECT key, content FROM schedule WHERE key = ANY (agendas) AND content IS NOT NULL
        UNION ALL SELECT key, content FROM role UNION ALL SELECT key, content FROM service) AS own,
      stated_codes(own.content, 'new-?patient') AS code
  ), wanted AS MATERIALIZED (
    SELECT kind.key AS kind_key, kind.schedule_key, ARRAY(
        SELECT DISTINCT one.t FROM (
          SELECT t FROM unnest(kind.terms) AS t
          WHERE starts_with(t, 'specialty=') OR starts_with(t, 'service-type=') OR starts_with(t, 'appointment-type=')
            OR starts_with(t, '_security=')
          UNION ALL SELECT asked.t FROM asked WHERE asked.key = kind.schedule_key
            AND NOT kind.terms @> ARRAY[asked.name] AND asked.after = (SELECT min(other.after) FROM asked AS other
              WHERE other.key = asked.key AND other.name = asked.name)
          UNION ALL SELECT trait.t FROM trait WHERE trait.key = kind.schedule_key
          UNION ALL SELECT 'new-patient=' || code
            FROM stated_codes(convert_to('{' || kind.members || '}', 'UTF8'), 'new-?patient') AS code
        ) AS one ORDER BY one.t) AS terms,
      position.latitude, position.longitude
    FROM slot_kind AS kind LEFT JOIN position ON position.key = kind.schedule_key
    WHERE kind.schedule_key = ANY (agendas)
  ), kept AS (
    INSERT INTO found_by AS known (kind_key, schedule_key, terms, latitude, longitude)
    SELECT kind_key, schedule_key, terms, latitude, longitude FROM wanted ORDER BY kind_key
    ON CONFLICT ON CONSTRAINT pk_found_by DO UPDATE
    SET terms = excluded.terms, latitude = excluded.latitude, longitude = excluded.longitude
    WHERE (known.terms, known.latitude, known.longitude)
      IS DISTINCT FROM (excluded.terms, excluded.latitude, excluded.longitude)
  ), place AS MATERIALIZED (
    SELECT DISTINCT specialty, found_cell(latitude, longitude) AS cell, schedule_key, kind_key
    FROM wanted CROSS JOIN LATERAL (
      SELECT '' AS specialty UNION ALL SELECT substr(t, 11) FROM unnest(terms) AS t
      WHERE starts_with(t, 'specialty=') AND strpos(t, '|') = 0) AS one
  ), moved AS (
    DELETE FROM found_in AS was WHERE was.schedule_key = ANY (agendas) AND NOT EXISTS (
      SELECT FROM place WHERE (place.specialty, place.cell, place.schedule_key, place.kind_key)
        = (was.specialty, was.cell, was.schedule_key, was.kind_key))
  )
  INSERT INTO found_in SELECT specialty, cell, schedule_key, kind_key FROM place ORDER BY 1, 2, 3, 4
  ON CONFLICT DO NOTHING;
END
$$"""
# The codes (and yes or no) that an extension states whose address speaks of something; in the resource or within it.
STATED = r"""CREATE FUNCTION stated_codes(content bytea, about text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT DISTINCT said.value #>> '{}' FROM (
    SELECT jsonb_path_query(convert_from(content, 'UTF8')::jsonb, '$.**.extension[*]') AS extension
    WHERE convert_from(content, 'UTF8') ~* about) AS one
  CROSS JOIN LATERAL (
    SELECT jsonb_path_query(one.extension, '$.**.code') AS value
    UNION ALL SELECT jsonb_path_query(one.extension, '$.**.valueCode')
    UNION ALL SELECT jsonb_path_query(one.extension, '$.**.valueBoolean')) AS said
  WHERE one.extension ->> 'url' ~* about
$$"""

NOTE_AGENDAS = """CREATE FUNCTION note_found_by(agendas bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  INSERT INTO first_free_due SELECT DISTINCT pg_current_xact_id(), agenda, 0, NULL::timestamptz, NULL::timestamptz
  FROM unnest(agendas) AS agenda ON CONFLICT DO NOTHING
$$"""
KIND_MADE = """CREATE FUNCTION kind_made() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM note_found_by(ARRAY[NEW.schedule_key]);
  RETURN NULL;
END
$$"""
AGENDA_WRITTEN = """CREATE FUNCTION agenda_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM note_found_by(ARRAY[NEW.key]);
  RETURN NULL;
END
$$"""
# Through whom an agenda is found: those whom it names, the roles of a professional and the professional of a role, and
# the places of roles.
DIRECTORY_SPOKE = """CREATE FUNCTION directory_spoke() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  named text[] := '{}';
  roles text[] := '{}';
BEGIN
  IF TG_OP <> 'INSERT' THEN
    named := named || (TG_ARGV[0] || '/' || OLD.id);
    roles := roles || OLD.terms;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    named := named || (TG_ARGV[0] || '/' || NEW.id);
    roles := roles || NEW.terms;
  END IF;
  IF TG_ARGV[0] = 'Location' THEN
    named := named || ARRAY(
      SELECT 'PractitionerRole/' || role FROM role_place WHERE place = ANY (
        SELECT substr(reference, 10) FROM unnest(named) AS reference));
    roles := ARRAY(SELECT t FROM practitioner_role AS role, unnest(role.terms) AS t
      WHERE role.id = ANY (SELECT substr(reference, 18) FROM unnest(named) AS reference
        WHERE starts_with(reference, 'PractitionerRole/')));
  END IF;
  IF TG_ARGV[0] = 'Practitioner' THEN
    named := named || ARRAY(
      SELECT 'PractitionerRole/' || role.id FROM practitioner_role AS role
      WHERE role.terms && ARRAY(SELECT 'practitioner=' || reference FROM unnest(named) AS reference));
  ELSIF TG_ARGV[0] <> 'HealthcareService' THEN
    named := named || ARRAY(SELECT substr(t, 14) FROM unnest(roles) AS t
      WHERE starts_with(t, 'practitioner=Practitioner/'));
  END IF;
  PERFORM note_found_by(ARRAY(SELECT schedule_key FROM agenda_named WHERE reference = ANY (named)));
  RETURN NULL;
END
$$"""
DIRECTORY = {
    "practitioner": "Practitioner",
    "practitioner_role": "PractitionerRole",
    "location": "Location",
    "healthcare_service": "HealthcareService",
}
# After `keep_agenda_named` and `keep_role_place`, which what is found is looked up by (triggers fire by name).
OTHER_TRIGGERS = (
    "CREATE TRIGGER made_found_by AFTER INSERT ON slot_kind FOR EACH ROW EXECUTE FUNCTION kind_made()",
    "CREATE TRIGGER tell_found_by AFTER INSERT ON schedule FOR EACH ROW EXECUTE FUNCTION agenda_written()",
    "CREATE TRIGGER tell_found_by_anew AFTER UPDATE ON schedule FOR EACH ROW"
    " WHEN (OLD.terms IS DISTINCT FROM NEW.terms OR OLD.content IS DISTINCT FROM NEW.content)"
    " EXECUTE FUNCTION agenda_written()",
    *(
        f"CREATE TRIGGER tell_found_by AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW"
        f" EXECUTE FUNCTION directory_spoke('{name}')"
        for table, name in DIRECTORY.items()
    ),
)

# As if all that is free from now on had become so in one transaction, which settles it as any other.
FILL = """INSERT INTO first_free_due
SELECT pg_current_xact_id(), schedule_key, key, now(), NULL::timestamptz FROM slot_kind
WHERE schedule_key >= {first} AND schedule_key < {last}
UNION ALL SELECT pg_current_xact_id(), key, 0, NULL, NULL FROM schedule WHERE key >= {first} AND key < {last}"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    for statement in (
        *TABLES, NOTE, NOTE_AGENDAS, CELL, STATED, KEEP, SETTLE, SETTLE_TRIGGER,
        SLOT_WRITTEN, *SLOT_TRIGGERS, KIND_MADE, AGENDA_WRITTEN, DIRECTORY_SPOKE, *OTHER_TRIGGERS,
    ):  # fmt: skip
        execute(statement)
    with op.get_context().autocommit_block():
        execute = op.get_bind().exec_driver_sql
        last = execute("SELECT coalesce(max(key), 0) FROM schedule").scalar_one()
        for first in range(0, last + 1, BATCH):
            execute(FILL.format(first=first, last=first + BATCH))
        for table in ("first_free", "found_by", "found_in"):
            execute(f"ANALYZE {table}")


def downgrade() -> None:
    op.execute("DROP TRIGGER made_found_by ON slot_kind")
    for name in ("tell_found_by", "tell_found_by_anew"):
        op.execute(f"DROP TRIGGER {name} ON schedule")
    for table in DIRECTORY:
        op.execute(f"DROP TRIGGER tell_found_by ON {table}")
    for name in ("first_free_new", "first_free_gone", "first_free_changed"):
        op.execute(f"DROP TRIGGER {name} ON slot")
    for table in ("first_free_due", "found_in", "found_by", "first_free"):
        op.drop_table(table)
    for function in (
        "directory_spoke()", "agenda_written()", "kind_made()", "slot_written()", "settle_first_free()",
        "keep_found_by(bigint[])", "stated_codes(bytea, text)", "found_cell(double precision, double precision)",
        "note_found_by(bigint[])", "note_first_free(bigint, bigint, timestamptz, timestamptz)",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
