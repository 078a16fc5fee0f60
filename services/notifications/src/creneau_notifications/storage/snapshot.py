"""An appointment event as JSON, for the rows that keep one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from creneau_notifications.domain.appointment import (
    Appointment,
    AppointmentEvent,
    Change,
    Mode,
    Occurrence,
)

OF_EVENTS = ("record_ended", "held_until", "awaited", "together", "told_elsewhere", "was_booked")
OF_APPOINTMENTS = ("others", "organizations", "proposed", "hidden")
"""What most events have nothing in: left out then, as each event is written once a visit changes."""


def dump_event(event: AppointmentEvent) -> str:
    """The event as JSON text; it holds references only, no personal data."""
    values = orjson.loads(orjson.dumps(event))
    _leave_out(values, OF_EVENTS)
    _leave_out(values["appointment"], OF_APPOINTMENTS)
    return orjson.dumps(values).decode()


def _leave_out(values: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if not values[name]:
            del values[name]


def load_event(content: str) -> AppointmentEvent:
    """The event that `dump_event` wrote."""
    values = orjson.loads(content)
    appointment = values["appointment"]
    previous_start = values["previous_start"]
    return AppointmentEvent(
        id=values["id"],
        change=Change(values["change"]),
        time=datetime.fromisoformat(values["time"]),
        appointment=Appointment(
            id=appointment["id"],
            version=appointment["version"],
            status=appointment["status"],
            start=datetime.fromisoformat(appointment["start"]),
            end=datetime.fromisoformat(appointment["end"]),
            patient=appointment["patient"],
            others=tuple(appointment.get("others", ())),
            actors=tuple(appointment["actors"]),
            mode=Mode(appointment["mode"]) if appointment["mode"] else None,
            sequence=appointment["sequence"],
            organizations=tuple(appointment.get("organizations", ())),
            proposed=datetime.fromisoformat(at) if (at := appointment.get("proposed")) else None,
            hidden=appointment.get("hidden", False),
        ),
        previous_start=datetime.fromisoformat(previous_start) if previous_start else None,
        cancelled_by=values["cancelled_by"],
        record_ended=values.get("record_ended", False),
        held_until=datetime.fromisoformat(until) if (until := values.get("held_until")) else None,
        awaited=values.get("awaited", False),
        together=tuple(
            Occurrence(
                o["appointment"],
                datetime.fromisoformat(o["start"]),
                datetime.fromisoformat(o["end"]),
                o["sequence"],
            )
            for o in values.get("together", ())
        ),
        told_elsewhere=values.get("told_elsewhere", False),
        was_booked=values.get("was_booked", False),
    )
