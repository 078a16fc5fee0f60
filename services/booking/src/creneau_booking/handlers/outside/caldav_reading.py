"""Reads busy times from a CalDAV server: finds its calendars, checks for changes, then asks when the owner is busy.

The given address may be that of a calendar, of its owner or of the whole server (RFC 6764 §6): the resource's own
properties show which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from creneau_booking.domain.busy_times import Period
from creneau_booking.domain.not_read import NotAllowedError, TooLargeError, UnreadableError
from creneau_booking.handlers.outside.caldav import (
    FREE_BUSY,
    LOOK,
    QUERY,
    DavResource,
    free_busy,
    multiget,
    query,
)
from creneau_booking.handlers.outside.fetching import OutsideAnswer, Visit, named_at, refusal
from creneau_booking.handlers.outside.foreign_text import ForeignText

CALENDARS_MAX = 25
WELL_KNOWN = "/.well-known/caldav"
MULTISTATUS = 207


@dataclass(frozen=True, slots=True)
class Calendars:
    """Calendars (by URL), and where they are listed (URLs); empty: the given address is the calendar's own."""

    by_url: dict[str, DavResource]
    homes: tuple[str, ...] = ()

    @property
    def state(self) -> str | None:
        """A value that changes whenever one of the calendars does; None: the server does not state it for all."""
        said = [(url, one.state) for url, one in sorted(self.by_url.items())]
        if any(state is None for _, state in said):
            return None
        return hashlib.sha256(repr(said).encode()).hexdigest()


async def find(visit: Visit, text: ForeignText, url: str, homes: Sequence[str]) -> Calendars:
    """Finds the calendars of an address; `homes`: where they were listed the last time. Raises NotReadError."""
    if homes:
        try:
            return await _listed(visit, text, homes)
        except UnreadableError:  # the calendars have moved
            return await _discovered(visit, text, url)
    return await _discovered(visit, text, url)


async def contents(visit: Visit, text: ForeignText, calendars: Calendars, within: Period) -> list[bytes]:
    """The owner's busy times, as iCalendar files. Raises NotReadError."""
    found: list[bytes] = []
    for url, calendar in calendars.by_url.items():
        if FREE_BUSY in calendar.reports and QUERY not in calendar.reports:
            found.append((await _reported(visit, url, free_busy(within), 200)).content)
        else:
            found += await _objects(visit, text, url, within)
    return found


async def _objects(visit: Visit, text: ForeignText, url: str, within: Period) -> list[bytes]:
    answer = await _reported(visit, url, query(within), MULTISTATUS)
    first = await text.calendar_objects(answer.content)
    if not first.missing:
        return list(first.contents)
    answer = await _reported(visit, url, multiget(first.missing), MULTISTATUS)
    second = await text.calendar_objects(answer.content)
    if second.missing:
        raise UnreadableError("events without content")
    return [*first.contents, *second.contents]


async def _reported(visit: Visit, url: str, body: bytes, wanted: int) -> OutsideAnswer:
    answer = await visit.ask("REPORT", url, _headers(1), body)
    if answer.status != wanted:
        raise refusal(answer.status)
    return answer


async def _listed(visit: Visit, text: ForeignText, homes: Sequence[str]) -> Calendars:
    """The calendars at these URLs whose events make their owner busy."""
    by_url: dict[str, DavResource] = {}
    for home in homes:
        answer, found = await _look(visit, text, home, 1)
        if found is None:
            raise refusal(answer.status)
        by_url |= {
            named_at(answer.url, one.href): one
            for one in found
            if one.is_calendar and one.of_events and one.takes_time
        }
    if not by_url:
        raise UnreadableError("no calendar of events")
    if len(by_url) > CALENDARS_MAX:
        raise TooLargeError("too many calendars")
    return Calendars(by_url, tuple(homes))


async def _discovered(visit: Visit, text: ForeignText, url: str) -> Calendars:
    forbidden = False
    for start in (url, named_at(url, WELL_KNOWN)):
        answer, found = await _look(visit, text, start, 0)
        if answer.status == 401:
            raise refusal(answer.status)
        forbidden = forbidden or answer.status == 403
        if not found:
            continue
        one = found[0]
        if one.is_calendar:
            if not one.of_events:
                raise UnreadableError("no calendar of events")
            return Calendars({answer.url: one})
        homes = await _homes(visit, text, answer.url, one)
        if homes:
            return await _listed(visit, text, homes)
    raise NotAllowedError("403") if forbidden else UnreadableError("no calendar")


async def _homes(visit: Visit, text: ForeignText, url: str, one: DavResource) -> list[str]:
    """The URLs that list the user's calendars (§6.2.1), from a resource or its principal."""
    if not one.homes and one.principal:
        answer, found = await _look(visit, text, named_at(url, one.principal), 0)
        if found:
            url, one = answer.url, found[0]
    return [named_at(url, home) for home in one.homes]


async def _look(
    visit: Visit, text: ForeignText, url: str, depth: int
) -> tuple[OutsideAnswer, list[DavResource] | None]:
    """The description of a resource, with its members if `depth` is 1; None: it is no WebDAV resource."""
    answer = await visit.ask("PROPFIND", url, _headers(depth), LOOK)
    return answer, await text.resources(answer.content) if answer.status == MULTISTATUS else None


def _headers(depth: int) -> dict[str, str]:
    return {"Depth": str(depth), "Content-Type": "application/xml; charset=utf-8"}
