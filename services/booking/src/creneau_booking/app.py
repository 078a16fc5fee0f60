"""Booking's composition root: settings → database → stores → FHIR types and operations."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from pathlib import Path

from creneau_booking.api.appointments import AppointmentStore
from creneau_booking.api.calendar_feed import CalendarFeeds
from creneau_booking.api.patients import PatientStore
from creneau_booking.api.responses import ResponseStore
from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.conformance import served_types
from creneau_booking.domain.quotas import Quotas
from creneau_booking.domain.series import SeriesLimits
from creneau_booking.handlers.answers import Answering
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.hold_policy import HoldPolicy
from creneau_booking.handlers.outside.calendar_password import CalendarPasswords
from creneau_booking.handlers.outside.external_calendars import ExternalCalendars
from creneau_booking.handlers.outside.fetching import Outside
from creneau_booking.handlers.outside.publication import BulkPublication, PublicationPlace
from creneau_booking.handlers.outside.sas_reports import Platform, SasReports, appointment_changed
from creneau_booking.handlers.people.departures import Departures
from creneau_booking.handlers.people.ended_patients import EndedPatients
from creneau_booking.handlers.people.erasure import PatientErasure, PersonalStores
from creneau_booking.handlers.people.patients import ContactSettings
from creneau_booking.handlers.people.proxies import RelatedPersonStore
from creneau_booking.handlers.people.registrations import People, known
from creneau_booking.handlers.series import Series
from creneau_booking.handlers.statements import provenance_belonging
from creneau_booking.messaging.directory_replica import DirectoryReplica
from creneau_booking.operations.agendas.bulk_publish import BulkPublishOperation
from creneau_booking.operations.agendas.calendars import CalendarOperations
from creneau_booking.operations.agendas.close import CloseOperation
from creneau_booking.operations.agendas.preview_slots import PreviewSlotsOperation
from creneau_booking.operations.agendas.sync_slots import SyncSlotsOperation
from creneau_booking.operations.booking.book import BookOperation
from creneau_booking.operations.booking.cancel import CancelOperation
from creneau_booking.operations.booking.confirm import ConfirmOperation
from creneau_booking.operations.booking.desk import Desk
from creneau_booking.operations.booking.hold import HoldOperation
from creneau_booking.operations.booking.reschedule import RescheduleOperation
from creneau_booking.operations.booking.wait import WaitOperation
from creneau_booking.operations.finding.find import FindOperation
from creneau_booking.operations.finding.prefetch import PrefetchOperation
from creneau_booking.operations.finding.soonest import SoonestOperation
from creneau_booking.operations.people.acting_for import ActingForOperation
from creneau_booking.operations.people.erase import EraseOperation
from creneau_booking.operations.people.everything import EverythingOperation
from creneau_booking.operations.people.proxies import AcceptOperation, InviteOperation, RenounceOperation
from creneau_booking.settings import BookingSettings
from creneau_booking.storage import narrow
from creneau_booking.storage.openings.made_slots import OpeningStore
from creneau_booking.storage.outside.feeds import Feeds
from creneau_booking.storage.rehearsal import Rehearsal
from creneau_booking.storage.slots.store import SlotStore
from creneau_booking.storage.slots.table import SlotTable
from creneau_booking.storage.tables import OWN_TYPES, REPLICA_TYPES
from creneau_booking.storage.unshown import real
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.stores import Stores
from creneau_booking.topics import DIRECTORY
from creneau_booking.words import told
from creneau_shared.app import ServiceApplication, create_fhir_server, create_service_app, open_database
from creneau_shared.clock import Clock, SystemClock
from creneau_shared.database.pool import Database
from creneau_shared.fhir.rest.dead_letters import DeadLetterOperations
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.search.generic import GenericTable
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.audit_events import AuditEventTable, names_in
from creneau_shared.fhir.storage.generic import GenericStore, nothing_more
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.security.contact_accounts import ContactAccounts
from creneau_shared.security.vouching import Vouchers

SERVICE = "creneau-booking"
REPLICA = "booking-directory-replica"
NAMES = names_in({"Practitioner": "practitioner", "Organization": "organization", "Patient": "patient"})
"""Names that the trail can show: those of people and practices in the replica of the directory, and of patients."""


@dataclass(frozen=True)
class Commands:
    """The commands on appointments and on series of them, and what they read and write."""

    repository: AppointmentRepository
    handlers: AppointmentHandlers
    series: Series


def create_commands(settings: BookingSettings) -> Commands:
    """Makes the commands on appointments, for the API and for the worker alike."""
    base = settings.public_base_url.rstrip("/")
    repository = AppointmentRepository(
        GenericStore(
            "Appointment",
            base,
            appointment_changed if settings.sas_platform_url else nothing_more,
            listed=partial(real, "Appointment"),
        ),
        base,
    )
    holds = HoldPolicy(
        timedelta(seconds=settings.hold_duration_s),
        settings.hold_extensions_max,
        settings.holds_per_subject_max,
        settings.holds_per_client_max,
        timedelta(seconds=settings.confirmation_deadline_s),
    )
    handlers = AppointmentHandlers(repository, holds, quotas_of(settings), settings.patience)
    limits = SeriesLimits(settings.series_occurrences_max, settings.series_occurrences_per_patient_max)
    series = Series(repository, handlers, limits)
    handlers.bind(series)
    return Commands(repository, handlers, series)


def quotas_of(settings: BookingSettings) -> Quotas:
    """Returns the quotas, each from the setting of the same name."""
    return Quotas(**{field.name: getattr(settings, field.name) for field in fields(Quotas)})


def create_stores(settings: BookingSettings) -> Stores:
    """Makes the stores through which the API writes."""
    base = settings.public_base_url.rstrip("/")
    related_persons = RelatedPersonStore(base)
    people = People(related_persons, quotas_of(settings))
    commands = create_commands(settings)
    repository, handlers, series = commands.repository, commands.handlers, commands.series
    return Stores(
        slots=SlotStore(base),
        schedules=ScheduleStore(base, create_openings(settings)),
        responses=ResponseStore(base, Answering(handlers)),
        patients=PatientStore(base, people, contact_settings(settings), EndedPatients(handlers)),
        related_persons=related_persons,
        provenances=GenericStore("Provenance", base, belonging=provenance_belonging),
        repository=repository,
        handlers=handlers,
        series=series,
        appointments=AppointmentStore(repository, handlers, series),
    )


def contact_settings(settings: BookingSettings) -> ContactSettings:
    """Makes the keys that identify people who come without an account, and says how people are told."""
    accounts = ContactAccounts(settings.contact_secret.get_secret_value())
    return ContactSettings(accounts, settings.contact_rules)


def create_erasure(settings: BookingSettings) -> PatientErasure:
    """Makes the command that erases a person, for the API and for the worker alike."""
    base = settings.public_base_url.rstrip("/")
    commands = create_commands(settings)
    stores = PersonalStores(
        patients=GenericStore("Patient", base),
        related_persons=GenericStore("RelatedPerson", base),
        responses=GenericStore("AppointmentResponse", base),
        provenances=GenericStore("Provenance", base),
        repository=commands.repository,
    )
    return PatientErasure(stores, commands.handlers, settings.keeping_times, base)


def open_booking(settings: BookingSettings, process: str, *, serves: bool = False) -> Database:
    """Makes the database of a process that changes appointments: what a transaction frees is offered to who waits for it,
    before it commits. `serves`: as of `open_database`."""
    database = open_database(settings, f"{SERVICE}-{process}", serves=serves)
    database.closes_with = create_commands(settings).handlers.waiting.offer_freed
    return database


def create_consumer(settings: BookingSettings, database: Database, clock: Clock) -> Consumer:
    """Makes the consumer of the directory's events, for the worker and for handling dead letters again."""
    commands = create_commands(settings)
    departures = Departures(commands.repository, commands.handlers)
    replica = DirectoryReplica(settings.public_base_url.rstrip("/"), departures, clock)
    return Consumer(
        REPLICA,
        REPLICA,
        [DIRECTORY],
        replica.handlers(),
        database,
        settings,
        clock,
        alone=replica.alone,
        replica=replica.replica(),
    )


