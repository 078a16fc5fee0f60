"""Which organisations an agenda belongs to, by what the directory says of its actors.

A role, an offer, a place and a device belong to one organisation each; a professional works for those of their roles. An
agenda belongs to the organisations of its roles, offers, places and devices. If it names none of these, it belongs to the
organisations for which its professionals work. If one of them has opened it, it is that one's alone as long as they work
there: whoever enters a professional gives them a role of their own and asks nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from creneau_booking.domain.refusals.offering import ActorOfNobody, ActorOfOthers, ActorsNamedIn
from creneau_booking.storage.agendas.named_actors import actors_named
from creneau_booking.storage.availability.actors import stop_taking
from creneau_booking.storage.availability.agendas import IN_PERIOD, alone, beside_others
from creneau_booking.storage.mapping.appointment import relative
from creneau_booking.storage.outside.followed_calendars import handed_over
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.terms import after
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.security.rights import AGENDA, OWNER

BELONGING_TYPES = ("PractitionerRole", "HealthcareService", "Location", "Device")
"""Types whose resources name their one organisation (search parameter `organization`)."""

OPENED = "~opened=Organization/"
"""prefix of the internal terms that say which practices wrote an agenda, or owned it when another did"""
_START = "organization=Organization/"
_OF_TYPE = f"""
SELECT '{{name}}/' || id AS reference,
       (SELECT substr(t, {len(_START) + 1}) FROM unnest(terms) AS t WHERE starts_with(t, '{_START}') LIMIT 1) AS organization
FROM {{table}} WHERE id = ANY($1) AND NOT deleted
"""
_DIRECT = " UNION ALL ".join(
    _OF_TYPE.format(name=name, table=table_name(name)).replace("$1", f"${n + 1}")
    for n, name in enumerate(BELONGING_TYPES)
)
_OF_PRACTITIONERS = f"""
SELECT 'Practitioner/' || person.id AS reference, substr(t, {len(_START) + 1}) AS organization
FROM unnest($1::text[]) AS person (id)
LEFT JOIN practitioner_role AS role ON role.terms && ARRAY['practitioner=Practitioner/' || person.id]
  AND NOT role.deleted AND NOT role.terms @> ARRAY['active=false'] AND {IN_PERIOD}
LEFT JOIN LATERAL unnest(role.terms) AS t ON starts_with(t, '{_START}')
"""
_OF_DEVICES = f"""
SELECT DISTINCT substr(named, 7) AS reference, substr(owner, {len(OWNER) + 1}) AS organization
FROM schedule, unnest(terms) AS named, unnest(terms) AS owner
WHERE terms && $1::text[] AND NOT deleted AND named = ANY($1::text[]) AND starts_with(owner, '{OWNER}')
"""
# Taken after the lock RULES (`availability.agendas`). A consumer's transaction takes that lock too, then these in any order;
# a writer who waited for them in another order would wait for ever.
_LOCK = "SELECT pg_advisory_xact_lock{shared}(hashtextextended('owners by ' || t, 0)) FROM unnest($1::text[]) AS t"


_NOW_OF = f"""
UPDATE schedule SET terms = ARRAY(SELECT t FROM unnest(terms) AS t WHERE NOT starts_with(t, '{OWNER}')) || $2 WHERE id = $1
"""
_OF_ITS_AGENDAS = f"""ARRAY(
  SELECT DISTINCT owner FROM unnest(appointment.terms) AS t JOIN schedule ON schedule.id = substr(t, {len(AGENDA) + 1})
  CROSS JOIN unnest(schedule.terms) AS owner WHERE starts_with(t, '{AGENDA}') AND starts_with(owner, '{OWNER}'))"""
_HAND_OVER = f"""
UPDATE appointment SET terms = CASE
  WHEN terms && ARRAY['status=booked', 'status=pending'] AND EXISTS (
    SELECT FROM appointment_date AS began WHERE began.key = appointment.key AND began.parameter = 'date' AND began.low > $3)
  THEN ARRAY(SELECT t FROM unnest(terms) AS t WHERE NOT starts_with(t, '{OWNER}')) || {_OF_ITS_AGENDAS}
  ELSE terms || ARRAY(SELECT unnest($2::text[]) EXCEPT SELECT unnest(terms)) END
WHERE terms && ARRAY[$1] RETURNING terms
"""


_LOCK_VISITS = "SELECT FROM appointment WHERE terms && $1::text[] ORDER BY id FOR NO KEY UPDATE"


async def lock_visits(connection: Connection, schedules: Sequence[str]) -> None:
    """Locks the appointments of these agendas (ids), in the order of their ids. Whoever changes one of them has locked it
    before it waits for the agenda's people: who is to hand the agenda over does the same."""
    await connection.execute(_LOCK_VISITS, [f"{AGENDA}{schedule}" for schedule in sorted(schedules)])


