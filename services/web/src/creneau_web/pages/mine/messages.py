"""What was sent to me."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from creneau_web.care.model import PARIS
from creneau_web.fhir.client import next_cursor
from creneau_web.fhir.values import entries, instant
from creneau_web.page import SignedInPage
from creneau_web.people.records import people_of

router = APIRouter()

PAGE = "30"
STATES = {
    "completed": "sent",
    "in-progress": "sending",
    "preparation": "planned",
    "stopped": "stopped",
    "not-done": "not_sent",
}
CHANNELS = {"EMAILWRIT": "email", "SMSWRIT": "sms"}


@dataclass(frozen=True, slots=True)
class Message:
    """One Communication."""

    at: datetime | None
    what: str | None
    channel: str | None
    """`email`, `sms`; None for others"""
    state: str
    why: str | None
    """why it was not sent, in the service's words"""
    appointment: str | None


@router.get("/mes-messages", response_class=HTMLResponse)
async def messages(
    page: SignedInPage, suite: Annotated[str | None, Query(max_length=2000)] = None
) -> HTMLResponse:
    """Messages to me and to those whom I represent: when, by what, and whether they left."""
    people = await people_of(page.fhir)
    found, following = [], None
    if people:
        recipients = ",".join(f"Patient/{person.id}" for person in people)
        query = [("recipient", recipients), ("_sort", "-sent"), ("_count", PAGE)]
        bundle = await page.fhir.page_of("Communication", query, suite)
        found = [message_of(one) for one in entries(bundle, "Communication")]
        following = next_cursor(bundle)
    return await page.show("mine/messages.html", messages=found, following=following, zone=PARIS)


def message_of(communication: Mapping[str, Any]) -> Message:
    """What a Communication tells."""
    sent = communication.get("sent")
    medium = [c.get("code") for m in communication.get("medium", ()) for c in m.get("coding", ())]
    about = [str(a.get("reference", "")) for a in communication.get("about", ())]
    topic = communication.get("topic") or {}
    return Message(
        at=instant(sent) if sent else None,
        what=topic.get("text"),
        channel=next((CHANNELS[code] for code in medium if code in CHANNELS), None),
        state=STATES.get(communication.get("status", ""), "planned"),
        why=(communication.get("statusReason") or {}).get("text"),
        appointment=next((r.partition("/")[2] for r in about if r.startswith("Appointment/")), None),
    )
