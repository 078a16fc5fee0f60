"""An agenda in its owner's own calendar, and that calendar's busy times in the agenda."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
from icalendar import Calendar
from services.booking.tests.api.test_caldav import forget, practitioner_resource
from services.booking.tests.client import code, reason
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, schedule, unique
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear

from creneau_booking.api import calendar_feed
from creneau_booking.domain.not_read import PROBLEMS, NotPublicError, NotReadError
from creneau_booking.handlers.outside.calendar_password import CalendarPasswords
from creneau_booking.handlers.outside.external_calendars import ExternalCalendars
from creneau_booking.handlers.outside.fetching import Outside, is_public, require_web_address
from creneau_booking.operations.agendas.calendars import CalendarOperations
from creneau_booking.storage.outside.calendars import ShownVisit
from creneau_booking.storage.outside.followed_calendars import (
    failing_calendars,
    follow_calendar,
    leave_calendar,
)
from creneau_shared.errors import Unavailable
from creneau_shared.fhir.json import dumps
from creneau_shared.limits.callers import Limit
from creneau_shared.vtimezone import timezone_bytes

HOST = "calendar.exemple.fr"


def as_calendar(content: bytes) -> Any:
    return Calendar.from_ical(content)


async def test_a_secret_address_shows_visits_and_no_patient(callers: Callers, practice: Practice) -> None:
    agenda, software = await practice.open_agenda(3), callers.software()
    patient = await practice.new_patient(given="Secrète")
    wanted = appointment(
        "booked",
        slots=agenda.slots[:1],
        patient=patient,
        actors=[agenda.practitioner],
        serviceType=[
            {"text": "Mme Secrète", "coding": [{"system": "urn:x", "code": "c", "display": "Suivi"}]}
        ],
    )
    made = await practice.create(wanted)
    path = f"Schedule/{agenda.id}/$calendar-feed"

    async def opened(**said: Any) -> str:
        parts = [{"name": n, "valueBoolean": v} for n, v in said.items()]
        body = {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}
        answer = await software.post(path, body)
        assert answer.status_code == 200, answer.text
        part = answer.json()["parameter"][0]
        return str(part.get("valueUrl", "")).removeprefix("http://127.0.0.1:8080")

    first = await opened()
    shown = await callers.client.get(first)
    assert shown.headers["content-type"] == "text/calendar; charset=utf-8"
    [event] = as_calendar(shown.content).walk("VEVENT")
    assert (str(event["UID"]), str(event["SUMMARY"])) == (f"{made.id}@creneau", "Rendez-vous")
    assert event["DTSTART"].dt == agenda.start
    assert "Secr" not in shown.text
    again = await callers.client.get(first, headers={"If-None-Match": shown.headers["etag"]})
    assert again.status_code == 304
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(calendar_feed, "shown_visits", None)
        patched.setattr(calendar_feed, "calendar_of", None)
        same = await callers.client.get(first, headers={"If-None-Match": shown.headers["etag"]})
        assert same.status_code == 304, "nothing is read or written for what has not changed"
    second = await opened(details=True)
    assert (await callers.client.get(first)).status_code == 404, "revoked by the next"
    detailed = await callers.client.get(second)
    assert "Suivi" in detailed.text
    assert "Secr" not in detailed.text
    await opened(revoke=True)
    assert (await callers.client.get(second)).status_code == 404
    for caller in (callers.patient(patient), callers.staff(unique("cabinet"))):
        refused = await caller.post(path, {"resourceType": "Parameters"})
        assert refused.status_code == 403
        assert "Schedule" in reason(refused)


def visit(number: int, display: str = "Suivi") -> ShownVisit:
    start = datetime(2026, 11, 2, 8, tzinfo=UTC) + timedelta(minutes=20 * number)
    said = appointment(
        "pending" if number % 2 else "booked",
        start=start,
        length=timedelta(minutes=20),
        serviceType=[{"coding": [{"system": "urn:x", "code": "c", "display": display}]}],
    )
    return ShownVisit(f"visit-{number}", number + 1, start - timedelta(days=9), dumps(said))


def test_what_is_shown_is_read_by_others_as_it_is() -> None:
    """Lines are folded, and what a text has of commas and breaks stays in it."""
    display = "Suivi, long; " + "é" * 60 + "\nATTENDEE:mailto:camille@exemple.fr"
    written = calendar_feed.calendar_of(
        [visit(0), visit(1, display)], timezone_bytes("Europe/Paris", 2026), details=True
    )
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    calendar = as_calendar(written)
    assert calendar["REFRESH-INTERVAL"].dt == timedelta(minutes=5)
    first, second = calendar.walk("VEVENT")
    assert (first["STATUS"], second["STATUS"], second["SEQUENCE"]) == ("CONFIRMED", "TENTATIVE", 1)
    assert str(second["SUMMARY"]) == f"Rendez-vous à confirmer – {display}"
    assert "ATTENDEE" not in second
    assert second["DTEND"].dt == datetime(2026, 11, 2, 8, 40, tzinfo=UTC)
    assert second["LAST-MODIFIED"].dt == second["DTSTAMP"].dt == datetime(2026, 10, 24, 8, 20, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Europe/Paris", "Indian/Reunion"])
def test_a_calendar_without_visits_is_one_all_the_same(zone: str) -> None:
    """RFC 5545 3.6: at least one component. It is what somebody subscribes to on the first day."""
    calendar = as_calendar(calendar_feed.calendar_of([], timezone_bytes(zone, 2026), details=False))
    (component,) = calendar.subcomponents
    assert (component.name, str(component["tzid"])) == ("VTIMEZONE", zone)
    assert calendar["X-PUBLISHED-TTL"] == "PT300S"


async def test_an_agenda_is_looked_at_so_often_and_no_more(
    callers: Callers, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    agenda = await practice.open_agenda(1)
    path = f"Schedule/{agenda.id}/$calendar-feed"
    answer = await callers.software().post(path, {"resourceType": "Parameters"})
    address = answer.json()["parameter"][0]["valueUrl"].removeprefix("http://127.0.0.1:8080")
    monkeypatch.setattr(calendar_feed, "LIMIT", Limit("calendar-feed", 0.001, 3))
    answers = [await callers.client.get(address) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_a_secret_address_ends_with_the_agenda_and_with_the_last_of_its_professionals(
    callers: Callers, practice: Practice
) -> None:
    """Whoever has the agenda afterwards did not give it: deleted and brought back, or of somebody who has left the directory,
    it is shown to nobody by the old address."""
    software = callers.software()
    deleted, left = await practice.open_agenda(1), await practice.open_agenda(1)
    shared = await practice.open_agenda(1, practitioner=left.practitioner)
    colleague = f"Practitioner/{unique('prat')}"
    both = schedule(shared.id, [left.practitioner, colleague])
    assert (await software.put(f"Schedule/{shared.id}", both)).status_code == 200
    addresses = {}
    for agenda in (deleted, left, shared):
        answer = await software.post(f"Schedule/{agenda.id}/$calendar-feed", {"resourceType": "Parameters"})
        url = answer.json()["parameter"][0]["valueUrl"]
        addresses[agenda.id] = url.removeprefix("http://127.0.0.1:8080")
    before = (await software.get(f"Schedule/{deleted.id}")).json()
    assert (await software.delete(f"Schedule/{deleted.id}")).status_code in (200, 204)
    assert (await software.put(f"Schedule/{deleted.id}", before)).status_code == 201
    assert (await callers.client.get(addresses[deleted.id])).status_code == 404
    for one in (left.practitioner, colleague):
        await hear(practice, practitioner_resource(one))
    await forget(practice, left.practitioner)
    assert (await callers.client.get(addresses[left.id])).status_code == 404
    assert (await callers.client.get(addresses[shared.id])).status_code == 200, "somebody else's as well"


CALENDAR = """BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VEVENT\r
UID:1\r
DTSTART:{first}\r
DTEND:{last}\r
SUMMARY:Dentiste des enfants\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:2\r
DTSTART:{first}\r
DURATION:P2D\r
TRANSP:TRANSPARENT\r
SUMMARY:Anniversaire\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.mark.parametrize(
    ("failure", "retry_after"),
    [(Unavailable("trop", "too many", headers={"Retry-After": "7"}), "7"), (ConnectionResetError(), "2")],
    ids=["no connection is free", "failover"],
)
async def test_a_calendar_that_cannot_be_read_now_says_when_to_come_again(
    callers: Callers, monkeypatch: pytest.MonkeyPatch, failure: Exception, retry_after: str
) -> None:
    async def fails(*_: Any) -> NoReturn:
        raise failure

    monkeypatch.setattr(calendar_feed, "feed_of", fails)
    answer = await callers.client.get(f"/calendar/{'a' * 43}.ics")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, retry_after), answer.text


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


