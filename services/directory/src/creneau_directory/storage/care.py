"""The index of people's search: one row a situation, updated in the transaction that changes one of its entries.

`domain.care.situation` makes a row from a role and the entries that it refers to, directly or through these. Whoever
rebuilds a row locks it (advisory) until the transaction ends, so that two concurrent changes do not leave a row from before
one of them. The entries are not locked: two writers of entries of the same situation would wait for each other. So a change
of a place may miss a role that is entered there at the same time, and the role finds the old place. Therefore each change
is queued (`care_change`). Once it has committed, the worker rebuilds the rows that depend on it; of two changes that missed
each other, the later turn sees both. Only the worker finds the rows that depend on an entry through others (the place of an
offer, the building of a place). It also rebuilds the rows of changes that touch too many of them, and of bulk writes. It
leaves rows that somebody else is rebuilding for later, and waits for nobody's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from creneau_directory.domain.care.around import Around
from creneau_directory.domain.care.places import gazetteer
from creneau_directory.domain.care.reading.facts import KnownNames
from creneau_directory.domain.care.situation import Situation, situation_of
from creneau_directory.domain.care.spelling import as_one, edit_distance, edits_allowed, sound
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_directory.domain.ror.visibility import EVERYBODY, is_sensitive, seen_by
from creneau_directory.storage.care_tables import in_period
from creneau_shared.clock import PARIS
from creneau_shared.database.closing import ClosingInsert
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.current import current_name, spoken
from creneau_shared.fhir.datatypes import CALENDAR_BEGIN, CALENDAR_END, POINT
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.search.dates import value_interval
from creneau_shared.fhir.storage.store import Stored

Resource = dict[str, Any]

AT_ONCE_MAX = 50
"""most rows that one change rebuilds within its own transaction"""
BATCH = 500
"""most rows that the worker rebuilds in one transaction"""
Place = tuple[str, int]
"""position in the queue `care_due`: role, and number of its row"""
BEGINNING: Place = ("", 0)
COLUMNS = ("role", "practitioner", "terms", "facets", "latitude", "longitude", "label", "since", "until")

_REFERENCES = {
    "Practitioner": ("practitioner", "practitioner"),
    "Location": ("location", "location"),
    "HealthcareService": ("healthcareService", "healthcare_service"),
    "Organization": ("organization", "organization"),
}
"""type → the element of the role that refers to it, and its table"""
_PARAMETER = {
    "Practitioner": "practitioner",
    "Location": "location",
    "HealthcareService": "service",
    "Organization": "organization",
}
"""type → the search parameter of the role that refers to it"""

_SHOWN = " UNION ALL ".join(
    f"SELECT '{kind}' AS type, id, version, last_updated, content FROM {table} WHERE id = ANY(${number}::text[])"
    for number, (kind, (_, table)) in enumerate(_REFERENCES.items(), start=1)
)
_ENTRIES = {
    kind: f"SELECT id, content FROM {table} WHERE id = ANY($1::text[]) AND NOT deleted"
    for kind, (_, table) in _REFERENCES.items()
}
_PLACES = """
WITH RECURSIVE whole (id) AS (
  SELECT id COLLATE "C" FROM unnest($1::text[]) AS id
  UNION SELECT substr(t, 17) FROM whole JOIN location AS part ON part.id = whole.id CROSS JOIN unnest(part.terms) AS t
    WHERE starts_with(t, 'partof=Location/'))
