"""The protocol of CalDAV (RFC 4791, over WebDAV, RFC 4918): requests as XML, and answers as facts.

Answers come from untrusted servers: a document type, and with it every entity, is refused before it is read.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn
from xml.sax.saxutils import escape

from creneau_booking.domain.busy_times import Period
from creneau_booking.domain.not_read import TooLargeError, UnreadableError

NAMESPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:S="http://calendarserver.org/ns/"'
D, C, S = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}", "{http://calendarserver.org/ns/}"
QUERY, FREE_BUSY = f"{C}calendar-query", f"{C}free-busy-query"
AROUND = timedelta(days=1)
"""margin before and after the wanted time: a server may read a day without zone in another zone"""

LOOK = f"""<?xml version="1.0" encoding="utf-8"?>
<D:propfind {NAMESPACES}><D:prop><D:resourcetype/><D:current-user-principal/><C:calendar-home-set/>
<C:supported-calendar-component-set/><C:schedule-calendar-transp/><D:supported-report-set/><S:getctag/><D:sync-token/>
<D:getetag/></D:prop></D:propfind>""".encode()

_READ = "".join(
    f'<C:prop name="{name}"/>'
    for name in (
        "UID", "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "STATUS", "TRANSP",
    )
)  # fmt: skip
_DATA = f"""<D:prop><C:calendar-data><C:comp name="VCALENDAR"><C:prop name="VERSION"/>
<C:comp name="VEVENT">{_READ}</C:comp><C:comp name="VTIMEZONE"><C:allprop/><C:allcomp/></C:comp></C:comp></C:calendar-data>
</D:prop>"""
"""Asks only for the times of events, if the server can leave out the rest (RFC 4791 §9.6.1)."""


_STATUS = re.compile(r"HTTP/\S+ (\d{3})(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class DavResource:
    """A resource as its server describes it; addresses as the server writes them."""

    href: str
    is_calendar: bool
    of_events: bool
    """whether a calendar may hold events (§5.2.3)"""
    takes_time: bool
    """whether its events make its owner busy (RFC 6638 §9.1)"""
    principal: str | None
    homes: tuple[str, ...]
    reports: frozenset[str]
    """the supported REPORTs; empty: not stated"""
    state: str | None
    """a value that changes whenever its content does; None: not stated"""


@dataclass(frozen=True, slots=True)
class CalendarObjects:
    """The result of a REPORT: the objects (iCalendar), and the addresses of those that came without content."""

    contents: tuple[bytes, ...]
    missing: tuple[str, ...]


def query(within: Period) -> bytes:
    """A calendar-query for the events in this period and their times (§7.8)."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><C:calendar-query {NAMESPACES}>{_DATA}<C:filter>'
        f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{_range(within)}</C:comp-filter>'
        "</C:comp-filter></C:filter></C:calendar-query>"
    ).encode()


def multiget(hrefs: Iterable[str]) -> bytes:
    """A calendar-multiget for the times of these events (§7.9)."""
    named = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><C:calendar-multiget {NAMESPACES}>{_DATA}{named}'
        "</C:calendar-multiget>"
    ).encode()


def free_busy(within: Period) -> bytes:
    """A free-busy-query for the owner's busy times in this period (§7.10)."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><C:free-busy-query {NAMESPACES}>{_range(within)}'
        "</C:free-busy-query>"
    ).encode()


def _range(within: Period) -> str:
    start, end = within[0] - AROUND, within[1] + AROUND
    return f'<C:time-range start="{_stamp(start)}" end="{_stamp(end)}"/>'


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def resources(content: bytes) -> list[DavResource]:
    """Reads the answer to a PROPFIND of `LOOK`. Raises NotReadError."""
    return [_resource(href, properties) for href, properties in _found(content)]


def calendar_objects(content: bytes) -> CalendarObjects:
    """Reads the answer to a calendar-query or a calendar-multiget. Raises NotReadError."""
    contents, missing = [], []
    for href, properties in _found(content):
        data = properties.get(f"{C}calendar-data")
        text = (data.text or "").strip() if data is not None else ""
        if text:
            contents.append(text.encode())
        elif not href.endswith("/"):  # a final slash: the calendar itself, which some servers list as well
            missing.append(href)
    return CalendarObjects(tuple(contents), tuple(missing))


def _resource(href: str, properties: dict[str, ET.Element]) -> DavResource:
    def inside(name: str, path: str) -> list[ET.Element]:
        return properties[name].findall(path) if name in properties else []

    kinds = {kind.tag for kind in inside(f"{D}resourcetype", "*")}
    components = {
        one.get("name", "").upper() for one in inside(f"{C}supported-calendar-component-set", f"{C}comp")
    }
    reports = inside(f"{D}supported-report-set", f"{D}supported-report/{D}report/*")
    principals = [text for one in inside(f"{D}current-user-principal", f"{D}href") if (text := _text(one))]
    homes = [text for one in inside(f"{C}calendar-home-set", f"{D}href") if (text := _text(one))]
    states = [_text(properties.get(name)) for name in (f"{S}getctag", f"{D}sync-token", f"{D}getetag")]
    return DavResource(
        href=href,
        is_calendar=f"{C}calendar" in kinds,
        of_events=not components or "VEVENT" in components,
        takes_time=not inside(f"{C}schedule-calendar-transp", f"{C}transparent"),
        principal=principals[0] if principals else None,
        homes=tuple(homes),
        reports=frozenset(report.tag for report in reports),
        state=next((state for state in states if state), None),
    )


def _found(content: bytes) -> Iterator[tuple[str, dict[str, ET.Element]]]:
    """Yields each existing resource of a multistatus (RFC 4918 §13): its address, and its properties."""
    for response in _parsed(content).iterfind(f"{D}response"):
        code = _code(response.find(f"{D}status"))
        if code == 507:
            raise TooLargeError("507")
        if code in (404, 410):
            continue
        hrefs = response.findall(f"{D}href")
        if not hrefs:
            continue
        properties = {
            one.tag: one
            for said in response.iterfind(f"{D}propstat")
            if _code(said.find(f"{D}status")) == 200
            for one in said.iterfind(f"{D}prop/*")
        }
        if properties and len(hrefs) > 1:  # §14.24: several addresses share a status, never properties
            raise UnreadableError("several addresses with properties")
        for href in hrefs:
            yield _text(href), properties


def _code(status: ET.Element | None) -> int:
    """The number in `HTTP/1.1 200 OK`; 200 without a status, 0 if it cannot be read."""
    said = _text(status)
    found = _STATUS.match(said)
    return int(found[1]) if found else 0 if said else 200


def _text(element: ET.Element | None) -> str:
    return (element.text or "").strip() if element is not None else ""


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise UnreadableError("a document type")


def _parsed(content: bytes) -> ET.Element:
    parser = ET.XMLParser(target=_Builder())  # noqa: S314
    try:
        parser.feed(content)
        root: ET.Element = parser.close()
    except (ET.ParseError, ValueError, LookupError) as error:
        raise UnreadableError(type(error).__name__) from error
    if root.tag != f"{D}multistatus":
        raise UnreadableError("no multistatus")
    return root
