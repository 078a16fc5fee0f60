"""`Schedule/[id]/$calendar-feed` shows an agenda in an outside calendar; `$follow-calendar` does the reverse."""

from __future__ import annotations

import secrets
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from creneau_booking.domain.not_read import NotPublicError
from creneau_booking.handlers.outside.calendar_password import CalendarPasswords
from creneau_booking.handlers.outside.fetching import require_web_address
from creneau_booking.handlers.outside.known_outside import Credentials
from creneau_booking.operations.agendas.calendar_state import host, told
from creneau_booking.storage.outside.calendars import close_feed, open_feed, people_of
from creneau_booking.storage.outside.followed_calendars import (
    follow_calendar,
    last_reading,
    leave_calendar,
)
from creneau_booking.storage.slots.sync import own_agenda
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.reading import unknown_resource
from creneau_shared.fhir.rest.writing import write_context

TYPE = "Schedule"
URL_CHARACTERS_MAX = 2_000
WORD_CHARACTERS_MAX = 500
"""Longest user name and longest password, in characters"""

FEED = operation_definition(
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
    resources=[TYPE],
)
FOLLOW = operation_definition(
    "follow-calendar",
    "Busy times from a calendar elsewhere",
    "The busy times of a calendar (iCalendar or CalDAV, by its address on the public internet) block the time of the"
    " agenda's professionals, in every agenda of theirs. Nothing of it is kept but when. With remove it blocks nothing any"
    " more. With neither url nor remove it says how it stands.",
    [
        parameter(
            "url",
            "url",
            documentation="https or webcal; never shown again. With a password that of a calendar, its owner or the server.",
        ),
        parameter("user", "string", documentation="With a password: as whom the calendar is read (CalDAV)."),
        parameter(
            "password",
            "string",
            documentation="Over https only, kept sealed, never shown again, gone with the calendar; best one that is good for"
            " calendars alone. Without it the address is that of an iCalendar file.",
        ),
        parameter("remove", "boolean"),
        parameter("following", "boolean", use="out", documentation="Whether a calendar is followed."),
        parameter("host", "string", use="out", documentation="Of which host a calendar is followed now."),
        parameter("read-at", "instant", use="out", documentation="When it was read last."),
        parameter("failing-since", "instant", use="out", documentation="Since when it cannot be read."),
        parameter("problem", "OperationOutcome", use="out", documentation="Why it cannot be read."),
        parameter("removed", "boolean", use="out"),
    ],
    affects_state=True,
    type_level=False,
    instance=True,
    resources=[TYPE],
)


class CalendarOperations:
    """Both operations, on a Schedule of the caller's practice. Their input and answers are secret, and recorded nowhere."""

    def __init__(self, site_url: str, passwords: CalendarPasswords, *, may_follow: bool) -> None:
        self._site_url = site_url
        self._passwords = passwords
        self._may_follow = may_follow

    def declare(self) -> list[Operation]:
        return [Operation(FEED, self.feed, secret=True), Operation(FOLLOW, self.follow, secret=True)]

    async def feed(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call)
        revoke, details = given.flag("revoke"), given.flag("details") is True
        async with call.service.transaction() as connection:
            schedule = await self._own(connection, call)
            if revoke:
                await close_feed(connection, schedule)
                return _answer({"name": "revoked", "valueBoolean": True})
            token = secrets.token_urlsafe(32)
            await open_feed(connection, schedule, token, details=details, now=call.request.now)
        return _answer({"name": "url", "valueUrl": f"{self._site_url}/calendar/{token}.ics"})

    async def follow(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call)
        _require_unlogged(call)
        remove = given.flag("remove")
        async with call.service.transaction() as connection:
            schedule = await self._own(connection, call)
            if remove:
                await leave_calendar(connection, schedule, call.request.now)
                return _answer({"name": "removed", "valueBoolean": True})
            if not given.names & {"url", "user", "password"}:
                last = await last_reading(connection, schedule)
                return _answer(*told(last, call.request.language))
            url = self._checked(given.first("url"))
            credentials = self._sealed(given, schedule, url)
            if not await people_of(connection, schedule):
                raise Unprocessable(
                    "Cet agenda n'a pas de professionnel dont un calendrier pourrait prendre le temps.",
                    "This agenda has no professional whose time a calendar could take.",
                    expression="Schedule.actor",
                    details_code="no-professional",
                )
            await follow_calendar(connection, schedule, url, call.request.now, credentials)
        return _answer(host(url))

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

    def _sealed(self, given: OperationInput, schedule: str, url: str) -> str | None:
        """Returns user and password, sealed; None if the call gives neither."""
        user, password = given.first("user"), given.first("password")
        if user is None and password is None:
            return None
        if not (_is_word(user) and _is_word(password)) or ":" in user:
            raise BadRequest(
                "Donnez l'utilisateur (user, sans « : ») et le mot de passe (password), ou ni l'un ni l'autre.",
                "Give both the user (without “:”) and the password, or neither.",
                code="required",
                expression="Parameters.parameter",
            )
        if not self._passwords.kept:
            raise Unprocessable(
                "Cette installation ne garde pas de mots de passe : donnez l'adresse d'un calendrier iCalendar (.ics), sans mot"
                " de passe.",
                "This installation keeps no passwords: give the address of an iCalendar file (.ics), without a password.",
                code="not-supported",
                expression="Parameters.parameter",
                details_code="calendar-passwords-off",
            )
        if urlsplit(url).scheme != "https":
            raise Unprocessable(
                "Un mot de passe ne voyage que chiffré : donnez une adresse https.",
                "A password travels encrypted only: give an https address.",
                expression="Parameters.parameter",
                details_code="password-unencrypted",
            )
        return self._passwords.close(Credentials(user, password), schedule, url)

    @staticmethod
    async def _own(connection: Connection, call: OperationCall) -> str:
        """Returns the agenda's id. Raises NotFound, or Forbidden if it is another practice's."""
        assert call.id is not None
        context = write_context(call.request, call.request.access(TYPE, "u"))
        if await own_agenda(connection, context, call.id) is None:
            raise unknown_resource(TYPE, call.id)
        return call.id


def _require_unlogged(call: OperationCall) -> None:
    """Refuses a password in the query: addresses are logged on their way, bodies are not."""
    if "password" in {name for name, _ in call.request.query}:
        raise BadRequest(
            "Donnez le mot de passe dans le corps de la requête, pas dans son adresse.",
            "Give the password in the body of the request, not in its address.",
            expression="Parameters.parameter",
        )


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= WORD_CHARACTERS_MAX and value.isprintable()


def _answer(*parts: dict[str, Any]) -> Answer:
    return Answer(200, dumps({"resourceType": "Parameters", "parameter": parts}))