SELECT id, content FROM location WHERE id IN (SELECT id FROM whole) AND NOT deleted
"""
"""the places, and those that they are part of, up to the whole"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('care ' || role, 0)) FROM unnest($1::text[]) AS role"
_CHANGES = ClosingInsert("care_change", ("reference",), ("text",))
_CHANGED = """
DELETE FROM care_change WHERE id IN (SELECT id FROM care_change ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING reference
"""
_WITHIN = """
WITH RECURSIVE place (id) AS (
  SELECT id COLLATE "C" FROM unnest($1::text[]) AS id
  UNION SELECT part.id FROM place JOIN location AS part ON part.terms @> ARRAY['partof=Location/' || place.id]
    AND NOT part.deleted)
, named (term) AS (
  SELECT 'location=Location/' || id FROM place UNION ALL SELECT 'organization=Organization/' || unnest($2::text[]))
SELECT term FROM named UNION SELECT 'service=HealthcareService/' || offer.id
FROM named JOIN healthcare_service AS offer ON offer.terms @> ARRAY[named.term] AND NOT offer.deleted
"""
"""The search terms of roles that depend on places ($1) and organisations ($2): that name one of them, a place within one, or an
offer of either"""
_MADE_OF_THEM = """
INSERT INTO care_due (role)
SELECT unnest($1::text[]) UNION SELECT id FROM practitioner_role WHERE terms && $2::text[] AND NOT deleted
"""
_WAITING = """
SELECT role, id FROM care_due WHERE (role, id) > ($1, $2) ORDER BY role, id LIMIT $3 FOR UPDATE SKIP LOCKED
"""
_FREE = """
SELECT role FROM unnest($1::text[]) AS role WHERE pg_try_advisory_xact_lock(hashtextextended('care ' || role, 0))
"""
_ENTERED = "DELETE FROM care_due WHERE (role, id) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))"
_ROLES = "SELECT id, content FROM practitioner_role WHERE id = ANY($1::text[]) AND NOT deleted"
_UPSERT = """
INSERT INTO care_situation (role, practitioner, terms, facets, latitude, longitude, label, since, until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (role) DO UPDATE SET practitioner = excluded.practitioner, terms = excluded.terms, facets = excluded.facets,
  latitude = excluded.latitude, longitude = excluded.longitude, label = excluded.label, since = excluded.since,
  until = excluded.until
"""
_NAMES = """
INSERT INTO care_name (name, heard) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING
"""


async def changed(connection: Connection, resource_type: str, id_: str, now: datetime) -> None:
    """Rebuilds the rows that depend on an entry that was written or deleted at `now`, unless they are too many; queues the
    change."""
    if resource_type == "PractitionerRole":
        await refresh(connection, [id_], now)
    elif resource_type in _PARAMETER:
        rows = await connection.fetch(
            "SELECT id FROM practitioner_role WHERE terms @> ARRAY[$1] AND NOT deleted LIMIT $2",
            _term(resource_type, id_),
            AT_ONCE_MAX + 1,
        )
        if 0 < len(rows) <= AT_ONCE_MAX:
            await refresh(connection, [row["id"] for row in rows], now)
    await put_off(connection, resource_type, [id_])


async def put_off(connection: Connection, resource_type: str, ids: Sequence[str]) -> None:
    """Queues written or deleted entries: the worker rebuilds the rows that depend on them."""
    if resource_type == "PractitionerRole" or resource_type in _PARAMETER:
        await _CHANGES.run(connection, [(f"{resource_type}/{id_}",) for id_ in ids])


async def refresh(connection: Connection, roles: Sequence[str], now: datetime) -> None:
    """Rebuilds the rows of these PractitionerRoles (ids) as they are at `now`; deletes those of roles that cannot be found any
    more."""
    await connection.execute(_LOCK, sorted(roles))
    situations = await situations_of(connection, roles, now)
    made = {situation.role for situation in situations}
    gone = [role for role in roles if role not in made]
    if gone:
        await connection.execute("DELETE FROM care_situation WHERE role = ANY($1::text[])", gone)
    if situations:
        await connection.executemany(_UPSERT, [row_of(situation) for situation in situations])
        names = sorted({name for situation in situations for name in situation.names})
        await connection.execute(_NAMES, names, [sound(name) for name in names])


def row_of(situation: Situation) -> tuple[Any, ...]:
    """The values of a situation in the order of `COLUMNS`."""
    s = situation
    return (
        *(s.role, s.practitioner, list(s.terms), list(s.facets)),
        *(s.latitude, s.longitude, s.label, s.since, s.until),
    )


