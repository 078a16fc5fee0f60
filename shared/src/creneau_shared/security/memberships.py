"""Finds the practices for which a principal speaks, from the directory's tables or a replica of them.

Their own practices: those that the issuer names, else those for which the professional has a role valid now, with all
parts of each (Organization.partOf). In addition, practices that have delegated something to one of these
(OrganizationAffiliation); a delegation is not passed on to others. It needs no consent: it lets the receiver do
something, and gives the delegating practice no right over the receiver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from creneau_shared.database.pool import Connection
from creneau_shared.national_numbers import NATIONAL_PERSON, spellings
from creneau_shared.security.principal import Principal
from creneau_shared.security.rights import MAY_ALL

DELEGATIONS = "https://creneau.sante.fr/fhir/CodeSystem/delegation"
"""System of OrganizationAffiliation.code: what `organization` lets `participatingOrganization` do on its behalf."""
MAY: dict[str, frozenset[str]] = {
    "see": frozenset({"see"}),
    "book": frozenset({"see", "book", "cancel", "register"}),
    "manage": MAY_ALL,
}

_ORGANIZATION = "organization=Organization/"
_PRIMARY = "primary-organization=Organization/"
_HOLDS = """NOT {a}.deleted AND NOT {a}.terms @> ARRAY['active=false'] AND NOT EXISTS (
  SELECT FROM {table}_date AS period WHERE period.key = {a}.key AND period.parameter = 'date'
  AND (period.low > $3 OR period.high <= $3))"""

_QUERY = f"""
WITH RECURSIVE own (id) AS (
  SELECT unnest($1::text[])
  UNION
  SELECT substr(t, {len(_ORGANIZATION) + 1}) FROM practitioner_role AS role, unnest(role.terms) AS t
  WHERE role.terms && ARRAY(
      SELECT 'practitioner=Practitioner/' || person.id FROM practitioner AS person
      WHERE NOT person.deleted AND NOT person.terms @> ARRAY['active=false']
      AND (person.id = ANY($2::text[]) OR person.terms && $4::text[]))
  AND starts_with(t, '{_ORGANIZATION}') AND {_HOLDS.format(a="role", table="practitioner_role")}
), whole (id, root) AS (
  SELECT id, id FROM own
  UNION
  SELECT part.id, whole.root FROM whole JOIN organization AS part
    ON part.terms && ARRAY['partof=Organization/' || whole.id] AND NOT part.deleted
)
SELECT id, root, NULL AS may FROM whole
UNION ALL
SELECT substr(t, {len(_PRIMARY) + 1}), NULL, array(
    SELECT substr(code, {len(DELEGATIONS) + 7}) FROM unnest(grant_.terms) AS code
    WHERE starts_with(code, 'role={DELEGATIONS}|'))
FROM organization_affiliation AS grant_, unnest(grant_.terms) AS t
WHERE grant_.terms && ARRAY(SELECT 'participating-organization=Organization/' || id FROM whole)
AND starts_with(t, '{_PRIMARY}') AND {_HOLDS.format(a="grant_", table="organization_affiliation")}
AND NOT grant_.terms && ARRAY['service', 'location']
"""


@dataclass(frozen=True, slots=True)
class Practices:
    """The Organizations (ids) for which a principal speaks."""

    may: Mapping[str, frozenset[str]]
    """Organization (id) → what they may do on its behalf"""
    own: frozenset[str]
    """their own practices, without those that delegate; resources that name no organisation belong to these. Empty if the
    issuer names none and the professional works for several practices, none a part of another."""


async def practices_of(connection: Connection, principal: Principal, now: datetime) -> Practices:
    """The practices for which the principal may do something, and what.

    A delegation limited to an offer or a place gives no right, since the limit cannot be enforced.
    """
    numbers = sorted(numbers_named(principal.national_id)) if principal.national_id else []
    identifiers = [f"identifier={system}|{number}" for system, number in numbers]
    # If the issuer names organisations, the user has chosen there for which they act.
    is_known = bool(principal.practitioner or identifiers) and not principal.organizations
    rows = await connection.fetch(
        _QUERY,
        sorted(principal.organizations),
        [principal.practitioner] if is_known and principal.practitioner else [],
        now,
        identifiers if is_known else [],
    )
    found: dict[str, frozenset[str]] = {}
    for id_, _, codes in rows:
        may = MAY_ALL if codes is None else frozenset().union(*(MAY.get(code, frozenset()) for code in codes))
        if may:
            found[id_] = found.get(id_, frozenset()) | may
    under = [(id_, root) for id_, root, _ in rows if root is not None]
    parts = {id_ for id_, root in under if id_ != root}
    is_said = bool(principal.organizations) or len({root for _, root in under} - parts) <= 1
    return Practices(found, frozenset(id_ for id_, _ in under) if is_said else frozenset())


def numbers_named(national_id: str) -> frozenset[tuple[str, str]]:
    """The identifiers (system, value) that the directory may have for the professional with this national id."""
    return frozenset(spellings(NATIONAL_PERSON, national_id))
