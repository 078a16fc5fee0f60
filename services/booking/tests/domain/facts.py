"""Facts for the rules: appointments and slots without FHIR."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from creneau_booking.domain.appointment import Appointment, Participant, SlotFact
from creneau_booking.domain.quotas import Quotas

NOW = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LENGTH = timedelta(minutes=20)


def people(*references: str, status: str = "accepted") -> tuple[Participant, ...]:
    return tuple(Participant(reference, status) for reference in references)


def a_slot(index: int = 0, **changed: Any) -> SlotFact:
    """The slot `s<index>` of the agenda `a`, 20 minutes from 9:00 UTC on plus index × 20 minutes."""
    facts: dict[str, Any] = {
        "id": f"s{index}",
        "start": NINE + index * LENGTH,
        "end": NINE + (index + 1) * LENGTH,
        "status": "free",
        "schedule": "a",
        "schedule_open": True,
        "horizon_start": None,
        "horizon_end": None,
        "actors": ("Practitioner/p", "Location/l"),
        "exclusive": ("Practitioner/p",),
        "visibility": frozenset(),
    }
    return SlotFact(**{**facts, **changed})


def an_appointment(**changed: Any) -> Appointment:
    """Booked for one patient in the slot `s0`, without times of its own."""
    facts: dict[str, Any] = {
        "id": "rdv",
        "version": 1,
        "status": "booked",
        "start": None,
        "end": None,
        "slots": ("s0",),
        "participants": people("Patient/c"),
    }
    return Appointment(**{**facts, **changed})


def some_quotas(**changed: int) -> Quotas:
    """Small numbers, each its own."""
    numbers = {
        "future_appointments_per_patient_max": 6,
        "future_appointments_per_specialty_max": 4,
        "future_appointments_per_agenda_max": 2,
        "bookings_per_account_per_hour_max": 5,
        "bookings_per_patient_per_hour_max": 3,
        "bookings_per_counsellor_per_hour_max": 8,
        "holds_begun_per_account_per_hour_max": 7,
        "cancellations_per_account_per_day_max": 4,
        "requests_per_patient_max": 2,
        "requests_per_account_max": 5,
        "patients_per_account_max": 3,
        "patient_changes_per_day_max": 9,
        "adjacent_slots_max": 4,
    }
    return Quotas(**{**numbers, **changed})
