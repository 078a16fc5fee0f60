"""Bookings that are begun and not done: kept on the server with the session, behind an opaque id."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from creneau_web.care.model import Way, way_of
from creneau_web.fhir.client import Answered
from creneau_web.fhir.refusal import CHANGED_MEANWHILE, RefusedError
from creneau_web.page import Page
from creneau_web.pages.booking.telling import tell_moved
from creneau_web.people.model import Person
from creneau_web.people.records import people_of
from creneau_web.sessions.session import Session
from creneau_web.site import Site
from creneau_web.visits.model import ASKED, LIVE
from creneau_web.visits.reading import is_or_was_hold, stands_at
from creneau_web.visits.records import cancel, readable

ID_BYTES = 16


class Held(BaseModel):
    """A slot that is kept for this draft."""

    appointment: str
    patient: str
    """id of the Patient"""
    until: datetime
    booking: bool = False
    """whether its booking was sent: until the answer is kept, only the base knows whether it is done"""


class Chosen(BaseModel):
    """A time, as its Slot says it."""

    slot: str
    start: datetime
    end: datetime
    reason: str | None = None
    modes: list[str] = Field(default_factory=list)
    services: list[dict[str, Any]] = Field(default_factory=list)
    """what it is for (`serviceType`): the appointment will say the same"""
    in_group: bool = False
    practice_agrees: bool = False
    """whether the practice has to agree to each appointment: a booking is a request"""
    change_deadline: timedelta = timedelta()
    """how long before its start it can last be changed online"""

    @property
    def way(self) -> Way:
        """Where one meets."""
        return way_of(self.modes)


class Draft(Chosen):
    """A choice on its way to an appointment."""

    id: str = Field(default_factory=lambda: secrets.token_urlsafe(ID_BYTES))
    role: str
    patient: str | None = None
    held: Held | None = None
    comment: str = ""
    moving: str | None = None
    """id of the appointment that this time is to replace"""
    settled: str | None = None
    """`wish` for which the question about a near appointment is answered"""
    hidden: bool = False
    """whether it is hidden from those who act for the patient"""
    somebody_new: bool = False
    """whether a person unknown to the server is being described, beside known ones"""
    typed: dict[str, str] | None = None
    """the form of their identity as it was sent, while something is wrong with it"""
    problems: dict[str, str] = Field(default_factory=dict)
    """field of that form → what is wrong"""
    booked: str | None = None
    """id of the appointment that came of it"""
    asked: bool = False
    """whether it waits for its practice"""
    untold: bool = False
    """whether its message did not reach the practice"""
    ran_out: bool = False
    """whether its hold had ended when it was to be booked"""
    against: str | None = None
    """why this time is refused for this person: the sentence of the refusal, or a key of ours"""
    against_language: str | None = None
    """language of that sentence: the reader may have chosen another since"""
    attempt: int = 0
    """number of changes of slot, person or hold: each makes another wish"""

    @property
    def key(self) -> str:
        """The same for the same wish, however often its form is sent (Idempotency-Key)."""
        return f"{self.id}-{self.attempt}"

    @property
    def wish(self) -> str:
        """The patient and the slot."""
        return f"{self.patient} {self.slot}"

    @property
    def recap(self) -> str:
        """The wish with what its recap says beside it: the visit to be replaced, and who sees it."""
        return f"{self.wish} {self.moving or '-'} {'hidden' if self.hidden else 'seen'}"

    @property
    def done(self) -> str:
        """Key of what is said once it is booked."""
        if self.untold:
            return "done.asked.untold" if self.asked else "done.untold"
        return "done.asked" if self.asked else "done.booked"

    @property
    def path(self) -> str:
        return f"/reservation/{self.id}"

    def choose(self, patient: str) -> None:
        """Sets the Patient (id); `hidden` stays for the same one only."""
        self.hidden = self.hidden and patient == self.patient
        self.patient = patient


class BookedAlreadyError(Exception):
    """A step of a draft that is booked: its page was still open. The appointment (id) is changed on its own pages."""

    def __init__(self, appointment: str) -> None:
        super().__init__(appointment)
        self.appointment = appointment


async def load(page: Page, id_: str) -> Draft:
    """The draft of this session; 404 for another's. Raises BookedAlreadyError once it is booked, also if the answer was
    lost: no step may then give its time back or take another."""
    content = await page.site.sessions.find_draft(page.session, id_) if page.session else None
    if content is None:
        raise HTTPException(404)
    draft = Draft.model_validate(content)
    if draft.booked:
        raise BookedAlreadyError(draft.booked)
    if draft.held is not None and draft.held.booking and page.account is not None:
        await _still_held(page, draft, draft.held)
    return draft


async def _still_held(page: Page, draft: Draft, held: Held) -> Answered | None:
    """Reads the hold at the base; None if it is not there. Raises BookedAlreadyError, stored and told, if it is a visit by
    now, or if the visit to be moved is at its time: then the message is written that waited for it."""
    read = await readable(page.fhir, held.appointment)
    booked = None if read is None or is_or_was_hold(read.resource) else read
    if booked is None and draft.moving is not None:
        other = await readable(page.fhir, draft.moving)
        booked = other if other is not None and stands_at(other.resource, draft.slot) else None
    if booked is None:
        return read
    status = booked.resource["status"]
    draft.booked, draft.asked = str(booked.resource["id"]), status == ASKED
    await keep(page, draft)
    if status in LIVE:
        if draft.moving is not None and held.booking:
            draft.untold = not await tell_moved(page.fhir, draft.booked, draft.comment)
        await page.say_next(draft.done)
    raise BookedAlreadyError(draft.booked)


async def acting_for(page: Page, draft: Draft) -> Person | None:
    """The draft's patient, when that is somebody else than the person in front of the page."""
    people = await people_of(page.fhir)
    return next((person for person in people if person.id == draft.patient and not person.oneself), None)


