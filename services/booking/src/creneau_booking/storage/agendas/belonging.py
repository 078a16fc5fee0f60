"""The organizations to which an actor belongs, by the replica of the directory: these may take it.

A Practitioner belongs to an organization through an active PractitionerRole, and a device through an agenda that names it.
A role, a place and an offer name their organization. An agenda belongs to the organization that owns its row, and to those
of its actors. An organization that has the agenda may take all its actors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from creneau_booking.storage.availability.agendas import IN_PERIOD
from creneau_booking.storage.mapping.slot import slot_key
from creneau_booking.storage.mapping.visibility import is_public
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import owned_by

_ROLE = (
    f"""NOT role.deleted AND role.terms && $3 AND NOT role.terms @> ARRAY['active=false'] AND {IN_PERIOD}"""
)
_BELONGS = f"""CASE split_part({{ref}}, '/', 1)
  WHEN 'Practitioner' THEN EXISTS (
    SELECT FROM practitioner_role role WHERE role.terms @> ARRAY['practitioner=' || {{ref}}] AND {_ROLE})
  WHEN 'PractitionerRole' THEN EXISTS (
    SELECT FROM practitioner_role role WHERE role.id = split_part({{ref}}, '/', 2) AND {_ROLE})
  WHEN 'Location' THEN EXISTS (
    SELECT FROM location place WHERE place.id = split_part({{ref}}, '/', 2) AND NOT place.deleted AND place.terms && $3)
  WHEN 'HealthcareService' THEN EXISTS (
    SELECT FROM healthcare_service offer
    WHERE offer.id = split_part({{ref}}, '/', 2) AND NOT offer.deleted AND offer.terms && $3)
  ELSE false END"""
_AGENDA_BELONGS = f"""({{agenda}}.terms && $4 OR EXISTS (
  SELECT FROM unnest({{agenda}}.terms) AS term
  WHERE starts_with(term, 'actor=') AND {_BELONGS.format(ref="substr(term, 7)")}))"""
_KNOWN = """CASE split_part(ref, '/', 1)
  WHEN 'Practitioner' THEN EXISTS (SELECT FROM practitioner WHERE id = split_part(ref, '/', 2) AND NOT deleted)
  WHEN 'PractitionerRole' THEN EXISTS (SELECT FROM practitioner_role WHERE id = split_part(ref, '/', 2) AND NOT deleted)
  WHEN 'Location' THEN EXISTS (SELECT FROM location WHERE id = split_part(ref, '/', 2) AND NOT deleted)
  WHEN 'HealthcareService' THEN
    EXISTS (SELECT FROM healthcare_service WHERE id = split_part(ref, '/', 2) AND NOT deleted)
  ELSE false END OR EXISTS (SELECT FROM schedule WHERE terms @> ARRAY['actor=' || ref] AND NOT deleted)"""
_JUDGE = f"""
WITH agenda AS MATERIALIZED (
  SELECT schedule.terms FROM slot JOIN slot_kind kind ON kind.key = slot.kind_key
  JOIN schedule ON schedule.key = slot.schedule_key
  WHERE slot.id = ANY($2::uuid[]) AND ({is_public("kind")} OR schedule.terms && $4)
), of_agendas AS MATERIALIZED (
  SELECT substr(term, 7) AS ref, bool_or({_AGENDA_BELONGS.format(agenda="agenda")}) AS theirs
  FROM agenda, unnest(agenda.terms) AS term
  WHERE starts_with(term, 'actor=') AND strpos(term, '/') > 0 AND strpos(term, '/_history/') = 0 GROUP BY 1
), named AS (
  SELECT unnest($1::text[]) AS ref UNION SELECT ref FROM of_agendas
)
SELECT ref, {_KNOWN} AS known,
  coalesce((SELECT theirs FROM of_agendas WHERE of_agendas.ref = named.ref), false)
  OR {_BELONGS.format(ref="ref")}
  OR (starts_with(ref, 'Device/') AND EXISTS (
    SELECT FROM schedule WHERE schedule.terms @> ARRAY['actor=' || ref] AND NOT schedule.deleted
    AND {_AGENDA_BELONGS.format(agenda="schedule")})) AS theirs
FROM named ORDER BY ref
"""


@dataclass(frozen=True, slots=True)
class Actors:
    """Actors (references), by whether they belong to the given organizations."""

    theirs: tuple[str, ...]
    foreign: tuple[str, ...]
    """known, but of others"""
    unknown: tuple[str, ...]


async def actors_of(
    connection: Connection, organizations: Collection[str], references: Collection[str], slots: Sequence[str]
) -> Actors:
    """Tells which of these actors, and of the actors of these slots' agendas, belong to the organizations (ids). Slots
    (ids) that the organizations may not see add no actors: they are refused as slots that do not exist."""
    names = [f"Organization/{id_}" for id_ in sorted(organizations)]
    rows = await connection.fetch(
        _JUDGE,
        sorted(references),
        [slot_key(id_) for id_ in slots],
        [f"organization={name}" for name in names],
        owned_by(organizations),
    )
    return Actors(
        theirs=tuple(row["ref"] for row in rows if row["theirs"]),
        foreign=tuple(row["ref"] for row in rows if row["known"] and not row["theirs"]),
        unknown=tuple(row["ref"] for row in rows if not row["known"] and not row["theirs"]),
    )
