"""`Patient/[id]/$everything` and `$archive`: all that is kept of a person, for that person (FHIR R4; GDPR art. 15, 20).

Both give booking's part. The gateway adds the messages to both, and makes a ZIP archive of `$archive`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from creneau_booking.domain.times import REACH
from creneau_booking.operations.people.person import access_to_person
from creneau_booking.operations.unknown_names import refuse_if_strict, unknown_names
from creneau_booking.storage.people.erasures import named_in
from creneau_booking.storage.people.record import TYPES as KEPT_HERE
from creneau_booking.storage.people.record import sources
from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import instant_of, parse_interval
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest.bounds import require_room_in_archive
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, asked_count
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, known_names
from creneau_shared.fhir.rest.reading import read_current
from creneau_shared.fhir.rest.record import RecordPage, entries_of, record_page
from creneau_shared.fhir.search.bundle import Entry, Link, outcome_entry, query_url, write_bundle
from creneau_shared.fhir.search.cursor import Cursor, query_digest
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.sql import RowPlace, SearchTable
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.security.principal import Principal
from creneau_shared.security.vouching import HEADER, Vouchers

COUNT_DEFAULT = 200
COUNT_MAX = 1000
TYPES = (*KEPT_HERE, "Communication")
"""Types of a person's record; the gateway adds Communication, which the notifications service keeps"""
_OF_THE_RECORD = frozenset({"Patient", "Person", "Provenance", "AuditEvent"})
"""Types that a caller gets who may read the Patient; each other type needs its own scope."""

EVERYTHING = operation_definition(
    "everything",
    "Everything about a person",
    "The Patient, who acts for them, their appointments, the answers to these, who changed what and who looked at it;"
    " at the entrance also the messages to them. For the person's own account. Types that the token may not read are"
    " left out, and link[self] says _type.",
    [
        parameter("start", "date", documentation="Appointments from this day on (Europe/Paris)."),
        parameter("end", "date", documentation="Appointments until this day."),
        parameter("_since", "instant", documentation="What has changed since then."),
        parameter("_type", "code", maximum="*"),
        parameter("_count", "integer", documentation=f"Resources a page; {COUNT_DEFAULT} unless said."),
        parameter("versions", "boolean", documentation="Superseded versions too."),
        parameter("return", "Bundle", use="out", minimum=1),
    ],
    affects_state=False,
    resources=["Patient"],
    type_level=False,
    instance=True,
    base="http://hl7.org/fhir/OperationDefinition/Patient-everything",
)
_KNOWN = known_names(EVERYTHING, CURSOR_PARAMETER) - {"_summary", "_elements"}
ARCHIVE = operation_definition(
    "archive",
    "A person's archive",
    "All that is kept of the person, superseded versions too, to take away. At the entrance a ZIP archive"
    " (application/zip) with donnees.json, the Bundle, and lisez-moi.html and read-me.html for people; of booking"
    " itself the Bundle. For the person's own account.",
    [parameter("return", "Binary", use="out", minimum=1)],
    affects_state=False,
    resources=["Patient"],
    type_level=False,
    instance=True,
)


@dataclass(frozen=True)
class _Wanted:
    """A call's input, read."""

    types: tuple[str, ...] = TYPES
    since: datetime | None = None
    period: tuple[datetime, datetime] | None = None
    versions: bool = False
    pairs: list[tuple[str, str]] = field(default_factory=list)
    """The input as a query, for the links"""


