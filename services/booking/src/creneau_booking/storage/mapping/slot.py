"""A Slot resource taken apart into its narrow row and its kind, and put together again.

`members` and `meta` are JSON members without braces, so that SQL puts the served bytes together by concatenation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from creneau_booking.domain.refusals.offering import NoAgendaNamed, SlotFraction, SlotOrder
from creneau_booking.domain.times import require_sensible
from creneau_booking.storage.mapping import places
from creneau_shared.fhir.datatypes import exact_instant, instant_of
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.index import terms_of
from creneau_shared.fhir.search.words import Text, texts_of, vector_of
from creneau_shared.fhir.storage.generic import stamp
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.ids import new_uuid

UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
KEY_SQL = (
    f"CASE WHEN {{id}} ~ '{UUID_PATTERN.replace('{', '{{').replace('}', '}}')}' THEN {{id}}::uuid"
    " ELSE encode(substr(sha256(convert_to({id}, 'UTF8')), 1, 16), 'hex')::uuid END"
)
"""`slot_key` in SQL, of an expression that is a FHIR id."""
_VERSION = (
    "schedule_key",
    "id",
    "version",
    "start",
    '"end"',
    "kind_key",
    "last_updated",
    "status",
    "name",
    "extra",
    "places",
)
SUPERSEDED_COLUMNS = ", ".join((*_VERSION, "superseded_at"))
"""What slot_history keeps of a version."""
SUPERSEDE = f"INSERT INTO slot_history ({SUPERSEDED_COLUMNS})"
SUPERSEDED = ", ".join((*(f"old.{column}" for column in _VERSION), "new.last_updated AS superseded_at"))
"""What an UPDATE of slot returns for SUPERSEDE: the previous version, and when its successor came."""
_UUID = re.compile(UUID_PATTERN)
_OWN = frozenset({"resourceType", "id", "meta", "status", "start", "end"})
"""members that the row itself holds"""
_EXTRA = ("identifier", "text", "contained", "overbooked")
"""members that are one slot's own; everything else repeats over the slots of an agenda and belongs to the kind"""
_ROW_TERMS = ("schedule", "_")
"""prefixes of terms that the kind does not keep, as no search asks it for them"""


@dataclass(frozen=True, slots=True)
class SlotKind:
    """What the slots of a schedule share: JSON members, meta members, search terms, words, and a digest of it all."""

    schedule_id: str
    members: str
    meta: str
    terms: tuple[str, ...]
    words: str
    digest: bytes
    capacity: int | None = None
    """how many places its slots have, if they say so themselves"""
    texts: tuple[Text, ...] = ()
    """the texts that `words` come from"""


Kinds = MutableMapping[bytes, SlotKind]
"""Kinds that were taken apart already, by digest: a feed repeats a few of them."""


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One slot without its kind. `words`: those of the whole slot, if it has any of its own."""

    id: UUID
    name: str | None
    start: datetime
    end: datetime
    status: str
    extra: str | None
    terms: tuple[str, ...] | None
    words: str | None


OVERBOOKED = '"overbooked":true,'
"""among a slot's own members: its practice has put another visit there"""
ECHOED = """CASE WHEN slot.taken_by IS NOT NULL AND slot.places IS NULL AND said.said IN ('busy', 'busy-tentative')
    THEN slot.said ELSE said.said END"""
"""SQL: what an agenda says of a slot (row `slot`) that is written as `said`. For a slot that is taken here, `busy` only
means that somebody knows of it: the slot is free again once it is given back."""
IS_OVERBOOKED = f"(coalesce({{slot}}.extra, '') LIKE '%{OVERBOOKED}%')"
KEEPING_OVERBOOKED = (
    f"CASE WHEN {IS_OVERBOOKED.format(slot='slot')} AND coalesce({{extra}}, '') NOT LIKE '%{OVERBOOKED}%'"
    f" THEN '{OVERBOOKED}' || coalesce({{extra}}, '') ELSE {{extra}} END"
)
"""SQL: a slot's own members, with the mark of overbooking even if a writer leaves it out"""


