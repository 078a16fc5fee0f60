"""`Schedule/[id]/$calendar-feed` and `$follow-calendar`: an agenda read in one's own calendar, and the other way round."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from creneau_booking.handlers.outside import NotPublicError, require_web_address
from creneau_booking.operations.definitions import operation_definition, parameter
from creneau_booking.storage.calendars import (
    close_feed,
    follow_calendar,
    leave_calendar,
    open_feed,
    people_of,
)
from creneau_booking.storage.slot_sync import own_agenda
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.reading import unknown_resource
from creneau_shared.fhir.rest.writing import write_context

TYPE = "Schedule"
URL_CHARACTERS_MAX = 2_000

FEED = {
    **operation_definition(
        "calendar-feed",
        "A private calendar address of an agenda",
        "Gives a new secret address (iCalendar) of the agenda's visits, for whoever owns it, and revokes the one before."
        " It names no patient. With revoke it only revokes.",
        [
            parameter(
                "details",
                "boolean",
                documentation="Titles say the type of the visit; by default they do not.",
            ),
            parameter(
                "revoke",
                "boolean",
                documentation="No new address: the one that there is opens nothing any more.",
            ),
            parameter("url", "url", use="out", documentation="The address, told this once."),
            parameter("revoked", "boolean", use="out"),
        ],
        affects_state=True,
        type_level=False,
        instance=True,
        resource=TYPE,
    ),
    "name": "ScheduleCalendarFeed",
}
FOLLOW = {
    **operation_definition(
        "follow-calendar",
        "Busy times from a calendar elsewhere",
        "The busy times of a calendar (iCalendar, by its address on the public internet) block the time of the agenda's"
        " professionals, in every agenda of theirs. Nothing of it is kept but when. With remove it blocks nothing any more.",
        [
            parameter("url", "url", documentation="https or webcal; never shown again."),
            parameter("remove", "boolean"),
            parameter("host", "string", use="out", documentation="Of which host a calendar is followed now."),
            parameter("removed", "boolean", use="out"),
        ],
        affects_state=True,
        type_level=False,
        instance=True,
        resource=TYPE,
    ),
    "name": "ScheduleFollowCalendar",
}


class CalendarOperations:
    """Both, on a Schedule of the caller's practice. What they take or answer is a secret, and recorded nowhere."""

    def __init__(self, site_url: str, *, may_follow: bool) -> None:
        self._site_url = site_url
        self._may_follow = may_follow

    def declare(self) -> list[Operation]:
        return [Operation(FEED, self.feed, secret=True), Operation(FOLLOW, self.follow, secret=True)]

    async def feed(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call.request)
        revoke, details = _is_true(given.first("revoke")), _is_true(given.first("details"))
        async with call.service.transaction() as connection:
            schedule = await self._own(connection, call)
            if revoke:
                await close_feed(connection, schedule)
                return _answer({"name": "revoked", "valueBoolean": True})
            token = secrets.token_urlsafe(32)
            await open_feed(connection, schedule, token, details=details, now=call.request.now)
        return _answer({"name": "url", "valueUrl": f"{self._site_url}/calendar/{token}.ics"})

    async def follow(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call.request)
        async with call.service.transaction() as connection:
            schedule = await self._own(connection, call)
            if _is_true(given.first("remove")):
                await leave_calendar(connection, schedule, call.request.now)
                return _answer({"name": "removed", "valueBoolean": True})
            url = self._checked(given.first("url"))
            if not await people_of(connection, schedule):
                raise Unprocessable(
                    "Cet agenda n'a pas de professionnel dont un calendrier pourrait prendre le temps.",
                    "This agenda has no professional whose time a calendar could take.",
                    expression="Schedule.actor",
                    details_code="no-professional",
                )
            await follow_calendar(connection, schedule, url, call.request.now)
        return _answer({"name": "host", "valueString": urlsplit(url).hostname or ""})

    def _checked(self, url: object) -> str:
        if not self._may_follow:
            raise Unprocessable(
                "Cette installation ne lit pas de calendriers extérieurs.",
                "This installation reads no calendars from elsewhere.",
                code="not-supported",
                expression="Parameters.parameter",
                details_code="calendars-off",
            )
        if not isinstance(url, str) or not url or len(url) > URL_CHARACTERS_MAX:
            raise BadRequest(
                "Donnez l'adresse du calendrier (url).",
                "Give the calendar's address (url).",
                code="required",
                expression="Parameters.parameter",
            )
        try:
            return require_web_address(url)
        except NotPublicError as error:
            raise Unprocessable(
                "Cette adresse n'est pas celle d'un calendrier sur l'internet public (https).",
                "This is no address of a calendar on the public internet (https).",
                expression="Parameters.parameter",
                details_code="address-not-public",
            ) from error

    @staticmethod
    async def _own(connection: Connection, call: OperationCall) -> str:
        """The agenda's id, once it is known to be the caller's practice's."""
        assert call.id is not None
        context = write_context(call.request, call.request.access(TYPE, "u"))
        if await own_agenda(connection, context, call.id) is None:
            raise unknown_resource(TYPE, call.id)
        return call.id


def _is_true(value: object) -> bool:
    return value is True or value == "true"


def _answer(part: dict[str, Any]) -> Answer:
    return Answer(200, dumps({"resourceType": "Parameters", "parameter": [part]}))
