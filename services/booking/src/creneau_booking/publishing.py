"""Booking's domain events as CloudEvents (schemas in shared/contracts/events/booking)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from creneau_booking.domain.appointment import CANCELLATION_REASONS, Appointment
from creneau_booking.domain.events import AppointmentEvent, Together
from creneau_booking.domain.identity import AddressKind, address_digest, spelled
from creneau_booking.storage.people.accounts import Account, Link
from creneau_booking.topics import ACCOUNTS, APPOINTMENTS, CONTACTS
from creneau_shared.contact_points import (
    FRENCH_CALLING_CODES,
    Countries,
    countries_of,
    email_address,
    mended,
    phone_of,
)
from creneau_shared.fhir.current import current, current_name, next_change, spoken
from creneau_shared.fhir.datatypes import exact_instant, instant_to_the_second
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.terminology import display
from creneau_shared.fhir.zones import zone_of_address
from creneau_shared.messaging.events import Event
from creneau_shared.security.accounts import account_digest
from creneau_shared.security.answers import Answers

SOURCE = "/creneau/booking"

NAME_LENGTH_MAX = 200
EMAIL_LENGTH_MAX = 254
PHONE_LENGTH_MAX = 64
_REFERENCE = re.compile(r"^(?:https?://[^\s?#@]+/)?[A-Z][A-Za-z]{0,63}/[A-Za-z0-9.-]{1,64}\Z")
_LANGUAGE = re.compile(r"^[a-z]{2,3}$")
_FRANCE = countries_of(FRENCH_CALLING_CODES)


def _exact(moment: datetime | None) -> str | None:
    """Returns a visit's time, with its fraction of a second if it has one."""
    return exact_instant(moment) if moment else None


def appointment_event(event: AppointmentEvent, correlation_id: str | None) -> Event:
    """`fr.creneau.booking.appointment.<kind>.v1`: no name, no free text; the patients only as references, and of several
    those who have not declined.

    The author of an appointment may write anything as a code or its label. The event has only codes of known systems,
    each with its publisher's label.
    """
    appointment = event.appointment
    patients = list(dict.fromkeys(appointment.coming or appointment.patients))
    data: dict[str, Any] = {
        "appointment": appointment.id,
        "version": appointment.version,
        "status": appointment.status,
        "start": _exact(appointment.start),
        "end": _exact(appointment.end),
        "slots": [f"Slot/{id_}" for id_ in appointment.slots],
        "schedules": list(event.schedules),
        "patient": patients[0] if patients else None,
        "patients": patients if len(patients) > 1 else None,
        "actors": _actors(appointment),
        "serviceType": [
            {"system": c.system, "code": c.code, "display": label}
            for c in appointment.service_type
            if c.system and c.code and (label := display(c.system, c.code)) is not None
        ],
        "sequence": appointment.sequence,
        "organizations": sorted(event.owners or ()),
    }
    if appointment.hidden:
        data["hidden"] = True
    if event.previous is not None:
        data["previous"] = {"start": _exact(event.previous[0]), "end": _exact(event.previous[1])}
    if event.kind == "cancelled":
        code = appointment.cancelation_reason
        reason = {"reason": code} if code and display(CANCELLATION_REASONS, code) is not None else {}
        ended = {"recordEnded": True} if event.record_ended else {}
        data["cancellation"] = {**reason, "by": event.by, **ended}
    if event.held_until is not None:
        data["heldUntil"] = instant_to_the_second(event.held_until)
    if (counter := appointment.counter) is not None:
        data["proposal"] = {
            "by": counter.by,
            "start": _exact(counter.start),
            "end": _exact(counter.end),
        }
    if event.awaits_practice:
        data["awaits"] = "practice"
    if event.together is not None:
        data["series"] = _together(event.together, appointment.id)
    return Event(
        topic=APPOINTMENTS.name,
        key=appointment.id,
        type=f"fr.creneau.booking.appointment.{event.kind}.v1",
        subject=f"Appointment/{appointment.id}",
        source=SOURCE,
        data={name: value for name, value in data.items() if value is not None},
        correlation_id=correlation_id,
    )


