"""Asking the practice: in an agenda that confirms bookings, the slots are kept until the practice answers."""

from __future__ import annotations

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.events import AppointmentEvent
from creneau_booking.domain.transitions import EventKind
from creneau_booking.handlers.telling import tell
from creneau_booking.storage.visits.appointments import Whose
from creneau_booking.storage.visits.holds import Hold, await_practice, forget_hold, set_confirmation
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


async def ask_practice(
    connection: Connection,
    context: WriteContext,
    asked: Appointment,
    whose: Whose,
    owners: frozenset[str] | None,
    before: Appointment | None = None,
) -> None:
    """Keeps the taken slots until the practice answers (`asked.held_until`), and publishes that it is asked."""
    assert asked.held_until is not None
    await await_practice(connection, asked.id, asked.held_until)
    context.effects.undecided.add(asked.id)
    # A booked appointment becomes pending again: consumers have to know.
    kind: EventKind = "updated" if before is not None and before.status == "booked" else "held"
    event = AppointmentEvent(
        kind, asked, whose.schedules, held_until=asked.held_until, awaits_practice=True, owners=owners
    )
    await tell(connection, context, event)


async def keep_asking(connection: Connection, after: Appointment, hold: Hold) -> None:
    """Updates a hold after a change: sets whether the practice has to confirm, and ends it once the practice answered."""
    if hold.confirmation == "asked" and after.status != "pending":
        await forget_hold(connection, after.id)
    elif after.status == "pending" and hold.confirmation != after.confirmation:
        await set_confirmation(connection, after.id, after.confirmation)
