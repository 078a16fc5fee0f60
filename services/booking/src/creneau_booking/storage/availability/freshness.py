"""Which agendas are up to date: their software has synchronised them within the time that they state.

An agenda that is not is offered to nobody, and no patient books it: what it says may long be untrue. It comes back by
itself with the next word of its software. An agenda that states no time is always up to date.

Unlike the rest of an agenda's state, this changes as time goes by; so each judge asks with the moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from asyncpg import Record
from prometheus_client import Gauge

from creneau_booking.domain.refusals.offering import RuleFault, RulesUnread, UnreadRule
from creneau_booking.storage.availability.freed import note_agendas
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.storage.store import Resource, WriteContext

_OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
SYNCHRONISED_AT = _OWN + "schedule-synchronised-at"
"""instant: when the agenda's software last said what stands in it"""
STALE_AFTER = _OWN + "schedule-stale-after"
"""Duration (s, min, h, d): how long what it said is to be believed"""
STALE_AFTER_MAX = timedelta(days=366)
NOTED_AGAIN_AFTER = 10
"""a word of the software is noted again after the time that the agenda states, divided by this, not with every slot"""
SPEAKS = frozenset({"software", "system"})
"""roles of callers whose written slots are a word of the agenda's software"""
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}

STALE = Gauge(
    "creneau_agendas_not_up_to_date",
    "Open agendas that are not offered, because their software has not synchronised them within the time that they state",
)

_STATE = """
UPDATE agenda SET stale_after_s = $2,
  synchronised_at = CASE WHEN $3::timestamptz IS NOT NULL THEN $3 WHEN $2::integer IS NOT NULL THEN $4 ELSE synchronised_at END
WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1)
RETURNING schedule_key, (old.fresh_until < $4 AND new.fresh_until >= $4) IS TRUE AS is_back
"""
WORD_COUNTS = f"""({{now}}::timestamptz IS NOT NULL AND agenda.stale_after_s IS NOT NULL
  AND agenda.synchronised_at < {{now}}::timestamptz - make_interval(secs => agenda.stale_after_s / {NOTED_AGAIN_AFTER}.0))"""
"""Condition on a row of `agenda`: a slot written at `now` (SQL; NULL: not by its software) is to be noted as the software's
word."""
IS_BACK = "(old.fresh_until < {now}::timestamptz AND new.fresh_until >= {now}::timestamptz) IS TRUE"
"""Condition on a row of `agenda` updated at `now` (SQL): it had not been up to date, and is again."""
_HEARD = f"""
UPDATE agenda SET synchronised_at = $2
WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1) AND {WORD_COUNTS.format(now="$2")}
RETURNING schedule_key, {IS_BACK.format(now="$2")} AS is_back
"""
_COUNT = """
SELECT count(*) FROM agenda WHERE open AND fresh_until < $1 AND horizon_end > $1
"""


def is_fresh(agenda: str, now: str) -> str:
    """Condition: the agenda (alias of a row of `agenda`) is up to date at `now` (SQL)."""
    return f"({agenda}.fresh_until >= {now})"


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a Schedule states: how long its software is to be believed, and when the software last spoke."""

    stale_after: timedelta | None = None
    synchronised_at: datetime | None = None


def freshness_of(schedule: Resource) -> Freshness:
    """Returns what is stated; raises RulesUnread for what cannot be read or is repeated."""
    found: dict[str, Any] = {}
    unread: list[UnreadRule] = []
    for index, extension in enumerate(schedule.get("extension", ())):
        url = extension.get("url")
        if url not in (SYNCHRONISED_AT, STALE_AFTER):
            continue
        if url in found:
            unread.append(UnreadRule(index, "repeated"))
        elif url == STALE_AFTER:
            read = _duration(extension.get("valueDuration", {}))
            if isinstance(read, timedelta):
                found[url] = read
            else:
                unread.append(UnreadRule(index, *read))
        elif "valueInstant" in extension or "valueDateTime" in extension:
            moment = instant_of(extension.get("valueInstant") or extension["valueDateTime"])
            if moment.tzinfo is None:
                unread.append(UnreadRule(index, "instant", "valueInstant"))
            found[url] = moment
        else:
            unread.append(UnreadRule(index, "instant", "valueInstant"))
    if unread:
        raise RulesUnread("Schedule", tuple(unread))
    return Freshness(found.get(STALE_AFTER), found.get(SYNCHRONISED_AT))


def _duration(quantity: Resource) -> timedelta | tuple[RuleFault, str, str]:
    unit = quantity.get("code")
    if (
        unit not in _SECONDS
        or quantity.get("system", "http://unitsofmeasure.org") != "http://unitsofmeasure.org"
    ):
        return "unit", "valueDuration.code", ", ".join(_SECONDS)
    value = quantity.get("value")
    if value is None or Decimal(str(value)) % 1 or value <= 0 or "comparator" in quantity:
        return "number", "valueDuration.value", ""
    if value * _SECONDS[unit] > STALE_AFTER_MAX.total_seconds():
        return "too-long", "valueDuration.value", ""
    return timedelta(seconds=int(value) * _SECONDS[unit])


async def keep_freshness(connection: Connection, id_: str, schedule: Resource, now: datetime) -> None:
    """Keeps what a Schedule states. If it does not say when its software last spoke, that is now; a moment in the future
    counts as now."""
    stated = freshness_of(schedule)
    seconds = None if stated.stale_after is None else int(stated.stale_after.total_seconds())
    said_at = None if stated.synchronised_at is None else min(stated.synchronised_at, now)
    await _note_back(connection, await connection.fetch(_STATE, id_, seconds, said_at, now), now)


def spoken_at(context: WriteContext) -> datetime | None:
    """Returns when an agenda's software speaks by a write of its slots; None: somebody else writes them."""
    return context.now if context.role in SPEAKS else None


async def heard(connection: Connection, schedule: str, context: WriteContext) -> None:
    """Notes that a slot of this agenda (id) is taken out of it, as a word of its software if the software does it."""
    if (moment := spoken_at(context)) is not None:
        await _note_back(connection, await connection.fetch(_HEARD, schedule, moment), moment)


async def _note_back(connection: Connection, rows: Sequence[Record], now: datetime) -> None:
    """Offers the agendas that are up to date again to those who wait."""
    await note_agendas(connection, [row["schedule_key"] for row in rows if row["is_back"]], now)


async def synchronised_at(connection: Connection, schedules: Sequence[str]) -> dict[str, datetime]:
    """Returns when each of these agendas (ids) was last spoken of, if it says how long that is to be believed, or was
    synchronised as a whole."""
    rows = await connection.fetch(
        "SELECT schedule.id, synchronised_at FROM agenda JOIN schedule ON schedule.key = schedule_key"
        " WHERE schedule.id = ANY($1::text[]) AND synchronised_at IS NOT NULL",
        list(schedules),
    )
    return {row["id"]: row["synchronised_at"].astimezone(UTC) for row in rows}


async def measure_stale(connection: Connection, now: datetime) -> int:
    """Measures how many agendas are not offered because they are not up to date."""
    count = int(await connection.fetchval(_COUNT, now))
    STALE.set(count)
    return count
