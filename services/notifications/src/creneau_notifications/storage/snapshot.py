"""An appointment event as JSON, for the rows that keep one."""

from __future__ import annotations

from datetime import datetime

import orjson

from creneau_notifications.domain.appointment import (
    Appointment,
    AppointmentEvent,
    Change,
    Mode,
    Occurrence,
)


def dump_event(event: AppointmentEvent) -> str:
    """The event as JSON text; it holds references only, no personal data."""
    return orjson.dumps(event).decode()


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
