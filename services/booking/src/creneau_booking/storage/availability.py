"""Which free slots can really be had, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.domain.appointment import EXCLUSIVE_TYPES
from creneau_booking.storage.bookable import Consumer
from creneau_booking.storage.slot_rows import slot_key
from creneau_booking.storage.slot_table import SlotTable
from creneau_booking.storage.slot_visibility import is_public
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.generic import literal

_TAKES = " OR ".join(f"starts_with(term, 'actor={name}/')" for name in EXCLUSIVE_TYPES)
_OPEN = """EXISTS (
  SELECT FROM schedule AS agenda WHERE agenda.key = {a}.schedule_key
  AND NOT agenda.deleted AND NOT agenda.terms @> ARRAY['active=false']
  AND NOT EXISTS (SELECT FROM schedule_date AS horizon WHERE horizon.key = agenda.key
    AND horizon.parameter = 'date' AND ({a}.start < horizon.low OR {a}."end" > horizon.high))
  AND NOT EXISTS (SELECT FROM unnest(agenda.terms) AS term JOIN occupancy ON occupancy.actor = substr(term, 7)
    WHERE ({takes}) AND occupancy.period && tstzrange({a}.start, {a}."end"){ignoring})
)"""


class OpenSlotTable(SlotTable):
    """Slots as `$find` looks at them: only those that could be booked if they are free.

    Their agenda is active and its horizon covers them, its people are not taken through another agenda, and they
    are open to the public if `public_only`. One appointment's people may be disregarded: it is to be moved.
    The practice's rules hold for a `consumer`; without one (the practice, its software) they do not.
    """

    def __init__(
        self, *, public_only: bool, ignored_appointment: str | None, consumer: Consumer | None = None
    ) -> None:
        super().__init__()
        self._public_only = public_only
        self._ignored = ignored_appointment
        self._consumer = consumer

    def live(self, alias: str) -> str:
        ignoring = f" AND occupancy.appointment_id <> {literal(self._ignored)}" if self._ignored else ""
        condition = _OPEN.format(a=alias, takes=_TAKES, ignoring=ignoring)
        if self._public_only:
            condition += f" AND {is_public(f'{alias}_kind')}"
        if self._consumer is not None:
            condition += f" AND {self._consumer.condition(alias)}"
        return condition


async def agenda_actors(
    connection: Connection, slot_ids: Sequence[str], *, public_only: bool = False
) -> dict[str, tuple[str, ...]]:
    """The actors of each slot's agenda, as references; with `public_only`, of the slots that are open to everybody."""
    shown = is_public("kind") if public_only else "true"
    rows = await connection.fetch(
        "SELECT coalesce(slot.name, slot.id::text) AS id,"
        " ARRAY(SELECT substr(term, 7) FROM unnest(schedule.terms) AS term"
        "   WHERE starts_with(term, 'actor=') AND strpos(term, '/') > 0 AND strpos(term, '/_history/') = 0 ORDER BY 1) AS actors"
        " FROM slot JOIN schedule ON schedule.key = slot.schedule_key JOIN slot_kind kind ON kind.key = slot.kind_key"
        f" WHERE slot.id = ANY($1::uuid[]) AND {shown}",
        [slot_key(id_) for id_ in slot_ids],
    )
    return {row["id"]: tuple(row["actors"]) for row in rows}
