"""What booking contributes to /metadata: its types, with the profiles that they may claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from creneau_booking.views.sas import SasView
from creneau_shared.fhir.profiles import FR_CORE, SAS
from creneau_shared.fhir.rest.declaration import ServedType

if TYPE_CHECKING:
    from creneau_booking.app import Stores


def served_types(stores: Stores) -> list[ServedType]:
    """The types that booking serves."""
    return [
        ServedType(
            stores.schedules,
            profiles=(f"{FR_CORE}fr-core-schedule", f"{SAS}FrScheduleAgregateur"),
            documentation="An agenda: whose, where, for what.",
        ),
        ServedType(
            stores.slots,
            profiles=(f"{FR_CORE}fr-core-slot", f"{SAS}FrSlotAgregateur"),
            views=(SasView(),),
            documentation="Free and taken time. A slot that is booked or held changes only through its appointment.",
        ),
        ServedType(
            stores.appointments,
            profiles=(f"{FR_CORE}fr-core-appointment",),
            documentation="Every write goes through the booking rules; see $find, $hold, $book and $reschedule.",
        ),
        ServedType(stores.responses),
        ServedType(stores.patients),
        ServedType(stores.related_persons),
    ]
