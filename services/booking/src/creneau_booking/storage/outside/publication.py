"""Bulk publication, read in one snapshot: agendas that are open, their places and people, and the slots that a patient
could book.

Free is what `storage.availability.rule` and the rules of the agenda call free; nobody's own data is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.storage.availability.alone import ROLES_ALONE
from creneau_booking.storage.availability.freshness import is_fresh
from creneau_booking.storage.availability.rule import agenda_of, is_free, is_open
from creneau_booking.storage.mapping.slot import content_sql
from creneau_booking.storage.mapping.visibility import is_public
from creneau_booking.storage.narrow import is_shown
from creneau_booking.storage.unshown import real_slot
from creneau_shared.database.pool import Connection

ROWS_A_FETCH = 2_000
TURN = "hashtextextended('bulk publication', 0)"

_ROLES = f"""(
  SELECT substr(t, 24) AS id FROM unnest(schedule.terms) AS t WHERE starts_with(t, 'actor=PractitionerRole/')
  UNION SELECT alone.id FROM {ROLES_ALONE} AS alone) AS role"""
"""FROM item: the roles that an agenda (a row `schedule`) names, else those of the person who has it alone"""
_AGENDAS = f"""
SELECT schedule.key, schedule.content, (SELECT min(id) FROM {_ROLES}) AS role,
  coalesce(
    nullif(ARRAY(SELECT substr(t, 16) FROM unnest(schedule.terms) AS t WHERE t ~ '^actor=Location/[^/]+$' ORDER BY 1), '{{}}'),
    ARRAY(SELECT DISTINCT place FROM {_ROLES} JOIN role_place ON role_place.role = role.id ORDER BY 1)) AS places
FROM schedule JOIN agenda ON agenda.schedule_key = schedule.key
WHERE NOT schedule.deleted AND agenda.open AND agenda.horizon_end > $1 AND {is_fresh("agenda", "$1")} AND {real_slot("agenda")}
ORDER BY schedule.key
"""
_NAMED = """
SELECT content FROM {table} AS named WHERE NOT deleted AND content IS NOT NULL AND {shown} AND (
  id IN (SELECT substr(reference, {length}) FROM agenda_named JOIN agenda USING (schedule_key)
    WHERE open AND starts_with(reference, '{type}/')) OR id = ANY($1))
ORDER BY key
"""
_TABLES = {
    "Location": "location",
    "PractitionerRole": "practitioner_role",
    "HealthcareService": "healthcare_service",
}
_SLOTS = f"""
SELECT slot.schedule_key, {content_sql("slot", "slot_kind")} AS content
FROM slot JOIN slot_kind ON slot_kind.key = slot.kind_key {agenda_of("slot")}
WHERE slot.start >= $2 AND slot.start < $3 AND {is_free("slot", "$1")} AND {is_open("slot", "$1", whole=True)}
  AND {is_public("slot_kind")} AND {real_slot("slot")}
ORDER BY slot.schedule_key, slot.start, slot.id
"""
_PUT = """
INSERT INTO publication (id, published_at, etag, manifest) VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET published_at = excluded.published_at, etag = excluded.etag, manifest = excluded.manifest
"""


@dataclass(frozen=True, slots=True)
class PublishedAgenda:
    """An agenda that is open: its Schedule (JSON), its role (id), and its places (ids): those that it names, else
    those of its roles."""

    key: int
    content: bytes
    role: str | None
    places: Sequence[str]


@dataclass(frozen=True, slots=True)
class Publication:
    """The last publication: when, its entity tag, and the manifest (JSON)."""

    published_at: datetime
    etag: str
    manifest: str


async def is_ours_to_publish(connection: Connection) -> bool:
    """Takes the turn to publish until the transaction ends; False if somebody else publishes at this moment."""
    return bool(await connection.fetchval(f"SELECT pg_try_advisory_xact_lock({TURN})"))


async def published_agendas(connection: Connection, now: datetime) -> list[PublishedAgenda]:
    """The agendas that are open and up to date."""
    return [PublishedAgenda(*row) for row in await connection.fetch(_AGENDAS, now)]


async def published_named(
    connection: Connection, resource_type: str, more: Collection[str] = ()
) -> AsyncIterator[bytes]:
    """The places, roles or offers (JSON) that open agendas name, and `more` (ids), as the directory says them."""
    shown = is_shown("named") if resource_type == "HealthcareService" else "true"
    sql = _NAMED.format(
        table=_TABLES[resource_type], type=resource_type, length=len(resource_type) + 2, shown=shown
    )
    async for row in connection.cursor(sql, sorted(more), prefetch=ROWS_A_FETCH):
        yield row["content"]


async def published_slots(
    connection: Connection, now: datetime, start: datetime, end: datetime
) -> AsyncIterator[tuple[int, bytes]]:
    """The slots (JSON) that begin in `[start, end)` and that a patient could book now, each with its agenda (key)."""
    async for row in connection.cursor(_SLOTS, now, start, end, prefetch=ROWS_A_FETCH):
        yield row["schedule_key"], row["content"]


async def last_publication(connection: Connection) -> Publication | None:
    """Returns the last publication."""
    row = await connection.fetchrow("SELECT published_at, etag, manifest FROM publication WHERE id = 1")
    return Publication(*row) if row is not None else None


async def keep_publication(connection: Connection, published: Publication) -> None:
    await connection.execute(_PUT, published.published_at, published.etag, published.manifest)