async def keep(page: Page, draft: Draft) -> None:
    """Store it with the session. BookedAlreadyError where another request has booked it since it was read."""
    session = await page.own_session()
    await page.site.sessions.change_draft(session, draft.id, lambda stands: _after(stands, draft))


def _after(stands: Mapping[str, Any] | None, draft: Draft) -> dict[str, Any]:
    """What to store of a draft; that it was booked, or sent to be, is not forgotten."""
    before = None if stands is None else Draft.model_validate(stands)
    if before is not None and before.booked and not draft.booked:
        raise BookedAlreadyError(before.booked)
    held = before.held if before is not None else None
    if held is not None and draft.held is not None and held.appointment == draft.held.appointment:
        draft.held.booking |= held.booking
    return draft.model_dump(mode="json")


async def release(page: Page, draft: Draft) -> bool:
    """Gives the held slot back, so that anybody may have it. Returns whether there was something to give back. Raises
    BookedAlreadyError if it is a visit by now: that is given up on its own page."""
    held = draft.held
    if held is None:
        return False
    live = held.until > page.site.clock.now()
    read = await _still_held(page, draft, held) if live or held.booking else None
    draft.held = None
    draft.attempt += 1
    await keep(page, draft)
    if read is None or not live:
        return False
    try:
        await cancel(page.fhir, held.appointment, read.etag)
    except RefusedError as error:
        if error.refusal.status == CHANGED_MEANWHILE:
            await _still_held(page, draft, held)
        return False  # it has run out meanwhile, or was given up elsewhere
    return True


async def holds_a_time(site: Site, session: Session) -> bool:
    """Whether a slot is kept for this session and not booked yet."""
    now = site.clock.now()
    return any(
        draft.held is not None and draft.held.until > now and not draft.booked
        for draft in await _drafts(site, session)
    )


async def _drafts(site: Site, session: Session) -> list[Draft]:
    return [Draft.model_validate(content) for _, content in await site.sessions.drafts_of(session)]


async def message_begun(page: Page, role: str) -> str:
    """The last message to this professional in this session that was not sent: another time takes it along."""
    if page.session is None:
        return ""
    drafts = await _drafts(page.site, page.session)
    return next((draft.comment for draft in drafts if draft.role == role and not draft.booked), "")


async def release_holds_at(page: Page, role: str) -> bool:
    """Gives back this session's holds with one professional: who opens their times again chooses again."""
    if page.session is None or page.account is None:
        return False
    drafts = await _drafts(page.site, page.session)
    released = [
        await release(page, draft)
        for draft in drafts
        if draft.role == role and draft.held and not draft.booked
    ]
    return any(released)
