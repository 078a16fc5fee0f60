"""Fictional appointments, visits and contacts, each field open to change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from creneau_notifications.domain.appointment import Appointment, AppointmentEvent, Change, Mode
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.plan import Kind
from creneau_notifications.domain.visit import Fact, Visit, visit_of
from creneau_notifications.rendering.letter import Occasion

START = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
BOOKED_AT = datetime(2026, 11, 16, 10, 0, tzinfo=UTC)
PATIENT = "Patient/0193a5c0-0003-7000-8000-000000000001"
APPOINTMENT = "0193a5c0-6f00-7c31-8a55-3f0c5d1e2b01"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SITE = "https://rdv.example.org"
VISIT_TOKEN = "PkxVJtRgUTS_-SoZikOvRfLj9CyrWeEHKYjnm4oFskM"
"""of the link in the confirmation, by the key of tests"""

PRACTITIONER = Fact("Practitioner/prat-lefevre", name="Dr Agathe Lefèvre")
LOCATION = Fact(
    "Location/lieu-marais",
    name="Cabinet médical du Marais",
    address=("12 rue des Exemples", "75004 Paris"),
    phone="+33199000001",
    zone="Europe/Paris",
    latitude=48.8566,
    longitude=2.3575,
)
CAMILLE = Contact(PATIENT, "Camille Martin", "camille.martin@example.org", "+33639980001", "fr", True, True)
"""Registered by her practice, which answers for both addresses."""


instants = st.integers(0, 2 * 366 * 24 * 60).map(lambda minutes: EPOCH + timedelta(minutes=minutes))
"""Any minute of 2026 and 2027."""


def appointment(**changes: Any) -> Appointment:
    """A booked visit on 1 December 2026 at 10:00 in Paris."""
    start = changes.pop("start", START)
    made = Appointment(
        id=APPOINTMENT,
        version=1,
        status="booked",
        start=start,
        end=start + timedelta(minutes=20),
        patient=PATIENT,
        actors=(PRACTITIONER.reference, LOCATION.reference),
        mode=Mode.PRACTICE,
        sequence=0,
        organizations=("cabinet",),
    )
    return replace(made, **changes)


def event(change: Change = Change.BOOKED, number: int = 1, **changes: Any) -> AppointmentEvent:
    """An event about `appointment(**changes)`; what else is said of it is its own."""
    names = ("time", "previous_start", "cancelled_by", "awaited", "held_until", "was_booked")
    own = {name: changes.pop(name) for name in names if name in changes}
    if change is Change.CANCELLED:
        changes.setdefault("status", "cancelled")
    made = AppointmentEvent(str(UUID(int=number)), change, BOOKED_AT, appointment(**changes))
    return replace(made, **own)


def visit(**changes: Any) -> Visit:
    """The visit at the practice in Paris, all facts known."""
    facts = {fact.reference: fact for fact in (PRACTITIONER, LOCATION)}
    return replace(visit_of(appointment(), facts), **changes)


def occasion(kind: Kind = Kind.CONFIRMATION, **changes: Any) -> Occasion:
    """What a message of `kind` is rendered from."""
    made = Occasion(
        kind, changes.pop("event", event()), changes.pop("visit", visit()), CAMILLE, SITE, VISIT_TOKEN
    )
    return replace(made, **changes)