def slot_key(fhir_id: str) -> UUID:
    """The row id of a FHIR id: itself when it is a UUID, else the beginning of its SHA-256."""
    return (
        UUID(fhir_id) if _UUID.match(fhir_id) else UUID(bytes=hashlib.sha256(fhir_id.encode()).digest()[:16])
    )


def slot_name(fhir_id: str) -> str | None:
    """The name to keep beside the row: nothing when the FHIR id is the row id."""
    return None if _UUID.match(fhir_id) else fhir_id


def _members(part: Resource) -> str:
    return dumps(part)[1:-1].decode()


def take_apart(
    slot: Resource, id_: str, base_url: str, kinds: Kinds | None = None
) -> tuple[SlotRow, SlotKind]:
    """The row and the kind of a valid Slot; `kinds` are looked up, and added to. Errors: those of `row_of` and `kind_of`."""
    kind = kind_of(slot, base_url, {} if kinds is None else kinds)
    return row_of(slot, id_, base_url, kind), kind


def row_of(slot: Resource, id_: str | None, base_url: str, kind: SlotKind) -> SlotRow:
    """Returns the row of a valid Slot of this kind; without an id it is given one.

    Raises SlotOrder if it does not end after it starts (no R4 invariant says so; ISiK-app-1 in spirit), OutOfReach and
    LastsTooLong as `domain.times` says, SlotFraction if an instant is finer than a microsecond.
    """
    start, end = _instant(slot, "start"), _instant(slot, "end")
    if end <= start:
        raise SlotOrder()
    require_sensible("Slot", start, end)
    extra = {name: slot[name] for name in _EXTRA if name in slot}
    own = terms_of("Slot", {"identifier": extra["identifier"]}, base_url) if "identifier" in extra else ()
    return SlotRow(
        id=new_uuid() if id_ is None else slot_key(id_),
        name=None if id_ is None else slot_name(id_),
        start=start,
        end=end,
        status=slot["status"],
        extra=_members(extra) + "," if extra else None,
        terms=tuple(own) or None,
        words=vector_of((*texts_of(extra), *kind.texts)) if extra else None,
    )


def kind_of(slot: Resource, base_url: str, kinds: Kinds) -> SlotKind:
    """Returns the kind of a valid Slot; `kinds` are looked up, and added to. Raises NoAgendaNamed if its schedule is no
    reference to a Schedule of this base."""
    meta = {
        name: value
        for name, value in slot.get("meta", {}).items()
        if name not in ("versionId", "lastUpdated")
    }
    part = {name: value for name, value in slot.items() if name not in _OWN and name not in _EXTRA}
    part = places.of_kind(part)
    members, meta_members = _members(part), "," + _members(meta) if meta else ""
    digest = hashlib.sha256(f"{members}\n{meta_members}".encode()).digest()
    known = kinds.get(digest)
    if known is not None:
        return known
    whole = {**part, "meta": meta}
    terms, texts = terms_of("Slot", whole, base_url), tuple(texts_of(whole))
    kinds[digest] = kind = SlotKind(
        schedule_id=schedule_id(slot, base_url),
        members=members,
        meta=meta_members,
        terms=tuple(sorted(term for term in terms if not term.startswith(_ROW_TERMS) or _of_meta(term))),
        words=vector_of(texts),
        digest=digest,
        capacity=places.own_capacity(slot),
        texts=texts,
    )
    return kind


def _of_meta(term: str) -> bool:
    return term.startswith(("_tag", "_profile", "_security", "_source"))


_FINER = re.compile(r"\.\d{6}\d*[1-9]")
"""a fraction of a second that no column keeps: it would not be served as it was sent"""


def _instant(slot: Resource, name: str) -> datetime:
    moment = instant_of(slot[name])
    if _FINER.search(slot[name]):
        raise SlotFraction(name, slot[name])
    return moment