class EverythingOperation:
    """`$everything` and `$archive` on a Patient."""

    def __init__(self, patients: GenericStore, trail: SearchTable, vouchers: Vouchers) -> None:
        self._patients = patients
        self._trail = trail
        self._vouchers = vouchers

    def declare(self) -> list[Operation]:
        return [
            Operation(EVERYTHING, self.everything),
            Operation(ARCHIVE, self.archive),
        ]

    async def everything(self, call: OperationCall) -> Answer:
        wanted = _wanted(call)
        count = max(asked_count(wanted.pairs, COUNT_DEFAULT, COUNT_MAX), 1)
        digest = query_digest(f"Patient/{call.id}/$everything", wanted.pairs)
        text = call.request.parameter(CURSOR_PARAMETER)
        begin = (0, "")
        if text:
            number, place = call.service.cursors.decode(text, digest).place.values
            begin = (int(number), str(place))
        page = await self._page(call, wanted, begin, count)
        url = f"{call.service.base_url}/Patient/{call.id}/$everything"
        links = [Link("self", query_url(url, wanted.pairs))]
        if page.following is not None:
            cursor = call.service.cursors.encode(Cursor(RowPlace(page.following)), digest)
            links.append(Link("next", query_url(url, [*wanted.pairs, (CURSOR_PARAMETER, cursor)])))
        entries = [*entries_of(page.found, call.service.base_url), *_remarks(call)]
        return Answer(200, write_bundle("searchset", entries, links=links), self._voucher(call))

    async def archive(self, call: OperationCall) -> Answer:
        """Answers one Bundle of each version of each resource. Raises TooLarge for more than is kept at once until the last is
        there: such a record comes by the pages of `$everything`."""
        wanted = _Wanted(_allowed(call.request.principal, TYPES), versions=True)
        page = await self._page(call, wanted, (0, ""), COUNT_MAX)
        found = list(page.found)
        while page.following is not None:
            require_room_in_archive(sum(len(one.content or b"") for one in found))
            page = await self._page(call, wanted, page.following, COUNT_MAX)
            found += page.found
        entries = entries_of(found, call.service.base_url, searched=False)
        content = write_bundle("collection", entries, timestamp=call.request.now)
        return Answer(200, content, self._voucher(call))

    def _voucher(self, call: OperationCall) -> dict[str, str]:
        assert call.id is not None
        text = self._vouchers.write(call.request.principal, call.id, call.request.now)
        return {HEADER: text} if text is not None else {}

    async def _page(
        self, call: OperationCall, wanted: _Wanted, begin: tuple[int, str], count: int
    ) -> RecordPage:
        assert call.id is not None
        access = access_to_person(call, "r")
        async with call.service.connection() as connection:
            current = await read_current(connection, self._patients, access, call.id)
            named = await named_in(connection, call.id)
            found = sources(
                call.id,
                named,
                self._trail,
                types=wanted.types,
                since=wanted.since,
                period=wanted.period,
                versions=wanted.versions,
            )
            page = await record_page(connection, found, begin, count)
            if begin == (0, ""):
                await call.service.audit(connection, call.request, "E", current)
        return page


def _remarks(call: OperationCall) -> list[Entry]:
    """Returns an entry that names the unknown parameters, if any."""
    request = call.request
    issues = unknown_names(OperationInput.of(call), _KNOWN, "$everything")
    return [outcome_entry(dumps(operation_outcome(issues, request.language)))] if issues else []


def _wanted(call: OperationCall) -> _Wanted:
    """Returns the call's input, from the query or Parameters. Raises BadRequest if a value cannot be read."""
    request, given = call.request, OperationInput.of(call)
    refuse_if_strict(request, given, _KNOWN, "$everything")
    types = _allowed(request.principal, _types(given))
    start, end = _day(given, "start"), _day(given, "end")
    period = None
    if start or end:
        begin = _midnight(start) if start else REACH[0]
        until = _midnight(end, after=True) if end else REACH[1]
        period = (begin, until)
    since = _instant(given)
    versions = given.flag("versions") is True
    pairs = [
        *([("start", start.isoformat())] if start else []),
        *([("end", end.isoformat())] if end else []),
        *([("_since", since.isoformat())] if since else []),
        *([("_type", ",".join(types))] if types != TYPES else []),
        *([("versions", "true")] if versions else []),
        *([("_count", str(given.first("_count")))] if given.first("_count") is not None else []),
    ]
    return _Wanted(types, since, period, versions, pairs)


def _types(given: OperationInput) -> tuple[str, ...]:
    asked = given.texts("_type")
    unknown = [name for name in asked if name not in TYPES]
    if unknown:
        raise BadRequest(
            f"_type : « {unknown[0]} » n'est pas de ce dossier. Types : {', '.join(TYPES)}.",
            f"_type: “{unknown[0]}” is not part of this record. Types: {', '.join(TYPES)}.",
            code="value",
            expression="http._type",
        )
    return tuple(name for name in TYPES if name in asked) if asked else TYPES


def _allowed(principal: Principal, types: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in types if name in _OF_THE_RECORD or principal.level(name, "r") is not None)


def _day(given: OperationInput, name: str) -> date | None:
    value = given.first(name)
    if value is None or value == "":
        return None
    try:
        low, high = parse_interval(str(value), PARIS)
        return (low if name == "start" else high - timedelta(microseconds=1)).astimezone(PARIS).date()
    except ValueError:
        raise BadRequest(
            f"{name} attend un jour (2026-12-01) ; reçu « {value} ».",
            f"{name} takes a day (2026-12-01); got “{value}”.",
            code="value",
            expression=f"http.{name}",
        ) from None


def _midnight(day: date, *, after: bool = False) -> datetime:
    """Returns when the day begins (with `after`: the next day). A day out of REACH counts as REACH's first or last day."""
    first, last = (moment.date() for moment in REACH)
    within = min(max(day, first), last)
    return datetime.combine(within + timedelta(days=after), time(), PARIS).astimezone(UTC)


def _instant(given: OperationInput) -> datetime | None:
    value = given.first("_since")
    if value is None or value == "":
        return None
    try:
        moment = instant_of(str(value).replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRequest(
            f"_since attend un instant avec fuseau (2026-03-29T10:00:00Z) ; reçu « {value} ».",
            f"_since takes an instant with an offset (2026-03-29T10:00:00Z); got “{value}”.",
            code="value",
            expression="http._since",
        )
    return moment