async def situations_of(connection: Connection, roles: Sequence[str], now: datetime) -> list[Situation]:
    """The situations of roles (ids), made from the present entries, with the names that people bear at `now`."""
    found = [_open(loads(row["content"])) for row in await connection.fetch(_ROLES, list(roles))]
    people = await _read(connection, _ENTRIES["Practitioner"], _all(found, "practitioner"))
    offers = await _read(connection, _ENTRIES["HealthcareService"], _all(found, "healthcareService"))
    employers = _all(found, "organization") | _all(offers.values(), "providedBy")
    organizations = await _read(connection, _ENTRIES["Organization"], employers)
    places = await _read(connection, _PLACES, _all((*found, *offers.values()), "location"))
    referred = {
        "Practitioner": people,
        "HealthcareService": offers,
        "Organization": organizations,
        "Location": places,
    }
    others = {
        f"{kind}/{id_}": entry
        for kind in ("Organization", "Location")
        for id_, entry in referred[kind].items()
    }
    made = (situation_of(_around(role, referred, others, now), vocabulary(), gazetteer()) for role in found)
    return [situation for situation in made if situation is not None]


async def _read(connection: Connection, statement: str, ids: Collection[str]) -> Mapping[str, Resource]:
    """The present entries of these ids, by id, as everybody may see them."""
    rows = await connection.fetch(statement, sorted(ids)) if ids else ()
    return {row["id"]: _open(loads(row["content"])) for row in rows}


def _all(resources: Iterable[Resource], element: str) -> set[str]:
    """The ids that an element of these resources refers to."""
    return {id_ for resource in resources for id_ in _referred(resource, element)}


async def referred_by(
    connection: Connection, ids: Mapping[str, Iterable[str]]
) -> Mapping[tuple[str, str], Stored]:
    """(type, id) → entry, for ids of the types that roles refer to, read in one query."""
    rows = await connection.fetch(_SHOWN, *(list(ids.get(kind, ())) for kind in _REFERENCES))
    return {(row[0], row[1]): Stored(*row) for row in rows}


def _open(resource: Resource) -> Resource:
    """The entry as everybody may see it; a sensitive unit is left as it is."""
    return resource if is_sensitive(resource) else seen_by(EVERYBODY, resource)


def _around(
    role: Resource,
    known: Mapping[str, Mapping[str, Resource]],
    others: Mapping[str, Resource],
    now: datetime,
) -> Around:
    def there(kind: str) -> list[Resource]:
        ids = _referred(role, _REFERENCES[kind][0])
        return [known[kind][id_] for id_ in ids if id_ in known[kind]]

    person = next(iter(there("Practitioner")), None)
    since, until = _days(role.get("period"))
    return Around(
        role,
        practitioner=person,
        locations=there("Location"),
        services=there("HealthcareService"),
        organization=next(iter(there("Organization")), None),
        others=others,
        called=called(person, now),
        since=since,
        until=until,
    )


def called(person: Resource | None, now: datetime) -> str:
    """The name by which a professional is called at `now`; empty without one."""
    return " ".join(spoken(current_name((person or {}).get("name", ()), now)))


def _days(period: Any) -> tuple[date | None, date | None]:
    """First and last day of a Period, in Paris; None for an open end, and for what is no date."""
    try:
        low, high = value_interval(period, PARIS, instant=False) or (CALENDAR_BEGIN, CALENDAR_END)
    except ValueError:
        return None, None
    return (
        low.astimezone(PARIS).date() if low > CALENDAR_BEGIN else None,
        (high - POINT).astimezone(PARIS).date() if high < CALENDAR_END else None,
    )


def _referred(role: Resource, element: str) -> list[str]:
    value = role.get(element, [])
    references: Iterable[Any] = value if isinstance(value, list) else (value,)
    return [r["reference"].split("/_history/")[0].rpartition("/")[2] for r in references if "reference" in r]


async def find_due(connection: Connection) -> int:
    """Takes a batch of queued changes and marks the rows that depend on them as due; returns how many changes."""
    rows = await connection.fetch(_CHANGED, BATCH)
    named = [row["reference"].partition("/")[::2] for row in rows]
    if named:
        roles = [id_ for kind, id_ in named if kind == "PractitionerRole"]
        terms = [_term(kind, id_) for kind, id_ in named if kind in ("Practitioner", "HealthcareService")]
        wider = [[id_ for kind, id_ in named if kind == one] for one in ("Location", "Organization")]
        terms += [row["term"] for row in await connection.fetch(_WITHIN, *wider)] if any(wider) else []
        await connection.execute(_MADE_OF_THEM, roles, terms)
    return len(rows)


