"""Recurring work on agendas that are shared with others: publication in bulk, reports to the SAS platform, busy times from
outside calendars."""

from __future__ import annotations

import structlog

from creneau_booking.handlers.outside.external_calendars import ExternalCalendars
from creneau_booking.handlers.outside.publication import BulkPublication
from creneau_booking.handlers.outside.sas_reports import SasReports
from creneau_booking.settings import BookingSettings
from creneau_shared.clock import Clock
from creneau_shared.messaging.waiting import every
from creneau_shared.tasks import Task

log = structlog.get_logger(__name__)


def feed_tasks(
    settings: BookingSettings,
    publication: BulkPublication | None,
    reports: SasReports | None,
    calendars: ExternalCalendars | None,
    clock: Clock,
) -> list[Task]:
    """Returns the recurring tasks of a worker; what is None has no task."""
    tasks = []
    if publication is not None:

        async def publish() -> None:
            slots = await publication.publish(clock.now())
            if slots is not None:
                log.info("slots published", slots=slots)

        tasks.append(
            Task("bulk publication", lambda stop: every(settings.bulk_publish_interval_s, publish, stop))
        )
    if reports is not None:

        async def tell() -> None:
            await reports.tell_all()

        tasks.append(Task("SAS reports", lambda stop: every(settings.sas_report_interval_s, tell, stop)))
    if calendars is not None:

        async def read() -> None:
            await calendars.read_all()

        tasks.append(
            Task("external calendars", lambda stop: every(settings.external_calendar_look_s, read, stop))
        )
    return tasks
