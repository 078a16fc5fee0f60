"""Reads from event data what this service needs. Other members are ignored.

The members that are read are those in `shared/contracts/events/expectations/notifications/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from creneau_notifications.domain.appointment import (
    Appointment,
    AppointmentEvent,
    Change,
    Occurrence,
    mode_of,
)
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.visit import Fact, Turn
from creneau_notifications.storage.accounts import Person
from creneau_shared.fhir.current import bounds, current, current_name, is_active, titled
from creneau_shared.fhir.zones import stated_zone, zone_of

DECEASED = "pat-dec"
"""of http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"""
MOMENTS_MAX = 20
"""Each moment costs a look at every name and number of a resource, which may have thousands. Later moments are learnt from
the directory's next event."""


def read_appointment(
    event_id: str, event_type: str, time: datetime, data: Mapping[str, Any]
) -> AppointmentEvent:
    """The event of a `fr.creneau.booking.appointment.<change>.v1`."""
    change = Change(event_type.split(".")[-2])
    previous, cancellation = data.get("previous"), data.get("cancellation")
    return AppointmentEvent(
        id=event_id,
        change=change,
        time=time,
        appointment=Appointment(
            id=data["appointment"],
            version=data["version"],
            status=data["status"],
            start=datetime.fromisoformat(data["start"]),
            end=datetime.fromisoformat(data["end"]),
            patient=data.get("patient"),
            others=tuple(data.get("patients", ()))[1:],
            actors=tuple(a["reference"] for a in data["actors"] if a["status"] != "declined"),
            mode=mode_of([(coding.get("system"), coding.get("code")) for coding in data["serviceType"]]),
            sequence=data["sequence"],
            organizations=tuple(data.get("organizations", ())),
            proposed=_proposed(data),
            hidden=data.get("hidden", False),
        ),
        previous_start=datetime.fromisoformat(previous["start"]) if previous else None,
        cancelled_by=cancellation["by"] if cancellation else None,
        record_ended=_is_record_ended(cancellation or {}),
        held_until=datetime.fromisoformat(data["heldUntil"]) if change is Change.OFFERED else None,
        awaited=data.get("awaits") == "practice",
        together=_occurrences(data),
        told_elsewhere="series" in data and "occurrences" not in data["series"],
    )


def _is_record_ended(cancellation: Mapping[str, Any]) -> bool:
    """Older events, and practices that cancel, say it by the reason only, and of the dead alone."""
    return cancellation.get("recordEnded") is True or cancellation.get("reason") == DECEASED


def _proposed(data: Mapping[str, Any]) -> datetime | None:
    """The time proposed to the patient; None if they or a representative proposed it."""
    proposal = data.get("proposal")
    if proposal is None or proposal["by"].startswith(("Patient/", "RelatedPerson/")):
        return None
    return datetime.fromisoformat(proposal["start"])


def _occurrences(data: Mapping[str, Any]) -> tuple[Occurrence, ...]:
    return tuple(
        Occurrence(
            o["appointment"],
            datetime.fromisoformat(o["start"]),
            datetime.fromisoformat(o["end"]),
            o["sequence"],
        )
        for o in data.get("series", {}).get("occurrences", ())
    )


def read_contact(data: Mapping[str, Any]) -> Contact:
    """The contact of a `contact.changed`."""
    return Contact(
        recipient=data["recipient"],
        name=data["name"],
        email=data.get("email"),
        phone=data.get("phone"),
        language=data.get("language") or "fr",
        # Absent: nobody is known to answer for it.
        email_vouched=data.get("emailVouched") is True,
        phone_vouched=data.get("phoneVouched") is True,
        zone=data.get("zone"),
        answers=tuple(data.get("answers", ())),
    )


def read_account(data: Mapping[str, Any]) -> list[Person]:
    """The people of an `account.changed`."""
    return [
        Person(
            patient=person["patient"].removeprefix("Patient/"),
            may=tuple(person["may"]),
            oneself=person["oneself"],
            since=_moment(person.get("since")),
            until=_moment(person.get("until")),
        )
        for person in data["people"]
    ]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def read_erasure(data: Mapping[str, Any]) -> tuple[datetime, tuple[str, ...]]:
    """The deadline of a `patient.erased`, and the cancelled appointments to be told before it."""
    return datetime.fromisoformat(data["forgetBy"]), tuple(data["cancelled"])


def read_fact(data: Mapping[str, Any], now: datetime) -> tuple[Fact, datetime]:
    """What messages need of a `resource.changed` resource as of `now`, and its `meta.lastUpdated`."""
    resource = data["resource"]
    position = resource.get("position", {})
    places = resource.get("location", [])
    since, until = bounds(resource.get("period"))
    fact = Fact(
        reference=f"{resource['resourceType']}/{resource['id']}",
        name=_name(resource, now),
        address=_address_lines(resource, now),
        phone=_phone(resource, now),
        zone=_zone(resource),
        latitude=position.get("latitude"),
        longitude=position.get("longitude"),
        practitioner=resource.get("practitioner", {}).get("reference"),
        locations=tuple(place["reference"] for place in places if "reference" in place),
        organization=resource.get("organization", {}).get("reference"),
        part_of=resource.get("partOf", {}).get("reference"),
        active=is_active(resource),
        since=since,
        until=until,
        turns=tuple(_turns(resource, now)),
    )
    return fact, datetime.fromisoformat(resource["meta"]["lastUpdated"])


def _name(resource: Mapping[str, Any], now: datetime) -> str | None:
    name = resource.get("name")
    if not isinstance(name, list):
        return name
    return titled(current_name(name, now)) or None


def _turns(resource: Mapping[str, Any], now: datetime) -> Iterator[Turn]:
    """The changes of name, number or address after `now`, within the next `MOMENTS_MAX` moments."""
    names = resource["name"] if isinstance(resource.get("name"), list) else []
    elements = (*names, *resource.get("telecom", []), *_addresses(resource))
    dated = (bounds(element.get("period")) for element in elements)
    moments = sorted({end for ends in dated for end in ends if end is not None and end > now})
    said = _said(resource, now)
    for at in moments[:MOMENTS_MAX]:
        then = _said(resource, at)
        if then != said:
            yield Turn(at, *then)
        said = then


def _said(resource: Mapping[str, Any], at: datetime) -> tuple[str | None, str | None, tuple[str, ...]]:
    return _name(resource, at), _phone(resource, at), _address_lines(resource, at)


def _addresses(resource: Mapping[str, Any]) -> list[Any]:
    """The address of a place; the several of a Practitioner or Organization are never told."""
    address = resource.get("address")
    return [address] if isinstance(address, dict) else []


def _address_lines(resource: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    address = next(iter(current(_addresses(resource), now)), {})
    city = " ".join(part for part in (address.get("postalCode"), address.get("city")) if part)
    lines = [line for line in (*address.get("line", []), city) if line]
    return tuple(lines) if lines else tuple(filter(None, [address.get("text")]))


def _phone(resource: Mapping[str, Any], now: datetime) -> str | None:
    telecom = current(resource.get("telecom", []), now)
    phones = [entry.get("value") for entry in telecom if entry.get("system") == "phone"]
    return next((str(phone) for phone in phones if phone), None)


def _zone(resource: Mapping[str, Any]) -> str | None:
    """The zone that the resource says; for a place, failing that, the one of its postal code."""
    zone = zone_of(dict(resource)) if resource["resourceType"] == "Location" else stated_zone(dict(resource))
    return zone.key if zone is not None else None