def _together(together: Together, appointment: str) -> dict[str, Any]:
    if together.teller != appointment:
        return {"id": together.series}
    occurrences = [
        {"appointment": o.appointment, "start": _exact(o.start), "end": _exact(o.end), "sequence": o.sequence}
        for o in together.occurrences
    ]
    return {"id": together.series, "occurrences": occurrences}


def _actors(appointment: Appointment) -> list[dict[str, str]]:
    return [
        {"reference": p.reference, "status": p.status}
        for p in appointment.participants
        if p.reference and p.type not in ("Patient", "RelatedPerson") and _REFERENCE.match(p.reference)
    ]


@dataclass(frozen=True, slots=True)
class ContactRules:
    """What the operator has set of how people are told."""

    answers: Answers
    """hashes the answers that are asked of people who come by a link"""
    texted: Countries
    """to whose numbers text messages are sent"""


def contact_event(
    patient_id: str,
    patient: Resource,
    correlation_id: str | None,
    vouched: Collection[bytes] = frozenset(),
    *,
    rules: ContactRules,
    now: datetime,
) -> Event:
    """Returns the event that says how to reach a patient; a tombstone once nobody is to write to them any more.

    `vouched`: digests (`address_digest`) of the addresses that somebody other than the patient's account answers for.
    The only event that names a person: it travels on a compacted topic of its own, keyed by recipient.
    """
    told = _contact(patient_id, patient, vouched, rules, now) if _is_written_to(patient) else None
    return _contact_changed(patient_id, told, correlation_id)


def contact_tombstone(patient_id: str, correlation_id: str | None) -> Event:
    """Returns the event that a patient's contact is to be forgotten."""
    return _contact_changed(patient_id, None, correlation_id)


def _contact_changed(patient_id: str, data: dict[str, Any] | None, correlation_id: str | None) -> Event:
    return Event(
        topic=CONTACTS.name,
        key=f"Patient/{patient_id}",
        type="fr.creneau.booking.contact.changed.v1",
        subject=f"Patient/{patient_id}",
        source=SOURCE,
        data=data,
        correlation_id=correlation_id,
    )


def contact_changes_at(patient: Resource, now: datetime) -> datetime | None:
    """Returns when `contact_event` next changes by a period alone, without a change of the Patient; None if never."""
    if not _is_written_to(patient):
        return None
    return next_change([e for name in ("telecom", "name", "address") for e in patient.get(name, ())], now)


def _is_written_to(patient: Resource) -> bool:
    """Whether messages go to the patient: not if they are dead, or their record is inactive or replaced (Patient.link)."""
    dead = patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient
    replaced = any(link.get("type") == "replaced-by" for link in patient.get("link", ()))
    return patient.get("active") is not False and not dead and not replaced


def account_event(account: Account, links: Sequence[Link], correlation_id: str | None) -> Event:
    """Returns the event that says for whom an account acts; a tombstone once it acts for nobody.

    The account is only a digest of issuer and subject, the people are only references.
    """
    digest = account_digest(*account)
    people = [
        {
            "patient": f"Patient/{link.patient}",
            "may": sorted(link.may),
            "oneself": link.oneself,
            **{
                name: instant_to_the_second(moment)
                for name, moment in (("since", link.since), ("until", link.until))
                if moment is not None
            },
        }
        for link in links
    ]
    return Event(
        topic=ACCOUNTS.name,
        key=digest,
        type="fr.creneau.booking.account.changed.v1",
        subject=f"Account/{digest}",
        source=SOURCE,
        data={"account": digest, "people": people} if people else None,
        correlation_id=correlation_id,
    )


def erasure_event(
    patient_id: str, at: datetime, cancelled: Sequence[str], forget_by: datetime, correlation_id: str | None
) -> Event:
    """`fr.creneau.booking.patient.erased.v1`: consumers forget this person, once they have told the named cancellations.

    It has the topic and key of the contact that it ends: it is read after it.
    """
    told = {
        "patient": f"Patient/{patient_id}",
        "erasedAt": instant_to_the_second(at),
        "cancelled": list(cancelled),
        "forgetBy": instant_to_the_second(forget_by),
    }
    return _erased(patient_id, told, correlation_id)