def create_openings(settings: BookingSettings) -> OpeningStore:
    """Makes the store that makes slots from the rules of agendas, for the API and for the worker alike."""
    base = settings.public_base_url.rstrip("/")
    return OpeningStore(base, settings.opening_limits, settings.school_days())


def create_rehearsal(settings: BookingSettings) -> Rehearsal:
    """Makes the command that keeps the rehearsals' agenda, for the worker."""
    return Rehearsal(create_commands(settings).repository, settings.rehearsal_hours_ahead)


def create_sas_reports(settings: BookingSettings, database: Database, clock: Clock) -> SasReports | None:
    """Makes the reports of regulators' appointments to the SAS platform, for the worker; None if no platform is set."""
    if not settings.sas_platform_url:
        return None
    platform = Platform(
        settings.sas_platform_url,
        settings.sas_platform_system or settings.public_base_url,
        timedelta(seconds=settings.sas_platform_timeout_s),
        timedelta(seconds=settings.sas_report_delay_first_s),
        timedelta(seconds=settings.sas_report_delay_max_s),
        settings.sas_platform_certificate,
        settings.sas_platform_key,
    )
    return SasReports(database, platform, clock, settings.public_base_url)


def calendar_passwords(settings: BookingSettings) -> CalendarPasswords:
    """Makes the CalendarPasswords, which seal and open the passwords of practitioners' own calendars."""
    return CalendarPasswords(settings.calendar_secret.get_secret_value())


