"""Booking's part of /metadata: its types, with the profiles that they may claim."""

from __future__ import annotations

from creneau_booking.api.agendas_said import with_synchronisation
from creneau_booking.api.deadlines import WithDeadlines
from creneau_booking.api.slots import ConsumersSlots
from creneau_booking.api.slots_judged import JudgedSlots, is_consumer
from creneau_booking.domain.own_words import OWN
from creneau_booking.operations.finding.nothing_free import why_nothing_is_free
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.mapping import fellow_patients
from creneau_booking.stores import Stores
from creneau_booking.views.sas.family import SasView
from creneau_booking.views.sas.sos import SosView
from creneau_shared.fhir.profiles import profiles_of
from creneau_shared.fhir.rest.declaration import READ_ONLY, ServedType
from creneau_shared.fhir.rest.trail import served_trail
from creneau_shared.fhir.storage.audit_events import NameOf


def served_types(stores: Stores, settings: BookingSettings, names: NameOf) -> list[ServedType]:
    """Returns the types that booking serves."""
    consumers = ConsumersSlots(settings.find_window_days_max, settings.future_appointments_per_agenda_max)
    judged = JudgedSlots(settings.future_appointments_per_agenda_max)
    return [
        ServedType(
            stores.schedules,
            profiles=profiles_of("Schedule"),
            views=(SosView(),),
            completed=with_synchronisation,
            documentation="An agenda: whose, where, for what. One that states schedule-stale-after and is not synchronised"
            " within that time is not offered until it is.",
        ),
        ServedType(
            stores.slots,
            profiles=profiles_of("Slot"),
            views=(SasView(),),
            search_policy=consumers,
            completed=judged.completed,
            completed_for=is_consumer,
            in_hindsight=judged.in_hindsight,
            remarks=why_nothing_is_free,
            documentation="Free and taken time. A slot that is booked or held changes only through its appointment. "
            + consumers.documentation,
        ),
        ServedType(
            stores.appointments,
            profiles=profiles_of("Appointment"),
            completed=WithDeadlines(stores.repository),
            shown=fellow_patients.shown,
            searched_as_seen=fellow_patients.searched_as_seen,
            documentation="Every write goes through the booking rules; see $find, $hold, $book and $reschedule. What a "
            "patient reads or finds says until when they may cancel and move it (cancelable-until, reschedulable-until), and "
            "of other patients that they come, not who they are (meta.security REDACTED).",
        ),
        ServedType(
            stores.responses,
            documentation="A patient answers for themselves or a related person on record, a practice for its own; the answer "
            "becomes the status of their participant and is carried out: accepted may book, declined may cancel, tentative "
            "may propose. A response that names nobody who takes part is kept as it is.",
        ),
        ServedType(
            stores.patients,
            profiles=profiles_of("Patient"),
            documentation=f"One Patient holds an INS. A person's account states of it {', '.join(OWN)}; the rest is "
            "stated by practices.",
        ),
        ServedType(stores.related_persons, profiles=profiles_of("RelatedPerson")),
        ServedType(
            stores.provenances,
            interactions=READ_ONLY | {"create"},
            documentation="Who made or changed what, why and on whose behalf: sent by itself, or in the header "
            "X-Provenance of the write that it tells of. For user and system scopes.",
        ),
        served_trail("creneau-booking", names, "Who read or changed which personal data, when and why."),
    ]
