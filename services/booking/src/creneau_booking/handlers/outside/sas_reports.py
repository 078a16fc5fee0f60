"""Reports the appointments made for a regulator to the SAS platform (INT_R03): once, in order, eventually.

The transaction that changes an appointment notes the report; a worker sends it. The first report is a POST. If an earlier
one may have reached the platform, it is a PUT by Créneau's identifier, which also creates. So a report sent twice has the
effect of one, even after a crash between the platform's answer and the note of it.

Once the platform may know of an appointment, it is told of every change: whom the directory does not know any more, or
the appointment does not name any more, is named as in the report before.
"""

from __future__ import annotations

import random
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import structlog
from prometheus_client import Counter

from creneau_booking.storage.agendas.slots_of_agendas import all_agenda_actors
from creneau_booking.storage.mapping.appointment import facts, relative
from creneau_booking.storage.outside.sas_reports import (
    DueReport,
    appointment_to_report,
    claim_report,
    forget_report,
    people_identified,
    people_named,
    report_again,
    report_begun,
    report_due,
    report_refused,
    report_told,
)
from creneau_booking.views.sas.appointment import (
    is_sos,
    may_begin,
    operators_of,
    professional_told,
    regulator_number,
    regulator_told,
    regulators_named,
    sas_appointment,
    told_status,
)
from creneau_booking.views.sas.identifiers import person_number
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.current import current
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.logging import describe

FHIR_JSON = "application/fhir+json"
LATER = frozenset({408, 425, 429})
"""statuses, beside server errors, after which the report is sent again later"""
KNOWN_ALREADY = frozenset({409, 412})
"""statuses of a POST whose appointment the platform has already"""
TOLD = Counter("creneau_sas_reports_total", "Words to the SAS platform on appointments", ["outcome"])
FACTOR, JITTER = 2.0, 0.2
LOOKS_MAX = 8
"""how often it is looked up who is to be named in a first report: what the directory says of a regulator who has just
logged in for the first time may still be on its way"""

log = structlog.get_logger(__name__)


async def appointment_changed(
    connection: Connection, context: WriteContext, kind: ChangeKind, stored: Stored, resource: Resource | None
) -> None:
    """The hook of Appointment: notes a report for an appointment made for a regulator, and for each change of one that is
    reported, whatever its author's software has kept of it. Whether it is told depends on its agenda: the worker decides."""
    new = resource is not None and bool(operators_of(resource)) and may_begin(resource)
    if new or kind != "create":
        await report_due(connection, stored.id, stored.version, context.now, new=new)


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform's URL, the credentials for it, and the times of timeout and retry."""

    url: str
    system: str
    """the identifier system of Créneau's technical ids"""
    timeout: timedelta
    delay_first: timedelta
    delay_max: timedelta
    certificate: str = ""
    key: str = ""

    def client(self) -> httpx.AsyncClient:
        """A client with the certificate, if one is configured (mTLS)."""
        verify: ssl.SSLContext | bool = True
        if self.certificate:
            verify = ssl.create_default_context()
            verify.load_cert_chain(Path(self.certificate), Path(self.key) if self.key else None)
        return httpx.AsyncClient(verify=verify, timeout=self.timeout.total_seconds(), follow_redirects=False)

    def again_at(self, attempts: int, now: datetime) -> datetime:
        """When to try again after `attempts` tries: without end, with growing delays up to `delay_max`."""
        delay_s = min(
            self.delay_first.total_seconds() * FACTOR ** min(attempts - 1, 64), self.delay_max.total_seconds()
        )
        return now + timedelta(seconds=delay_s * (1 + JITTER * (2 * random.random() - 1)))  # noqa: S311


