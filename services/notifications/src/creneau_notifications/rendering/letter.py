"""What a message says, before it becomes text, HTML or a text message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from creneau_notifications.domain.appointment import AppointmentEvent, Mode, Occurrence
from creneau_notifications.domain.contact import Contact, Language
from creneau_notifications.domain.greeting import addressed_as
from creneau_notifications.domain.plan import ASKING, OF_SEVERAL, Kind
from creneau_notifications.domain.visit import PARIS, Visit
from creneau_notifications.rendering.dates import is_elsewhere, moment
from creneau_notifications.rendering.wording import WORDINGS, Ended, Wording
from creneau_shared.contact_points import readable_phone

WITHOUT_CALENDAR = frozenset({Kind.REMINDER, *ASKING})
"""what comes without a calendar file: the visit is in the calendar already, or is not to be there yet"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message in the reader's language. Text and HTML both come from it, so neither says more."""

    language: Language
    colon: str
    subject: str
    greeting: str
    lead: tuple[str, ...]
    details: tuple[tuple[str, tuple[str, ...]], ...]
    """(label, lines)"""
    action: tuple[str, str]
    """(label, URL)"""
    remarks: tuple[str, ...]
    confirmation: tuple[tuple[str, ...], tuple[str, str]] | None
    """to an address that nobody has confirmed: sentences, and (label, URL) to say whose it is"""
    footer: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """Everything that a message is rendered from."""

    kind: Kind
    event: AppointmentEvent
    visit: Visit
    contact: Contact
    site_url: str
    """pages for the public, no trailing slash"""
    visit_token: str = ""
    """token of the link to the visit; set as the message leaves"""
    linked: str = ""
    """id of the visit that the link opens, where that may be another one than the first told"""
    confirm_url: str | None = None
    """where the reader says whether the address is theirs, when nobody has said so yet"""
    reader_zone: ZoneInfo = PARIS
    """the reader's clock"""

    @property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """The visits that the message tells of: one or, of a series that changed as a whole, several."""
        told, tells = self.event.appointment, self.event.together and self.kind in OF_SEVERAL
        start = self.known_start or told.start
        own = Occurrence(told.id, start, start + (told.end - told.start), told.sequence)
        return self.event.together if tells else (own,)

    @property
    def start(self) -> datetime:
        """The start that the message is about: the visit's, the other time proposed, or the one that is cancelled for the
        reader."""
        visit = self.event.appointment
        proposed = visit.proposed if self.kind is Kind.PROPOSAL else None
        return proposed or self.known_start or visit.start

    @property
    def known_start(self) -> datetime | None:
        """Of a cancelled visit, the start that the reader was told last, where its last move was not told; else None."""
        if self.kind is not Kind.CANCELLATION or self.event.together:
            return None
        return self.event.previous_start if self.was_elsewhen else None

    @property
    def was_elsewhen(self) -> bool:
        """Whether the reader was told another start than the visit has."""
        return self.event.previous_start not in (None, self.event.appointment.start)

    @property
    def has_calendar(self) -> bool:
        """Whether a calendar file comes with it: what was only asked for is in no calendar."""
        return self.kind not in WITHOUT_CALENDAR and not self.is_of_request

    @property
    def is_of_request(self) -> bool:
        """Whether it tells of a request that came to nothing, and of no visit that had been booked."""
        return self.kind is Kind.CANCELLATION and self.event.was_only_asked

    @property
    def page_url(self) -> str:
        """Where the appointment can be seen, moved and cancelled; the site, where the link opens none of those told."""
        return next((url for one in self.occurrences if (url := self.url_of(one))), self.site_url)

    def url_of(self, one: Occurrence) -> str | None:
        """The link to one of the visits told; None: the message has none to it."""
        linked = self.linked or self.event.appointment.id
        return f"{self.site_url}/rdv/{self.visit_token}" if one.appointment == linked else None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the visit is told by another clock than the reader's."""
        return is_elsewhere(self.event.appointment.start, self.visit, self.reader_zone)

    def told(self, instant: datetime, *, year: bool = False, brief: bool = False) -> str:
        """`instant` in the reader's language, by the place's clock."""
        return moment(instant, self.visit, self.contact.writes_in, self.reader_zone, year=year, brief=brief)


def compose(occasion: Occasion) -> Letter:
    """The letter for `occasion`.

    The subject names neither the professional nor the specialty: others may see it.
    """
    language = occasion.contact.writes_in
    wording = WORDINGS[language]
    return Letter(
        language=language,
        colon=wording.colon,
        subject=_subject(occasion, wording),
        greeting=_greeting(occasion.contact, wording),
        lead=_lead(occasion, wording),
        details=_details(occasion, wording),
        action=_action(occasion, wording),
        remarks=_remarks(occasion, wording),
        confirmation=_confirmation(occasion, wording),
        footer=wording.footer,
    )


