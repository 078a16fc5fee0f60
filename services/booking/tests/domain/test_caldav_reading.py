"""From what servers answer to calendars and busy times: Radicale, SabreDAV (Nextcloud), iCloud; and what means harm.

The answers have the shape that these servers give them; people and places are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from creneau_booking.domain.not_read import NotReadError
from creneau_booking.handlers.outside.caldav import calendar_objects, query, resources
from creneau_booking.handlers.outside.caldav_reading import Calendars, contents, find
from creneau_booking.handlers.outside.fetching import OutsideAnswer
from creneau_booking.handlers.outside.foreign_text import ForeignText
from creneau_booking.handlers.outside.ics_reading import busy_times
from creneau_booking.handlers.outside.reading_process import READINGS

PARIS = ZoneInfo("Europe/Paris")
WITHIN = (datetime(2026, 10, 19, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))

EVENT = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:{uid}
DTSTART:{start}
DURATION:PT1H
SUMMARY:Anniversaire &amp; caf&#233;
END:VEVENT
END:VCALENDAR
"""

RADICALE_CALENDAR = """<?xml version='1.0' encoding='utf-8'?>
<multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/">
<response><href>/docteur/personnel/</href><propstat><prop>
<resourcetype><C:calendar /><collection /></resourcetype>
<current-user-principal><href>/docteur/</href></current-user-principal>
<C:supported-calendar-component-set><C:comp name="VEVENT" /><C:comp name="VTODO" /></C:supported-calendar-component-set>
<supported-report-set><supported-report><report><C:calendar-query /></report></supported-report></supported-report-set>
<CS:getctag>"3f1"</CS:getctag><sync-token>http://radicale.org/ns/sync/9</sync-token></prop>
<status>HTTP/1.1 200 OK</status></propstat>
<propstat><prop><C:calendar-home-set /></prop><status>HTTP/1.1 404 Not Found</status></propstat></response></multistatus>"""

SABRE_PRINCIPAL = """<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:cal="urn:ietf:params:xml:ns:caldav"
 xmlns:cs="http://calendarserver.org/ns/" xmlns:oc="http://owncloud.org/ns">
<d:response><d:href>/remote.php/dav/principals/users/docteur/</d:href><d:propstat><d:prop>
<d:resourcetype><d:principal/></d:resourcetype>
<d:current-user-principal><d:href>/remote.php/dav/principals/users/docteur/</d:href></d:current-user-principal>
<cal:calendar-home-set><d:href>/remote.php/dav/calendars/docteur/</d:href></cal:calendar-home-set></d:prop>
<d:status>HTTP/1.1 200 OK</d:status></d:propstat>
<d:propstat><d:prop><cs:getctag/><d:sync-token/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>
</d:response></d:multistatus>"""
SABRE_ROOT = SABRE_PRINCIPAL.replace(
    "<cal:calendar-home-set><d:href>/remote.php/dav/calendars/docteur/</d:href></cal:calendar-home-set>", ""
)
SABRE_HOME = """<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:cal="urn:ietf:params:xml:ns:caldav" xmlns:cs="http://calendarserver.org/ns/">
<d:response><d:href>/remote.php/dav/calendars/docteur/</d:href><d:propstat><d:prop>
<d:resourcetype><d:collection/></d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
<d:response><d:href>/remote.php/dav/calendars/docteur/cabinet%20priv%c3%a9/</d:href><d:propstat><d:prop>
<d:resourcetype><d:collection/><cal:calendar/></d:resourcetype>
<cal:supported-calendar-component-set><cal:comp name="VEVENT"/></cal:supported-calendar-component-set>
<cal:schedule-calendar-transp><cal:opaque/></cal:schedule-calendar-transp>
<cs:getctag>http://sabre.io/ns/sync/41</cs:getctag></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
<d:response><d:href>/remote.php/dav/calendars/docteur/vacances/</d:href><d:propstat><d:prop>
<d:resourcetype><d:collection/><cal:calendar/></d:resourcetype>
<cal:schedule-calendar-transp><cal:transparent/></cal:schedule-calendar-transp>
<cs:getctag>http://sabre.io/ns/sync/2</cs:getctag></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
<d:response><d:href>/remote.php/dav/calendars/docteur/taches/</d:href><d:propstat><d:prop>
<d:resourcetype><d:collection/><cal:calendar/></d:resourcetype>
<cal:supported-calendar-component-set><cal:comp name="VTODO"/></cal:supported-calendar-component-set></d:prop>
<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
<d:response><d:href>/remote.php/dav/calendars/docteur/inbox/</d:href><d:propstat><d:prop>
<d:resourcetype><d:collection/><cal:schedule-inbox/></d:resourcetype></d:prop>
<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"""