class SasReports:
    """Sends the reports that are due."""

    def __init__(self, database: Database, platform: Platform, clock: Clock, base_url: str) -> None:
        self._database = database
        self._platform = platform
        self._clock = clock
        self._base_url = base_url

    async def tell_all(self) -> int:
        """Sends all reports that are due now; returns how many."""
        said = 0
        async with self._platform.client() as client:
            while (due := await self._claim()) is not None:
                await self._tell(client, due)
                said += 1
        return said

    async def _claim(self) -> DueReport | None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            return await claim_report(connection, now, now + 2 * self._platform.timeout)

    async def _tell(self, client: httpx.AsyncClient, due: DueReport) -> None:
        async with self._database.transaction() as connection:
            made = await self._made(connection, due)
        if made is None:
            return
        version, report = made
        try:
            status = await self._send(client, report, first=not due.begun)
        except httpx.HTTPError as error:
            log.warning("SAS platform not reached", appointment=due.appointment, error=describe(error))
            status = 503
        await self._note(due, version, status)

    async def _made(self, connection: Connection, due: DueReport) -> tuple[int, Resource] | None:
        """The version to report and the report, which is noted; None, also noted: there is nothing to send now."""
        now = self._clock.now()
        found = await appointment_to_report(connection, due.appointment)
        if found is None:
            await forget_report(connection, due.appointment, due.version)
            return None
        appointment = loads(found.content)
        if found.deleted:
            appointment["status"] = "entered-in-error"
        actors = await self._actors(connection, appointment)
        of_centre = is_sos(actors)
        if not due.begun and (found.deleted or told_status(appointment, of_centre=of_centre) is None):
            await forget_report(connection, due.appointment, found.version)
            return None
        if told_status(appointment, of_centre=of_centre, known=True) is None:
            # It waits for an answer and keeps its time: the platform keeps the last word until there is a new one.
            await report_told(connection, due.appointment, found.version, now)
            return None
        report = await self._report(connection, appointment, actors, loads(due.last) if due.last else {})
        if report is None and due.attempts < LOOKS_MAX:
            await report_again(connection, due.appointment, self._platform.again_at(due.attempts, now))
            return None
        if report is None:
            # Without a regulator's or a professional's number, or without times: the platform could not accept it.
            TOLD.labels("not-reportable").inc()
            await report_refused(connection, due.appointment, found.version, "not-reportable", now)
            return None
        await report_begun(connection, due.appointment, dumps(report))
        return found.version, report

    async def _send(self, client: httpx.AsyncClient, report: Resource, *, first: bool) -> int:
        headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
        body, base = dumps(report), f"{self._platform.url.rstrip('/')}/Appointment"
        if first:
            answer = await client.post(base, content=body, headers=headers)
            if answer.status_code not in KNOWN_ALREADY:
                return answer.status_code
        [identifier] = report["identifier"]
        query = {"identifier": f"{identifier['system']}|{identifier['value']}"}
        answer = await client.put(base, params=query, content=body, headers=headers)
        return answer.status_code

    async def _note(self, due: DueReport, version: int, status: int) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if 200 <= status < 300:
                TOLD.labels("told").inc()
                await report_told(connection, due.appointment, version, now)
            elif status >= 500 or status in LATER:
                TOLD.labels("again").inc()
                await report_again(connection, due.appointment, self._platform.again_at(due.attempts, now))
            else:
                TOLD.labels("refused").inc()
                log.error("SAS platform refuses an appointment", appointment=due.appointment, status=status)
                await report_refused(connection, due.appointment, version, str(status), now)

    async def _report(
        self, connection: Connection, appointment: Resource, actors: list[str], last: Resource
    ) -> Resource | None:
        """The report on an appointment of these actors. What is not found now is as in the `last` one (empty: there is none).
        None: it would lack what the platform demands."""
        timed: Resource = {name: last[name] for name in ("start", "end") if name in last}
        timed.update(appointment)
        regulator = await self._regulator(connection, appointment) or (regulator_told(last) if last else None)
        if regulator is None or "start" not in timed or "end" not in timed:
            return None
        professional = await self._professional(connection, actors)
        if professional is None and not is_sos(actors):
            if not last:
                return None
            professional = professional_told(last)
        return sas_appointment(timed, regulator, professional, self._platform.system)

    async def _professional(self, connection: Connection, actors: list[str]) -> str | None:
        """The national number of the first of these actors who has one now."""
        people = await people_named(
            connection, _ids(actors, "Practitioner"), _ids(actors, "PractitionerRole")
        )
        now = self._clock.now()
        numbers = (person_number(current(loads(person).get("identifier", ()), now)) for person in people)
        return next((number for number in numbers if number), None)

    async def _actors(self, connection: Connection, appointment: Resource) -> list[str]:
        """Whom the appointment names, as references within the base; of one that names nobody of its practice, the actors of
        its slots' agendas."""
        known = facts(appointment, self._base_url)
        if known.names_practice:
            return [p.reference for p in known.participants if p.reference]
        return sorted(await all_agenda_actors(connection, known.slots))

    async def _regulator(self, connection: Connection, appointment: Resource) -> tuple[str, str] | None:
        """The number of the regulator for whom the appointment was made: that of the account which one of its operators is,
        by reference or by number."""
        now = self._clock.now()
        for operator in operators_of(appointment):
            ids = _ids([relative(operator.get("reference", ""), self._base_url)], "Practitioner")
            for person in await people_identified(connection, ids, regulators_named(operator)):
                if (number := regulator_number(loads(person), now)) is not None:
                    return number
        return None


def _ids(references: list[str], kind: str) -> list[str]:
    """The ids of the references (`Type/id`) of this type."""
    return [
        id_ for of_type, _, id_ in (reference.partition("/") for reference in references) if of_type == kind
    ]
