"""Reads the input of `$sync-slots` slot by slot: NDJSON, a Bundle, a Parameters with slots, or one Slot.

Each slot is checked and becomes a row before the next is read, so that a long feed keeps only the narrow rows.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from creneau_booking.domain.refusals.feeds import SlotOfAnotherAgenda, SlotOutsideWindow, TooManySlots
from creneau_booking.storage.mapping.slot import Kinds, SlotKind, kind_of, row_of
from creneau_booking.storage.slots.sync import SlotSent, Window
from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest, CreneauError, Issue, Unprocessable
from creneau_shared.fhir.datatypes import CALENDAR_END, PRIMITIVES, parse_interval
from creneau_shared.fhir.json import dumps, loads_sent
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.rest.bounds import Bounds
from creneau_shared.fhir.rest.exchange import FhirRequest, json_object
from creneau_shared.fhir.rest.negotiation import is_ndjson
from creneau_shared.fhir.rest.reading import ID
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import check
from creneau_shared.refusal import Refusal

FROM, TO = ("from", "start", "_from"), ("to", "end", "_to")
_IS_TEXT = PRIMITIVES["string"].accepts
_ITS_OWN = (
    ("id", PRIMITIVES["id"].accepts),
    ("start", PRIMITIVES["instant"].accepts),
    ("end", PRIMITIVES["instant"].accepts),
)
SLOTS_A_TURN = 100
"""Slots that are read before other requests have their turn"""


@dataclass(frozen=True, slots=True)
class SlotFeed:
    """The slots in the order in which they were sent, and the period that they cover."""

    slots: list[SlotSent]
    window: Window


async def read_feed(
    request: FhirRequest, schedule: str, base_url: str, bounds: Bounds, most: int
) -> SlotFeed:
    """Returns the request's slots for the agenda (id), at most `most`. Raises BadRequest if one cannot be read and
    Unprocessable if it is not valid, each with the slot's number; TooManySlots, SlotOfAnotherAgenda or SlotOutsideWindow."""
    given, resources = _sent(request)
    start, end = _bound(given, FROM, last=False), _bound(given, TO, last=True)
    if start is not None and end is not None and end <= start:
        raise BadRequest(
            "La période finit avant de commencer.",
            "The period ends before it starts.",
            code="value",
            expression="http.to",
            details_code="window-order",
        )
    slots: list[SlotSent] = []
    kinds: Kinds = {}
    forms: dict[bytes, SlotKind] = {}
    for number, slot in enumerate(resources, start=1):
        if number > most:
            raise TooManySlots(most)
        one = _one(slot, number, schedule, base_url, bounds, kinds, forms)
        if (start is not None and one.row.start < start) or (end is not None and one.row.start >= end):
            raise SlotOutsideWindow(number)
        slots.append(one)
        if number % SLOTS_A_TURN == 0:
            await asyncio.sleep(0)
    whole = start is not None or end is not None
    return SlotFeed(slots, _window(slots, start, end, request.now, whole=whole))


def _window(
    slots: list[SlotSent], start: datetime | None, end: datetime | None, now: datetime, *, whole: bool
) -> Window:
    """Returns the feed's period. Without `start` it begins now, or with the earliest slot; without `end` it is open."""
    earliest = min((one.row.start for one in slots), default=now)
    latest = max((one.row.end for one in slots), default=now)
    if not whole:
        return Window(earliest, max(latest, earliest), whole=False)
    return Window(start or min(now, earliest), end or CALENDAR_END, whole=True)


def _sent(request: FhirRequest) -> tuple[list[tuple[str, Any]], Iterator[Resource]]:
    """Returns the simple parameters, and an iterator over the slots."""
    given: list[tuple[str, Any]] = list(request.query)
    if request.parsed is None and is_ndjson(request.headers.get("content-type")):
        return given, _lines(request.body)
    if not request.body.strip() and request.parsed is None:
        return given, iter(())
    resource = request.resource()
    if resource.get("resourceType") == "Parameters":
        parts = [json_object(part) for part in resource.get("parameter", ())]
        given += [
            said
            for part in parts
            for name, value in part.items()
            if name.startswith("value")
            for said in _said(str(part.get("name", "")), value)
        ]
        return given, (slot for part in parts if "resource" in part for slot in _slots(part["resource"]))
    return given, _slots(resource)