ICLOUD_ROOT = """<?xml version='1.0' encoding='UTF-8'?><multistatus xmlns='DAV:'>
<response xmlns='DAV:'><href>/</href><propstat><prop>
<current-user-principal xmlns='DAV:'><href>/12345/principal/</href></current-user-principal></prop>
<status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"""
ICLOUD_PRINCIPAL = """<?xml version='1.0' encoding='UTF-8'?><multistatus xmlns='DAV:'>
<response xmlns='DAV:'><href>/12345/principal/</href><propstat><prop>
<calendar-home-set xmlns='urn:ietf:params:xml:ns:caldav'>
<href xmlns='DAV:'>https://p42-caldav.icloud.com:443/12345/calendars/</href></calendar-home-set></prop>
<status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"""
ICLOUD_HOME = """<?xml version='1.0' encoding='UTF-8'?><multistatus xmlns='DAV:'>
<response xmlns='DAV:'><href>/12345/calendars/work/</href><propstat><prop>
<resourcetype><collection/><calendar xmlns='urn:ietf:params:xml:ns:caldav'/></resourcetype>
<getctag xmlns='http://calendarserver.org/ns/'>FT=-@RU=1</getctag></prop><status>HTTP/1.1 200 OK</status></propstat>
</response></multistatus>"""


def objects(*events: tuple[str, str | None]) -> str:
    """A multistatus of objects (name, iCalendar); None: it comes without its content, as iCloud may answer."""
    parts = "".join(
        f"<response><href>/12345/calendars/work/{name}</href><propstat><prop>"
        + (f"<c:calendar-data>{data}</c:calendar-data>" if data else "<getetag>1</getetag>")
        + "</prop><status>HTTP/1.1 200 OK</status></propstat></response>"
        for name, data in events
    )
    return f'<multistatus xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">{parts}</multistatus>'


def event(day: int) -> str:
    return EVENT.format(uid=day, start=f"202610{day}T090000Z")


@dataclass
class Server:
    """Answers as it is told to: `METHOD URL` → status and body; anything else is not there."""

    answers: Mapping[str, tuple[int, str]]
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> OutsideAnswer:
        self.asked.append(f"{method} {url}")
        self.bodies.append(body)
        status, content = self.answers.get(f"{method} {url}", (404, ""))
        return OutsideAnswer(url, status, [], content.encode())


class ReadHere(ForeignText):
    """Reads in this process."""

    async def _read(self, reading: str, *arguments: Any) -> Any:
        return READINGS[reading](*arguments)


async def found(server: Server, url: str, *homes: str) -> Calendars:
    return await find(server, ReadHere(), url, homes)  # type: ignore[arg-type]


async def busy(server: Server, calendars: Calendars) -> list[str]:
    said = await contents(server, ReadHere(), calendars, WITHIN)  # type: ignore[arg-type]
    return [f"{start:%m-%d %H:%M}" for start, _ in busy_times(said, WITHIN, PARIS)]


async def test_a_calendars_own_address_is_read_as_it_is() -> None:
    url = "https://agenda.exemple.fr/docteur/personnel/"
    server = Server({f"PROPFIND {url}": (207, RADICALE_CALENDAR)})
    calendars = await found(server, url)
    assert (list(calendars.by_url), calendars.homes) == ([url], ())
    assert server.asked == [f"PROPFIND {url}"]
    other = Server({f"PROPFIND {url}": (207, RADICALE_CALENDAR.replace("3f1", "3f2"))})
    assert (await found(other, url)).state != calendars.state, "a change is seen by one request"