async def organizations_of(connection: Connection, references: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Returns the organisations (ids) to which each actor (`PractitionerRole/12`) belongs. Leaves out unknown actors and
    actors that belong to nobody."""
    by_type: dict[str, list[str]] = {}
    for reference in dict.fromkeys(references):
        kind, _, id_ = reference.partition("/")
        by_type.setdefault(kind, []).append(id_)
    rows: list[tuple[str, str | None]] = []
    if by_type.keys() & set(BELONGING_TYPES):
        ids = [by_type.get(name, []) for name in BELONGING_TYPES]
        rows += [tuple(row) for row in await connection.fetch(_DIRECT, *ids)]
    if people := by_type.get("Practitioner"):
        rows += [tuple(row) for row in await connection.fetch(_OF_PRACTITIONERS, people)]
    known = {reference for reference, organization in rows if organization is not None}
    # A device that the directory does not know belongs to the owners of the agenda that names it.
    if named := [f"actor=Device/{id_}" for id_ in by_type.get("Device", ()) if f"Device/{id_}" not in known]:
        rows += [tuple(row) for row in await connection.fetch(_OF_DEVICES, named)]
    found: dict[str, set[str]] = {}
    for reference, organization in rows:
        if organization is not None:
            found.setdefault(reference, set()).add(organization)
    return {reference: frozenset(owners) for reference, owners in found.items()}


def owners_of_agenda(
    actors: Sequence[str], belonging: Mapping[str, frozenset[str]], opened: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Returns the owners of an agenda with these actors, which the organisations `opened` have opened."""
    direct = [belonging.get(a, frozenset()) for a in actors if a.split("/", 1)[0] in BELONGING_TYPES]
    if owners := frozenset[str]().union(*direct):
        return owners
    alone = frozenset[str]().union(*(belonging.get(a, frozenset()) for a in actors))
    return alone & opened or alone


async def schedule_belonging(
    base_url: str, connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str]:
    """Returns the internal terms of a Schedule. A practice may only keep agendas of its own people, offers and places.
    Raises ActorOfOthers for somebody else's actor, ActorOfNobody for one that the directory does not know (yet). The
    deployment's software may name by reference whom the directory does not know yet; whom it names by an identifier must be
    known, as nobody would look again, and their time would never be taken."""
    actors = actors_named(resource, base_url)
    # A writer of an agenda, and a consumer that learns of one of its actors, wait for each other.
    await beside_others(connection)
    await connection.execute(
        _LOCK.format(shared="_shared"), [f"actor={actor}" for actor in sorted(set(actors))]
    )
    belonging = await organizations_of(connection, actors)
    had: Collection[str] = (current.terms if current is not None else None) or ()
    opened = _openers_among(had)
    if context.organizations is not None:
        belonging = _without_claims(belonging, had)
        unknown = [*_borne_by_nobody(resource), *_elsewhere(resource, base_url)]
        require_theirs([*actors, *unknown], belonging, context.organizations, "schedule")
        owners = context.owners(owners_of_agenda(actors, belonging))
        return [*owned_by(owners), *_opened_by(owners | owners_among(had) | opened)]
    stored = _borne_by_nobody(loads(current.content)) if current is not None and current.content else []
    if unknown := [one for one in _borne_by_nobody(resource) if one not in stored]:
        raise ActorOfNobody(unknown[0], "schedule")
    return [*owned_by(owners_of_agenda(actors, belonging, opened)), *_opened_by(opened)]


def _borne_by_nobody(schedule: Resource) -> list[str]:
    """Returns the identifiers (`system|value`) by which a Schedule still names actors once those who bear one here are named
    by reference (`with_known_actors`)."""
    named = [a["identifier"] for a in schedule.get("actor", ()) if "identifier" in a and "reference" not in a]
    return [f"{one.get('system', '')}|{one.get('value', '')}" for one in named]


def _elsewhere(schedule: Resource, base_url: str) -> list[str]:
    """Returns the references to actors on another server."""
    references = [a["reference"] for a in schedule.get("actor", ()) if "reference" in a]
    return [reference for reference in references if "://" in relative(reference, base_url)]


def require_theirs(
    actors: Iterable[str],
    belonging: Mapping[str, frozenset[str]],
    organizations: Collection[str],
    named_in: ActorsNamedIn,
) -> None:
    """Raises ActorOfOthers for an actor of another organisation, ActorOfNobody for an actor of no known one."""
    for actor in actors:
        owners = belonging.get(actor, frozenset())
        if owners and owners.isdisjoint(organizations):
            raise ActorOfOthers(actor, named_in)
        if not owners and not actor.startswith("Device/"):
            raise ActorOfNobody(actor, named_in)


async def owners_of(connection: Connection, appointment: str) -> frozenset[str]:
    """Returns the organisations (ids) that own a stored appointment (id)."""
    terms = await connection.fetchval("SELECT terms FROM appointment WHERE id = $1", appointment)
    return owners_among(terms or ())


def owners_among(terms: Iterable[str]) -> frozenset[str]:
    """The organisations (ids) that internal terms name as owners."""
    return frozenset(after(OWNER, terms))


def _openers_among(terms: Iterable[str]) -> frozenset[str]:
    return frozenset(term.removeprefix(OPENED) for term in terms if term.startswith(OPENED))


def _opened_by(organizations: Iterable[str]) -> list[str]:
    return [f"{OPENED}{one}" for one in sorted(organizations)]


async def actor_known(connection: Connection, reference: str, now: datetime) -> None:
    """Recomputes the owners of agendas that name a role, its professional, an offer or a place that the directory changed.
    Their appointments and patients follow, also those that are being booked at this moment."""
    named = [f"actor={reference}"]
    if reference.startswith("PractitionerRole/"):
        terms = await connection.fetchval(
            "SELECT terms FROM practitioner_role WHERE id = $1", reference.partition("/")[2]
        )
        named += [f"actor=Practitioner/{id_}" for id_ in after("practitioner=Practitioner/", terms or ())]
    await alone(connection)
    await connection.execute(_LOCK.format(shared=""), sorted(named))
    rows = await connection.fetch(
        "SELECT id, terms FROM schedule WHERE terms && $1::text[] AND NOT deleted ORDER BY id FOR UPDATE",
        named,
    )
    others: dict[str, tuple[set[str], list[str]]] = {}
    for row in rows:
        actors = [actor for actor in after("actor=", row["terms"]) if actor.count("/") == 1]
        had = {t for t in row["terms"] if t.startswith(OWNER)}
        belonging = _without_claims(await organizations_of(connection, actors), row["terms"])
        owners = owners_of_agenda(actors, belonging, _openers_among(row["terms"]))
        if owners and had != set(owned_by(owners)):
            others[row["id"]] = had, owned_by(owners)
    if others:
        await lock_visits(connection, sorted(others))
        await stop_taking(connection, schedules=sorted(others), now=now)
    for schedule, (had, has) in others.items():
        await connection.execute(_NOW_OF, schedule, has)
        await visits_handed_over(connection, schedule, has, now)
        await handed_over(connection, schedule, had, has, now)


def _without_claims(
    belonging: Mapping[str, frozenset[str]], terms: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """Returns the owners of an agenda's actors (`terms`: of its row), without devices that it names and that are said to
    belong to others than the agenda. It may have named a device before the directory had it, and anybody can enter one under
    an id that they have read there."""
    owners = owners_among(terms)
    return {
        actor: whose
        for actor, whose in belonging.items()
        if not (
            actor.startswith("Device/") and f"actor={actor}" in terms and owners and whose.isdisjoint(owners)
        )
    }


async def agenda_handed_over(
    connection: Connection, schedule: str, had: Collection[str], has: Sequence[str], now: datetime
) -> None:
    """Hands an agenda (id) over from the owners `had` to the owners `has` (internal terms), after a rewrite. What is in it
    follows, also what is being booked at this moment."""
    if set(had) == set(has):
        return
    if has:  # without new owners, its visits keep the old ones
        await lock_visits(connection, [schedule])
        await stop_taking(connection, schedules=[schedule], now=now)
        await visits_handed_over(connection, schedule, has, now)
    await handed_over(connection, schedule, had, has, now)


async def visits_handed_over(
    connection: Connection, schedule: str, owners: Sequence[str], now: datetime
) -> None:
    """Hands the visits of an agenda (id) to its new owners. Booked or held visits to come leave their old owners; other
    visits get the new owners as well. The new owners see the patients."""
    rows = await connection.fetch(_HAND_OVER, f"{AGENDA}{schedule}", list(owners), now)
    patients = {f"Patient/{id_}" for row in rows for id_ in after("patient=Patient/", row["terms"])}
    await show_patients(connection, sorted(patients), owners)


async def show_patients(connection: Connection, patients: Sequence[str], owners: Sequence[str]) -> None:
    """Lets these organisations (internal terms) see these Patients (references) and their representatives."""
    if not patients or not owners:
        return
    new = await connection.fetch(
        "UPDATE patient SET terms = terms || ARRAY(SELECT unnest($2::text[]) EXCEPT SELECT unnest(terms))"
        " WHERE id = ANY($1) AND NOT terms @> $2 AND NOT deleted RETURNING id",
        [reference.removeprefix("Patient/") for reference in patients],
        list(owners),
    )
    if new:
        await connection.execute(
            "UPDATE related_person SET terms = terms || ARRAY(SELECT unnest($2::text[]) EXCEPT SELECT unnest(terms))"
            " WHERE terms && $1::text[] AND NOT terms @> $2",
            [f"patient=Patient/{row['id']}" for row in new],
            list(owners),
        )