@asynccontextmanager
async def site(pages: dict[str, tuple[int, str]]) -> AsyncIterator[int]:
    """A web site on the loopback: path → status and body (of a redirect: where to)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        status, body = pages.get(path, (404, ""))
        head = f"Location: {body}\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def outside(port: int, **other: Any) -> Outside:
    """The internet, of which one public host stands on the loopback; every other name is a private address."""

    async def resolve(host: str, _: int) -> list[Any]:
        return [ipaddress.ip_address("127.0.0.1" if host == HOST else "10.0.0.7")]

    given = {
        "allowed": lambda address: str(address) == "127.0.0.1",
        "resolve": resolve,
        "port_of": lambda _: port,
        "bytes_max": 10_000,
        "timeout_s": 5.0,
        **other,
    }
    return Outside(**given)


async def test_busy_elsewhere_is_busy_here(practice: Practice) -> None:
    """Slots of that time are gone from every agenda of the person; a visit that is there stays; the rest comes back."""
    agenda = await practice.open_agenda(4)
    beside = await practice.open_agenda(4, practitioner=agenda.practitioner)
    patient = await practice.new_patient()
    await practice.create(
        appointment("booked", slots=[agenda.slots[1]], patient=patient, actors=[agenda.practitioner])
    )
    pages = {"/own.ics": (200, CALENDAR.format(first=stamp(agenda.at(0)), last=stamp(agenda.at(2))))}
    async with site(pages) as port:
        calendars = ExternalCalendars(
            practice.database,
            practice.clock,
            outside(port),
            CalendarPasswords(""),
            timedelta(minutes=15),
            timedelta(days=60),
        )
        async with practice.database.transaction() as connection:
            await follow_calendar(connection, agenda.id, f"http://{HOST}/own.ics", practice.clock.now())
        assert await calendars.read_all() == 1
        assert await practice.slot_statuses(agenda.slots) == ["busy-unavailable", "busy", "free", "free"]
        assert await practice.slot_statuses(beside.slots) == [
            "busy-unavailable",
            "busy-unavailable",
            "free",
            "free",
        ]
        kept = await practice.database.pool.fetch(
            "SELECT * FROM external_calendar WHERE schedule = $1", agenda.id
        )
        assert "Dentiste" not in str(kept)
        assert await calendars.read_all() == 0, "not before its time"
        pages["/own.ics"] = (500, "")
        async with practice.database.transaction() as connection:
            await follow_calendar(connection, agenda.id, f"http://{HOST}/own.ics", practice.clock.now())
        await calendars.read_all()
        assert (await practice.slot_statuses(agenda.slots))[0] == "busy-unavailable", (
            "what was said before still holds"
        )
    async with practice.database.transaction() as connection:
        await leave_calendar(connection, agenda.id, practice.clock.now())
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "free", "free"]
    assert await practice.slot_statuses(beside.slots) == ["free", "busy-unavailable", "free", "free"]


async def test_a_slow_server_keeps_no_other_waiting(practice: Practice) -> None:
    """Its own calendars wait, one after the other; those of other servers are read meanwhile."""
    agendas = [await practice.open_agenda(2) for _ in range(3)]
    other_read, asked = asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if "slow" in head:
            asked += 1
            assert asked == 1, "two calendars of one server at once"
            await other_read.wait()
            asked -= 1
        else:
            other_read.set()
        body = CALENDAR.format(first=stamp(agendas[0].at(0)), last=stamp(agendas[0].at(1)))
        writer.write(f"HTTP/1.1 200 X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async def resolve(host: str, _: int) -> list[Any]:
        return [ipaddress.ip_address("127.0.0.1")]

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    calendars = ExternalCalendars(
        practice.database,
        practice.clock,
        outside(server.sockets[0].getsockname()[1], resolve=resolve),
        CalendarPasswords(""),
        timedelta(minutes=15),
        timedelta(days=60),
    )
    now = practice.clock.now()
    async with practice.database.transaction() as connection:
        for late, (agenda, host) in enumerate(
            zip(agendas, ("slow.exemple.fr", "SLOW.exemple.fr", HOST), strict=True)
        ):
            due = now - timedelta(minutes=3 - late)
            await follow_calendar(connection, agenda.id, f"http://{host}/own.ics", due)
    try:
        assert await calendars.read_all() == 3
        async with practice.database.connection() as connection:
            assert await failing_calendars(connection) == dict.fromkeys(PROBLEMS, 0), "nobody waited too long"
    finally:
        server.close()
        await server.wait_closed()
        async with practice.database.transaction() as connection:
            for agenda in agendas:
                await leave_calendar(connection, agenda.id, now)


async def test_no_address_leads_into_our_own_network() -> None:
    for url in (
        "http://127.0.0.1/a.ics",
        "https://[::1]/a.ics",
        "https://localhost/a.ics",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/a.ics",
        "https://postgres/a.ics",
        "https://exemple.fr:5432/a.ics",
        "ftp://exemple.fr/a.ics",
        "file:///etc/passwd",
        "https://user:secret@exemple.fr/a.ics",
        "https://service.internal/a.ics",
    ):
        with pytest.raises(NotPublicError):
            require_web_address(url)
    assert require_web_address("webcal://exemple.fr/a.ics") == "https://exemple.fr/a.ics"
    for inside in (
        "10.0.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
    ):
        assert not is_public(ipaddress.ip_address(inside))
    pages = {
        "/away": (302, "http://elsewhere.exemple.fr/secret"),
        "/loop": (302, f"http://{HOST}/loop"),
        "/large": (200, "x" * 20_000),
        "/moved": (302, "/own.ics"),
        "/own.ics": (200, "BEGIN"),
    }
    async with site(pages) as port:
        web = outside(port)
        assert await web.get(f"http://{HOST}/moved") == b"BEGIN"
        with pytest.raises(NotPublicError):
            await web.get(f"http://{HOST}/away")
        with pytest.raises(NotPublicError):
            await web.get("http://rebound.exemple.fr/own.ics")
        for path, problem in (("loop", "not-reached"), ("large", "too-large"), ("missing", "unreadable")):
            with pytest.raises(NotReadError) as refused:
                await web.get(f"http://{HOST}/{path}")
            assert refused.value.problem == problem


@pytest.mark.parametrize(
    ("operation", "name"),
    [("$calendar-feed", "revoke"), ("$calendar-feed", "details"), ("$follow-calendar", "remove")],
)
async def test_what_is_neither_yes_nor_no_is_refused(
    callers: Callers, practice: Practice, operation: str, name: str
) -> None:
    """Who meant to take an address back would have been given another one."""
    agenda = await practice.open_agenda(1)
    given = {"resourceType": "Parameters", "parameter": [{"name": name, "valueString": "oui"}]}
    answer = await callers.software().post(f"Schedule/{agenda.id}/{operation}", given)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, [f"http.{name}"])


async def test_following_is_a_setting(callers: Callers, practice: Practice) -> None:
    agenda = await practice.open_agenda(1)
    refused = await callers.software().post(
        f"Schedule/{agenda.id}/$follow-calendar", parameters(url=f"https://{HOST}/own.ics")
    )
    assert (refused.status_code, code(refused)) == (422, "calendars-off")
    operations = CalendarOperations("https://creneau.exemple", CalendarPasswords(""), may_follow=True)
    assert operations._checked(f"webcal://{HOST}/own.ics") == f"https://{HOST}/own.ics"
