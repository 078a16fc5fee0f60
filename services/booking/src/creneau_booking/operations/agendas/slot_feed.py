"""Reads the input of `$sync-slots` slot by slot: NDJSON, a Bundle, a Parameters with slots, or one Slot.

Each slot is checked and becomes a row before the next is read, so that a long feed keeps only the narrow rows.

What is missing in a feed with a period is deleted: so nothing of the period is passed over (a misspelt name, an empty
value, two that differ), and a page of a longer list is no feed.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from creneau_booking.domain.refusals.feeds import (
    PageOfSlots,
    SlotOfAnotherAgenda,
    SlotOutsideWindow,
    TooManySlots,
)
from creneau_booking.operations.moments import ENDS, STARTS, end_of
from creneau_booking.storage.mapping.slot import Kinds, SlotKind, kind_of, row_of
from creneau_booking.storage.slots.sync import SlotSent, Window
from creneau_shared.errors import BadRequest, CreneauError, Issue, Unprocessable
from creneau_shared.fhir.datatypes import CALENDAR_END, PRIMITIVES, parse_interval
from creneau_shared.fhir.json import dumps, loads_sent
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.rest.bounds import Bounds
from creneau_shared.fhir.rest.exchange import FhirRequest, json_object
from creneau_shared.fhir.rest.negotiation import is_ndjson
from creneau_shared.fhir.rest.parameters import GENERAL, OperationInput
from creneau_shared.fhir.rest.reading import ID
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.summary import require_whole
from creneau_shared.fhir.validation import check
from creneau_shared.refusal import Refusal

_KNOWN = frozenset({*STARTS, *ENDS, *GENERAL})
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
    request: FhirRequest, schedule: str, zone: ZoneInfo, base_url: str, bounds: Bounds, most: int
) -> SlotFeed:
    """Returns the request's slots for the agenda (id), at most `most`; days are those of its `zone`. Raises BadRequest if one
    cannot be read, or the period is not understood to the letter, and Unprocessable if one is not valid, each with the slot's
    number; TooManySlots, SlotOfAnotherAgenda, SlotOutsideWindow or PageOfSlots."""
    given, bundles, resources = _sent(request)
    OperationInput(given).refuse_unknown(_KNOWN, "$sync-slots")
    start, end = _bound(given, STARTS, zone, last=False), _bound(given, ENDS, zone, last=True)
    whole = start is not None or end is not None
    if whole and any(map(_is_page, bundles)):
        raise PageOfSlots()
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


def _sent(request: FhirRequest) -> tuple[list[tuple[str, Any]], list[Resource], Iterator[Resource]]:
    """Returns the simple parameters, the Bundles, and an iterator over the slots."""
    given: list[tuple[str, Any]] = list(request.query)
    if request.parsed is None and is_ndjson(request.headers.get("content-type")):
        return given, [], _lines(request.body)
    if not request.body.strip() and request.parsed is None:
        return given, [], iter(())
    resource = request.resource()
    sent = [resource]
    if resource.get("resourceType") == "Parameters":
        parts = [json_object(part) for part in resource.get("parameter", ())]
        sent = [json_object(part["resource"]) for part in parts if "resource" in part]
        given += [said for part in parts if "resource" not in part for said in _said(part)]
    bundles = [one for one in sent if one.get("resourceType") == "Bundle"]
    return given, bundles, (slot for one in sent for slot in _slots(one))


def _said(part: Resource) -> list[tuple[str, Any]]:
    """Returns what a simple parameter says; a Period as its two ends."""
    name = str(part.get("name", ""))
    value = next((value for element, value in part.items() if element.startswith("value")), None)
    if name == "period" and isinstance(value, dict):
        return [(end, value[end]) for end in ("start", "end") if end in value]
    return [(name, value)]


def _slots(resource: Resource) -> Iterator[Resource]:
    if resource.get("resourceType") == "Bundle":
        for entry in resource.get("entry", ()):
            yield json_object(json_object(entry).get("resource"))
    else:
        yield resource


def _is_page(bundle: Resource) -> bool:
    """Whether a Bundle is a part of a longer list: another page follows, or it counts more than it has."""
    links = [json_object(link) for link in bundle.get("link", ())]
    total = bundle.get("total")
    counts_more = isinstance(total, int) and total > len(bundle.get("entry", ()))
    return counts_more or any(link.get("relation") in ("next", "previous", "prev") for link in links)


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
            require_whole(slot)
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


def _bound(
    given: list[tuple[str, Any]], names: tuple[str, ...], zone: ZoneInfo, *, last: bool
) -> datetime | None:
    """Returns a bound of the period, or None. A day that is named as the end belongs to the period."""
    said = OperationInput(given).only(*names)
    if said is None and not any(name in names for name, _ in given):
        return None
    try:
        text = str(said).strip()
        return end_of(text, zone) if last else parse_interval(text, zone)[0]
    except ValueError as error:
        raise BadRequest(
            f"{names[0]} attend une date ou un instant ; reçu « {said} ».",
            f"{names[0]} takes a date or an instant; got “{said}”.",
            code="value",
            expression=f"http.{names[0]}",
        ) from error