def _subject(occasion: Occasion, wording: Wording) -> str:
    count, ended = len(occasion.occurrences), _ended(occasion, wording)
    if count == 1:
        subject = wording.subject[occasion.kind] if ended is None else ended.subject
        return subject.format(when=occasion.told(occasion.start))
    first = occasion.told(occasion.occurrences[0].start)
    subject = wording.subject_of_several[occasion.kind] if ended is None else ended.subject_of_several
    return subject.format(count=count, when=first)


def _ended(occasion: Occasion, wording: Wording) -> Ended | None:
    if not occasion.is_of_request:
        return None
    return wording.unanswered if occasion.event.is_unanswered else wording.refused


def _greeting(contact: Contact, wording: Wording) -> str:
    name = addressed_as(contact.name)
    return wording.greeting_alone if name is None else wording.greeting.format(name=name)


def _confirmation(occasion: Occasion, wording: Wording) -> tuple[tuple[str, ...], tuple[str, str]] | None:
    if occasion.confirm_url is None:
        return None
    return (wording.confirm_why, wording.confirm_not_me), (wording.confirm, occasion.confirm_url)


def _lead(occasion: Occasion, wording: Wording) -> tuple[str, ...]:
    leads = wording.lead if len(occasion.occurrences) == 1 else wording.lead_of_several
    event, ended = occasion.event, _ended(occasion, wording)
    sentences = [leads[occasion.kind] if ended is None else ended.lead]
    if occasion.kind is Kind.CHANGE and event.previous_start and occasion.was_elsewhen and not event.together:
        sentences.append(wording.previously.format(when=occasion.told(event.previous_start)))
    if occasion.known_start is not None:
        sentences.append(wording.moved_since.format(when=occasion.told(event.appointment.start)))
    if occasion.kind is Kind.CANCELLATION:
        sentences += [] if ended is not None else _cancelled_by(event, wording)
        sentences += [wording.waits_on] if event.appointment.status == "waitlist" else []
    if occasion.kind is Kind.OFFER and event.held_until is not None:
        sentences.append(wording.offered_until.format(until=occasion.told(event.held_until)))
    if occasion.kind is Kind.PROPOSAL:
        instead = wording.instead_of_asked if event.is_request else wording.instead_of
        sentences.append(instead.format(when=occasion.told(event.appointment.start)))
    return tuple(sentences)


def _cancelled_by(event: AppointmentEvent, wording: Wording) -> list[str]:
    if event.is_unanswered:
        return [wording.cancelled_unanswered]
    said = {"patient": wording.cancelled_by_patient, "provider": wording.cancelled_by_provider}
    return [said[event.cancelled_by]] if event.cancelled_by in said else []


def _details(occasion: Occasion, wording: Wording) -> tuple[tuple[str, tuple[str, ...]], ...]:
    visit = occasion.visit
    starts = (occasion.start,) if occasion.kind in ASKING else (one.start for one in occasion.occurrences)
    when = tuple(occasion.told(start, year=True) for start in starts)
    details: list[tuple[str, tuple[str, ...]]] = [(wording.when, when)]
    if visit.professional:
        details.append((wording.who, (visit.professional,)))
    if visit.mode is Mode.PRACTICE and (visit.place or visit.address):
        details.append((wording.where, tuple(line for line in (visit.place, *visit.address) if line)))
    details.append((wording.how, (wording.modes[visit.mode],)))
    return tuple(details)


def _action(occasion: Occasion, wording: Wording) -> tuple[str, str]:
    if occasion.kind is Kind.CANCELLATION:
        return wording.book_again, occasion.site_url
    if occasion.kind in ASKING:
        return wording.answer, occasion.page_url
    if occasion.kind is Kind.REMINDER:
        return wording.see, occasion.page_url
    return wording.manage, occasion.page_url


def _remarks(occasion: Occasion, wording: Wording) -> tuple[str, ...]:
    cancelled, remarks = occasion.kind is Kind.CANCELLATION, []
    if not cancelled and occasion.kind not in ASKING:
        remarks.append(wording.manage_hint)
    if occasion.has_calendar:
        remarks.append(wording.calendar_hint)
    if occasion.visit.phone is None:
        remarks.append(wording.phone_unknown)
    else:
        sentence = wording.phone_rebook if cancelled else wording.phone
        remarks.append(sentence.format(phone=readable_phone(occasion.visit.phone)))
    return tuple(remarks)