def erasure_tombstone(patient_id: str, correlation_id: str | None = None) -> Event:
    """Returns the erasure as a tombstone, by which the topic itself forgets the person. A consumer that comes too late for
    the event still learns that it was an erasure."""
    return _erased(patient_id, None, correlation_id)


def _erased(patient_id: str, data: dict[str, Any] | None, correlation_id: str | None) -> Event:
    return Event(
        topic=CONTACTS.name,
        key=f"Patient/{patient_id}",
        type="fr.creneau.booking.patient.erased.v1",
        subject=f"Patient/{patient_id}",
        source=SOURCE,
        data=data,
        correlation_id=correlation_id,
    )


def _contact(
    patient_id: str, patient: Resource, vouched: Collection[bytes], rules: ContactRules, now: datetime
) -> dict[str, Any]:
    telecoms = [t for t in current(patient.get("telecom", ()), now) if t.get("value")]
    email = _first(telecoms, ("email",), EMAIL_LENGTH_MAX, (lambda text: email_address(text) is not None,))
    email = (mended(email) or None) if email is not None else None
    phone = _first(telecoms, ("phone", "sms"), PHONE_LENGTH_MAX, _by_text(rules.texted))
    data = {
        "recipient": f"Patient/{patient_id}",
        "name": _display_name(patient, now),
        "email": email,
        "phone": phone,
        "language": _language(patient),
        "zone": _zone(patient, now),
        "emailVouched": _vouched(patient_id, "email", email, vouched),
        "phoneVouched": _vouched(patient_id, "phone", phone, vouched),
        "answers": rules.answers.right(patient, f"Patient/{patient_id}") or None,
    }
    return {name: value for name, value in data.items() if value is not None}


def _vouched(
    patient_id: str, kind: AddressKind, address: str | None, vouched: Collection[bytes]
) -> bool | None:
    if address is None:
        return None
    return address_digest(patient_id, kind, spelled(kind, address)) in vouched


def _first(
    telecoms: Sequence[Resource],
    systems: tuple[str, ...],
    length_max: int,
    serves: Sequence[Callable[[str], bool]],
) -> str | None:
    """Returns the first address of these systems at which messages arrive (`serves`: how well, the best first), else the
    first one: each message then says why nothing arrives there. Skips values longer than an address: they are remarks."""
    found = [t["value"] for t in telecoms if t.get("system") in systems and len(t["value"]) <= length_max]
    best = (address for arrives in serves for address in found if arrives(address))
    return next(best, found[0] if found else None)


def _by_text(texted: Countries) -> Sequence[Callable[[str], bool]]:
    """Which numbers serve for text messages, the best first: of the countries to which they are sent a French one, which
    costs least, then another; then any mobile number, of which the pages can say that no message goes there."""

    def within(*countries: Countries) -> Callable[[str], bool]:
        def arrives(number: str) -> bool:
            phone = phone_of(number)
            return phone is not None and phone.takes_texts and all(one.reach(phone) for one in countries)

        return arrives

    return within(texted, _FRANCE), within(texted), within()


def _display_name(patient: Resource, now: datetime) -> str:
    """Returns the name by which the person is addressed, on one line, cut to NAME_LENGTH_MAX. The reader judges whether to
    greet by it."""
    # Cut before it is split, so that a million characters cost nothing.
    said = [part[:NAME_LENGTH_MAX] for part in spoken(current_name(patient.get("name", ()), now))]
    return " ".join(" ".join(said).split())[:NAME_LENGTH_MAX].rstrip()


def _zone(patient: Resource, now: datetime) -> str | None:
    """Returns the patient's time zone, from the first address that tells it; billing addresses do not count."""
    addresses = (a for a in current(patient.get("address", ()), now) if a.get("use") != "billing")
    return next((zone for zone in map(zone_of_address, addresses) if zone is not None), None)


def _language(patient: Resource) -> str:
    """Returns the patient's language, a preferred one first; `fr` if there is none."""
    spoken = sorted(patient.get("communication", ()), key=lambda c: not c.get("preferred", False))
    codes = [coding.get("code", "") for c in spoken for coding in c.get("language", {}).get("coding", ())]
    language = codes[0].partition("-")[0].lower() if codes else ""
    return language if _LANGUAGE.match(language) else "fr"
