"""Which elements of an appointment a patient may set, and when: the one published list.

The table compares element names and values only, not their meaning. `slot`, `start`, `end`, `participant` and `status`
have further rules of their own. The guide for frontends prints the table; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from creneau_booking.domain.refusals.participants import ElementsNotTheirs
from creneau_booking.domain.status import AppointmentStatus

Phase = Literal["request", "held", "booked", "closed"]
"""`request`: new, proposed or on the waiting list; `held`: in a live hold of the patient's own; `booked`: booked, or
waiting for the practice's agreement; `closed`: begun, over or cancelled, or shared with other patients"""


@dataclass(frozen=True, slots=True)
class Right:
    """When a patient may set, change or remove one element."""

    phases: frozenset[Phase]
    moving: bool = False
    """also in a move (`$reschedule`), where the new slot states it"""
    note: str = ""
    """further conditions, for readers of the guide"""


_UNTIL_BOOKED: frozenset[Phase] = frozenset({"request", "held"})
_ASKING: frozenset[Phase] = frozenset({"request"})
_LIVING: frozenset[Phase] = frozenset({"request", "held", "booked"})
_BY_THE_SLOT = "one of those that the slot offers"

RIGHTS: Mapping[str, Right] = {
    "status": Right(
        _LIVING,
        note="`proposed`, `waitlist`, `pending`, `booked`, `cancelled`; confirms only a live hold of one's own",
    ),
    "participant": Right(
        _LIVING, note="one's own `status`; a RelatedPerson of the patient's until it is booked"
    ),
    "slot": Right(_ASKING, moving=True),
    "start": Right(_ASKING, moving=True),
    "end": Right(_ASKING, moving=True),
    "requestedPeriod": Right(
        _ASKING, note="on the waiting list also the extensions that say what is waited for"
    ),
    "serviceCategory": Right(_ASKING, moving=True, note=_BY_THE_SLOT),
    "serviceType": Right(_ASKING, moving=True, note=_BY_THE_SLOT),
    "specialty": Right(_ASKING, moving=True, note=_BY_THE_SLOT),
    "appointmentType": Right(_ASKING, moving=True, note=_BY_THE_SLOT),
    "meta.profile": Right(_ASKING),
    "reasonCode": Right(_UNTIL_BOOKED),
    "basedOn": Right(
        _UNTIL_BOOKED, note="the referral on which the patient comes: its reference or identifier"
    ),
    "description": Right(_UNTIL_BOOKED),
    "comment": Right(_LIVING, note="the patient's own words"),
    "cancelationReason": Right(
        frozenset(),
        note="with `status` `cancelled`: a code of the list below; a text is kept as a note to the practice",
    ),
    "meta.security": Right(
        _ASKING, note="the label `HIDDEN-FROM-PROXIES` and no other, by the person themselves; it stays"
    ),
}
"""Element → when. All other elements, extensions included, are set by the practice."""

HIDDEN_FROM_PROXIES = ("https://creneau.sante.fr/fhir/CodeSystem/confidentiality", "HIDDEN-FROM-PROXIES")
"""The one security label (system, code) that a patient may set: the appointment is not for those who act for them."""

CANCELATION_SYSTEM = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
CANCELATION_REASONS: frozenset[str] = frozenset(
    {
        *(
            "pat",
            "pat-cpp",
            "pat-crs",
            "pat-fb",
            "pat-lt",
            "pat-mt",
            "pat-mv",
            "pat-preg",
            "pat-swl",
            "pat-ucp",
        ),
        *("oth-weath", "other"),
    }
)
"""The reasons for which a patient cancels; the others are the practice's to give."""

_ELSEWHERE = frozenset({"resourceType", "id", "meta", "participant"})
"""elements that are not compared as a whole: participants one by one (`domain.participants`), meta by its parts"""
_SERVERS_META = frozenset({"versionId", "lastUpdated", "source"})
_KEPT_META = ("profile", "security", "tag")

Json = Mapping[str, Any]


def phase_of(status: AppointmentStatus, *, held: bool, shared: bool) -> Phase:
    """The phase of an appointment for its patient; `held`: in a live hold of theirs; `shared`: it has several patients."""
    if shared:
        return "closed"
    if status in ("proposed", "waitlist"):
        return "request"
    if status == "pending":
        return "held" if held else "booked"
    return "booked" if status == "booked" else "closed"


def require_sayable(new: Json) -> None:
    """Refuses a patient's new appointment with elements that only the practice sets; names each."""
    _refuse(_changed({}, new, "request", moving=False, cancelling=False))


def require_changeable(before: Json, after: Json, phase: Phase, *, moving: bool) -> None:
    """Refuses a patient's change of elements that they may not, or no longer, set; names each."""
    cancelling = after["status"] == "cancelled" and before["status"] != "cancelled"
    _refuse(_changed(before, after, phase, moving=moving, cancelling=cancelling))


def keeping_meta(before: Json, after: Json) -> dict[str, Any]:
    """Returns `after` with the stored profiles, labels and tags that it leaves out (FHIR R4 resource.html#tag-updates)."""
    stored, said = before.get("meta", {}), after.get("meta", {})
    kept = {name: stored[name] for name in _KEPT_META if name in stored and name not in said}
    return {**after, "meta": {**said, **kept}} if kept else dict(after)


def _refuse(elements: Iterator[str]) -> None:
    touched = tuple(elements)
    if touched:
        raise ElementsNotTheirs(touched)


def _changed(before: Json, after: Json, phase: Phase, *, moving: bool, cancelling: bool) -> Iterator[str]:
    """The elements that differ although the patient may not change them, ordered by name."""
    for name in sorted({*before, *after} - _ELSEWHERE):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        right = RIGHTS.get(name)
        if name == "cancelationReason" and cancelling:
            allowed = _is_a_patients_reason(new)
        else:
            allowed = right is not None and (phase in right.phases or (moving and right.moving))
        # An extension inside an element could say anything, like one beside it.
        if not allowed or _has_extension(new):
            yield name
    known = before.get("participant", ())
    for index, participant in enumerate(after.get("participant", ())):
        if participant not in known and _has_extension(participant):
            yield f"participant[{index}]"
    yield from _changed_meta(before.get("meta", {}), after.get("meta", {}), phase)


def _changed_meta(before: Json, after: Json, phase: Phase) -> Iterator[str]:
    for name in sorted({*before, *after} - _SERVERS_META):
        old, new = before.get(name), after.get(name)
        if name == "security":
            old, new = _practices_labels(old), _practices_labels(new)
        elif (right := RIGHTS.get(f"meta.{name}")) is not None and phase in right.phases:
            continue
        if old != new:
            yield f"meta.{name}"


def _practices_labels(labels: list[Json] | None) -> list[Json]:
    """The security labels without the one that a patient may set."""
    system, code = HIDDEN_FROM_PROXIES
    own = {"system": system, "code": code}
    return [label for label in labels or () if {k: v for k, v in label.items() if k != "display"} != own]


def _is_a_patients_reason(reason: Json | None) -> bool:
    codings = (reason or {}).get("coding", ())
    return set(reason or ()) <= {"coding"} and all(
        set(coding) <= {"system", "code", "display"}
        and coding.get("system") == CANCELATION_SYSTEM
        and coding.get("code") in CANCELATION_REASONS
        for coding in codings
    )


def _has_extension(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(
            name in ("extension", "modifierExtension") or name.startswith("_") or _has_extension(part)
            for name, part in value.items()
        )
    return isinstance(value, list) and any(_has_extension(part) for part in value)