async def test_a_server_leads_to_its_calendars_that_take_time() -> None:
    """Nextcloud by its bare name: what holds tasks, what is declared transparent and the inbox block nobody."""
    base = "https://nuage.exemple.fr"
    server = Server(
        {
            f"PROPFIND {base}/": (405, "<html/>"),
            f"PROPFIND {base}/.well-known/caldav": (207, SABRE_ROOT),
            f"PROPFIND {base}/remote.php/dav/principals/users/docteur/": (207, SABRE_PRINCIPAL),
            f"PROPFIND {base}/remote.php/dav/calendars/docteur/": (207, SABRE_HOME),
        }
    )
    calendars = await found(server, f"{base}/")
    home = f"{base}/remote.php/dav/calendars/docteur/"
    assert list(calendars.by_url) == [f"{home}cabinet%20priv%c3%a9/"]
    assert calendars.homes == (home,)
    server.asked.clear()
    assert (await found(server, f"{base}/", home)).state == calendars.state
    assert server.asked == [f"PROPFIND {home}"], (
        "once they are known, one request says whether they have changed"
    )
    server.asked.clear()
    assert (await found(server, f"{base}/", f"{base}/ailleurs/")).homes == (home,), "they have moved"


async def test_calendars_may_stand_on_another_host_and_come_in_two_steps() -> None:
    """iCloud: a host for each account, and objects that a query names and does not hold."""
    server = Server(
        {
            "PROPFIND https://caldav.icloud.com/": (207, ICLOUD_ROOT),
            "PROPFIND https://caldav.icloud.com/12345/principal/": (207, ICLOUD_PRINCIPAL),
            "PROPFIND https://p42-caldav.icloud.com:443/12345/calendars/": (207, ICLOUD_HOME),
        }
    )
    calendars = await found(server, "https://caldav.icloud.com/")
    work = "https://p42-caldav.icloud.com:443/12345/calendars/work/"
    assert list(calendars.by_url) == [work]

    class Twice(Server):
        async def ask(
            self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
        ) -> OutsideAnswer:
            answer = await super().ask(method, url, headers, body)
            content = objects(("", None), ("1.ics", event(20)), ("2.ics", None))
            if b"calendar-multiget" in body:
                assert body.count(b"<D:href>") == 1
                content = objects(("2.ics", event(21)))
            return OutsideAnswer(answer.url, 207, [], content.encode())

    assert await busy(Twice({}), calendars) == ["10-20 09:00", "10-21 09:00"]
    with pytest.raises(NotReadError, match="without content"):
        await busy(Server({f"REPORT {work}": (207, objects(("2.ics", None)))}), calendars)


async def test_where_events_are_not_told_free_and_busy_times_are() -> None:
    url = "https://agenda.exemple.fr/docteur/personnel/"
    said = RADICALE_CALENDAR.replace("<C:calendar-query />", "<C:free-busy-query />")
    times = "BEGIN:VCALENDAR\r\nBEGIN:VFREEBUSY\r\nFREEBUSY:20261020T080000Z/PT2H\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n"
    server = Server({f"PROPFIND {url}": (207, said), f"REPORT {url}": (200, times)})
    assert await busy(server, await found(server, url)) == ["10-20 08:00"]
    assert b"free-busy-query" in server.bodies[-1]


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({}, "unreadable"),
        ({"/": (200, "<html>Bienvenue</html>")}, "unreadable"),
        ({"/": (207, "<html>Bienvenue</html>")}, "unreadable"),
        ({"/": (207, "no XML")}, "unreadable"),
        ({"/": (401, "")}, "not-allowed"),
        ({"/": (403, "")}, "not-allowed"),
        ({"/": (207, RADICALE_CALENDAR.replace("VEVENT", "VJOURNAL"))}, "unreadable"),
        ({"/": (207, SABRE_PRINCIPAL), "/remote.php/dav/calendars/docteur/": (500, "")}, "not-reached"),
        (
            {"/": (207, SABRE_PRINCIPAL), "/remote.php/dav/calendars/docteur/": (207, SABRE_ROOT)},
            "unreadable",
        ),
    ],
)
async def test_what_is_no_calendar_is_told_apart(
    answers: Mapping[str, tuple[int, str]], problem: str
) -> None:
    base = "https://nuage.exemple.fr"
    server = Server({f"PROPFIND {base}{path}": answer for path, answer in answers.items()})
    with pytest.raises(NotReadError) as refused:
        await found(server, f"{base}/")
    assert refused.value.problem == problem