def _term(resource_type: str, id_: str) -> str:
    """The search term of roles that refer to an entry."""
    return f"{_PARAMETER[resource_type]}={resource_type}/{id_}"


async def refresh_due(
    connection: Connection, now: datetime, after: Place = BEGINNING
) -> tuple[int, Place | None]:
    """Rebuilds a batch of due rows after a position in the queue. Returns how many roles that were, and the last position
    of the batch; None if it was not full. Rows that others rebuild now stay in the queue."""
    waiting = await connection.fetch(_WAITING, *after, BATCH)
    roles = sorted({row["role"] for row in waiting})
    free = {row["role"] for row in await connection.fetch(_FREE, roles)}
    taken = [row for row in waiting if row["role"] in free]
    if taken:
        await connection.execute(_ENTERED, [row["role"] for row in taken], [row["id"] for row in taken])
        await refresh(connection, sorted(free), now)
    last = waiting[-1] if len(waiting) == BATCH else None
    return len(free), None if last is None else (last["role"], last["id"])


# -- names ---------------------------------------------------------------------------------------------------

_KNOWN = """
SELECT piece.typed, array_agg(DISTINCT found.name) AS names,
  array_agg(DISTINCT found.name) FILTER (WHERE found.name = piece.name) AS exact
FROM unnest($1::text[], $2::text[], $3::text[]) AS piece (typed, name, heard)
JOIN care_name AS found ON found.name = piece.name OR found.heard = piece.heard
GROUP BY piece.typed
"""
_ALIKE = """
SELECT name, similarity(name, $1) AS alike FROM care_name WHERE name % $1 ORDER BY alike DESC, name LIMIT 20
"""
_STARTING = "SELECT name FROM care_name WHERE name LIKE $1 ORDER BY length(name), name LIMIT 20"
EXACT, HEARD, ALIKE = 1.0, 0.55, 0.45
"""how sure it is that a piece is a name: spelt exactly, by sound, or nearly so spelt"""


async def known_names(connection: Connection, pieces: Sequence[str]) -> KnownNames:
    """Returns the pieces that are names in the directory, or sound like some."""
    if not pieces:
        return KnownNames()
    spelled = [(piece, name, sound(piece)) for piece in pieces for name in as_one(piece)]
    rows = await connection.fetch(_KNOWN, *(list(column) for column in zip(*spelled, strict=True)))
    return KnownNames(
        {
            row["typed"]: (tuple(row["exact"]), EXACT) if row["exact"] else (tuple(row["names"][:8]), HEARD)
            for row in rows
        }
    )


async def alike_names(connection: Connection, pieces: Sequence[str]) -> KnownNames:
    """Returns names that differ from a piece in one or two letters."""
    found = {}
    for piece in pieces:
        most = edits_allowed(len(piece))
        rows = [
            row
            for row in await connection.fetch(_ALIKE, piece)
            if edit_distance(piece, row["name"], most) <= most
        ][:5]
        if rows:
            best = rows[0]["alike"]
            found[piece] = (tuple(row["name"] for row in rows if row["alike"] >= best - 0.1), ALIKE)
    return KnownNames(found)


async def professionals_starting(
    connection: Connection, beginnings: Sequence[Sequence[str]], most: int, day: int
) -> list[tuple[str, str]]:
    """(role, label) of the situations of a day (days since 1970) that have, for each beginning, a name that starts with one
    of its spellings."""
    groups = []
    for spellings in beginnings:
        names = [
            f"n:{row['name']}"
            for spelling in spellings
            for row in await connection.fetch(_STARTING, f"{spelling}%")
        ]
        if not names:
            return []
        groups.append(names)
    conditions = " AND ".join(f"terms && ${n}::text[]" for n in range(1, len(groups) + 1))
    rows = await connection.fetch(
        f"SELECT role, label FROM (SELECT role, label FROM care_situation"
        f" WHERE {conditions} AND {in_period(day)} LIMIT 200) AS found"
        f" ORDER BY label, role LIMIT {most}",
        *groups,
    )
    return [(row["role"], row["label"]) for row in rows]