def create_external_calendars(
    settings: BookingSettings, database: Database, clock: Clock
) -> ExternalCalendars | None:
    """Makes the reader of practitioners' own calendars, for the worker; None if none are to be read."""
    if not settings.external_calendars:
        return None
    return ExternalCalendars(
        database,
        clock,
        Outside(settings.external_calendar_bytes_max, settings.external_calendar_timeout_s),
        calendar_passwords(settings),
        timedelta(seconds=settings.external_calendar_interval_s),
        timedelta(days=settings.external_calendar_days),
    )


def create_publication(settings: BookingSettings, database: Database) -> BulkPublication | None:
    """Makes the bulk publication of free slots, for the worker; None if no folder is set."""
    if not settings.bulk_publish_folder:
        return None
    place = PublicationPlace(
        Path(settings.bulk_publish_folder),
        f"{settings.site_url}/bulk",
        settings.site_url,
        settings.bulk_publish_days,
        timedelta(seconds=settings.bulk_publish_kept_s),
    )
    return BulkPublication(database, place)


def create_catalog(clock: Clock | None = None) -> Catalog:
    """Makes the catalogue of searchable types: booking's own and its replica of the directory."""
    generic = [narrow.TABLES.get(name, GenericTable).of(name) for name in (*OWN_TYPES, *REPLICA_TYPES)]
    return Catalog([SlotTable(clock), AuditEventTable(SERVICE, NAMES), *generic])


def create_fhir(settings: BookingSettings, database: Database, clock: Clock) -> FhirServer:
    """Makes booking's FHIR interactions, for the API and for the worker alike."""
    stores = create_stores(settings)
    openings = create_openings(settings)
    desk = Desk(
        stores.appointments, stores.repository, stores.handlers, stores.series, stores.slots, stores.patients
    )
    return create_fhir_server(
        settings,
        service=SERVICE,
        database=database,
        clock=clock,
        types=served_types(stores, settings, NAMES),
        catalog=create_catalog(clock),
        operations=[
            FindOperation(
                settings.find_window_days_max,
                settings.future_appointments_per_agenda_max,
                settings.find_slots_gathered_max,
            ).declare(),
            PrefetchOperation(
                settings.find_window_days_max, settings.future_appointments_per_agenda_max
            ).declare(),
            SoonestOperation(
                per_agenda_max=settings.future_appointments_per_agenda_max,
                read_max=settings.soonest_rows_read_max,
            ).declare(),
            HoldOperation(desk).declare(),
            BookOperation(desk).declare(),
            CancelOperation(desk).declare(),
            ConfirmOperation(desk).declare(),
            RescheduleOperation(desk).declare(),
            WaitOperation(desk).declare(),
            PreviewSlotsOperation(
                stores.schedules, stores.slots, openings, settings.preview_listed_max
            ).declare(),
            CloseOperation(
                desk,
                stores.schedules,
                openings,
                appointments_max=settings.close_appointments_max,
                days_max=settings.close_days_max,
            ).declare(),
            InviteOperation(stores.related_persons, timedelta(days=settings.proxy_invitation_days)).declare(),
            AcceptOperation(stores.related_persons).declare(),
            RenounceOperation(stores.related_persons).declare(),
            ActingForOperation().declare(),
            EraseOperation(stores.patients, create_erasure(settings)).declare(),
            BulkPublishOperation(timedelta(seconds=settings.bulk_publish_interval_s)).declare(),
            *CalendarOperations(
                settings.site_url, calendar_passwords(settings), may_follow=settings.external_calendars
            ).declare(),
            SyncSlotsOperation(stores.schedules, settings.sync_slots_max).declare(),
            *EverythingOperation(
                stores.patients, AuditEventTable(SERVICE), Vouchers(settings.vouching_secret)
            ).declare(),
            *DeadLetterOperations("booking", lambda: [create_consumer(settings, database, clock)]).declare(),
        ],
        memberships=known,
        words=told,
        observer=Feeds(database, timedelta(seconds=settings.feeds_noted_s)).observe,
    )


def create_app(settings: BookingSettings | None = None, clock: Clock | None = None) -> ServiceApplication:
    """Makes booking's API."""
    settings = settings or BookingSettings()
    database = open_booking(settings, "api", serves=True)
    clock = clock or SystemClock()
    app = create_service_app(settings, create_fhir(settings, database, clock))
    ahead = timedelta(days=settings.calendar_feed_days)
    CalendarFeeds(database, clock, ahead, app.fhir.service.limits).serve(app.rest_of_api)
    return app