BOMB = '<!DOCTYPE a [<!ENTITY x "0123456789"><!ENTITY y "&x;&x;&x;&x;">]>'
FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("harm", [BOMB, FILE, "<!DOCTYPE multistatus>"])
def test_a_document_type_is_refused_before_it_is_read(harm: str) -> None:
    body = objects(("1.ics", event(20))).replace(
        "1.ics", "&y;" if harm is BOMB else "&x;" if harm is FILE else "1"
    )
    with pytest.raises(NotReadError, match="document type"):
        calendar_objects((harm + body).encode())


def test_a_document_type_in_a_text_is_a_text() -> None:
    """Outlook puts a web page into its events, and iCloud puts events into CDATA."""
    data = f"<![CDATA[{event(20).replace('SUMMARY', 'X-ALT-DESC:<!DOCTYPE HTML>SUMMARY')}]]>"
    [content] = calendar_objects(objects(("1.ics", data)).encode()).contents
    assert b"<!DOCTYPE HTML>" in content


def test_what_is_deep_or_odd_is_read_or_refused() -> None:
    deep = "<a>" * 100_000 + "</a>" * 100_000
    odd = f'<multistatus xmlns="DAV:"><response><status/>{deep}</response><response/></multistatus>'
    assert resources(odd.encode()) == []
    for status in (
        "HTTP/1.1 507 Insufficient Storage",
        "HTTP/1.1 ²00",
        "HTTP/1.1",
        f"HTTP/1.1 {'9' * 5_000}",
    ):
        one = f"<response><href>/a/</href><status>{status}</status></response>"
        body = f'<multistatus xmlns="DAV:">{one}</multistatus>'.encode()
        if "507" in status:
            with pytest.raises(NotReadError):
                resources(body)
        else:
            assert len(resources(body)) == 1
    with pytest.raises(NotReadError):
        resources(b'<?xml version="1.0" encoding="utf-99"?><a/>')


def test_properties_belong_to_one_address() -> None:
    """RFC 4918 §14.24: several addresses share a status alone. Thousands of addresses with thousands of properties each
    would be looked through for an hour."""
    said = "<propstat><prop><resourcetype>" + "<a/>" * 20_000 + "</resourcetype></prop></propstat>"
    began = process_time()
    with pytest.raises(NotReadError, match="several addresses"):
        resources(
            f'<multistatus xmlns="DAV:"><response>{"<href/>" * 20_000}{said}</response></multistatus>'.encode()
        )
    one = f"<response><href>/a/</href>{said}</response>"
    assert len(resources(f'<multistatus xmlns="DAV:">{one}</multistatus>'.encode())) == 1
    gone = "<response><href>/a</href><href>/b</href><status>HTTP/1.1 403 Forbidden</status></response>"
    assert len(calendar_objects(f'<multistatus xmlns="DAV:">{gone}</multistatus>'.encode()).missing) == 2
    assert process_time() - began < 3


def test_only_when_is_asked_for() -> None:
    """What an event is about is not even asked for; a day more on each side, as servers know days by other clocks."""
    asked = query(WITHIN).decode()
    assert '<C:time-range start="20261018T000000Z" end="20261110T000000Z"/>' in asked
    assert "SUMMARY" not in asked
    assert "DTSTART" in asked