def schedule_id(slot: Resource, base_url: str) -> str:
    """The id of the Schedule that a Slot belongs to."""
    reference: str = slot["schedule"].get("reference", "")
    relative = reference.removeprefix(base_url.rstrip("/") + "/")
    if not relative.startswith("Schedule/"):
        raise NoAgendaNamed(reference)
    return relative.removeprefix("Schedule/").split("/_history/")[0]


def last_part(reference: Mapping[str, Any]) -> str:
    """Returns the id of a literal reference that is known to be of this base, as a stored slot's reference to its agenda."""
    text = str(reference.get("reference", "")).partition("/_history/")[0]
    return text.rstrip("/").rsplit("/", 1)[-1]


_BEGINNING = b'{"resourceType":"Slot","id":"'
LAST_UPDATED = """to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
_WHOLE = """to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
_FRACTION = """rtrim(to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0') || 'Z'"""
INSTANT = f"CASE WHEN date_trunc('second', {{column}}) = {{column}} THEN {_WHOLE} ELSE {_FRACTION} END"
"""`exact_instant` in SQL; nearly every slot is at a whole second"""


def content_sql(row: str, kind: str, status: str | None = None) -> str:
    """The SQL expression (bytea) of the Slot as it is served, over aliases of slot (or slot_history) and slot_kind.
    `status`: SQL of the status, where it is not the row's own."""
    shown = status or f"{row}.status"
    parts = [
        f"'{_BEGINNING.decode()}'",
        f"coalesce({row}.name, {row}.id::text)",
        """'","meta":{"versionId":"'""",
        f"{row}.version::text",
        """'","lastUpdated":"'""",
        LAST_UPDATED.format(column=f"{row}.last_updated"),
        "'\"'",
        f"{kind}.meta",
        "'},'",
        f"coalesce({row}.extra, '')",
        places.members_sql(row, kind, f"({shown})"),
        """',"status":"'""",
        f"({shown})::text",
        """'","start":"'""",
        INSTANT.format(column=f"{row}.start"),
        """'","end":"'""",
        INSTANT.format(column=f'{row}."end"'),
        "'\"}'",
    ]
    return f"convert_to({' || '.join(parts)}, 'UTF8')"


_FREE_SLOT = b',"status":"free","start":"'
"""as `content_sql` writes it. Within a string of JSON the quotes would be escaped; in a contained Slot the order or what
follows may differ: the last of several is the slot's own"""


def says_free(content: bytes) -> bool:
    """Whether a Slot as it is served is free."""
    return content.rfind(_FREE_SLOT) == content.rfind(b',"status":"') != -1


def with_status(content: bytes, status: str) -> bytes:
    """Returns the bytes of a Slot that `says_free` with this status, and with no place left if it is not free."""
    before, _, after = content.rpartition(_FREE_SLOT)
    if status != "free":
        before = places.with_none_left(before)
    return b"".join((before, f',"status":"{status}","start":"'.encode(), after))


def id_of_served(content: bytes) -> str:
    """The id of a Slot as it is served."""
    return content[len(_BEGINNING) : content.index(b'"', len(_BEGINNING))].decode()


def row_values(row: SlotRow) -> tuple[Any, ...]:
    """The row's values in the order of its fields."""
    return (
        row.id,
        row.name,
        row.start,
        row.end,
        row.status,
        row.extra,
        list(row.terms) if row.terms else None,
        row.words,
    )


def as_served(resource: Resource, id_: str, version: int, now: datetime, left: int | None = None) -> Stored:
    """Returns the version just written as it is served: instants in UTC. `left`: how many of several places are left."""
    served = stamp(places.with_left(resource, left), id_, version, now)
    for name in ("start", "end"):
        served[name] = exact_instant(instant_of(served[name]))
    return Stored("Slot", id_, version, now, dumps(served))
