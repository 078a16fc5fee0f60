"""The elements that a patient's account may state in its own Patient: a short list, published in the guide for frontends.

Staff who have seen the person's papers state identifiers, the INS, the identity's reliability, links between records, and
whether the record is in use. The same holds for everything that could give somebody rights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from creneau_booking.domain.refusals.people import (
    AddressesUnreachable,
    BornLater,
    StatedByStaff,
    UnreachableKind,
)
from creneau_shared.contact_points import email_address, phone_of

Members = Mapping[str, Any]

OWN = ("name", "telecom", "address", "birthDate", "gender", "communication", "contact", "language", "text")
"""The elements that a patient's account states and changes."""

BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
OWN_EXTENSIONS = frozenset({BIRTH_PLACE, "http://hl7.org/fhir/StructureDefinition/patient-nationality"})
OWN_META = frozenset({"profile", "versionId", "lastUpdated"})
"""Parts of `meta` that an account may send: its profiles; the server sets the other two, whatever is sent."""

VERIFIED_TRAITS = ("birthDate", "gender")
"""Together with the official name and the place of birth: traits that an account cannot change once staff verified them."""
VERIFIED = frozenset({"VALI"})
RELIABILITY = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability"

_MEANT_WHEN_ABSENT = {"active": True, "deceasedBoolean": False}
_SERVERS = frozenset({"resourceType", "id"})


def require_own_words(before: Members | None, after: Members) -> None:
    """Refuses, with one issue for each element, an account's change of `before` (None: it registers) to elements that are
    not its own."""
    old = before or {}
    touched = [*_others_changed(old, after), *(_verified_changed(old, after) if is_verified(old) else ())]
    if touched:
        raise StatedByStaff(tuple(touched))


_EARLIEST_DAY = timezone(timedelta(hours=14))
"""the zone in which each day begins first"""


def require_born(before: Members | None, after: Members, now: datetime) -> None:
    """Raises BornLater if a new birth date has not begun anywhere on earth yet."""
    said: str | None = after.get("birthDate")
    if said is None or said == (before or {}).get("birthDate"):
        return
    today = now.astimezone(_EARLIEST_DAY).date().isoformat()
    if said > today[: len(said)]:
        raise BornLater()


_KINDS: Mapping[object, UnreachableKind] = {"email": "email", "phone": "phone", "sms": "phone"}
"""ContactPoint.system → the kind of message that goes to it"""


def require_reachable(before: Members | None, after: Members) -> None:
    """Refuses an account's new e-mail address or telephone number if nothing can arrive there: whoever types it can
    correct it.

    Addresses from a practice's software are kept as they are; the messages that cannot leave report them.
    """
    known = [telecom.get("value") for telecom in (before or {}).get("telecom", ())]
    wrong = [
        (index, kind)
        for index, telecom in enumerate(after.get("telecom", ()))
        if (kind := _KINDS.get(telecom.get("system"))) is not None
        and (value := telecom.get("value")) not in (None, *known)
        and (email_address(value) if kind == "email" else phone_of(value)) is None
    ]
    if wrong:
        raise AddressesUnreachable(tuple(wrong))


def is_verified(patient: Members) -> bool:
    """Whether staff have stated that they verified the identity (identityStatus of FR Core)."""
    return any(status in VERIFIED for status in _statuses(patient))


def is_stated_unverified(patient: Members) -> bool:
    """Whether an identity status is stated, and it is not a verified one."""
    return bool(statuses := list(_statuses(patient))) and not any(status in VERIFIED for status in statuses)


def _statuses(patient: Members) -> Iterator[object]:
    for extension in patient.get("extension", ()):
        if extension.get("url") != RELIABILITY:
            continue
        for part in extension.get("extension", ()):
            if part.get("url") == "identityStatus":
                yield part.get("valueCode") or part.get("valueCoding", {}).get("code")


def _others_changed(old: Members, new: Members) -> Iterator[str]:
    """The elements that differ and are not the account's own."""
    for element in sorted({name.removeprefix("_") for name in (*old, *new)} - _SERVERS - set(OWN)):
        if element == "meta":
            for part in sorted({*old.get("meta", {}), *new.get("meta", {})} - OWN_META):
                if old.get("meta", {}).get(part) != new.get("meta", {}).get(part):
                    yield f"meta.{part}"
        elif element == "extension":
            if _extensions(old, own=False) != _extensions(new, own=False):
                yield element
        elif _said(old, element) != _said(new, element):
            yield element


def _verified_changed(old: Members, new: Members) -> Iterator[str]:
    """The verified elements that differ."""
    yield from (trait for trait in VERIFIED_TRAITS if _said(old, trait) != _said(new, trait))
    if _official_names(old) != _official_names(new):
        yield "name"
    if _extensions(old, url=BIRTH_PLACE) != _extensions(new, url=BIRTH_PLACE):
        yield "extension"


def _said(patient: Members, element: str) -> tuple[Any, Any]:
    """The element's value, or its default if it is absent, and the extensions of a primitive."""
    return patient.get(element, _MEANT_WHEN_ABSENT.get(element)), patient.get(f"_{element}")


def _extensions(patient: Members, *, own: bool | None = None, url: str | None = None) -> list[Any]:
    """The patient's extensions: those that an account may (`own`) or may not state, or those of one `url`."""
    return [
        extension
        for extension in patient.get("extension", ())
        if (extension.get("url") == url if url else (extension.get("url") in OWN_EXTENSIONS) is own)
    ]


def _official_names(patient: Members) -> list[Any]:
    return [name for name in patient.get("name", ()) if name.get("use") == "official"]