def _said(name: str, value: Any) -> list[tuple[str, Any]]:
    """Returns the parameter; a Period as its two ends."""
    if name == "period" and isinstance(value, dict):
        return [(end, value[end]) for end in ("start", "end") if end in value]
    return [(name, value)]


def _slots(resource: Any) -> Iterator[Resource]:
    if json_object(resource).get("resourceType") == "Bundle":
        for entry in resource.get("entry", ()):
            yield json_object(json_object(entry).get("resource"))
    else:
        yield json_object(resource)


def _lines(body: bytes) -> Iterator[Resource]:
    for number, line in enumerate(io.BytesIO(body), start=1):
        if not line.strip():
            continue
        try:
            yield loads_sent(line)
        except CreneauError as error:
            raise BadRequest(
                f"La ligne {number} n'est pas une ressource JSON.",
                f"Line {number} is no JSON resource.",
                code="structure",
                diagnostics=error.issues[0].en,
                details_code="feed-unreadable",
            ) from error


def _one(
    slot: Resource,
    number: int,
    schedule: str,
    base_url: str,
    bounds: Bounds,
    kinds: Kinds,
    forms: dict[bytes, SlotKind],
) -> SlotSent:
    """Checks one slot and makes its row. `forms`: `_form` of each earlier valid slot → its kind; this adds to it."""
    slot.setdefault("schedule", {"reference": f"Schedule/{schedule}"})
    try:
        bounds.check(slot)
        form = _form(slot)
        kind = None if form is None else forms.get(form)
        if kind is None:
            check(slot, "Slot")
            broken = [issue for issue in profile_issues(slot) if issue.severity == "error"]
            if broken:
                raise _numbered(number, broken, Unprocessable)
            kind = kind_of(slot, base_url, kinds)
            if form is not None:
                forms[form] = kind
        id_ = slot.get("id")
        if id_ is not None and not ID.match(id_):
            raise BadRequest(
                f"« {id_} » n'est pas un identifiant FHIR.",
                f"“{id_}” is no FHIR id.",
                code="value",
                expression="Slot.id",
            )
        row = row_of(slot, id_, base_url, kind)
    except CreneauError as error:
        raise _numbered(number, error.issues, type(error)) from error
    except Refusal as refusal:
        refusal.add_note(f"slot {number}")
        raise
    if kind.schedule_id != schedule:
        raise SlotOfAnotherAgenda(number, slot["schedule"].get("reference", ""))
    return SlotSent(row, kind, id_)


def _form(slot: Resource) -> bytes | None:
    """Returns the slot without what differs from slot to slot: id, times and values of identifiers, each valid by its own
    datatype. No check relates these to other elements, and a kind has none of them: slots of one form are all valid or none
    is. Returns None if one of them is not valid, or if the slot claims a profile, which may ask for more."""
    if "profile" in slot.get("meta", ()):
        return None
    form = slot.copy()
    for name, is_valid in _ITS_OWN:
        if name in slot:
            if not is_valid(slot[name]):
                return None
            form[name] = ""
    if "identifier" in slot:
        if not isinstance(slot["identifier"], list):
            return None
        form["identifier"] = [_form_of_identifier(identifier) for identifier in slot["identifier"]]
    return dumps(form)


def _form_of_identifier(identifier: Any) -> Any:
    if isinstance(identifier, dict) and _IS_TEXT(identifier.get("value")):
        return {**identifier, "value": ""}
    return identifier


def _numbered(number: int, issues: Sequence[Issue], kind: type[CreneauError]) -> CreneauError:
    """Returns an error with the same issues, each with the slot's number."""
    told = [
        Issue(
            issue.code,
            f"Créneau n° {number} : {issue.fr}",
            f"Slot no. {number}: {issue.en}",
            issue.expression,
            issue.severity,
            issue.details_code,
            issue.diagnostics,
        )
        for issue in issues
    ]
    return kind(issues=told)


def _bound(given: list[tuple[str, Any]], names: tuple[str, ...], *, last: bool) -> datetime | None:
    """Returns a bound of the period, or None. A day that is named as the end belongs to the period."""
    for name, value in given:
        if name in names and isinstance(value, str) and value:
            try:
                low, high = parse_interval(value.strip(), PARIS)
            except ValueError as error:
                raise BadRequest(
                    f"{name} attend une date ou un instant ; reçu « {value} ».",
                    f"{name} takes a date or an instant; got “{value}”.",
                    code="value",
                    expression=f"http.{name}",
                ) from error
            return high if last and len(value.strip()) <= len("2026-11-28") else low
    return None
