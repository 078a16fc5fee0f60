"""What the ROR searches by: numbers and dates of places, offers and organisations; elements of which one occurrence counts.
Loading from national files: how far each load is, what its file says, what each source has given.

Entries of what is stored already are written by `creneau-directory reindex`.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_DATES = ("organization", "location", "healthcare_service")
_NUMBERS = ("organization", "location", "healthcare_service")
_OCCURRENCES = ("organization", "location")
_SENSITIVE = (
    "https://interop.esante.gouv.fr/ig/fhir/ror/StructureDefinition/ror-healthcareservice-sensitive-unit"
)
_LOADING = (
    """CREATE TABLE load (
        id bigint GENERATED ALWAYS AS IDENTITY, source text NOT NULL, file text NOT NULL, fingerprint text NOT NULL,
        whole boolean NOT NULL, phase text NOT NULL DEFAULT 'reading', lines bigint NOT NULL DEFAULT 0,
        after_type text COLLATE "C" NOT NULL DEFAULT '', after_id text COLLATE "C" NOT NULL DEFAULT '',
        counts jsonb NOT NULL DEFAULT '{}', started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz,
        CONSTRAINT pk_load PRIMARY KEY (id))""",
    """CREATE UNLOGGED TABLE load_fragment (
        load bigint NOT NULL, resource_type text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
        line bigint NOT NULL, gone boolean NOT NULL, content bytea NOT NULL)""",
    "CREATE INDEX ix_load_fragment_place ON load_fragment (load, resource_type, id, line)",
    """CREATE TABLE load_known (
        source text COLLATE "C", resource_type text COLLATE "C", id text COLLATE "C", digest bytea NOT NULL,
        load bigint NOT NULL, gone boolean NOT NULL DEFAULT false,
        CONSTRAINT pk_load_known PRIMARY KEY (source, resource_type, id))""",
    "CREATE INDEX ix_load_known_resource ON load_known (resource_type, id)",
    """CREATE TABLE load_refusal (
        load bigint NOT NULL, line bigint NOT NULL, kind text NOT NULL, reason text NOT NULL, detail text NOT NULL)""",
    "CREATE INDEX ix_load_refusal_load ON load_refusal (load, line)",
)


def upgrade() -> None:
    for table in _OCCURRENCES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN occurrences jsonb NOT NULL DEFAULT '[]'")
    for table in _DATES:
        op.execute(
            f"CREATE TABLE {table}_date (key bigint NOT NULL, parameter text NOT NULL,"
            " low timestamptz NOT NULL, high timestamptz NOT NULL)"
        )
        op.execute(f"CREATE INDEX ix_{table}_date_key ON {table}_date (key)")
        op.execute(f"CREATE INDEX ix_{table}_date_low ON {table}_date (parameter, low, key)")
        op.execute(f"CREATE INDEX ix_{table}_date_high ON {table}_date (parameter, high, key)")
    for table in _NUMBERS:
        op.execute(
            f"CREATE TABLE {table}_number (key bigint NOT NULL, parameter text NOT NULL, value numeric NOT NULL)"
        )
        op.execute(f"CREATE INDEX ix_{table}_number_key ON {table}_number (key)")
        op.execute(f"CREATE INDEX ix_{table}_number_value ON {table}_number (parameter, value, key)")
    for statement in _LOADING:
        op.execute(statement)
    op.execute(
        "UPDATE healthcare_service SET terms = terms || '{~sensitive}'::text[]"
        " WHERE content IS NOT NULL AND position('sensitive-unit' IN convert_from(content, 'UTF8')) > 0"
        " AND jsonb_path_exists(convert_from(content, 'UTF8')::jsonb,"
        f" '$.extension[*] ? (@.url == \"{_SENSITIVE}\" && @.valueBoolean == true)')"
    )


def downgrade() -> None:
    for table in ("load_refusal", "load_known", "load_fragment", "load"):
        op.execute(f"DROP TABLE {table}")
    for table in _NUMBERS:
        op.execute(f"DROP TABLE {table}_number")
    for table in _DATES:
        op.execute(f"DROP TABLE {table}_date")
    for table in _OCCURRENCES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN occurrences")
