"""The stores and commands of the API: made in `app.py`, declared in `conformance.py`."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_booking.api.appointments import AppointmentStore
from creneau_booking.api.patients import PatientStore
from creneau_booking.api.responses import ResponseStore
from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.people.proxies import RelatedPersonStore
from creneau_booking.handlers.series import Series
from creneau_booking.storage.slots.store import SlotStore
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_shared.fhir.storage.generic import GenericStore


@dataclass(frozen=True)
class Stores:
    """The stores and commands through which the API writes to booking's database."""

    slots: SlotStore
    schedules: ScheduleStore
    responses: ResponseStore
    patients: PatientStore
    related_persons: RelatedPersonStore
    provenances: GenericStore
    repository: AppointmentRepository
    handlers: AppointmentHandlers
    series: Series
    appointments: AppointmentStore
